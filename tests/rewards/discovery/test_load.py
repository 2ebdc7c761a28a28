import sys
import textwrap

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardBroken, RewardNotFound, RewardOptionInvalid

BRIGHTNESS = """
    from tdmr1.rewards import Reward, hookimpl

    class Brightness(Reward):
        name = "brightness"
        summary = "How bright the image is."

        def score(self, samples):
            return [float(sample.image.mean() / 255) for sample in samples]

    @hookimpl
    def register_rewards(register):
        register("brightness", Brightness)
"""

WHITE = Sample(np.full((2, 2, 3), 255, dtype=np.uint8), "white")


def load_text(text, **options):
    return load(RewardSpec.parse(text), options)


@pytest.fixture
def my_file(tmp_path, monkeypatch):
    """Write ./my.py into the current directory."""
    monkeypatch.chdir(tmp_path)
    yield lambda code: (tmp_path / "my.py").write_text(textwrap.dedent(code))
    sys.modules.pop("tdmr1_file_my", None)


def test_load_imports_the_selected_package_only(install):
    install("tdmr1-reward-brightness", ["brightness"], code=BRIGHTNESS)
    install("tdmr1-reward-bad", ["bad"], code="raise RuntimeError('imported')")
    reward = load_text("brightness=0.5")
    assert reward.score([WHITE]) == [1.0]
    assert "tdmr1_reward_bad" not in sys.modules


def test_loading_twice_makes_two_rewards(install):
    install("tdmr1-reward-brightness", ["brightness"], code=BRIGHTNESS)
    assert load_text("brightness") is not load_text("brightness")


def test_an_unknown_name_says_the_nearest_and_what_to_install(install):
    install("tdmr1-reward-brightness", ["brightness"], code=BRIGHTNESS)
    with pytest.raises(RewardNotFound) as caught:
        load_text("brightnes")
    for part in (
        "did you mean brightness?",
        "pip install tdmr1-reward-brightnes",
        "tdmr1 rewards list",
    ):
        assert part in str(caught.value)


def test_two_distributions_with_one_name_are_refused(install):
    install("tdmr1-reward-one", ["same"], code="")
    install("tdmr1-reward-two", ["same"], code="")
    with pytest.raises(RewardBroken, match="pip uninstall tdmr1-reward-two"):
        load_text("same")


def test_a_failing_import_names_the_distribution_the_cause_and_the_remedy(install):
    install("tdmr1-reward-bad", ["bad"], code="import no_such_module")
    with pytest.raises(RewardBroken) as caught:
        load_text("bad")
    for part in (
        "tdmr1-reward-bad 1.2 cannot be imported",
        "No module named 'no_such_module'",
        'try: pip install "no_such_module"',
    ):
        assert part in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_package_that_gives_up_on_import_does_not_end_the_process(install):
    install("tdmr1-reward-bad", ["bad"], code="import sys; sys.exit('no GPU')")
    with pytest.raises(RewardBroken, match="cannot be imported: SystemExit: no GPU"):
        load_text("bad")


def test_a_package_of_another_contract_is_not_imported(install):
    install("tdmr1-reward-new", ["new"], code="1 / 0", keywords="tdmr1-contract-2")
    with pytest.raises(
        RewardBroken, match=r"needs contract 2 .*\n?.*pip install --upgrade tdmr1$"
    ):
        load_text("new")


def test_options_reach_the_factory(install):
    code = BRIGHTNESS.replace(
        "def score", "def __init__(self, gain=1.0): self.gain = gain\n        def score"
    )
    install("tdmr1-reward-brightness", ["brightness"], code=code)
    assert load_text("brightness").gain == 1.0
    assert load_text("brightness", gain=3).gain == 3


def test_an_unknown_option_says_those_there_are(install):
    code = BRIGHTNESS.replace("Brightness)", "lambda gain=1.0: Brightness())")
    install("tdmr1-reward-brightness", ["brightness"], code=code)
    with pytest.raises(RewardOptionInvalid) as caught:
        load_text("brightness", gian=3)
    assert "of tdmr1-reward-brightness 1.2 has no option 'gian'" in str(caught.value)
    assert "gain = 1.0" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", "registers nothing"),
        (BRIGHTNESS, "registers brightness"),
        (BRIGHTNESS.replace("(register):", "(register, more):"), "cannot be registered"),
        (BRIGHTNESS.replace("(register)", "(registry)"), "cannot be registered"),
        (BRIGHTNESS.replace('"brightness", Brightness', '"other", int'), "must derive from"),
        (BRIGHTNESS.replace('"brightness", Br', '"other", lambda: 1 / 0 or Br'), "constructed"),
        (
            BRIGHTNESS.replace('"brightness", Br', '"other", Br').replace("name =", "title ="),
            'add `name = "..."` to class Brightness',
        ),
    ],
)
def test_a_package_that_breaks_the_contract_is_told_how(install, code, says):
    install("tdmr1-reward-other", ["other"], code=code)
    with pytest.raises(RewardBroken) as caught:
        load_text("other")
    assert says in str(caught.value)


def test_a_function_in_a_file(my_file):
    my_file("""
        from __future__ import annotations
        import dataclasses
        from tdmr1.rewards import Score

        @dataclasses.dataclass
        class Settings:
            value: float = 7.0

        def score(samples):
            '''Always seven.'''
            return [Score(Settings().value, reason=s.prompt) for s in samples]
    """)
    reward = load_text("./my.py:score=2")
    assert (reward.name, reward.summary) == ("./my.py:score", "Always seven.")
    assert reward.score([WHITE]) == [Score(7.0, "white")]


def test_a_function_s_further_parameters_are_options(my_file):
    my_file("def score(samples, *, value=7.0): return [value] * len(samples)")
    assert load_text("./my.py:score").score([WHITE]) == [7.0]
    assert load_text("./my.py:score", value=8).score([WHITE]) == [8]
    with pytest.raises(
        RewardOptionInvalid, match=r"'./my\.py:score' has no option 'samples'; .*value"
    ):
        load_text("./my.py:score", samples=3)


@pytest.mark.parametrize("attribute", ["Brightness", "brightness"])
def test_a_class_or_an_object_in_a_file(my_file, attribute):
    my_file(textwrap.dedent(BRIGHTNESS) + "\nbrightness = Brightness()\n")
    assert load_text(f"./my.py:{attribute}").score([WHITE]) == [1.0]


def test_a_function_in_a_module(install):
    install("tdmr1-reward-fun", [], code="def score(samples): return [1.0] * len(samples)")
    assert load_text("tdmr1_reward_fun:score").score([WHITE]) == [1.0]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("./other.py:score", RewardNotFound, "no file './other.py'"),
        ("./my.py:scor", RewardNotFound, "its functions are: score"),
        ("./my.py:NUMBER", RewardBroken, "write a function `def NUMBER"),
        ("no_such.module:score", RewardNotFound, "./no_such/module.py:FUNCTION"),
        ("tdmr1.rewards.nothing:score", RewardNotFound, "no module 'tdmr1.rewards.nothing'"),
    ],
)
def test_a_function_that_is_not_there(my_file, text, error, says):
    my_file("NUMBER = 3\ndef score(samples): return []")
    with pytest.raises(error) as caught:
        load_text(text)
    assert says in str(caught.value)


def test_a_file_that_raises(my_file):
    my_file("1 / 0")
    with pytest.raises(RewardBroken, match="ZeroDivisionError: division by zero"):
        load_text("./my.py:score")


def test_a_class_in_a_file_that_cannot_be_constructed(my_file):
    my_file(BRIGHTNESS.replace("def score", "def __init__(self): 1 / 0\n        def score"))
    with pytest.raises(RewardBroken, match="cannot be constructed: ZeroDivisionError"):
        load_text("./my.py:Brightness")


PICKY = """
from tdmr1.rewards import Reward

class Picky(Reward):
    name = "picky"

    def __init__(self, gain=0):
        raise ValueError(f"gain is {gain}; expected > 0")

    def score(self, samples):
        return []
"""


def test_an_option_that_a_reward_does_not_take_is_the_user_s_to_change(my_file):
    my_file(PICKY)
    picky = RewardSpec.parse("./my.py:Picky")
    with pytest.raises(RewardOptionInvalid, match=r"with gain = -1: .*gain is -1; expected > 0$"):
        load(picky, {"gain": -1})
    with pytest.raises(RewardBroken, match="cannot be constructed: ValueError: gain is 0"):
        load(picky)


def test_a_module_that_misses_another_is_broken_rather_than_absent(install):
    install("tdmr1-reward-fun", [], code="import no_such_module")
    with pytest.raises(RewardBroken, match="no_such_module"):
        load_text("tdmr1_reward_fun:score")
