import pytest

from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.testing import RewardContract
from tdmr1_reward_ocr.definition import Definition


class TestContract(RewardContract):
    reward = "ocr"


def test_options_reach_engine_and_definition():
    assert load(RewardSpec("ocr")).engine.short_side == 160
    assert load(RewardSpec("ocr"), {"short_side": 96}).engine.short_side == 96
    asked = {"match": "edit", "targets": "all", "quotes": "straight", "case_sensitive": True}
    assert load(RewardSpec("ocr"), asked).definition == Definition(**asked)
    with pytest.raises(RewardOptionInvalid, match="there are: contains, edit, exact"):
        load(RewardSpec("ocr"), {"match": "equal"})
    with pytest.raises(RewardOptionInvalid, match=r"lowest_confidence is 2\.0; expected 0 to 1"):
        load(RewardSpec("ocr"), {"lowest_confidence": 2.0})
    there_are = r"engine = 'rapidocr', short_side = 0, threads = 1, lowest_confidence = 0\.5, "
    there_are += "models = '', languages = 'eng', match = 'contains', targets = 'first', "
    there_are += "quotes = 'any', case_sensitive = False"
    with pytest.raises(RewardOptionInvalid, match=there_are):
        load(RewardSpec("ocr"), {"side": 96})
