import pytest

from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.testing import RewardContract


class TestContract(RewardContract):
    reward = "ocr"


def test_options_reach_the_engine():
    assert load(RewardSpec("ocr")).engine.short_side == 160
    assert load(RewardSpec("ocr"), {"short_side": 96}).engine.short_side == 96
    with pytest.raises(RewardOptionInvalid, match=r"lowest_confidence is 2\.0; expected 0 to 1"):
        load(RewardSpec("ocr"), {"lowest_confidence": 2.0})
    there_are = r"short_side = 160, threads = 1, lowest_confidence = 0\.5"
    with pytest.raises(RewardOptionInvalid, match=there_are):
        load(RewardSpec("ocr"), {"side": 96})
