"""The conformance kit as a class of tests for pytest; a package's tests are

    from tdmr1.rewards.testing import RewardContract


    class TestMine(RewardContract):
        reward = "mine"

and pytest runs every check of `tdmr1 rewards check mine`, each as a test.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from tdmr1.rewards.checks.finding import Check
from tdmr1.rewards.checks.suite import CHECKS, goldens_of, name_of
from tdmr1.rewards.contract import Golden, Reward
from tdmr1.rewards.discovery import load
from tdmr1.rewards.spec import RewardSpec


class RewardContract:
    """Tests of what every reward has to hold to.

    Attributes:
        reward: what `--reward` takes: an installed name, or `./my.py:score`.
        options: option -> value; the others have their defaults.
    """

    reward: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def make(cls) -> Reward:
        """The reward under test; override it to test one that is not installed."""
        return load(RewardSpec(cls.reward), cls.options)

    @classmethod
    def goldens(cls, reward: Reward) -> Sequence[Golden]:
        """Its golden images; override it to test with others than the reward's own."""
        return goldens_of(reward)

    @classmethod
    @functools.cache
    def _made(cls) -> tuple[Reward, Sequence[Golden]]:
        """Made once for all tests of a class, as weights may take long to load."""
        reward = cls.make()
        return reward, cls.goldens(reward)

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_contract(self, check: Check) -> None:
        finding = check(*self._made())
        if finding.status == "failed":
            pytest.fail(f"{name_of(check)}: {finding.text}", pytrace=False)
        if finding.status == "not checked":
            pytest.skip(f"{name_of(check)}: {finding.text}")
