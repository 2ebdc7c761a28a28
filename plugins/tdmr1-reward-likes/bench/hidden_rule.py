"""A scripted voter who likes what has a blue object, and is wrong in one vote of ten.

    tdmr1 train --reward likes --watch plugins/tdmr1-reward-likes/bench/hidden_rule.py:blue \\
        --set reward_options.likes.queue=blue.sqlite &
    python plugins/tdmr1-reward-likes/bench/hidden_rule.py blue.sqlite

The training sees nothing of the rule but votes; the held-out reward `blue` is the rule itself. It
needs tdmr1-reward-geneval, whose detector of flat shapes and their colours is the voter's eye.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdmr1.rewards import Image, Sample
from tdmr1_reward_geneval.shapes import ShapesDetector
from tdmr1_reward_likes.pictures import Vote
from tdmr1_reward_likes.store import Store

NAME = "Ada"


def has_blue(image: Image) -> bool:
    """Whether one of the objects is blue."""
    detector = ShapesDetector()
    return any(detector.color(image, seen) == "blue" for seen in detector.detect(image))


def blue(samples: Sequence[Sample]) -> list[float]:
    """1 where something is blue, else 0: the rule, to be measured by."""
    return [float(has_blue(sample.image)) for sample in samples]


blue.reads = ()


def vote(store: Store, votes: int, each: int, wrong: float, seed: int) -> None:
    """Vote on the pictures of a training, as they are queued.

    Args:
        store: the queue.
        votes: in all.
        each: at most of one iteration, chosen at random among those that it asks about.
        wrong: probability of the opposite vote.
        seed: of these.
    """
    rng = np.random.default_rng(seed)
    count, seen = 0, -1
    while count < votes:
        posted = store.images()
        newest = max((p.iteration for p in posted if p.iteration is not None), default=-1)
        if newest > seen:
            asked = [p.id for p in posted if p.iteration == newest]
            chosen = rng.permutation(asked)[: min(each, votes - count)].tolist()
            liked = [has_blue(store.pixels(id)) ^ bool(rng.random() < wrong) for id in chosen]
            now = time.time()
            given = zip(chosen, liked, strict=True)
            count += store.record(Vote(id, NAME, bool(like), now, 0) for id, like in given)
            seen = newest
            print(f"iteration {newest}: {count} votes", flush=True)
        time.sleep(0.2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("queue", type=Path)
    parser.add_argument("--votes", type=int, default=600, help="in all")
    parser.add_argument("--each", type=int, default=12, help="of one iteration, at most")
    parser.add_argument("--wrong", type=float, default=0.1, help="probability")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    vote(Store(told.queue), told.votes, told.each, told.wrong, told.seed)
