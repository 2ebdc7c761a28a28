import dataclasses

import numpy as np
import pytest

from tdmr1.errors import UserError
from tdmr1.rewards.contract import Score
from tdmr1.rewards.errors import RewardFailed
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.trainers.evaluation.paired import compare_scores
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.scores import Scores

PROMPTS = [f"prompt {i}" for i in range(6) for _ in range(2)]
TAGS = ["a"] * 6 + ["b"] * 6


def scores(verdicts, noise=7, prompts=PROMPTS, tags=TAGS):
    outcomes = Outcomes.of([Score(0.5 + v / 10, f"{v}", bool(v)) for v in verdicts])
    seeds = None if noise is None else [noise] * len(prompts)
    return Scores(prompts, tags, seeds, {"r": outcomes})


@pytest.fixture
def half():
    return scores([1, 0] * 6)


def test_what_is_written_is_read(tmp_path):
    outcomes = Outcomes.of(
        [Score(0.5, reason="fine"), None, RewardFailed("off"), Score(1, "", True)]
    )
    given = Scores(["p", "p", "q", "ü"], ["", "", "a", "a"], [1, 1, 1, 2], {"r": outcomes})
    given.write(tmp_path / "s.jsonl")
    read = Scores.read(tmp_path / "s.jsonl")
    assert (read.prompts, read.tags, read.noise) == (given.prompts, given.tags, given.noise)
    again = read.outcomes["r"]
    for field in dataclasses.fields(Outcomes):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(outcomes, field.name))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "s.jsonl").write_text('{"prompt": "p"}\n')
    with pytest.raises(UserError, match=r"s\.jsonl cannot be read: 'rewards'"):
        Scores.read(tmp_path / "s.jsonl")


def test_a_report_has_geneval_s_summary(half):
    report = Report.of(4, half, {}).rewards["r"]
    assert (report.overall, report.correct_images, report.correct_prompts) == (0.5, 0.5, 1)
    assert report.by_tag == {"a": 0.5, "b": 0.5}
    assert report.value == pytest.approx(0.55)
    assert report.interval == (0.5, 0.5)  # all prompts are alike


def test_each_seed_has_its_figure():
    two = Scores(PROMPTS, TAGS, [1, 2] * 6, scores([1, 0] * 6).outcomes)
    assert Report.of(4, two, {}).rewards["r"].by_seed == {"1": 1, "2": 0}
    assert Report.of(4, scores([1, 0] * 6), {}).rewards["r"].by_seed == {}


def test_a_report_is_the_same_from_json(half):
    report = Report.of(4, half, {"vendi": 2.0})
    assert Report.from_json(report.to_json()) == report


def test_two_are_compared_picture_by_picture(half):
    better = compare_scores(half, scores([1] * 12))["r"]
    assert (better.difference, better.prompts, better.images) == (0.5, 6, 12)
    assert better.p < 0.05
    assert compare_scores(half, half)["r"].p == 1


def test_the_order_of_prompts_does_not_matter(half):
    order = np.random.default_rng(0).permutation(6)
    verdicts = [v for i in order for v in (i % 2, 1)]
    shuffled = scores(verdicts, prompts=[PROMPTS[2 * i] for i in order for _ in "ab"], tags=TAGS)
    straight = scores([v for i in range(6) for v in (i % 2, 1)])
    assert compare_scores(straight, shuffled)["r"].difference == 0


def test_other_prompts_are_refused(half):
    others = scores([1] * 12, prompts=[*PROMPTS[:-2], "new", "new"])
    with pytest.raises(
        UserError, match=r"picture 1 of 'prompt 5' is of A alone\n.*--prompts FILE"
    ):
        compare_scores(half, others, ("A", "B"))
    with pytest.raises(UserError, match="12 and 11 pictures"):
        compare_scores(half, scores([1] * 11, prompts=PROMPTS[:-1], tags=TAGS[:-1]))


def test_other_noise_is_refused_where_it_is_known(half):
    with pytest.raises(UserError, match="seeds 7 and 8\ngive both the same: --seed N"):
        compare_scores(half, scores([1] * 12, noise=8))
    assert compare_scores(half, scores([1] * 12, noise=None))["r"].difference == 0.5


def test_rewards_that_scored_nothing_in_common_are_left_out(half):
    silent = Scores(PROMPTS, TAGS, [7] * 12, {"r": Outcomes.of([None] * 12)})
    assert compare_scores(half, silent) == {}
