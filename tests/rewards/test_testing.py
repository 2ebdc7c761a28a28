import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tdmr1.rewards import Golden, Reward
from tdmr1.rewards.checks.suite import CHECKS, name_of
from tdmr1.rewards.testing import missing_without_torch, ordered

REWARDS = """
    from tdmr1.rewards import Reward

    class Mine(Reward):
        name, summary = "mine", "Red"

        def __init__(self, gain=1.0):
            print("made one", flush=True)
            self.gain = gain

        def score(self, samples):
            return [self.gain * float(s.image[..., 0].mean()) / 255 for s in samples]
"""

TESTS = """
    import numpy as np
    from tdmr1.rewards import Golden
    from tdmr1.rewards.testing import RewardContract
    from my import Mine

    class TestInstalled(RewardContract):
        reward = "my:Mine"

    class TestOptions(RewardContract):
        reward = "my:Mine"
        options = {"gain": 3}

    class TestOwn(RewardContract):
        @classmethod
        def make(cls):
            return Mine(0.5)

        @classmethod
        def goldens(cls, reward):
            red, blue = np.zeros((2, 8, 8, 3), np.uint8)
            red[..., 0] = blue[..., 2] = 255
            return [Golden("red", good=red, bad=blue)]
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """What pytest says of these tests."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "my.py").write_text(textwrap.dedent(REWARDS))
    (folder / "test_my.py").write_text(textwrap.dedent(TESTS))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-s",
        "-rA",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run([*command, "test_my.py"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    return done.stdout.splitlines()


def outcome(lines, of, check):
    (line,) = [line for line in lines if f"::{of}::test_contract[{check}]" in line]
    return line.partition(" ")[0]


def test_every_check_is_a_test(lines):
    for check in CHECKS:
        assert outcome(lines, "TestOwn", name_of(check)) == "PASSED"


def test_a_reward_is_made_once_for_all_its_tests(lines):
    assert len([line for line in lines if "made one" in line]) == 3


def test_what_gives_nothing_to_check_is_skipped_with_the_reason(lines):
    assert any(line.startswith("SKIPPED") and "no golden images" in line for line in lines)


def test_options_reach_the_reward_and_a_failure_says_why(lines):
    assert outcome(lines, "TestInstalled", "range kept") == "PASSED"
    assert outcome(lines, "TestOptions", "range kept") == "FAILED"
    assert any("range kept: 0 to 3, of 0 to 1" in line for line in lines)


def test_what_was_measured_is_a_table_at_the_end(lines):
    start = next(i for i, line in enumerate(lines) if "the reward of test_my.py::TestOwn" in line)
    table = lines[start + 1 : start + 1 + len(CHECKS)]
    assert [row[:28].strip() for row in table] == [name_of(check) for check in CHECKS]
    (latency,) = [row for row in table if row.startswith("latency")]
    assert " ms an image at batch 1 / 8 / 32" in latency
    assert any(row.split() == ["input", "unchanged", "passed"] for row in table)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_pair_is_ordered_as_the_reward_has_it(higher_is_better):
    class Brightness(Reward):
        name, summary = "brightness", "How bright?"

        def score(self, samples):
            return [float(sample.image.mean()) / 255 for sample in samples]

    reward = Brightness()
    reward.higher_is_better = higher_is_better
    dark, bright = (np.full((4, 4, 3), value, np.uint8) for value in (20, 200))
    for pair in ((dark, bright), (bright, dark)):
        found = ordered(reward, Golden("a street", *pair))
        assert (found.good.mean() > found.bad.mean()) == higher_is_better


def test_a_pair_with_two_prompts_is_ordered_by_both():
    class Likes(Reward):
        name, summary = "likes", "Which goes with which?"

        def score(self, samples):
            likes = {
                ("dark", 20): 3.0,
                ("dark", 200): 5.0,
                ("light", 20): 9.0,
                ("light", 200): 7.0,
            }
            return [likes[sample.prompt, sample.image.max()] for sample in samples]

    dark, bright = (np.full((4, 4, 3), value, np.uint8) for value in (20, 200))
    for prompts in (("dark", "light"), ("light", "dark")):
        found = ordered(Likes(), Golden(prompts[0], dark, bright, wrong=prompts[1]))
        assert (found.prompt, found.wrong, found.good.max()) == ("light", "dark", 20)


def test_a_reward_that_says_nothing_of_missing_weights_fails(tmp_path):
    with pytest.raises(AssertionError, match="no reward 'nobody' is installed"):
        missing_without_torch("nobody", tmp_path)
