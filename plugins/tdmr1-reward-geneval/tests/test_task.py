import pytest

from tdmr1_reward_geneval.task import Clause, MetadataInvalid, Task, parse

CIRCLE = {"class": "circle", "count": 1}


def read(**metadata):
    return parse(metadata, "a photo", ("circle", "star"), ("red", "blue"))


def test_everything_is_read():
    star = {"class": "star", "count": 2, "color": "red", "position": ["above", 0]}
    task = read(tag="position", include=[CIRCLE, star], exclude=[CIRCLE], word="another's key")
    assert task == Task(
        "position",
        (Clause("circle"), Clause("star", 2, "red", ("above", 0))),
        (Clause("circle"),),
    )


def test_a_null_is_as_no_key():
    nulls = {"color": None, "position": None}
    without = read(tag="counting", include=[CIRCLE], exclude=[CIRCLE])
    both = [{**CIRCLE, **nulls}]
    assert read(tag="counting", include=both, exclude=both, word=None) == without
    without = read(tag="counting", include=[CIRCLE])
    assert read(tag="counting", include=[CIRCLE], exclude=None) == without


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"include": [CIRCLE]}, "tag is missing; expected one of single_object,"),
        ({"tag": "couting", "include": [CIRCLE]}, "tag is 'couting'; expected one of"),
        ({"tag": "colors", "include": None}, "include is missing; expected at least one clause"),
        ({"tag": "colors", "include": []}, "include is []; expected at least one clause"),
        ({"tag": "colors", "include": "circle"}, "include is 'circle'; expected a list"),
        ({"tag": "colors", "include": ["circle"]}, "include[0] is 'circle'; expected an object"),
        ({"tag": "colors", "include": [CIRCLE], "exclude": {}}, "exclude is {}; expected a list"),
        (
            {"tag": "colors", "include": [CIRCLE], "exclude": [{**CIRCLE, "color": "red"}]},
            "expected an object with the keys class, count",
        ),
    ],
)
def test_malformed_metadata_names_prompt_and_key(metadata, message):
    with pytest.raises(MetadataInvalid) as error:
        read(**metadata)
    assert str(error.value).startswith('GenEval metadata of the prompt "a photo": ')
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": None}, "include[1].class is missing; expected one of circle, star"),
        ({"class": "dog"}, "include[1].class is 'dog'; expected one of circle, star"),
        ({"count": 0}, "include[1].count is 0; expected a whole number >= 1"),
        ({"count": "2"}, "include[1].count is '2'; expected a whole number >= 1"),
        ({"count": True}, "include[1].count is True; expected a whole number >= 1"),
        ({"color": "pink"}, "include[1].color is 'pink'; expected one of red, blue"),
        ({"colour": "red"}, "expected an object with the keys class, count, color, position"),
        ({"position": "above"}, "include[1].position is 'above'; expected [relation, index"),
        ({"position": ["near", 0]}, "include[1].position is ['near', 0]; expected one of left of"),
        ({"position": ["above", 1]}, "expected the index of an earlier clause (below 1)"),
        ({"position": ["above", -1]}, "expected the index of an earlier clause (below 1)"),
    ],
)
def test_malformed_clauses(change, message):
    with pytest.raises(MetadataInvalid) as error:
        read(tag="position", include=[CIRCLE, {**CIRCLE, **change}])
    assert message in str(error.value)
