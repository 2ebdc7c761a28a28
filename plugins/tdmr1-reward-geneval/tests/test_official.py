"""Verdicts beside those of GenEval's evaluator, whose rule is written here again, after its code.

There an image has, for each class, an array (N, 5) of boxes and confidences in float32.
"""

import numpy as np

from tdmr1.rewards import Sample
from tdmr1_reward_geneval.coco import COLORS, LABELS
from tdmr1_reward_geneval.detector import Detection, Detector
from tdmr1_reward_geneval.reward import GenEval
from tdmr1_reward_geneval.task import RELATIONS, TAGS

SETS = 10_000
"""Of detections."""
NAMES = ("stop sign", "dog", "computer mouse")
CONFIDENCES = np.array([0.2, 0.3, 0.3000001, 0.31, 0.5, 0.5, 0.7, 0.9, 0.9000001, 0.95, 0.99])
"""At, and just above, both thresholds, and often equal."""


def color(box):
    """Any rule that tells few colours."""
    return COLORS[int(sum(box)) % 3]


def official_relations(a, b):
    center_a, center_b = (box.reshape(2, 2).mean(axis=0) for box in (a, b))
    size_a, size_b = (np.abs(box[2:] - box[:2]) for box in (a, b))
    offset = center_a - center_b
    moved = np.maximum(np.abs(offset) - 0.1 * (size_a + size_b), 0) * np.sign(offset)
    if np.all(np.abs(moved) < 1e-3):
        return set()
    dx, dy = moved / np.linalg.norm(offset)
    holds = zip(RELATIONS, (dx < -0.5, dx > 0.5, dy < -0.5, dy > 0.5), strict=True)
    return {relation for relation, true in holds if true}


def official(arrays, metadata):
    threshold = 0.9 if metadata["tag"] == "counting" else 0.3
    objects = {}
    for name, array in arrays.items():
        order = np.argsort(array[:, 4], kind="stable")[::-1]
        order = order[array[order, 4] > threshold][:16]
        if len(order):
            objects[name] = array[order, :4]
    correct, groups = True, []
    for clause in metadata["include"]:
        boxes = objects.get(clause["class"], [])[: clause["count"]]
        holds = len(boxes) == clause["count"]
        if holds and "color" in clause:
            holds = [color(box) for box in boxes].count(clause["color"]) >= clause["count"]
        if holds and "position" in clause:
            relation, target = clause["position"]
            others = groups[target]
            holds = others is not None and all(
                relation in official_relations(box, other) for box in boxes for other in others
            )
        groups.append(boxes if holds else None)
        correct &= holds
    for clause in metadata["exclude"]:
        correct &= len(objects.get(clause["class"], [])) < clause["count"]
    return bool(correct)


def random_metadata(rng):
    include = []
    for index in range(rng.integers(1, 4)):
        clause = {"class": NAMES[rng.integers(3)], "count": int(rng.integers(1, 4))}
        if rng.random() < 0.3:
            clause["color"] = COLORS[rng.integers(3)]
        if index and rng.random() < 0.5:
            clause["position"] = [RELATIONS[rng.integers(4)], int(rng.integers(index))]
        include.append(clause)
    exclude = [{"class": NAMES[rng.integers(3)], "count": int(rng.integers(2, 6))}]
    tag = TAGS[rng.integers(len(TAGS))]
    return {"tag": tag, "include": include, "exclude": exclude[: rng.integers(2)]}


def random_arrays(rng, counts):
    """Boxes on whole pixels, few enough of them that many lie at the edge of a relation.

    One array for each of the counts, all drawn at once.
    """
    total, spread = counts.sum(), rng.integers(1, 20, counts.size).repeat(counts)
    corner = rng.integers(0, 24, (total, 2)) * spread[:, None]
    size = rng.integers(1, 12, (total, 2)) * 5
    confidence = rng.choice(CONFIDENCES, (total, 1))
    rows = np.concatenate([corner, corner + size, confidence], axis=1).astype(np.float32)
    return np.split(rows, counts.cumsum()[:-1])


class Given(Detector):
    """Returns what it was given, by the number that an image's three bytes hold."""

    labels, colors = LABELS, COLORS

    def __init__(self, sets):
        self.sets = sets

    def detect(self, image):
        arrays = self.sets[int(image[0, 0] @ (1 << np.array([0, 8, 16])))]
        return [
            Detection(name, float(row[4]), tuple(map(float, row[:4])))
            for name, array in arrays.items()
            for row in array
        ]

    def color(self, image, detection):
        return color(detection.box)


def test_verdicts_are_the_official_ones():
    rng = np.random.default_rng(0)
    # Mostly few objects, so that about as many verdicts are right as wrong; sometimes too many.
    counts = rng.choice(
        [0, 1, 1, 2, 3, 20], (SETS, len(NAMES)), p=[0.1, 0.3, 0.2, 0.2, 0.19, 0.01]
    )
    arrays = iter(random_arrays(rng, counts.ravel()))
    sets = [dict(zip(NAMES, three, strict=True)) for three in zip(*[arrays] * 3, strict=True)]
    asked = [random_metadata(rng) for _ in sets]
    images = [np.array([[[i & 255, i >> 8 & 255, i >> 16]]], np.uint8) for i in range(SETS)]
    samples = [Sample(i, "a photo", m) for i, m in zip(images, asked, strict=True)]
    scores = GenEval(Given(sets)).score(samples)
    expected = [official(*pair) for pair in zip(sets, asked, strict=True)]
    wrong = [i for i, score in enumerate(scores) if score.passed is not expected[i]]
    assert wrong == []
    assert 0.05 < np.mean(expected) < 0.95
    # Also by what a line of results says: the objects that count, the later of equal ones first.
    seen = [
        {name: np.array(rows[::-1], np.float32) for name, rows in score.details.items()}
        for score in scores
    ]
    assert [official(*pair) for pair in zip(seen, asked, strict=True)] == expected
    placed = ["position" in clause for metadata in asked for clause in metadata["include"]]
    assert sum(placed) > SETS / 4
