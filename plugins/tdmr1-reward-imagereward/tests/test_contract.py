from pathlib import Path
from tempfile import TemporaryDirectory

from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.testing import RewardContract, ordered
from tdmr1_reward_imagereward.small import write_small_imagereward


class TestContract(RewardContract):
    reward = "imagereward"

    @classmethod
    def make(cls):
        with TemporaryDirectory() as folder:
            return load(RewardSpec(cls.reward), write_small_imagereward(Path(folder)))

    @classmethod
    def goldens(cls, reward):
        """The photographs; which of two fits, a network of random weights decides."""
        return [ordered(reward, golden) for golden in reward.goldens()]
