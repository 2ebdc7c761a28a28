from pathlib import Path
from tempfile import TemporaryDirectory

from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.testing import RewardContract, ordered
from tdmr1_reward_hpsv3.small import write_small_hpsv3


class TestContract(RewardContract):
    reward = "hpsv3"

    @classmethod
    def make(cls):
        with TemporaryDirectory() as folder:
            options = {**write_small_hpsv3(Path(folder)), "device": "cpu", "dtype": "float32"}
            return load(RewardSpec(cls.reward), options)

    @classmethod
    def goldens(cls, reward):
        """The photographs; which of two fits, a network of random weights decides."""
        return [ordered(reward, golden) for golden in reward.goldens()]
