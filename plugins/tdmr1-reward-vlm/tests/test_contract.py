import numpy as np
import pytest

from tdmr1.rewards import Golden
from tdmr1.rewards.testing import RewardContract
from tdmr1_reward_vlm.goldens import goldens


class TestContract(RewardContract):
    reward = "vlm"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def served(cls, url):
        cls.options = {"url": url, "model": "bright", "preset": "text"}

    @classmethod
    def goldens(cls, reward):
        """The scripted judge cannot read: it likes light."""
        light, dark = (np.full((40, 60, 3), grey, np.uint8) for grey in (220, 30))
        return [Golden(golden.prompt, good=light, bad=dark) for golden in reward.goldens()]


def test_golden_signs_differ_in_what_they_say_alone():
    for golden in goldens():
        assert golden.good.shape == golden.bad.shape
        assert (golden.good != golden.bad).any()
        assert (golden.good[0, 0] == golden.bad[0, 0]).all()
