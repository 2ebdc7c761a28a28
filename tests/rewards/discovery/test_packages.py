import pytest

from tdmr1.rewards.discovery import packages
from tdmr1.rewards.discovery.packages import announced, find, hidden
from tdmr1.rewards.errors import RewardBroken, RewardNotFound


@pytest.mark.parametrize(
    ("keywords", "contract"),
    [
        (None, 1),
        ("diffusion,reward", 1),
        ("tdmr1-contract-1", 1),
        ("reward, tdmr1-contract-3,diffusion", 3),
        ("tdmr1-contract-2,tdmr1-contract-10", 10),
        ("tdmr1-contract-two", 1),
    ],
)
def test_the_contract_is_a_keyword(install, keywords, contract):
    install("tdmr1-reward-one", ["one"], code="", keywords=keywords)
    assert announced()["one"][0].contract == contract


def test_a_contract_that_is_ours_no_longer_is_refused_with_the_package_to_upgrade(
    install, monkeypatch
):
    install("tdmr1-reward-one", ["one"], code="", keywords="tdmr1-contract-1")
    assert find("one").version == "1.2"
    monkeypatch.setattr(packages, "CONTRACT_VERSION", 2)
    with pytest.raises(RewardBroken, match=r"needs contract 1 .*--upgrade tdmr1-reward-one"):
        find("one")


@pytest.mark.parametrize("value", ["one,two", " two , one,", "one,two,three"])
def test_the_variable_limits_what_is_discovered(install, monkeypatch, value):
    install("tdmr1-reward-many", ["one", "two", "other"], code="")
    monkeypatch.setenv("TDMR1_REWARDS", value)
    assert list(announced()) == ["one", "two"]
    assert "other" in hidden()
    assert not {"one", "two"} & set(hidden())


def test_an_empty_variable_hides_nothing(install, monkeypatch):
    install("tdmr1-reward-many", ["one", "two"], code="")
    monkeypatch.setenv("TDMR1_REWARDS", "")
    assert {"one", "two"} <= announced().keys()
    assert hidden() == []


def test_a_hidden_reward_names_the_variable(install, monkeypatch):
    install("tdmr1-reward-many", ["one", "two"], code="")
    monkeypatch.setenv("TDMR1_REWARDS", "one")
    with pytest.raises(RewardNotFound) as caught:
        find("two")
    assert str(caught.value) == (
        "reward 'two' is installed, but hidden by TDMR1_REWARDS=one; "
        "add it, TDMR1_REWARDS=one,two, or unset the variable"
    )


def test_a_package_of_which_only_the_entry_point_is_left(install, tmp_path):
    install("tdmr1-reward-one", ["one"], code="")
    (tmp_path / "tdmr1_reward_one-1.2.dist-info" / "METADATA").unlink()
    with pytest.raises(RewardBroken, match=r"damaged; try: .*--force-reinstall tdmr1-reward-one"):
        find("one")


def test_a_missing_module_says_what_to_install(install):
    install("tdmr1-reward-gone", ["gone"])
    with pytest.raises(RewardBroken, match="'tdmr1_reward_gone' is missing; try: pip install"):
        find("gone")
