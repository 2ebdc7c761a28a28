from typing import ClassVar

import pytest

from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.testing import RewardContract


class TestDistance(RewardContract):
    reward = "variety"


class TestVendi(RewardContract):
    reward = "variety"
    options: ClassVar = {"measure": "vendi"}


def test_an_unknown_measure_is_told_those_there_are():
    with pytest.raises(RewardOptionInvalid, match="there are: distance, vendi"):
        load(RewardSpec("variety"), {"measure": "entropy"})
