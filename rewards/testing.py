"""The conformance kit as a class of tests for pytest; a package's tests are

    from tdmr1.rewards.testing import RewardContract


    class TestMine(RewardContract):
        reward = "mine"

and pytest runs every check of `tdmr1 rewards check mine`, each as a test, and shows what they
measured in a table at the end.

It is a plugin of pytest that has no entry point: the first of these tests registers it, so that
the pytest of those who merely have `tdmr1` installed loads nothing, and is changed in nothing.
Nor would anything need one: the kit has no fixtures, and no `assert` to be rewritten.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tdmr1.rewards.checks.finding import Check, Finding
from tdmr1.rewards.checks.samples import golden_samples, score
from tdmr1.rewards.checks.suite import CHECKS, goldens_of, name_of
from tdmr1.rewards.contract import Golden, Reward
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec


class Findings:
    """The plugin: keeps what the checks find, and shows it after all tests."""

    def __init__(self) -> None:
        self._of_class: dict[str, dict[str, Finding]] = {}

    @classmethod
    def of(cls, manager: pytest.PytestPluginManager) -> Findings:
        """That of a session; registered when it is first asked for."""
        for plugin in manager.get_plugins():
            if isinstance(plugin, cls):
                return plugin
        manager.register(plugin := cls())
        return plugin

    def add(self, test_class: str, check: str, finding: Finding) -> None:
        self._of_class.setdefault(test_class, {})[check] = finding

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test_class, findings in self._of_class.items():
            terminalreporter.section(f"the reward of {test_class}")
            for check, finding in findings.items():
                (text, *_) = finding.text.splitlines() or [""]
                terminalreporter.line(f"{check:28} {finding.status:12} {text}".rstrip())


def ordered(reward: Reward, golden: Golden) -> Golden:
    """A golden pair as the reward has it, for tests of one whose weights are random: that of its
    pictures and prompts which go together best."""

    def likes(golden: Golden) -> float:
        value = float(score(reward, golden_samples([golden])).values[0])
        return value if reward.higher_is_better else -value

    pairs = [golden, dataclasses.replace(golden, good=golden.bad, bad=golden.good)]
    if golden.wrong:
        pairs += [
            dataclasses.replace(pair, prompt=pair.wrong, wrong=pair.prompt) for pair in pairs
        ]
    return max(pairs, key=likes)


_MISSING = """if True:
    import json, sys
    from tdmr1.rewards.discovery.info import info
    from tdmr1.rewards.discovery.load import load
    from tdmr1.rewards.discovery.spec import RewardSpec
    from tdmr1.rewards.errors import WeightsMissing
    spec = RewardSpec(sys.argv[1])
    assert any(weights.megabytes for weights in info(spec).weights), "it states no download"
    try:
        load(spec, json.loads(sys.argv[2]))
    except WeightsMissing as error:
        assert "torch" not in sys.modules, "torch was imported"
        print(error)
    else:
        raise AssertionError("it needs no weights")
"""


def missing_without_torch(
    reward: str, folder: Path, options: Mapping[str, Any] | None = None
) -> str:
    """What a reward says where its weights are not on this machine; in a process that must not
    import torch for it, nor for what the reward says of itself.

    Args:
        reward: an installed one.
        folder: an empty one, the Hub's cache and torch's.
        options: of the reward.

    Raises:
        AssertionError: torch was imported; or there is no such error, or no such statement.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MISSING, reward, json.dumps(options or {})],
        env={**os.environ, "HF_HUB_CACHE": str(folder), "TORCH_HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


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
    def test_contract(self, check: Check, request: pytest.FixtureRequest) -> None:
        finding = check(*self._made())
        plugin = Findings.of(request.config.pluginmanager)
        plugin.add(request.node.nodeid.rpartition("::")[0], name_of(check), finding)
        if finding.status == "failed":
            pytest.fail(f"{name_of(check)}: {finding.text}", pytrace=False)
        if finding.status == "not checked":
            pytest.skip(f"{name_of(check)}: {finding.text}")
