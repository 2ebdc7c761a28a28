"""Environments are built here for real, from wheels made by hand."""

import importlib.util
import shutil
import site
import sys
import sysconfig
from pathlib import Path

import pytest

from tdmr1.errors import UserError
from tdmr1.rewards import CONTRACT_VERSION
from tdmr1.rewards.checks import inspection
from tdmr1.rewards.discovery.environments import (
    Environment,
    find_environment,
    installed_environments,
)
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import EnvironmentFailed, RewardNotFound
from tdmr1.rewards.mixing.mix import RewardMix
from tdmr1.rewards.places import install as module
from tdmr1.rewards.places.install import install, remove

REWARD = """
    import os, sys
    import quarrelsome
    from tdmr1.rewards import Reward, Score, hookimpl

    class Mine(Reward):
        name = "mine"
        summary = "Says which version of the library it sees."
        range = (0, 9)

        def score(self, samples):
            where = f"{sys.prefix} {os.environ['VIRTUAL_ENV']}"
            return [Score(quarrelsome.VERSION, where) for _ in samples]

    @hookimpl
    def register_rewards(register):
        for name in ("one", "two"):
            register(name, Mine)
"""


PLAIN = (
    REWARD.replace("import quarrelsome", "")
    .replace("quarrelsome.VERSION", "1.0")
    .replace('"one", "two"', '"plain",')
)


@pytest.fixture
def home(tmp_path, wheelhouse, monkeypatch):
    """A home of its own, and wheels."""
    base = wheelhouse.add_base()
    for version in (1, 2):
        files = {"quarrelsome.py": f"VERSION = {version}\n"}
        wheelhouse.add("quarrelsome", f"{version}.0", files)
    wheelhouse.add_reward("one", REWARD, ["quarrelsome==1.0"])
    wheelhouse.add_reward("two", REWARD, ["quarrelsome==2.0"])
    wheelhouse.add_reward("plain", PLAIN, extras=["big_gpu"])
    wheelhouse.add_reward("torn", REWARD, ["quarrelsome==1.0", "quarrelsome>=2"])
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setattr(module, "base_requirement", lambda: str(base))
    return tmp_path


@pytest.fixture
def quick(home, wheelhouse, monkeypatch):
    """Unpacks wheels into an environment without pip: what takes its time is not tested twice."""

    def commands(environment, python, requirements):
        packages = sysconfig.get_path("purelib", vars={"base": str(environment.folder)})
        unpack = [sys.executable, "-m", "zipfile", "-e"]
        source = requirements[1].removeprefix("tdmr1-reward-").partition("[")[0]
        return [
            [sys.executable, "-m", "venv", "--without-pip", str(environment.folder)],
            [*unpack, requirements[0], packages],
            [*unpack, str(next(wheelhouse.folder.glob(f"tdmr1_reward_{source}*"))), packages],
        ]

    monkeypatch.setattr(module, "_commands", commands)
    return home


@pytest.fixture
def without_uv(monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "uv" else which(name))


def folders(home, name):
    return [path for path in (home / "environments" / name).glob("*") if path.is_dir()]


def test_rewards_whose_requirements_contradict_each_other_work_in_one_mixture(home, numbered):
    def own_packages():
        names = [path.name for path in Path(site.getsitepackages()[0]).iterdir()]
        return sorted(name for name in names if name != "__pycache__")

    before = own_packages()
    made = [install(name) for name in ("one", "two")]
    assert own_packages() == before
    assert importlib.util.find_spec("quarrelsome") is None

    mix = RewardMix.open([RewardSpec.parse("one=2@env"), RewardSpec.parse("two@env")])
    outcomes = mix.score(numbered(3))
    mix.close()
    assert outcomes["one"].values.tolist() == [1, 1, 1]
    assert outcomes["two"].values.tolist() == [2, 2, 2]
    for environment, name in zip(made, ("one", "two"), strict=True):
        folder = environment.folder
        assert outcomes[name].reasons == [f"{folder} {folder}"] * 3
        assert mix.scorers[name].place.info.version == "1.0"


def test_what_is_in_an_environment_can_be_read_without_it(quick):
    install("one")
    environment = find_environment("one")
    assert (environment.distribution, environment.version) == ("tdmr1-reward-one", "1.0")
    assert environment.summary == "A test of it"
    assert (environment.contract, environment.problem) == (CONTRACT_VERSION, "")
    assert environment.python.count(".") == 2
    assert environment in installed_environments()
    assert [path.name for path in folders(quick, "one")] == [environment.folder.name]


def test_a_reward_that_is_installed_there_alone_is_looked_at_there(quick):
    environment = install("plain")
    found = inspection.describe(RewardSpec("plain"))
    assert (found.summary, found.range) == ("Says which version of the library it sees.", (0, 9))
    assert found.distribution == "tdmr1-reward-plain"
    assert found.environment == environment.place
    for spec in (RewardSpec("plain"), RewardSpec.parse("plain@env")):
        findings = inspection.check(spec, {})
        assert (findings["loads"].status, findings["latency"].status) == ("passed", "passed")
    with pytest.raises(RewardNotFound, match="let it run there: --reward plain@env"):
        RewardMix.open([RewardSpec("plain")])
    with pytest.raises(EnvironmentFailed, match="tdmr1 rewards install two"):
        inspection.check(RewardSpec.parse("two@env"), {})


def test_a_reinstalled_environment_takes_the_place_of_the_one_before(quick):
    before = install("one")
    (before.folder.parent / "env-of-an-attempt-that-was-killed").mkdir()
    after = install("one")
    assert before.folder != after.folder
    assert folders(quick, "one") == [after.folder]


def test_what_cannot_be_made_says_what_pip_said_and_leaves_the_old(home, monkeypatch, capfd):
    def commands(environment, python, requirements):
        folder, interpreter = str(environment.folder), str(environment.interpreter)
        pip = [sys.executable, "-m", "pip", "--python", interpreter, "install"]
        # With the pip that is here: to install another one takes most of the time.
        venv = [sys.executable, "-m", "venv", "--without-pip", folder]
        return [venv, [*pip, "--", *requirements]]

    monkeypatch.setattr(module, "_commands", commands)
    before = Environment("one", folder=home / "environments" / "one" / "env-1")
    (before.folder / "bin").mkdir(parents=True)
    before.interpreter.touch()
    before.write()
    with pytest.raises(EnvironmentFailed) as caught:
        install("one", source="tdmr1-reward-torn")
    text = str(caught.value)
    assert text.startswith("the environment of reward 'one' cannot be made: `")
    assert "its last lines of output:" in text
    assert "quarrelsome" in text
    assert "quarrelsome" in capfd.readouterr().err
    assert folders(home, "one") == [before.folder]
    assert find_environment("one") == before


def test_a_package_that_brings_another_reward_is_refused(quick):
    with pytest.raises(EnvironmentFailed, match=r"two brings no reward 'three' \(.*\btwo\b.*\)"):
        install("three", source="tdmr1-reward-two")
    assert folders(quick, "three") == []
    assert "three" not in [environment.name for environment in installed_environments()]


def test_extras_are_remembered_and_one_that_the_package_has_not_is_told(quick):
    assert install("plain", extras=["BIG-gpu"]).extras == ("BIG-gpu",)
    with pytest.raises(EnvironmentFailed) as caught:
        install("plain", extras=["small"])
    assert str(caught.value) == (
        "tdmr1-reward-plain 1.0 has no extra 'small'; its extras: big_gpu"
    )
    assert find_environment("plain").extras == ("BIG-gpu",)


def test_a_removed_environment_is_gone(quick):
    install("one")
    remove("one")
    assert not (quick / "environments" / "one").exists()
    with pytest.raises(EnvironmentFailed, match="try: tdmr1 rewards install one"):
        find_environment("one")
    with pytest.raises(EnvironmentFailed, match="'one' has no environment of its own; those that"):
        remove("one")


def test_without_uv_it_is_made_with_venv_and_pip(home, without_uv):
    environment = Environment("one", folder=home)
    (venv, pip) = module._commands(environment, None, ["tdmr1==1", "tdmr1-reward-one"])
    assert venv == [sys.executable, "-I", "-m", "venv", str(home)]
    assert pip[:5] == [str(home / "bin" / "python"), "-I", "-m", "pip", "install"]
    assert pip[-3:] == ["--", "tdmr1==1", "tdmr1-reward-one"]


def test_with_uv_it_is_made_with_that(home, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    environment = Environment("one", folder=home)
    (venv, pip) = module._commands(environment, "3.10", ["tdmr1==1"])
    assert venv == ["/bin/uv", "venv", "--no-project", "--python", "3.10", str(home)]
    assert pip[:3] == ["/bin/uv", "pip", "install"]
    assert pip[-2:] == ["--", "tdmr1==1"]


def test_a_home_that_takes_nothing_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFailed, match=r"cannot be written: .*Not a.*\n.*TDMR1_HOME="):
        install("one", source="tdmr1-reward-one")


def test_a_python_that_is_not_there(home, without_uv):
    with pytest.raises(EnvironmentFailed, match=r"no Python '1\.5' .*or pip install uv"):
        install("one", python="1.5")
    assert folders(home, "one") == []


def test_two_at_a_time_are_refused(home):
    with (
        module._locked("one"),
        pytest.raises(UserError, match="environment of reward 'one' is in use by process"),
    ):
        remove("one")
