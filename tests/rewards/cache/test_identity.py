from tdmr1.rewards.cache.identity import identify
from tdmr1.rewards.places.base import RewardInfo


def test_everything_that_may_change_a_score_tells_rewards_apart():
    def identity(name="ocr", version="1.0", contract=1, source="ab", **options):
        return identify(RewardInfo(name, (0, 1), True, True, version, contract, options, source))

    same = identity(a=1, b=2)
    assert same == identity(b=2, a=1)
    others = {
        identity("ocr2", a=1, b=2),
        identity(version="1.1", a=1, b=2),
        identity(contract=99, a=1, b=2),
        identity(source="cd", a=1, b=2),
        identity(a=1, b=3),
        identity(),
    }
    assert len(others - {same}) == 6
