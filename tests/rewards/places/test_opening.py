import pytest

from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardNotFound, RewardSpecInvalid
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.loading import load_described
from tdmr1.rewards.places.opening import open_place, open_worker


@pytest.fixture
def opened(monkeypatch):
    """Gives what a place is opened with, instead of opening it."""
    for name in ("worker.Worker", "env.open_env", "http.Http", "ray.Ray"):
        monkeypatch.setattr(
            f"tdmr1.rewards.places.{name}", lambda *arguments, name=name: (name, *arguments)
        )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ocr@worker", ("worker.Worker", "ocr", 3.0, {"side": 96})),
        ("ocr@env", ("env.open_env", "ocr", 3.0, {"side": 96})),
        ("ocr@http://a:1,b:2", ("http.Http", "ocr", ("a:1", "b:2"), 3.0, {"side": 96}, 9.0)),
        ("ocr@ray:4", ("ray.Ray", "ocr", 4, 3.0, {"side": 96})),
    ],
)
def test_elsewhere(opened, text, place):
    assert open_place(RewardSpec.parse(text), 3.0, {"side": 96}, 9.0) == place


def test_here(my_file, numbered):
    my_file("def score(samples, scale=1): return [scale] * len(samples)")
    place = open_place(RewardSpec.parse("./my.py:score=2"), 3.0, {"scale": 7})
    assert isinstance(place, Here)
    assert (place.info.name, place.info.options, place.timeout) == (
        "./my.py:score",
        {"scale": 7},
        3.0,
    )
    assert place.score(numbered(1))[0].value == 7
    with pytest.raises(RewardNotFound):
        open_place(RewardSpec.parse("./my.py:scores"))


@pytest.mark.parametrize("place", ["here", "ray", "http://a:1"])
def test_a_process_of_its_own_is_a_worker_or_an_environment(opened, place):
    assert open_worker(RewardSpec.parse("ocr@env"))[0] == "env.open_env"
    with pytest.raises(RewardSpecInvalid, match="write ocr or ocr@env"):
        open_worker(RewardSpec.parse(f"ocr@{place}"))


def test_a_file_that_an_options_default_names_is_part_of_the_source(tmp_path):
    (tmp_path / "palette.txt").write_text("1")
    file = tmp_path / "my.py"
    path = str(tmp_path / "palette.txt")
    file.write_text(f"def score(samples, palette={path!r}): return [1.0]\nscore.reads = ()")
    before = load_described(f"{file}:score")[1].source
    assert load_described(f"{file}:score", {"palette": path})[1].source == before
    (tmp_path / "palette.txt").write_text("2")
    assert load_described(f"{file}:score")[1].source != before
