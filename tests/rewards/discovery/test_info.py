import json
import textwrap

import pytest

from tdmr1.rewards.contract import Weights
from tdmr1.rewards.discovery.info import RewardDescription, info
from tdmr1.rewards.discovery.options import Option
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardBroken, RewardNotFound

TASTE = """
    from tdmr1.rewards import Reward, Weights, hookimpl

    class Taste(Reward):
        name = "taste"
        summary = "Is it pretty?"
        range = (0.0, 10.0)
        higher_is_better = False
        repeatable = False
        needs = ("a prompt",)
        engines = ("CLIP",)
        weights = (Weights("clip", "MIT", 890, "https://example.org/clip"),)

        def __init__(self, size: int = 224):
            raise RuntimeError("weights are loaded")

        def score(self, samples):
            return [0.0] * len(samples)

    @hookimpl
    def register_rewards(register):
        register("taste", Taste)
"""


def test_a_class_tells_all_without_loading_weights(install):
    install("tdmr1-reward-taste", ["taste"], code=TASTE, keywords="tdmr1-contract-1")
    found = info(RewardSpec("taste"))
    assert (found.distribution, found.version, found.contract) == ("tdmr1-reward-taste", "1.2", 1)
    assert (found.summary, found.range) == ("Is it pretty?", (0, 10))
    assert not found.higher_is_better and not found.repeatable
    assert (found.needs, found.engines) == (("a prompt",), ("CLIP",))
    assert found.weights == (Weights("clip", "MIT", 890, "https://example.org/clip"),)
    assert found.options == (Option("size", 224),)
    assert found.environment.startswith("here (python 3.")


def test_it_is_told_from_one_process_to_another(install):
    code = TASTE.replace('org/clip")', 'org/clip", "size", ("*.json",))')
    install("tdmr1-reward-taste", ["taste"], code=code)
    found = info(RewardSpec("taste"))
    assert found.weights[0].files == ("*.json",)
    told = json.loads(json.dumps(found.as_json()))
    assert RewardDescription.from_json(told) == found
    for weights in told["weights"]:  # by an older version
        del weights["option"], weights["files"]
    assert RewardDescription.from_json(told).weights[0].files == ()


def test_a_factory_has_to_be_called(install):
    code = TASTE.replace('"taste", Taste', '"taste", lambda size=1: Taste()')
    install("tdmr1-reward-taste", ["taste"], code=code)
    with pytest.raises(RewardBroken, match="weights are loaded"):
        info(RewardSpec("taste"))


def test_a_function_in_a_file(tmp_path):
    (tmp_path / "my.py").write_text("def score(samples, *, gain=2):\n    'How red.'\n")
    found = info(RewardSpec(f"{tmp_path}/my.py:score"))
    assert (found.summary, found.distribution, found.version) == ("How red.", "", "")
    assert found.options == (Option("gain", 2),)
    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert plain["range"] == [None, None]
    assert plain["options"] == [{"name": "gain", "default": 2}]


def test_a_class_in_a_file(tmp_path):
    (tmp_path / "my.py").write_text(textwrap.dedent(TASTE))
    assert info(RewardSpec(f"{tmp_path}/my.py:Taste")).engines == ("CLIP",)


def test_an_unknown_reward():
    with pytest.raises(RewardNotFound, match="pip install tdmr1-reward-tasty"):
        info(RewardSpec("tasty"))


def test_whether_it_compares_the_samples_of_a_prompt(tmp_path):
    (tmp_path / "my.py").write_text(
        "def score(samples): pass\ndef compare(samples): pass\ncompare.grouped = True\n"
    )
    assert not info(RewardSpec(f"{tmp_path}/my.py:score")).grouped
    assert info(RewardSpec(f"{tmp_path}/my.py:compare")).grouped
