import logging
import sys

import pytest

from tdmr1.rewards.discovery.installed import InstalledReward, installed, warn_of_unusable


def named(name):
    return next(reward for reward in installed() if reward.name == name)


def test_a_reward_is_described_by_metadata_alone(install):
    install("tdmr1-reward-brightness", ["brightness"], code="raise RuntimeError('imported')")
    assert named("brightness") == InstalledReward(
        name="brightness",
        distribution="tdmr1-reward-brightness",
        version="1.2",
        contract=1,
        summary="A test of it",
        place="here",
        python=sys.executable,
        status="not checked",
    )


def test_metadata_shows_what_is_broken(install, tmp_path):
    install("tdmr1-reward-one", ["same"], code="")
    install("tdmr1-reward-two", ["same"], code="")
    install("tdmr1-reward-gone", ["gone"])
    install("tdmr1-reward-new", ["new"], code="", keywords="tdmr1-contract-7")
    install("tdmr1-reward-half", ["half"], code="")
    (tmp_path / "tdmr1_reward_half-1.2.dist-info" / "METADATA").unlink()
    assert named("same").status == (
        "broken: claimed by tdmr1-reward-one and tdmr1-reward-two; "
        "keep one, e.g.: pip uninstall tdmr1-reward-two"
    )
    assert named("gone").status == (
        "broken: module 'tdmr1_reward_gone' is missing; "
        "try: pip install --force-reinstall tdmr1-reward-gone"
    )
    assert named("new").status == "incompatible: needs contract 7"
    assert named("half").status.startswith("broken: its package metadata is damaged; try: pip")


@pytest.fixture
def elsewhere():
    """Makes a reward that is installed in an environment of its own."""

    def elsewhere(name):
        place = "own environment (python 3.10)"
        return InstalledReward(
            name, f"tdmr1-reward-{name}", "2", 1, "", place, "/py", "not checked"
        )

    return elsewhere


def test_rewards_in_environments_of_their_own_are_listed_among_those_here(install, elsewhere):
    install("tdmr1-reward-some", ["a", "z"], code="")
    found = installed([elsewhere("zz"), elsewhere("a"), elsewhere("m")])
    places = [(r.name, r.place) for r in found if r.name in ("a", "m", "z", "zz")]
    there = "own environment (python 3.10)"
    assert places == [("a", "here"), ("a", there), ("m", there), ("z", "here"), ("zz", there)]


def test_the_variable_limits_them_all(install, elsewhere, monkeypatch):
    install("tdmr1-reward-some", ["a", "z"], code="")
    monkeypatch.setenv("TDMR1_REWARDS", "a,m")
    assert [r.name for r in installed([elsewhere("m"), elsewhere("zz")])] == ["a", "m"]


def test_a_broken_reward_is_a_warning_of_one_line_unless_it_is_selected(install, caplog):
    install("tdmr1-reward-one", ["same"], code="")
    install("tdmr1-reward-two", ["same"], code="")
    install("tdmr1-reward-gone", ["gone"])
    install("tdmr1-reward-good", ["good"], code="raise RuntimeError('imported')")
    with caplog.at_level(logging.WARNING):
        warn_of_unusable(["gone"])
    assert caplog.messages == [
        "reward 'same', which is not selected, is broken: claimed by tdmr1-reward-one and "
        "tdmr1-reward-two; keep one, e.g.: pip uninstall tdmr1-reward-two"
    ]
