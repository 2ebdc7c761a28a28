"""GenEval's verdict on the objects of an image, and the dense reward to train on.

Verdict: GenEval (Ghosh et al. 2023, arXiv 2310.11513), `evaluate_images.py`.
Dense reward: Flow-GRPO (Liu et al. 2025, arXiv 2505.05470), as TDM-R1 (arXiv 2603.07700) uses it.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from tdmr1_reward_geneval.detector import Box, Detection
from tdmr1_reward_geneval.task import Clause, Task

THRESHOLD = 0.3
COUNTING_THRESHOLD = 0.9
"""An object counts when the detector's confidence is above."""

MAX_OBJECTS = 16
"""Of each class."""

SHRINK = 0.1
"""Share of both objects' sizes that their centres must be apart to be off each other at all."""

DIRECTION = 0.5
"""Share of the distance that has to lie along an axis; up to two relations can hold at once."""

Objects: TypeAlias = dict[str, list[Detection]]
"""The objects that count, by class, the most confident first, of equal ones the later."""

ColorOf: TypeAlias = Callable[[Detection], str]
"""An object's colour; called only for those that `colored` names."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether the image is what its prompt asks for, and if not, a reason for each failure."""

    correct: bool
    reason: str


def countable(detections: Iterable[Detection], tag: str) -> Objects:
    """The detections that count for a prompt of this tag.

    As the official evaluator has them: confidences are float32, so that exactly float32(0.3) is
    not above 0.3; and of equal ones the later detection comes first.
    """
    threshold = np.float32(COUNTING_THRESHOLD if tag == "counting" else THRESHOLD)
    objects: Objects = defaultdict(list)
    for detection in sorted([*detections][::-1], key=_confidence, reverse=True):
        same = objects[detection.label]
        if _confidence(detection) > threshold and len(same) < MAX_OBJECTS:
            same.append(detection)
    return objects


def colored(objects: Objects, task: Task) -> list[Detection]:
    """The objects whose colour `verdict` and `dense_reward` ask for."""
    asked: list[Detection] = []
    for clause in task.include:
        best = objects.get(clause.label, [])[: clause.count]
        if clause.color is not None and len(best) == clause.count:
            asked += best
    return asked


def verdict(objects: Objects, task: Task, color_of: ColorOf) -> Verdict:
    """Every include clause holds for its best `count` objects, and no exclude clause does."""
    reasons: list[str] = []
    matched: list[list[Detection] | None] = []
    for clause in task.include:
        best = objects.get(clause.label, [])[: clause.count]
        failure = _failure(clause, best, matched, task, color_of)
        matched.append(None if failure else best)
        reasons += [failure] if failure else []
    for clause in task.exclude:
        found = len(objects.get(clause.label, []))
        if found >= clause.count:
            reasons.append(f"expected {clause.label} < {clause.count}, found {found}")
    return Verdict(not reasons, "; ".join(reasons) or "as asked")


def dense_reward(objects: Objects, task: Task, color_of: ColorOf) -> float:
    """The mean of the terms of all include clauses; a clause has one to three.

    - Count: 1 - |count - found| / count, over all objects found, not only the best.
    - Colour, if it asks for one: 1 - |count - found| / count over those of that colour;
      0 when the count is off either way.
    - Position, if it asks for one: 1 when every pair is so related, else 0; also 0 when the
      count is off, when its own colours are, or when the clause it refers to is not met.

    Exclude clauses give no term: finding too many is in the count.

    Returns:
        1 at best. A surplus counts in full: 16 objects where 1 was asked for are worth -14.
    """
    terms: list[float] = []
    matched: list[list[Detection] | None] = []
    for clause in task.include:
        found = objects.get(clause.label, [])
        own = [1 - abs(clause.count - len(found)) / clause.count]
        exact = len(found) == clause.count
        if clause.color is not None:
            right = [color_of(one) for one in found].count(clause.color) if exact else 0
            own.append(1 - abs(clause.count - right) / clause.count)
        if clause.position is not None:
            relation, index = clause.position
            targets = matched[index]
            met = all(term == 1 for term in own) and targets is not None
            own.append(float(met and _all_related(found, relation, targets or [])))
        matched.append(found if all(term == 1 for term in own) else None)
        terms += own
    return sum(terms) / len(terms)


def relations(a: Box, b: Box) -> list[str]:
    """Where `a` lies, seen from `b`: up to two of left of, right of, above, below.

    Per axis, the offset of the centres shrunk by SHRINK x (sum of both sizes), over their
    distance, has to exceed DIRECTION.
    """
    dx, dy = ((a[i] + a[i + 2] - b[i] - b[i + 2]) / 2 for i in (0, 1))
    width, height = ((a[i + 2] - a[i]) + (b[i + 2] - b[i]) for i in (0, 1))
    across, down = _shrunk(dx, SHRINK * width), _shrunk(dy, SHRINK * height)
    least = DIRECTION * math.hypot(dx, dy)
    holds = {
        "left of": -across > least,
        "right of": across > least,
        "above": -down > least,
        "below": down > least,
    }
    return [relation for relation, true in holds.items() if true]


def overall(tags: Sequence[str], passed: Sequence[bool]) -> float:
    """GenEval's score of a model: the mean over tags of the share of correct images.

    Args:
        tags: of N images; the tags that occur weigh the same, however many images each has.
        passed: N verdicts.

    Raises:
        ValueError: there is no image, or not one verdict per tag.
    """
    if not tags:
        raise ValueError("GenEval's overall score needs at least one image")
    by_tag: dict[str, list[bool]] = defaultdict(list)
    for tag, correct in zip(tags, passed, strict=True):
        by_tag[tag].append(correct)
    return sum(sum(verdicts) / len(verdicts) for verdicts in by_tag.values()) / len(by_tag)


def _confidence(detection: Detection) -> np.float32:
    return np.float32(detection.confidence)


def _failure(
    clause: Clause,
    best: list[Detection],
    matched: list[list[Detection] | None],
    task: Task,
    color_of: ColorOf,
) -> str:
    """Why the clause does not hold, or nothing; `matched` are the earlier clauses' objects."""
    if len(best) < clause.count:
        return f"expected {clause.label} >= {clause.count}, found {len(best)}"
    if clause.color is not None:
        colors = [color_of(one) for one in best]
        if any(color != clause.color for color in colors):
            number = "" if clause.count == 1 else f" >= {clause.count}"
            return f"expected {clause.color} {clause.label}{number}, found {', '.join(colors)}"
    if clause.position is not None:
        relation, index = clause.position
        expected = f"expected {clause.label} {relation} {task.include[index].label}"
        targets = matched[index]
        if targets is None:
            return f"{expected}, which is not as asked itself"
        for one in best:
            for target in targets:
                true = relations(one.box, target.box)
                if relation not in true:
                    return f"{expected}, found {' and '.join(true) or 'no clear relation'}"
    return ""


def _all_related(found: list[Detection], relation: str, targets: list[Detection]) -> bool:
    return all(relation in relations(one.box, other.box) for one in found for other in targets)


def _shrunk(offset: float, by: float) -> float:
    """The offset, by so much nearer to 0 but not past it."""
    return math.copysign(max(abs(offset) - by, 0.0), offset)
