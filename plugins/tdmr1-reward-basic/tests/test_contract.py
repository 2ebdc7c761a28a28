from tdmr1.rewards.testing import RewardContract


class TestCompressibility(RewardContract):
    reward = "jpeg_compressibility"


class TestIncompressibility(RewardContract):
    reward = "jpeg_incompressibility"


class TestSharpness(RewardContract):
    reward = "sharpness"
