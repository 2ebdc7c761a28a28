import json
import os
import subprocess
import sys

import pytest

from tdmr1.rewards.authoring.new import write_package
from tdmr1.rewards.errors import RewardError


@pytest.fixture
def run(tmp_path):
    """Run a command in the folder `new` of the package, in which it is installed; its output."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "site"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TDMR1_REWARDS": "fine-art",  # others are here or not, with their weights or without
    }

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path / "new",
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


TDMR1 = ["-c", "from tdmr1.cli import main; main()"]


def test_a_new_package_installs_lists_checks_and_passes_its_own_tests(tmp_path, run):
    write_package("fine-art", tmp_path / "new")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    run(*pip, "--no-build-isolation", "--no-deps", "--target", str(tmp_path / "site"), ".")
    (listed,) = json.loads(run(*TDMR1, "rewards", "list", "--json", "--verify"))
    assert listed["distribution"] == "tdmr1-reward-fine-art"
    assert (listed["contract"], listed["status"]) == (1, "ok")
    report = json.loads(run(*TDMR1, "rewards", "check", "fine-art", "--json"))
    assert {found["status"] for found in report["checks"].values()} == {"passed"}
    said = run("-m", "pytest", "-W", "error", "-p", "no:cacheprovider")
    assert "failed" not in said and "skipped" not in said


def test_a_new_package_is_complete_and_holds_no_placeholder(tmp_path):
    folder = write_package("fine-art", tmp_path / "a" / "b")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        ".github/workflows/ci.yml",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "tdmr1_reward_fine_art.py",
        "tests/test_reward.py",
    }
    for file in files - {".github/workflows/ci.yml"}:
        assert "$" not in (folder / file).read_text()
    assert "${{ matrix.python }}" in (folder / ".github/workflows/ci.yml").read_text()
    assert "class FineArtReward(Reward)" in (folder / "tdmr1_reward_fine_art.py").read_text()


def test_a_new_package_is_formatted_as_ours_are(tmp_path):
    folder = write_package("fine-art", tmp_path / "new")
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--line-length", "99", "--select", "E,F,W,I,UP,B,SIM,RUF"]
    for command in (["check", *rules], ["format", "--isolated", "--line-length", "99", "--check"]):
        done = subprocess.run([*ruff, *command, "."], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_folder_is_named_after_the_distribution(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_package("red") == (tmp_path / "tdmr1-reward-red").relative_to(tmp_path)
    assert (tmp_path / "tdmr1-reward-red" / "tdmr1_reward_red.py").is_file()


@pytest.mark.parametrize(
    "name", ["", "Red", "2d", "-a", "a-", "a--b", "a_b", "a.b", "../a", "a b"]
)
def test_a_bad_name_says_what_one_looks_like(tmp_path, name):
    with pytest.raises(RewardError, match="lower-case letters, digits and single hyphens"):
        write_package(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_exists_is_left_alone(tmp_path, kind):
    there = tmp_path / "new"
    there.mkdir() if kind == "folder" else there.write_text("mine")
    with pytest.raises(RewardError, match="new exists already; choose another folder with --out"):
        write_package("red", there)
    assert list(tmp_path.rglob("*")) == [there]


def test_a_folder_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RewardError, match=r"cannot write the package .*Not a directory"):
        write_package("red", tmp_path / "file" / "new")
