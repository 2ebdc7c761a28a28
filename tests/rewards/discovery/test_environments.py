import json
import os

import pytest

from tdmr1.rewards import CONTRACT_VERSION
from tdmr1.rewards.discovery.environments import (
    Environment,
    find_environment,
    installed_environments,
    shelf,
)
from tdmr1.rewards.discovery.home import home
from tdmr1.rewards.discovery.installed import in_environments, installed
from tdmr1.rewards.errors import EnvironmentFailed

SUMMARY = "A test of it"


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path))


@pytest.fixture
def make(tmp_path):
    """An environment that is complete, as far as its manifest can tell."""

    def make(name="ocr", contract=CONTRACT_VERSION, extras=()):
        folder = tmp_path / "environments" / name / "env-1"
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()
        environment = Environment(
            name, f"tdmr1-reward-{name}", "1.2", SUMMARY, "3.10.13", contract, folder, extras
        )
        environment.write()
        return environment

    return make


def test_it_is_found_as_it_was_written(make):
    made = make()
    assert find_environment("ocr") == made
    assert made.problem == ""
    assert installed_environments() == [made]


def test_all_are_listed_by_name_also_those_that_cannot_be_used(make):
    made = [make(name) for name in ("c", "a", "b")]
    made[0].interpreter.unlink()
    (shelf("b") / "environment.json").write_text("{")
    names = [environment.name for environment in installed_environments()]
    problems = [environment.problem for environment in installed_environments()]
    assert names == ["a", "b", "c"]
    assert problems[0] == ""
    assert "environment.json cannot be read: " in problems[1]
    assert problems[2] == "its Python 3.10.13 is gone"


def test_they_are_shown_among_the_installed_rewards(make):
    make("fine")
    make("gone").interpreter.unlink()
    shown = {reward.name: reward for reward in installed(in_environments())}
    fine, gone = shown["fine"], shown["gone"]
    assert (fine.distribution, fine.version, fine.summary) == (
        "tdmr1-reward-fine",
        "1.2",
        SUMMARY,
    )
    assert (fine.place, fine.status) == ("own environment (python 3.10)", "not checked")
    assert fine.python.endswith("/bin/python")
    assert gone.status == "broken: its Python 3.10.13 is gone; try: tdmr1 rewards install gone"


def test_nothing_is_listed_where_nothing_is_installed():
    assert installed_environments() == []


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda made: made.interpreter.unlink(), "its Python 3.10.13 is gone"),
        (lambda made: (shelf("ocr") / "environment.json").write_text("[]"), "does not say what"),
        (lambda made: (shelf("ocr") / "environment.json").unlink(), "has no environment"),
    ],
)
def test_one_that_cannot_be_used_says_why_and_what_to_type(make, spoil, says):
    spoil(make())
    with pytest.raises(EnvironmentFailed) as caught:
        find_environment("ocr")
    assert says in str(caught.value)
    assert str(caught.value).endswith("try: tdmr1 rewards install ocr")


def test_what_makes_it_again_has_its_extras(make):
    made = make(extras=("paddle", "gpu"))
    assert find_environment("ocr") == made
    made.interpreter.unlink()
    with pytest.raises(EnvironmentFailed, match="install ocr --extra paddle --extra gpu"):
        find_environment("ocr")
    (gone,) = in_environments()
    assert gone.status.endswith("try: tdmr1 rewards install ocr --extra paddle --extra gpu")


def test_one_of_another_contract_cannot_be_used(make):
    make(contract=CONTRACT_VERSION + 1)
    with pytest.raises(EnvironmentFailed, match=f"speaks contract {CONTRACT_VERSION + 1}"):
        find_environment("ocr")


@pytest.mark.parametrize("name", ["./my.py:score", "package.module:score", "../ocr", "", ".ocr"])
def test_only_a_package_has_one(name):
    with pytest.raises(EnvironmentFailed, match="no installed package's"):
        find_environment(name)


def test_its_processes_see_no_other_packages(make, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    made = make()
    variables = made.variables()
    assert not {"PYTHONPATH", "PYTHONHOME"} & variables.keys()
    assert variables["VIRTUAL_ENV"] == str(made.folder)
    assert variables["PATH"].split(os.pathsep)[0] == str(made.folder / "bin")
    assert variables["TDMR1_HOME"] == os.environ["TDMR1_HOME"]


def test_home(monkeypatch, tmp_path):
    monkeypatch.delenv("TDMR1_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home() == tmp_path / "data" / "tdmr1"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / ".local" / "share" / "tdmr1"


def test_the_manifest_is_readable(make):
    manifest = json.loads((make().folder.parent / "environment.json").read_text())
    assert manifest == {
        "name": "ocr",
        "distribution": "tdmr1-reward-ocr",
        "version": "1.2",
        "summary": SUMMARY,
        "python": "3.10.13",
        "contract": CONTRACT_VERSION,
        "folder": "env-1",
        "extras": [],
    }
