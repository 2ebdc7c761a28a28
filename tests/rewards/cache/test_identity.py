import sys

import pytest

from tdmr1.rewards.cache.identity import identify
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.places.base import RewardInfo

INFO = RewardInfo("ocr", version="1.0")


def of(text):
    spec = RewardSpec.parse(text)
    return identify(spec, RewardInfo(spec.name))


def test_everything_that_may_change_a_score_tells_rewards_apart():
    def identity(name="ocr", version="1.0", contract=1, **options):
        info = RewardInfo(name, version=version, contract=contract, options=options)
        return identify(RewardSpec.parse("ocr@env"), info)

    same = identity(a=1, b=2)
    assert same == identity(b=2, a=1)
    others = {
        identity("ocr2", a=1, b=2),
        identity(version="1.1", a=1, b=2),
        identity(contract=99, a=1, b=2),
        identity(a=1, b=3),
        identity(),
    }
    assert len(others - {same}) == 5


def test_an_installed_reward_is_its_version_and_its_code(install, tmp_path):
    install("tdmr1-reward-red", ["red"], code="raise RuntimeError('imported')")
    before = of("red")
    assert before == of("red") == of("red@worker")
    (tmp_path / "tdmr1_reward_red.py").write_text("raise RuntimeError('again')")
    assert of("red") != before


def test_where_the_code_is_out_of_sight_the_version_alone_counts():
    elsewhere = [RewardSpec.parse(f"ocr@{place}") for place in ("env", "http://localhost:1")]
    assert len({identify(spec, INFO) for spec in elsewhere}) == 1


@pytest.mark.parametrize("name", ["identified.red:score", "identified.deep.blue:score"])
def test_a_package_is_all_of_its_files(tmp_path, monkeypatch, name):
    folder = tmp_path / "identified" / "deep"
    folder.mkdir(parents=True)
    for file in ("__init__.py", "red.py", "deep/__init__.py", "deep/blue.py", "deep/helper.py"):
        (folder.parent / file).write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    before = of(name)
    (folder / "helper.py").write_text("SCALE = 2")
    assert of(name) != before
    assert "identified" not in sys.modules


def test_a_file_is_its_content(tmp_path):
    file = tmp_path / "my.py"
    file.write_text("def score(samples): return [0.5] * len(samples)")
    before = of(f"{file}:score")
    (tmp_path / "beside.py").write_text("1 / 0")
    assert of(f"{file}:score") == before
    file.write_text("def score(samples): return [0.6] * len(samples)")
    assert of(f"{file}:score") != before


def test_a_module_without_files_is_its_name():
    assert of("builtins:len") == of("builtins:len") != of("math:sqrt")
