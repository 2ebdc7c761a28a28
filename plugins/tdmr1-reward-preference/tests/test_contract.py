from pathlib import Path
from tempfile import TemporaryDirectory

from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.models.small_clip import (
    write_small_clip,
    write_small_tokenizer,
    write_small_vit_h,
)
from tdmr1.rewards.testing import RewardContract, ordered


class OfSmallNetwork(RewardContract):
    @classmethod
    def make(cls):
        with TemporaryDirectory() as folder:
            return load(RewardSpec(cls.reward), cls.written(Path(folder)))

    @classmethod
    def written(cls, folder):
        return {"model": str(write_small_clip(folder))}

    @classmethod
    def goldens(cls, reward):
        """The photographs; which of two fits, a network of random weights decides."""
        return [ordered(reward, golden) for golden in reward.goldens()]


class TestPickScore(OfSmallNetwork):
    reward = "pickscore"


class TestClipScore(OfSmallNetwork):
    reward = "clipscore"


class TestHpsv2(OfSmallNetwork):
    reward = "hpsv2"

    @classmethod
    def written(cls, folder):
        model = write_small_vit_h(folder / "HPS_v2.1_compressed.pt")
        return {"model": str(model), "tokenizer": str(write_small_tokenizer(folder))}


del OfSmallNetwork
