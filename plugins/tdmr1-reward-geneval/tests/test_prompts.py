import itertools
import random
import re
from collections import Counter

import pytest

from tdmr1.rewards.prompt_source import draw_prompts
from tdmr1.rewards.prompts import PromptLine
from tdmr1_reward_geneval.coco import COLORS, LABELS
from tdmr1_reward_geneval.prompts import GenEvalPrompts, one, several
from tdmr1_reward_geneval.reward import GenEval
from tdmr1_reward_geneval.task import parse

SOURCE = GenEvalPrompts()


def drawn(count, seed=0, known=()):
    return draw_prompts(SOURCE, count, seed, known)


def all_of(tag):
    return [*SOURCE.prompts(tag, random.Random(0))]


def clause(label, count=1, **more):
    return {"class": label, "count": count, **more}


def asks(tag, *include, exclude=()):
    return SOURCE.asks(PromptLine("a photo", {"tag": tag, "include": include, "exclude": exclude}))


def test_the_mixture_is_the_official_one():
    tags = Counter(prompt.metadata["tag"] for prompt in drawn(580))
    assert tags == dict(SOURCE.shares)
    assert tags["single_object"] == 80 and {*tags.values()} == {80, 100}


def test_prompts_say_what_their_metadata_asks():
    found = {}
    for prompt in drawn(60):
        found.setdefault(prompt.metadata["tag"], prompt)
    assert found.keys() == SOURCE.shares.keys()
    for tag, prompt in found.items():
        include = prompt.metadata["include"]
        task = parse(prompt.metadata, prompt.text, LABELS, COLORS)
        things = [one(c["class"], c.get("color", "")) for c in include]
        match tag:
            case "counting":
                number = ["", "two", "three", "four"][include[0]["count"] - 1]
                expected = f"{number} {several(include[0]['class'])}"
                (excluded,) = task.exclude
                assert excluded.count == task.include[0].count + 1
            case "position":
                relation, index = include[1]["position"]
                expected = f"{things[1]} {relation} {things[index]}"
            case _:
                expected = " and ".join(things)
        assert prompt.text == f"a photo of {expected}"
        assert tag == "counting" or not task.exclude


@pytest.mark.parametrize("tag", SOURCE.shares)
def test_the_reward_judges_every_one(tag):
    reward = GenEval()
    some = itertools.islice(SOURCE.prompts(tag, random.Random(1)), 50)
    for prompt in some:
        detector, task = reward._asked(prompt.text, prompt.metadata)
        assert task.tag == tag and task.labels <= {*detector.labels}


@pytest.mark.parametrize(
    ("tag", "texts", "asked"),
    [
        ("single_object", 80, 80),
        ("two_object", 80 * 79, 80 * 79 // 2),
        ("counting", 80 * 3, 80 * 3),
        ("colors", 79 * 10, 79 * 10),
    ],
)
def test_all_that_can_be_asked_is_there(tag, texts, asked):
    found = all_of(tag)
    assert len({prompt.text for prompt in found}) == len(found) == texts
    assert len({*map(SOURCE.asks, found)}) == asked


def test_of_two_colours_and_two_things_no_two_are_the_same():
    for prompt in itertools.islice(SOURCE.prompts("color_attr", random.Random(0)), 500):
        a, b = prompt.metadata["include"]
        assert a["class"] != b["class"] and a["color"] != b["color"]


def test_nobody_has_a_colour():
    for tag in ("colors", "color_attr"):
        some = itertools.islice(SOURCE.prompts(tag, random.Random(0)), 2000)
        assert not any("person" in prompt.text for prompt in some)


def test_articles_and_plurals():
    told = [one("orange"), one("dog", "orange"), one("umbrella"), one("airplane", "blue")]
    assert told == ["an orange", "an orange dog", "an umbrella", "a blue airplane"]
    assert [one("skis", "red"), one("scissors")] == ["a red pair of skis", "a pair of scissors"]
    plurals = {
        "knife": "knives",
        "bench": "benches",
        "bus": "buses",
        "wine glass": "wine glasses",
        "toothbrush": "toothbrushes",
        "person": "people",
        "sheep": "sheep",
        "computer mouse": "computer mice",
        "skis": "pairs of skis",
        "scissors": "pairs of scissors",
        "broccoli": "heads of broccoli",
        "giraffe": "giraffes",
        "tv": "tvs",
    }
    assert {label: several(label) for label in plurals} == plurals
    texts = " ".join(prompt.text for tag in ("counting", "colors") for prompt in all_of(tag))
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|[cs]hs\b|sses\b(?<!glasses)", texts)


def test_what_is_asked_does_not_hang_on_words_or_order():
    dog, cat = clause("dog"), clause("cat")
    assert asks("two_object", dog, cat) == asks("two_object", cat, dog)
    left = asks("position", cat, clause("dog", position=["left of", 0]))
    assert left == asks("position", dog, clause("cat", position=["right of", 0]))
    above = asks("position", cat, clause("dog", position=["above", 0]))
    assert above == asks("position", dog, clause("cat", position=["below", 0]))
    others = {
        left,
        above,
        asks("position", dog, clause("cat", position=["left of", 0])),
        asks("two_object", dog, cat),
        asks("counting", clause("dog", 2)),
        asks("counting", clause("dog", 2), exclude=[clause("dog", 3)]),
        asks("colors", clause("dog", color="red")),
        asks("single_object", dog),
        asks("color_attr", clause("dog", color="red"), clause("cat", color="blue")),
        asks("color_attr", clause("dog", color="blue"), clause("cat", color="red")),
    }
    assert len(others) == 10


def test_nothing_of_a_test_is_asked():
    # Other words for the same, as the official file has them.
    known = [
        PromptLine(f"a picture with {number}", prompt.metadata)
        for number, prompt in enumerate(drawn(300, seed=7))
    ]
    found = drawn(3000, known=known)
    assert len(found) == 3000
    assert not {*map(SOURCE.asks, found)} & {*map(SOURCE.asks, known)}
    assert {*map(SOURCE.asks, drawn(3000))} & {*map(SOURCE.asks, known)}


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({}, "has no `include`, and its text alone does not tell what it asks for"),
        ({"tag": "sign", "word": "A"}, "has no `include`"),
        ({"tag": "single_object", "include": [clause("stop_sign")]}, "'stop sign' perhaps"),
    ],
)
def test_a_prompt_of_which_nobody_knows_what_it_asks_is_refused(metadata, error):
    with pytest.raises(ValueError, match=re.escape(error)):
        SOURCE.asks(PromptLine("a photo of a dog", metadata))
