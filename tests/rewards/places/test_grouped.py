"""A reward that compares the samples of a prompt gets whole groups, wherever it runs."""

import dataclasses
import threading

import numpy as np
import pytest

from tdmr1.rewards import Reward, Sample, Score
from tdmr1.rewards.errors import RewardFailed, RewardLost, RewardRefused
from tdmr1.rewards.mixing.scoring import Scorer
from tdmr1.rewards.places import messages
from tdmr1.rewards.places.actor import RewardActor
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.http import Http
from tdmr1.rewards.places.loading import load_described
from tdmr1.rewards.places.server import RewardServer
from tdmr1.rewards.places.wire import describe_samples, encode, pixel_chunks, read_frame
from tdmr1.rewards.places.worker import Worker

CODE = """
    import os, random
    from pathlib import Path
    from tdmr1.rewards import Score

    def rank(samples):
        "The place of a sample's brightness in its group, and whatever tells groups apart."
        values = sorted(float(s.image.mean()) for s in samples)
        assert len({s.prompt for s in samples}) <= 1, "two prompts in a group"
        assert {s.group for s in samples} <= {None}, "a reward sees a number"
        told = f"{len(samples)} {random.random()}"
        return [
            None if s.prompt == "" else Score(float(values.index(float(s.image.mean()))), told)
            for s in samples
        ]

    def dies(samples):
        if len(samples) == 3 and not Path("died").exists():
            Path("died").touch()
            os._exit(3)
        return rank(samples)

    def raises(samples):
        if samples[0].prompt == "bad":
            raise ValueError("cannot be compared")
        return rank(samples)

    rank.grouped = dies.grouped = raises.grouped = True
"""


def group(number, *shades, prompt="a star"):
    return [Sample(np.full((2, 2, 3), shade, np.uint8), prompt, group=number) for shade in shades]


BATCH = [*group(4, 30, 10, 20), *group(0, 9, 8), *group(5, 7, prompt=""), *group(1, 1, 2, 3)]
"""Three of one prompt in two groups, and a group of one."""
RANKS = [2, 0, 1, 1, 0, None, 0, 1, 2]


def values(scores):
    return [score and score.value for score in scores]


@pytest.fixture
def here(my_file):
    my_file(CODE)

    def here(name="rank"):
        reward, info = load_described(f"./my.py:{name}")
        return Here(reward, info=info)

    return here


@pytest.fixture
def servers(closing):
    """Start servers of a reward, each with a worker; gives their addresses."""

    def servers(name, count):
        addresses = []
        for _ in range(count):
            server = RewardServer("127.0.0.1", 0)
            worker = closing(Worker(name))
            threading.Thread(target=server.serve, args=(worker,), daemon=True).start()
            started.append(server)
            addresses.append(f"127.0.0.1:{server.server_address[1]}")
        return addresses

    started = []
    yield servers
    for server in started:
        server.shutdown()
        server.server_close()


def test_each_group_is_a_call_of_its_own(here):
    scores = here().score(BATCH)
    assert values(scores) == RANKS
    assert here().score([]) == []
    for number in (4, 0, 5, 1):
        mine = [i for i, sample in enumerate(BATCH) if sample.group == number]
        assert here().score([BATCH[i] for i in mine]) == [scores[i] for i in mine]


def test_wherever_it_runs_the_scores_are_the_same(here, servers, closing):
    wanted = here().score(BATCH)
    assert closing(Worker("./my.py:rank")).score(BATCH) == wanted
    for count in (1, 2, 3):
        place = closing(Http("./my.py:rank", servers("./my.py:rank", count)))
        assert place.info.grouped
        assert place.score(BATCH) == wanted


def test_in_an_actor_too(here):
    wanted = here().score(BATCH)
    actor = RewardActor()
    actor.load(b"".join(encode(messages.load_request("./my.py:rank", {}, None))))
    frame = b"".join(encode(messages.score_request(BATCH), pixel_chunks(BATCH)))
    header, _ = read_frame(actor.score(frame))
    assert messages.read_scores(header, BATCH, here().info) == wanted


def test_a_group_is_scored_again_as_a_whole(here, servers, closing, caplog):
    place = closing(Http("./my.py:dies", servers("./my.py:dies", 2)))
    assert values(place.score(BATCH)) == RANKS
    assert "scores the same samples again" in caplog.text


def test_a_child_that_dies_over_a_group_scores_all_of_it_once_more(here, closing, tmp_path):
    assert values(closing(Worker("./my.py:dies")).score(BATCH)) == RANKS
    assert (tmp_path / "died").exists()


def test_one_bad_sample_costs_its_group_and_no_other(here):
    samples = [*BATCH[:3], *group(8, 1, 2, prompt="bad"), *BATCH[3:5]]
    outcomes = Scorer(here("raises"), max_error_fraction=0.5)(samples)
    assert outcomes.errors.tolist() == [False] * 3 + [True] * 2 + [False] * 2
    assert outcomes.values[outcomes.scored].tolist() == [2, 0, 1, 1, 0]
    assert "cannot be compared" in outcomes.reasons[3] == outcomes.reasons[4]
    with pytest.raises(RewardFailed):
        Scorer(here("raises"))(samples)


def test_a_batch_over_which_it_is_lost_is_counted_as_a_whole(here):
    class Lost(Here):
        def score(self, samples):
            raise RewardLost("gone")

    lost = Lost(here().reward)
    assert Scorer(lost, max_error_fraction=1.0)(BATCH).errors.all()


def test_samples_whose_groups_are_not_told_are_refused(here, servers, closing):
    """As an older run sends them."""
    untold = [dataclasses.replace(sample, group=None) for sample in BATCH]
    assert not any("group" in entry for entry in describe_samples(untold))
    with pytest.raises(RewardRefused, match="not told which belong together"):
        here().score(untold)
    with pytest.raises(RewardRefused, match="an older tdmr1 asks"):
        closing(Worker("./my.py:rank")).score(untold)
    with pytest.raises(RewardRefused, match="not told which belong together"):
        closing(Http("./my.py:rank", servers("./my.py:rank", 1))).score(untold)


def test_an_older_side_is_refused_as_it_may_divide_groups():
    header = messages.info_message(RewardInfo("stub"))
    del header["info"]["grouped"]
    with pytest.raises(RewardRefused, match=r"an older tdmr1, .* same version on both sides"):
        messages.read_info(header, "stub")


def test_servers_that_differ_in_it_are_refused(serve):
    with pytest.raises(RewardRefused, match="the servers of reward 'stub' differ"):
        Http("stub", [serve().address, serve(grouped=True).address])


def test_one_that_is_not_grouped_gets_the_whole_batch_and_no_numbers(serve, closing, my_file):
    seen = []

    def score(samples):
        seen.append([sample.group for sample in samples])
        return [Score(0.0)] * len(samples)

    class Ungrouped(Reward):
        name = "u"

        def score(self, samples):
            return score(samples)

    Here(Ungrouped()).score(BATCH)
    assert seen == [[None] * len(BATCH)]
    servers = [serve(), serve()]
    closing(Http("stub", [server.address for server in servers])).score(BATCH)
    assert [server.worker.asked[0][0] for server in servers] == [4, 5]
