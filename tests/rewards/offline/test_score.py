import json

import numpy as np
import pytest
from PIL import Image

from tdmr1.rewards.discovery.function import FunctionReward
from tdmr1.rewards.errors import RewardFailed, RewardNotFound, RewardSpecInvalid
from tdmr1.rewards.mixing.scoring import Scorer
from tdmr1.rewards.offline.pairing import Picture
from tdmr1.rewards.offline.score import Summary, open_rewards, score_pictures, summarize
from tdmr1.rewards.offline.scorefile import ScoreFile
from tdmr1.rewards.places.here import Here


@pytest.fixture
def pictures(tmp_path):
    """Seven pictures of rising brightness, of two tags."""
    for i in range(7):
        pixels = np.full((3 + i, 4, 3), 10 * i, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return [
        Picture.of(tmp_path / f"{i}.png", f"prompt {i}", {"tag": "even" if i % 2 == 0 else "odd"})
        for i in range(7)
    ]


@pytest.fixture
def asked():
    return []


@pytest.fixture
def reward(asked):
    """Scores its mean brightness; abstains on prompt 1; what it is asked about is in `asked`."""

    def reward(fails_on=(), identity="v1", budget=0.5):
        def score(samples):
            asked.append([sample.prompt for sample in samples])
            if any(sample.prompt in fails_on for sample in samples):
                raise ValueError("off")
            return [
                None if sample.prompt == "prompt 1" else float(sample.image.mean())
                for sample in samples
            ]

        return Scorer(Here(FunctionReward("r", score)), budget), identity

    return reward


@pytest.fixture
def run(pictures, tmp_path):
    """Score the pictures with one reward, three at a time; gives (known, file, advances)."""

    def run(reward, some=None):
        (scorer, identity), out, steps = reward, ScoreFile(tmp_path / "s.jsonl"), []
        known = score_pictures(
            some or pictures, {"r": scorer}, {"r": identity}, out, 3, steps.append
        )
        out.tidy()
        return known, out, steps

    return run


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]


def test_every_picture_has_a_line_in_order(run, reward, asked, tmp_path):
    known, _, steps = run(reward())
    assert (known, steps) == (0, [3, 3, 1])
    assert [len(batch) for batch in asked] == [3, 3, 1]
    assert [line["value"] for line in lines(tmp_path)] == [0, None, 20, 30, 40, 50, 60]
    assert [line["abstained"] for line in lines(tmp_path)] == [i == 1 for i in range(7)]
    assert {line["error"] for line in lines(tmp_path)} == {None}
    assert lines(tmp_path)[2]["file"] == str(tmp_path / "2.png")


def test_what_is_known_is_not_asked_again(run, reward, asked, pictures, tmp_path):
    run(reward(), pictures[:4])
    asked.clear()
    known, _, steps = run(reward())
    assert (known, steps) == (4, [3, 3, 1])
    assert asked == [["prompt 4", "prompt 5"], ["prompt 6"]]
    assert len(lines(tmp_path)) == 7


@pytest.mark.parametrize("what", ["pixels", "prompt", "metadata", "reward"])
def test_what_has_changed_is_scored_again_and_its_old_line_goes(
    run, reward, asked, pictures, tmp_path, what
):
    run(reward())
    asked.clear()
    path = pictures[0].path
    changed = pictures[0]
    if what == "pixels":
        Image.fromarray(np.full((3, 4, 3), 1, np.uint8)).save(path)
    elif what == "prompt":
        changed = Picture.of(path, "another", pictures[0].metadata)
    elif what == "metadata":
        changed = Picture.of(path, "prompt 0", {"tag": "even", "word": "A"})
    known, _, _ = run(reward(identity="v2" if what == "reward" else "v1"), [changed])
    assert (known, len(asked)) == (0, 1)
    assert len(lines(tmp_path)) == 7


def test_an_error_is_a_line_and_is_tried_again(run, reward, asked, tmp_path):
    run(reward(fails_on=["prompt 3"]))
    (failed,) = [line for line in lines(tmp_path) if line["error"]]
    assert failed["prompt"] == "prompt 3"
    assert (failed["value"], failed["abstained"], failed["reason"]) == (None, False, "")
    assert "ValueError: off" in failed["error"]
    asked.clear()
    known, _, _ = run(reward())
    assert (known, asked) == (6, [["prompt 3"]])
    assert not any(line["error"] for line in lines(tmp_path))
    assert len(lines(tmp_path)) == 7


def test_a_picture_that_cannot_be_read_costs_no_other(run, reward, pictures, tmp_path):
    pictures[1].path.write_text("no image")
    pictures[2].path.unlink()
    run(reward(budget=0.0))
    errors = {line["prompt"]: line["error"] for line in lines(tmp_path) if line["error"]}
    assert list(errors) == ["prompt 1", "prompt 2"]
    assert "cannot read the image" in errors["prompt 1"]
    assert {line["value"] for line in lines(tmp_path)} == {0, None, 30, 40, 50, 60}


def test_past_the_budget_scoring_stops_and_what_was_scored_stays(run, reward, tmp_path):
    with pytest.raises(RewardFailed, match="ValueError: off"):
        run(reward(fails_on=["prompt 4"], budget=0.0))
    assert len(lines(tmp_path)) == 3
    assert run(reward())[0] == 3


def test_a_summary_of_all_and_of_each_tag(run, reward, pictures):
    pictures[6].path.write_text("no image")
    _, out, _ = run(reward(fails_on=["prompt 3"]))
    assert summarize(pictures, "r", out) == [
        Summary(None, 7, mean=27.5, passed=None, abstained=1, errors=2),
        Summary("even", 4, mean=20, passed=None, abstained=0, errors=1),
        Summary("odd", 3, mean=50, passed=None, abstained=1, errors=1),
    ]


CODE = """
from tdmr1.rewards import Score

def bright(samples):
    return [Score(1.0, passed=s.image.mean() > 25) for s in samples]

def shy(samples):
    return [None for s in samples]
"""


def test_verdicts_are_shares_of_those_given(pictures, tmp_path):
    (tmp_path / "r.py").write_text(CODE)
    names = [f"{tmp_path}/r.py:{name}" for name in ("bright", "shy")]
    mix, identities = open_rewards(names, 60.0, 0.0, {}, None)
    assert list(identities) == names
    out = ScoreFile(tmp_path / "s.jsonl")
    score_pictures(pictures, mix.scorers, identities, out, 3, lambda done: None)
    bright, shy = (summarize(pictures, name, out)[0] for name in names)
    assert bright.passed == pytest.approx(4 / 7)
    assert shy == Summary(None, 7, mean=None, passed=None, abstained=7, errors=0)


@pytest.mark.parametrize(
    ("names", "error", "says"),
    [
        (["oxr"], RewardNotFound, "no reward 'oxr' is installed"),
        (["oxr=2"], RewardSpecInvalid, "'oxr' has a weight, which only training uses"),
        ([""], RewardSpecInvalid, "needs a name"),
        (["a.b:c", "a.b:c"], RewardSpecInvalid, "is selected twice"),
    ],
)
def test_what_cannot_be_opened_says_why(names, error, says):
    with pytest.raises(error, match=says):
        open_rewards(names, 60.0, 0.0, {}, None)


@pytest.fixture
def comparing(asked):
    """Scores a picture's place among those of its prompt; fails for prompts in `fails_on`."""

    def comparing(fails_on=(), budget=0.5):
        def score(samples):
            asked.append([int(sample.image.mean()) for sample in samples])
            if samples[0].prompt in fails_on:
                raise ValueError("off")
            return [sorted(asked[-1]).index(value) for value in asked[-1]]

        score.grouped = True
        return Scorer(Here(FunctionReward("r", score)), budget), "v1"

    return comparing


@pytest.fixture
def of_three_prompts(pictures):
    """Seven pictures: 0, 3 and 6 of the first prompt, 1 and 4 of the second, 2 and 5."""
    return [Picture.of(p.path, f"prompt {i % 3}", {"n": i}) for i, p in enumerate(pictures)]


def test_pictures_of_one_prompt_are_a_group_in_whatever_batch(
    run, comparing, asked, of_three_prompts, tmp_path
):
    known, _, steps = run(comparing(), of_three_prompts)
    assert (known, steps) == (0, [3, 2, 2])
    assert asked == [[0, 30, 60], [10, 40], [20, 50]]
    found = {line["file"]: line["value"] for line in lines(tmp_path)}
    assert [found[picture.file] for picture in of_three_prompts] == [0, 0, 0, 1, 1, 1, 2]


def test_a_group_is_known_as_a_whole_or_scored_as_a_whole(
    run, comparing, asked, of_three_prompts, tmp_path
):
    run(comparing(), of_three_prompts)
    asked.clear()
    assert run(comparing(), of_three_prompts)[0] == 7
    assert asked == []
    Image.fromarray(np.full((3, 4, 3), 200, np.uint8)).save(tmp_path / "1.png")
    assert run(comparing(), of_three_prompts)[0] == 5
    assert asked == [[200, 40]]
    asked.clear()
    assert run(comparing(), of_three_prompts[1:])[0] == 4
    assert asked == [[30, 60]]  # without the first it is another group
    assert len(lines(tmp_path)) == 7


def test_what_keeps_one_of_a_group_from_being_scored_keeps_all_of_it(
    run, comparing, asked, of_three_prompts, tmp_path
):
    (tmp_path / "4.png").write_text("no image")
    run(comparing(fails_on=["prompt 2"]), of_three_prompts)
    errors = {line["file"]: line["error"] for line in lines(tmp_path) if line["error"]}
    assert set(errors) == {str(tmp_path / f"{i}.png") for i in (1, 4, 2, 5)}
    assert "cannot read the image" in errors[str(tmp_path / "4.png")]
    assert "r compares this image with that one" in errors[str(tmp_path / "1.png")]
    assert "off" in errors[str(tmp_path / "2.png")]
    asked.clear()
    Image.fromarray(np.full((3, 4, 3), 5, np.uint8)).save(tmp_path / "4.png")
    assert run(comparing(), of_three_prompts)[0] == 3
    assert asked == [[10, 5], [20, 50]]


def test_beside_a_grouped_reward_others_are_as_they_were(
    run, reward, comparing, of_three_prompts, tmp_path
):
    scorers = {"r": reward()[0], "c": comparing()[0]}
    out = ScoreFile(tmp_path / "s.jsonl")
    score_pictures(of_three_prompts, scorers, {"r": "v1", "c": "v1"}, out, 3, lambda count: None)
    mean = {line["file"]: line["value"] for line in lines(tmp_path) if line["reward"] == "r"}
    expected = [0, None, 20, 30, None, 50, 60]  # it abstains on prompt 1
    assert [mean[picture.file] for picture in of_three_prompts] == expected
