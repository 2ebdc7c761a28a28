"""On a local cluster of two nodes. Skipped where Ray, the extra `tdmr1[ray]`, is not installed."""

import json
import threading
import time

import numpy as np
import pytest

from tdmr1.rewards.errors import (
    RewardFailed,
    RewardLost,
    RewardNotFound,
    RewardOptionInvalid,
    RewardSpecInvalid,
)
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.ray import Ray

# Its import needs a second or two, and is left to the test run that selects this file.
ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own

CODE = """
import os
import time
from pathlib import Path

import ray
from tdmr1.rewards import Score

FOLDER = Path(__file__).parent


def score(samples, scale=1):
    node = ray.get_runtime_context().get_node_id()
    return [scale_of(s, scale, node) for s in samples]


def scale_of(sample, scale, node):
    pixel = sample.image[0, 0]
    return Score(scale * (int(pixel[0]) + 256 * int(pixel[1])), f"{sample.prompt} {node}")


def slow(samples):
    node = ray.get_runtime_context().get_node_id()
    (FOLDER / f"entered-{node}").touch()
    time.sleep(2)
    return score(samples)


def die(samples):
    if not (FOLDER / "died").exists():
        (FOLDER / "died").touch()
        os._exit(3)
    return score(samples)


def hang(samples):
    if not (FOLDER / "hung").exists():
        (FOLDER / "hung").touch()
        time.sleep(1000)
    return score(samples)


def guess(samples):
    if not (FOLDER / "guessed").exists():
        (FOLDER / "guessed").touch()
        return [float("nan")] * len(samples)
    return score(samples)


def fail(samples):
    raise KeyError("the lexicon")


def always_die(samples):
    os._exit(3)


def always_silent(samples):
    return []
"""


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        cluster = Cluster()
        add_node(cluster)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def add_node(cluster):
    """A node with four slots; on a busy machine not always within the 30 s that Ray allows."""
    for _ in range(4):
        try:
            return cluster.add_node(num_cpus=4)
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    pytest.fail("no node of a Ray cluster could be started")


@pytest.fixture
def folder(cluster, tmp_path, monkeypatch):
    """Where the actors find the module `on_ray`."""
    (tmp_path / "on_ray.py").write_text(CODE)
    environment = {"env_vars": {"PYTHONPATH": str(tmp_path)}}
    monkeypatch.setenv("TDMR1_RAY_ACTOR", json.dumps({"runtime_env": environment}))
    return tmp_path


@pytest.fixture
def open_ray(folder, closing):
    return lambda function, *a, **options: closing(Ray(f"on_ray:{function}", *a, **options))


def numbers_and_nodes(scores, samples):
    """Checks values and order; gives the nodes that scored."""
    assert [score.value for score in scores] == [s.metadata["number"] for s in samples]
    prompts, nodes = zip(*(score.reason.rsplit(" ", 1) for score in scores), strict=True)
    assert list(prompts) == [sample.prompt for sample in samples]
    return set(nodes)


def test_actors_share_a_batch_in_order(open_ray, numbered):
    place = open_ray("score", 2)
    assert place.info == RewardInfo("on_ray:score", (-np.inf, np.inf))
    for n in (1, 2, 301):
        numbers_and_nodes(place.score(numbered(n, start=n)), numbered(n, start=n))
    assert place.score([]) == []


def test_options_and_errors_pass_through(open_ray, numbered):
    assert open_ray("score", options={"scale": 3}).score(numbered(1, start=2))[0].value == 6
    with pytest.raises(RewardFailed, match="failed on 3 samples: KeyError: 'the lexicon'"):
        open_ray("fail").score(numbered(3))
    with pytest.raises(RewardNotFound, match="its functions are"):
        open_ray("nothing")
    with pytest.raises(RewardOptionInvalid, match="no option 'worth'"):
        open_ray("score", options={"worth": 1})


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("die", "could not score 3 samples"),
        ("hang", "did not score 3 samples in time"),
        ("guess", "answered nonsense: reward 'on_ray:guess' returned nan"),
    ],
)
def test_a_lost_actor_is_replaced(open_ray, numbered, caplog, function, says):
    place = open_ray(function, timeout=3.0 if function == "hang" else 60.0)
    numbers_and_nodes(place.score(numbered(3)), numbered(3))
    assert says in caplog.text
    assert "another one takes its place" in caplog.text


def test_no_third_attempt(open_ray, numbered):
    with pytest.raises(RewardLost, match="an actor of reward 'on_ray:always_die' could not score"):
        open_ray("always_die").score(numbered(3))
    with pytest.raises(RewardLost, match="returned 0 scores for 3 samples"):
        open_ray("always_silent").score(numbered(3))


def test_an_option_that_ray_does_not_know(folder, monkeypatch):
    monkeypatch.setenv("TDMR1_RAY_ACTOR", '{"gpus": 1}')
    with pytest.raises(RewardSpecInvalid, match="Ray refuses the options of TDMR1_RAY_ACTOR"):
        Ray("on_ray:score")


def test_a_node_that_is_killed_in_the_middle_of_a_batch_loses_no_sample(
    cluster, folder, open_ray, numbered
):
    node = add_node(cluster)
    cluster.wait_for_nodes()
    place, samples = open_ray("slow", 4), numbered(12)
    nodes = numbers_and_nodes(place.score(samples), samples)
    assert len(nodes) == 2
    for entered in folder.glob("entered-*"):
        entered.unlink()

    def kill():
        deadline = time.monotonic() + 60
        while len(list(folder.glob("entered-*"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    left = numbers_and_nodes(place.score(samples), samples)
    killer.join(60)
    assert len(left) == 1
    assert numbers_and_nodes(place.score(samples), samples) == left
