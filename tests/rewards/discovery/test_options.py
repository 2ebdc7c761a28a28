import math

import pytest

from tdmr1.rewards.discovery.options import Option, check_options, options_of, parse_options
from tdmr1.rewards.errors import RewardOptionInvalid


class Judge:
    def __init__(self, engine, size=64, *, scale=1.0, labels=("a",), metric=math.hypot, **rest):
        pass


def test_options_are_the_parameters_with_a_default_that_json_can_hold():
    expected = [Option("size", 64), Option("scale", 1.0), Option("labels", ("a",))]
    assert options_of(Judge) == expected
    assert options_of(lambda: None) == []
    assert options_of(math.hypot) == []


@pytest.mark.parametrize(
    ("default", "good", "bad"),
    [
        (1, [2, -1], [1.5, True, "1", None]),
        (1.0, [2, 0.5], [True, "1", None, [1]]),
        (True, [False], [1, "yes", None]),
        ("a", ["", "b"], [1, None, ["b"]]),
        (("a",), [["b"], ("c",), []], ["b", None, {}]),
        ({}, [{"a": 1}], [[], "a"]),
        (None, [1, "a", None, [True]], []),
    ],
)
def test_a_value_has_the_type_of_the_default(default, good, bad):
    option = Option("it", default)
    assert [option.accepts(value) for value in good] == [True] * len(good)
    assert [option.accepts(value) for value in bad] == [False] * len(bad)


def test_what_is_true_or_false_may_be_on_or_off():
    class Switched:
        def __init__(self, memory=True, engine="on"):
            pass

    def read(**given):
        return check_options(Switched, given, "it")

    assert [read(memory=word)["memory"] for word in ("off", "no", False)] == [False] * 3
    assert [read(memory=word)["memory"] for word in ("on", "YES", True)] == [True] * 3
    assert read(engine="off") == {"engine": "off"}  # a text
    with pytest.raises(RewardOptionInvalid, match="'of'; expected true or false"):
        read(memory="of")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sise": 3}, "the judge has no option 'sise'"),
        ({"engine": 3}, "the judge has no option 'engine'"),
        ({"rest": 3}, "the judge has no option 'rest'"),
        ({"scale": 2, "size": "big"}, "'size' of the judge is 'big'; expected a whole number"),
    ],
)
def test_a_bad_option_lists_those_there_are(given, says):
    with pytest.raises(RewardOptionInvalid) as caught:
        check_options(Judge, given, "the judge")
    assert says in str(caught.value)
    assert str(caught.value).endswith(
        "its options and their defaults: size = 64, scale = 1.0, labels = ('a',)"
    )


def test_a_reward_without_options_says_so():
    with pytest.raises(RewardOptionInvalid, match="no option 'a'; it has no options"):
        check_options(lambda: None, {"a": 1}, "it")


def test_options_are_typed_as_json_or_as_text():
    typed = [
        "size=3",
        "scale = 0.5",
        "on=true",
        "name=big one",
        'quoted="3"',
        "list=[1, 2]",
        "e==",
    ]
    assert parse_options(typed) == {
        "size": 3,
        "scale": 0.5,
        "on": True,
        "name": "big one",
        "quoted": "3",
        "list": [1, 2],
        "e": "=",
    }


@pytest.mark.parametrize("setting", ["size", "=3", ""])
def test_a_setting_without_key_or_value_is_refused(setting):
    with pytest.raises(RewardOptionInvalid, match="write it as key=value"):
        parse_options([setting])
