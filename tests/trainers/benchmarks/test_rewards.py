"""That the measurements work, on small sizes; figures come from the command."""

import json
import sys

import numpy as np
import pytest
import torch

from tdmr1.cli import main
from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.errors import RewardBroken
from tdmr1.rewards.places.worker import Worker
from tdmr1.trainers.benchmarks.list_command import measure_listing
from tdmr1.trainers.benchmarks.place_overhead import TIMED_REWARD
from tdmr1.trainers.benchmarks.timed_reward import TimedReward
from tdmr1.trainers.benchmarks.worker_kills import Compared, equal

SMALL = """
model = "tiny"

[method]
steps = 2
boundaries = 1
batch = 4
rank = 2
alpha = 4.0
groups = 2
group_size = 2
"""


@pytest.fixture
def bench(site, tmp_path, monkeypatch, capsys):
    """Run `tdmr1 bench rewards` on small sizes; gives what it says for programs."""
    monkeypatch.setenv("TDMR1_DEBUG", "1")
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "small.toml").write_text(SMALL)

    def bench(*arguments):
        given = ["--config", tmp_path / "small.toml", *arguments]
        monkeypatch.setattr(sys, "argv", ["tdmr1", "bench", "rewards", *map(str, given)])
        with pytest.raises(SystemExit) as caught:
            main()
        assert not caught.value.code
        return capsys.readouterr().out

    return bench


def test_the_listing_of_installed_rewards(bench, monkeypatch):
    monkeypatch.setenv("TDMR1_REWARDS", "ocr")
    (listing,) = json.loads(
        bench("--part", "list", "--installed", 3, "--repeats", 2, "--json")
    ).values()
    assert listing["rewards"] == 3
    assert listing["low"] <= listing["median"] <= listing["high"]
    assert listing["median"] > 0


def test_a_list_that_lacks_a_reward_is_no_measurement(monkeypatch):
    monkeypatch.setattr("tdmr1.trainers.benchmarks.list_command._COMMAND", ("echo", "bench-0"))
    with pytest.raises(RewardBroken, match="does not list bench-1"):
        measure_listing(2, 2)


def test_the_overhead_of_places(bench):
    sizes = ["--images", 2, "--side", 16, "--repeats", 2]
    out = bench("--part", "overhead", "--place", "worker", "--place", "http", *sizes, "--json")
    (overhead,) = json.loads(out).values()
    assert [figures["place"] for figures in overhead] == ["worker", "http"]
    for figures in overhead:
        assert figures["low"] <= figures["median"] <= figures["high"]
        assert figures["here"] > 0


def test_what_is_hidden_and_what_kills_leave(bench):
    small = ["--reward-seconds", 0.05, "--iterations", 2, "--seconds", 1, "--every", 0.5]
    out = bench("--part", "hidden", "--part", "kills", *small, "--json")
    hidden, kills = json.loads(out).values()
    assert hidden["slow_iteration"] > hidden["waiting"] > 0
    assert hidden["iteration"] > hidden["tdm"] > 0
    assert kills["iterations"] >= 1
    assert kills["kills"] >= 1
    assert kills["samples"] == kills["iterations"] * 4
    assert (kills["lost"], kills["wrong"], kills["same_weights"]) == (0, 0, True)


def test_it_is_a_table(bench):
    out = bench("--part", "overhead", "--place", "worker", "--images", 1, "--repeats", 2)
    assert "@worker over @here's" in out
    assert "hidden" not in out


@pytest.fixture
def numbered_images():
    return [Sample(np.full((9, 9, 3), i, np.uint8), f"number {i}") for i in range(3)]


def test_options_before_its_name_are_not_lost_in_silence(monkeypatch, capsys):
    monkeypatch.setenv("TDMR1_DEBUG", "")
    monkeypatch.setattr(sys, "argv", ["tdmr1", "bench", "--model", "tiny", "rewards"])
    with pytest.raises(SystemExit):
        main()
    assert "write options of `tdmr1 bench rewards` after its name" in capsys.readouterr().err


class Wrong(Worker):
    """A worker whose answers belong to other samples."""

    def score(self, samples):
        return super().score(samples)[::-1]


def test_a_score_that_belongs_to_another_sample_is_noticed(numbered_images, closing):
    right, wrong = closing(Worker(TIMED_REWARD)), closing(Wrong(TIMED_REWARD))
    for worker, count in ((right, 0), (wrong, 2)):
        compared = Compared(worker)
        assert len(compared.score(numbered_images)) == 3
        assert (compared.samples, compared.wrong) == (3, count)
    assert TimedReward().score(numbered_images) == [0, 1 / 255, 2 / 255]
    assert right.score(numbered_images)[1] == Score(1 / 255)


def test_trees_are_equal_bit_for_bit():
    def tree(x=1.0, n=3):
        return {"a": [torch.tensor([x, 2]), n], 5: None}

    assert equal(tree(), tree())
    for other in (tree(x=1 + 1e-7), tree(n=4), {**tree(), "b": 1}, None):
        assert not equal(tree(), other)
