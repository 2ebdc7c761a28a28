from tdmr1.rewards.testing import RewardContract


class TestContract(RewardContract):
    reward = "geneval"
