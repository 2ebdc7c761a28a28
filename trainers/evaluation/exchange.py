"""What processes tell one another of pictures and their scores, as trees of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.trainers.evaluation.album import Album
from tdmr1.trainers.evaluation.judge import Judgement
from tdmr1.trainers.processes import Tree


def outcomes_tree(outcomes: Outcomes) -> Tree:
    return {
        "values": torch.from_numpy(outcomes.values),
        "abstained": torch.from_numpy(outcomes.abstained),
        "errors": torch.from_numpy(outcomes.errors),
        "reasons": outcomes.reasons,
        "passed": outcomes.passed,
        "details": [dict(seen) for seen in outcomes.details],
    }


def outcomes_of(tree: Tree) -> Outcomes:
    return Outcomes(
        tree["values"].numpy(),
        tree["abstained"].numpy(),
        tree["errors"].numpy(),
        tree["reasons"],
        tree["passed"],
        tree["details"],
    )


def outcomes_in(tree: Tree) -> dict[str, Outcomes]:
    """Reward -> what it says, of a tree that has it under "outcomes"."""
    return {name: outcomes_of(of) for name, of in tree["outcomes"].items()}


def album_tree(album: Album) -> Tree:
    return {
        "features": torch.from_numpy(album.features),
        "frequencies": {k: torch.from_numpy(v) for k, v in album.frequencies.items()},
        "means": {k: torch.from_numpy(v) for k, v in album.means.items()},
    }


def album_of(tree: Tree) -> Album:
    def arrays(named: dict[str, Any]) -> dict[str, Any]:
        return {name: tensor.numpy() for name, tensor in named.items()}

    return Album(tree["features"].numpy(), arrays(tree["frequencies"]), arrays(tree["means"]))


def judgement_tree(judgement: Judgement) -> Tree:
    return {
        "outcomes": {name: outcomes_tree(of) for name, of in judgement.outcomes.items()},
        "closed": {gate: torch.from_numpy(of) for gate, of in judgement.closed.items()},
        "cache_hits": dict(judgement.cache_hits),
        "seconds": judgement.seconds,
        "figures": {name: dict(of) for name, of in judgement.figures.items()},
    }


def joint_judgement(trees: Sequence[Tree], order: Sequence[int]) -> Judgement:
    """That of a batch, from those of its parts, which are equally large.

    Args:
        trees: one a part.
        order: where each sample of the parts, one after another, stands in the batch.
    """
    back, first = np.argsort(order).tolist(), trees[0]
    outcomes = {
        name: Outcomes.cat([outcomes_of(tree["outcomes"][name]) for tree in trees]).take(back)
        for name in first["outcomes"]
    }
    closed = {
        gate: np.concatenate([tree["closed"][gate].numpy() for tree in trees])[back]
        for gate in first["closed"]
    }
    figures = {name: _mean([tree["figures"][name] for tree in trees]) for name in first["figures"]}
    return Judgement(
        outcomes,
        closed,
        _mean([tree["cache_hits"] for tree in trees]),
        max(tree["seconds"] for tree in trees),
        figures,
    )


def _mean(numbers: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each number over those who have it."""
    names = dict.fromkeys(name for of in numbers for name in of)
    return {name: float(np.mean([of[name] for of in numbers if name in of])) for name in names}
