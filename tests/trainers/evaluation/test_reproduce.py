import pytest

from tdmr1.trainers.config import TrainConfig, build_config
from tdmr1.trainers.evaluation.evaluate import Report, RewardReport
from tdmr1.trainers.evaluation.reproduce import CLAIMS, Spread, summarize


def report(value):
    tags = {"counting": value, "colors": value + 0.1}
    return Report(4, {"geneval": RewardReport(value, tags, value + 0.05, 20)})


def test_a_summary_is_mean_smallest_and_largest_over_the_runs():
    runs = [{"before": report(v), "after": report(2 * v)} for v in (0.1, 0.2, 0.4)]
    summary = summarize(runs)
    assert list(summary) == ["before", "after"]
    figures = ["geneval counting", "geneval colors", "geneval overall", "geneval reward"]
    assert list(summary["before"]) == figures
    spread = summary["after"]["geneval counting"]
    assert (spread.mean, spread.low, spread.high) == pytest.approx((1.4 / 3, 0.2, 0.8))


def test_a_spread_reads_as_one_figure():
    assert str(Spread.of([0.5, 0.25])) == "0.375 (0.250-0.500)"


@pytest.mark.parametrize("claim", CLAIMS.values())
def test_every_claim_is_a_preset_with_seeds(claim):
    assert len(set(claim.seeds)) == len(claim.seeds) >= 3
    build_config(TrainConfig, claim.preset)
