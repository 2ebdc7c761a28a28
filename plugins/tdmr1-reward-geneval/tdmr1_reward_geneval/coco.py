"""What GenEval's detector and colour classifier know: `object_names.txt` and `COLORS` there."""

from __future__ import annotations

from collections.abc import Iterable

LABELS = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    *("traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat"),
    *("dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack"),
    *("umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball"),
    *("kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket"),
    *("bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair"),
    *("couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop"),
    *("computer mouse", "tv remote", "computer keyboard", "cell phone", "microwave", "oven"),
    *("toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
)
"""COCO's 80 classes in COCO's order, as GenEval names them; three names are its own: computer
mouse, tv remote and computer keyboard."""

COLORS = (
    *("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"),
)
"""In GenEval's order."""

SAME_NAMES = 70
"""Of the 80 names of a detector's classes, how many have to be COCO's at their place: there are
several spellings, sofa for couch, and weights of other classes share next to none."""


def names_in_place(names: Iterable[str]) -> int:
    """How many names of a detector's classes stand where COCO has them: `stop_sign`, too; where
    GenEval has two words of its own, COCO has the second."""
    given = (name.lower().replace("_", " ") for name in names)
    return sum(name in (own, own.split()[-1]) for name, own in zip(given, LABELS, strict=False))
