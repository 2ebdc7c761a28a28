"""What rewards say of pictures, picture by picture; on disk one JSON line each."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.trainers.writing import writing


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Of N pictures.

    Attributes:
        prompts: N texts.
        tags: N texts.
        noise: (N,), the seed that each picture's noise was drawn with; None where nobody knows.
        outcomes: reward name -> what became of the N.
    """

    prompts: Sequence[str]
    tags: Sequence[str]
    noise: Sequence[int] | None
    outcomes: Mapping[str, Outcomes]

    def merit(self, reward: str) -> NDArray[np.float64]:
        """(N,): the verdict as 0 or 1, or the reward where it gives none; NaN without a score."""
        outcomes = self.outcomes[reward]
        pairs = zip(outcomes.values, outcomes.passed, strict=True)
        return np.array([value if verdict is None else float(verdict) for value, verdict in pairs])

    def extremes(self, reward: str, count: int) -> tuple[list[int], list[int]]:
        """Indices of at most `count` of the lowest and of the highest rewards, the tags in turn
        where rewards are equal."""
        turn: dict[str, int] = {}
        for_all = np.zeros(len(self.tags), dtype=np.int64)
        for index, tag in enumerate(self.tags):
            for_all[index] = turn[tag] = turn.get(tag, -1) + 1
        values = self.outcomes[reward].values
        known = np.flatnonzero(~np.isnan(values))
        low = known[np.lexsort((for_all[known], values[known]))]
        high = known[np.lexsort((for_all[known], -values[known]))]
        worst = low[: min(count, len(known) // 2)]
        return worst.tolist(), high[: min(count, len(known) - len(worst))].tolist()

    @property
    def places(self) -> list[tuple[str, int]]:
        """(N,): prompt, and which of its pictures: the first of a prompt has 0."""
        seen: dict[str, int] = {}
        found = []
        for prompt in self.prompts:
            seen[prompt] = seen.get(prompt, -1) + 1
            found.append((prompt, seen[prompt]))
        return found

    def write(self, path: Path) -> None:
        """As JSON lines, atomically.

        Raises:
            UserError: it cannot be written, e.g. because the disk is full.
        """
        with writing(path), replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
            for index, (prompt, tag) in enumerate(zip(self.prompts, self.tags, strict=True)):
                noise = None if self.noise is None else int(self.noise[index])
                said = {name: _plain(of, index) for name, of in self.outcomes.items()}
                line = {"prompt": prompt, "tag": tag, "noise": noise, "rewards": said}
                file.write(json.dumps(line) + "\n")

    @classmethod
    def read(cls, path: Path) -> Scores:
        """What `write` wrote.

        Raises:
            UserError: it cannot be read, or is damaged.
        """
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            names = list(lines[0]["rewards"]) if lines else []
            noise = [line["noise"] for line in lines]
            return cls(
                [line["prompt"] for line in lines],
                [line["tag"] for line in lines],
                None if None in noise else noise,
                {name: _outcomes([line["rewards"][name] for line in lines]) for name in names},
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} cannot be read: {error}\nremove it; `tdmr1 eval` scores again"
            ) from error


def _plain(outcomes: Outcomes, index: int) -> dict[str, Any]:
    return {
        "value": float(outcomes.values[index]) if outcomes.scored[index] else None,
        "passed": outcomes.passed[index],
        "abstained": bool(outcomes.abstained[index]),
        "reason": outcomes.reasons[index],
    }


def _outcomes(said: Sequence[Mapping[str, Any]]) -> Outcomes:
    missing = np.array([of["value"] is None for of in said])
    abstained = np.array([of["abstained"] for of in said], dtype=np.bool_)
    return Outcomes(
        values=np.array([np.nan if of["value"] is None else of["value"] for of in said]),
        abstained=abstained,
        errors=missing & ~abstained,
        reasons=[of["reason"] for of in said],
        passed=[of["passed"] for of in said],
        details=[{} for _ in said],  # of files, where they are not kept
    )
