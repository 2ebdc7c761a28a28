import sys
import textwrap

import pytest

from tdmr1.rewards.discovery import load
from tdmr1.rewards.identity import identify, identity
from tdmr1.rewards.spec import RewardSpec

RED = """
    from tdmr1.rewards import Reward, hookimpl

    class Red(Reward):
        name = "red"

        def score(self, samples):
            return [0.5 for sample in samples]

    @hookimpl
    def register_rewards(register):
        register("red", Red)
"""


def of(name):
    spec = RewardSpec.parse(name)
    return identify(spec, load(spec))


def test_name_version_and_options_tell_rewards_apart():
    same = identity("ocr", "1.0", {"a": 1, "b": 2})
    assert same == identity("ocr", "1.0", {"b": 2, "a": 1})
    others = {
        identity("ocr2", "1.0", {"a": 1, "b": 2}),
        identity("ocr", "1.1", {"a": 1, "b": 2}),
        identity("ocr", "1.0", {"a": 1, "b": 3}),
        identity("ocr", "1.0"),
    }
    assert len(others - {same}) == 4


def test_an_installed_reward_is_its_version_and_its_code(install, tmp_path):
    install("tdmr1-reward-red", ["red"], code=RED)
    before = of("red")
    assert "tdmr1-reward-red 1.2" in before
    assert of("red") == before
    file = tmp_path / "tdmr1_reward_red.py"
    file.write_text(file.read_text().replace("0.5", "0.75"))
    assert of("red") != before


def test_a_package_is_all_of_its_files(tmp_path, monkeypatch):
    package = tmp_path / "identified"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "red.py").write_text("def score(samples): return [0.5] * len(samples)")
    helper = package / "helper.py"
    helper.write_text("SCALE = 1")
    monkeypatch.syspath_prepend(tmp_path)
    before = of("identified.red:score")
    helper.write_text("SCALE = 2")
    assert of("identified.red:score") != before
    for name in ("identified", "identified.red"):
        del sys.modules[name]


@pytest.mark.parametrize("what", ["score", "Red"])
def test_a_file_is_its_content(tmp_path, what):
    file = tmp_path / "my_identity.py"
    code = f"{textwrap.dedent(RED)}\ndef score(samples): return [0.5] * len(samples)\n"
    file.write_text(code)
    (tmp_path / "beside.py").write_text("1 / 0")
    before = of(f"{file}:{what}")
    (tmp_path / "beside.py").write_text("2 / 0")
    assert of(f"{file}:{what}") == before
    file.write_text(f"{code}\n")
    assert of(f"{file}:{what}") != before
    del sys.modules["tdmr1_file_my_identity"]


def test_a_module_without_a_file_is_its_name():
    assert of("math:sqrt") != of("math:sin")
    assert of("builtins:len") == of("builtins:len")
