import pytest

from tdmr1.rewards.discovery.spec import PlaceSpec, RewardSpec, absolute_source, shown
from tdmr1.rewards.errors import RewardError


@pytest.mark.parametrize(
    ("text", "name", "weight", "function"),
    [
        ("ocr", "ocr", 1.0, None),
        ("ocr=0.5", "ocr", 0.5, None),
        (" ocr = 2e-1 ", "ocr", 0.2, None),
        ("./my.py:score", "./my.py:score", 1.0, ("./my.py", "score")),
        ("./a=b/my.py:score=3", "./a=b/my.py:score", 3.0, ("./a=b/my.py", "score")),
        ("package.module:score=0.5", "package.module:score", 0.5, ("package.module", "score")),
    ],
)
def test_parse(text, name, weight, function):
    spec = RewardSpec.parse(text)
    assert (spec.name, spec.weight, spec.function) == (name, weight, function)


@pytest.mark.parametrize(
    ("text", "name", "weight", "place"),
    [
        ("ocr", "ocr", 1.0, PlaceSpec("here")),
        ("ocr@here", "ocr", 1.0, PlaceSpec("here")),
        ("ocr=0.5@worker", "ocr", 0.5, PlaceSpec("worker")),
        (" ocr = 0.5 @ env ", "ocr", 0.5, PlaceSpec("env")),
        ("./my.py:score=2@worker", "./my.py:score", 2.0, PlaceSpec("worker")),
        ("./a@b/my.py:score@here", "./a@b/my.py:score", 1.0, PlaceSpec("here")),
        ("ocr@http://gpu-1:80", "ocr", 1.0, PlaceSpec("http", ("gpu-1:80",))),
        ("ocr=2@http://a:1,[::1]:2/", "ocr", 2.0, PlaceSpec("http", ("a:1", "[::1]:2"))),
        ("ocr@ray", "ocr", 1.0, PlaceSpec("ray")),
        ("ocr@ray:4", "ocr", 1.0, PlaceSpec("ray", actors=4)),
    ],
)
def test_parse_with_a_place(text, name, weight, place):
    assert RewardSpec.parse(text) == RewardSpec(name, weight, place)


def test_the_place_that_is_meant_if_none_is_named():
    worker, env = PlaceSpec("worker"), PlaceSpec("env")
    assert RewardSpec.parse("ocr=2", worker) == RewardSpec("ocr", 2.0, worker)
    assert RewardSpec.parse("ocr@env", worker) == RewardSpec("ocr", 1.0, env)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs a name"),
        ("=1", "needs a name"),
        ("ocr=", "not a number"),
        ("ocr=much", "'much'"),
        ("ocr=0", "is > 0 and at most 1e"),
        ("ocr=-1", "is > 0 and at most 1e"),
        ("ocr=nan", "is > 0 and at most 1e"),
        ("ocr=1e308", "is > 0 and at most 1e"),
        ("ocr=inf", "is > 0 and at most 1e"),
        ("./my.py", "--reward ./my.py:score"),
        ("./my.py:", "incomplete"),
        (":score", "incomplete"),
        ("@worker", "needs a name"),
        ("ocr@", "no place ''"),
        ("ocr@wroker", "no place 'wroker'; a reward runs @ here, worker, env"),
        ("ocr@worker=0.5", r"no place 'worker=0\.5'.*--reward ocr=0\.5@worker"),
        ("./a@b.py:score", "no place 'b.py:score'.*needs its place"),
        ("ocr@http", "no place 'http'"),
        ("ocr@https://a:1", "no place 'https://a:1'"),
        ("ocr@http://", "'' in @http:// is not HOST:PORT"),
        ("ocr@http://gpu-1", "'gpu-1' in @http://gpu-1 is not HOST:PORT"),
        ("ocr@http://a:1,b", "'b' in @http://a:1,b is not HOST:PORT"),
        ("ocr@http://a:0", "not HOST:PORT"),
        ("ocr@http://a:65536", "not HOST:PORT"),
        ("ocr@http://a:1/score", "not HOST:PORT"),
        ("ocr@http://a:1,a:1", "names an address twice"),
        ("ocr@ray:0", "no place 'ray:0'"),
        ("ocr@ray:many", "no place 'ray:many'"),
        ("ocr@worker:2", "no place 'worker:2'"),
    ],
)
def test_a_bad_spec_says_what_is_expected(text, says):
    with pytest.raises(RewardError, match=says):
        RewardSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "absolute"),
    [
        ("./my.py:score", "/here/my.py:score"),
        (" my.py:score=0.5@worker", "/here/my.py:score=0.5@worker"),
        ("./a@b/c=d.py:score@here", "/here/a@b/c=d.py:score@here"),
        ("./my.py:score@worker>=0.5", "/here/my.py:score@worker>=0.5"),
        ("/there/my.py:score", "/there/my.py:score"),
        ("./my.py:score@http://gpu-1:8000", "./my.py:score@http://gpu-1:8000"),
        ("ocr@http://gpu.py:8000", "ocr@http://gpu.py:8000"),
        ("package.module:score", "package.module:score"),
        ("ocr=2", "ocr=2"),
    ],
)
def test_a_file_s_reward_is_the_same_from_any_folder(monkeypatch, text, absolute):
    monkeypatch.setattr("pathlib.Path.absolute", lambda path: "/here" / path)
    assert absolute_source(text) == absolute


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("ocr", "ocr"),
        ("ocr/red", "ocr/red"),
        ("/home/me/my.py:score", "my.py:score"),
        ("/home/me/my.py:score/red", "my.py:score/red"),
    ],
)
def test_a_file_s_reward_is_shown_without_its_folder(name, short):
    assert shown(name) == short
