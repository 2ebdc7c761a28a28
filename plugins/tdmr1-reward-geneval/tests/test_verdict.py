import numpy as np
import pytest

from tdmr1_reward_geneval.detector import Detection
from tdmr1_reward_geneval.task import Clause, Task
from tdmr1_reward_geneval.verdict import (
    MAX_OBJECTS,
    countable,
    dense_reward,
    overall,
    relations,
    verdict,
)

ONE_CIRCLE = Task("single_object", (Clause("circle"),))
TWO = Task("two_object", (Clause("circle"), Clause("star")))
THREE_CIRCLES = Task("counting", (Clause("circle", 3),), (Clause("circle", 4),))
RED_CIRCLE = Task("colors", (Clause("circle", color="red"),))
STAR_LEFT = Task("position", (Clause("circle"), Clause("star", position=("left of", 0))))
RED_AND_BLUE = Task("color_attr", (Clause("circle", color="red"), Clause("star", color="blue")))


def thing(label, x=0.0, y=0.0, confidence=0.95, size=10.0):
    return Detection(label, confidence, (x, y, x + size, y + size))


def judge(task, *detections, colors=()):
    """(correct, reason, dense reward); `colors` belong to the detections in order."""
    named = dict(zip(detections, colors, strict=False))
    objects = countable(detections, task.tag)
    answer = verdict(objects, task, named.__getitem__)
    return answer.correct, answer.reason, dense_reward(objects, task, named.__getitem__)


def test_single_object():
    assert judge(ONE_CIRCLE, thing("circle")) == (True, "as asked", 1)
    assert judge(ONE_CIRCLE, thing("star")) == (False, "expected circle >= 1, found 0", 0)
    assert judge(ONE_CIRCLE) == (False, "expected circle >= 1, found 0", 0)


def test_more_than_asked_is_correct_but_costs_dense_reward():
    assert judge(ONE_CIRCLE, thing("circle"), thing("circle", 20)) == (True, "as asked", 0)
    assert judge(ONE_CIRCLE, *[thing("circle", x) for x in range(99)]) == (
        True,
        "as asked",
        1 - (MAX_OBJECTS - 1),
    )


def test_two_objects():
    assert judge(TWO, thing("circle"), thing("star", 20)) == (True, "as asked", 1)
    assert judge(TWO, thing("star")) == (False, "expected circle >= 1, found 0", 0.5)
    both = "expected circle >= 1, found 0; expected star >= 1, found 0"
    assert judge(TWO, thing("square")) == (False, both, 0)


@pytest.mark.parametrize(
    ("found", "reason", "dense"),
    [
        (0, "expected circle >= 3, found 0", 0),
        (2, "expected circle >= 3, found 2", 2 / 3),
        (3, "as asked", 1),
        (4, "expected circle < 4, found 4", 2 / 3),
        (7, "expected circle < 4, found 7", -1 / 3),
    ],
)
def test_counting(found, reason, dense):
    circles = [thing("circle", 20.0 * i) for i in range(found)]
    assert judge(THREE_CIRCLES, *circles) == (found == 3, reason, pytest.approx(dense))


@pytest.mark.parametrize(("task", "threshold"), [(ONE_CIRCLE, 0.3), (THREE_CIRCLES, 0.9)])
def test_an_object_counts_strictly_above_the_threshold_of_its_tag(task, threshold):
    at, above = thing("circle", confidence=threshold), thing("circle", confidence=threshold + 1e-6)
    assert countable([at, above], task.tag) == {"circle": [above]}


@pytest.mark.parametrize(("task", "threshold"), [(ONE_CIRCLE, 0.3), (THREE_CIRCLES, 0.9)])
def test_confidences_are_compared_in_float32(task, threshold):
    """As the official evaluator compares its arrays: float32(0.3) is 0.3, and not above it."""
    at = thing("circle", confidence=float(np.float32(threshold)))
    above = thing("circle", confidence=float(np.nextafter(np.float32(threshold), np.float32(1))))
    assert at.confidence != threshold
    assert countable([at], task.tag).get("circle", []) == []
    assert countable([above], task.tag) == {"circle": [above]}


@pytest.mark.parametrize("difference", [0.0, 1e-12])
def test_of_equal_confidences_the_later_comes_first(difference):
    """As in the official evaluator, which turns an ascending order of float32 round."""
    same = [thing("circle", x, confidence=0.5 - x * difference) for x in range(4)]
    best, least = thing("circle", 4, confidence=0.6), thing("circle", 5, confidence=0.4)
    found = countable([*same[:2], best, *same[2:], least], "single_object")
    assert found == {"circle": [best, *same[::-1], least]}
    assert judge(RED_CIRCLE, *same, colors=["red", "red", "red", "blue"])[0] is False
    assert judge(RED_CIRCLE, *same, colors=["blue", "blue", "blue", "red"])[0] is True


def test_color():
    circle = thing("circle")
    assert judge(RED_CIRCLE, circle, colors=["red"]) == (True, "as asked", 1)
    assert judge(RED_CIRCLE, circle, colors=["blue"]) == (
        False,
        "expected red circle, found blue",
        0.5,
    )
    assert judge(RED_CIRCLE) == (False, "expected circle >= 1, found 0", 0)


def test_the_verdict_looks_at_the_best_objects_only():
    best, second = thing("circle", 0, confidence=0.9), thing("circle", 20, confidence=0.5)
    assert judge(RED_CIRCLE, second, best, colors=["blue", "red"])[:2] == (True, "as asked")
    assert judge(RED_CIRCLE, second, best, colors=["red", "blue"])[:2] == (
        False,
        "expected red circle, found blue",
    )
    # The count is off by one, and with it the colour gives nothing.
    assert judge(RED_CIRCLE, second, best, colors=["red", "red"])[2] == 0


def test_color_of_several():
    task = Task("colors", (Clause("circle", 2, color="red"),))
    circles = thing("circle"), thing("circle", 20)
    assert judge(task, *circles, colors=["red", "blue"]) == (
        False,
        "expected red circle >= 2, found blue, red",
        0.75,
    )


def test_two_colors():
    things = thing("circle"), thing("star", 20)
    assert judge(RED_AND_BLUE, *things, colors=["red", "blue"]) == (True, "as asked", 1)
    assert judge(RED_AND_BLUE, *things, colors=["blue", "red"]) == (
        False,
        "expected red circle, found blue; expected blue star, found red",
        0.5,
    )
    assert judge(RED_AND_BLUE, things[0], colors=["red"]) == (
        False,
        "expected star >= 1, found 0",
        0.5,
    )


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [(70, 50, "right of"), (50, 20, "above"), (50, 90, "below"), (51, 50, "no clear relation")],
)
def test_position(x, y, found):
    circle = thing("circle", 50, 50)
    assert judge(STAR_LEFT, thing("star", 10, 50), circle) == (True, "as asked", 1)
    assert judge(STAR_LEFT, thing("star", x, y), circle) == (
        False,
        f"expected star left of circle, found {found}",
        pytest.approx(2 / 3),
    )


def test_position_when_something_is_missing():
    star, circle = thing("star", 10, 50), thing("circle", 50, 50)
    assert judge(STAR_LEFT, circle) == (
        False,
        "expected star >= 1, found 0",
        pytest.approx(1 / 3),
    )
    assert judge(STAR_LEFT, star) == (
        False,
        "expected circle >= 1, found 0; "
        "expected star left of circle, which is not as asked itself",
        pytest.approx(1 / 3),
    )


def test_position_holds_for_all_pairs():
    task = Task("position", (Clause("circle", 2), Clause("star", position=("left of", 0))))
    star, right, left = thing("star", 30), thing("circle", 60), thing("circle", 0)
    assert judge(task, star, right, left) == (
        False,
        "expected star left of circle, found right of",
        pytest.approx(2 / 3),
    )


def test_the_colors_of_a_clause_come_before_its_position():
    task = Task(
        "position", (Clause("circle"), Clause("star", color="red", position=("left of", 0)))
    )
    star, circle = thing("star", 10), thing("circle", 50)
    assert judge(task, star, circle, colors=["blue"]) == (
        False,
        "expected red star, found blue",
        0.5,
    )


def test_relations_shrink_the_offset_by_a_tenth_of_both_sizes():
    here = (0, 0, 10, 10)
    assert relations(here, here) == []
    # Centres 4 apart: (4 - 0.1 * 20) / 4 is 0.5, which is not beyond 0.5.
    assert relations((4, 0, 14, 10), here) == []
    assert relations((4.1, 0, 14.1, 10), here) == ["right of"]
    # The distance is the raw one: at 45 degrees both hold, as 1 / sqrt(2) is beyond 0.5.
    assert relations((-40, -40, -30, -30), here) == ["left of", "above"]
    assert relations((10, 40, 20, 50), here) == ["below"]


def test_overall_weighs_tags_alike():
    tags = ["colors"] * 3 + ["counting"]
    assert overall(tags, [True, True, False, False]) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="at least one"):
        overall([], [])
    with pytest.raises(ValueError, match="argument"):
        overall(["colors"], [])
