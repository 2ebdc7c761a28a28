"""A training on a reward that compares the samples of a prompt, wherever that runs."""

import contextlib
import json
import threading

import pytest
import torch
from safetensors.torch import load_file

from tdmr1.rewards.places.server import RewardServer
from tdmr1.rewards.places.worker import Worker

OPTIONS = {"measure": "vendi"}


@pytest.fixture
def addresses(monkeypatch):
    """Of two servers of `variety`."""
    monkeypatch.delenv("TDMR1_TOKEN", raising=False)
    with contextlib.ExitStack() as ending:
        servers = []
        for _ in range(2):
            worker = ending.enter_context(contextlib.closing(Worker("variety", options=OPTIONS)))
            server = RewardServer("127.0.0.1", 0)
            ending.callback(server.server_close)
            ending.callback(server.shutdown)
            threading.Thread(target=server.serve, args=(worker,), daemon=True).start()
            servers.append(f"127.0.0.1:{server.server_address[1]}")
        yield ",".join(servers)


def metrics(run):
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in line.items() if not k.startswith(("seconds/", "gib/"))} for line in lines
    ]


def test_it_ends_with_the_same_bits_here_in_a_worker_and_on_two_servers(
    new_config, train, tmp_path, addresses
):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red one\na blue one\n")  # with three groups, one prompt has two
    runs = [
        train(
            new_config(
                method={"groups": 3},
                rewards=(f"variety@{place}",),
                reward_options={"variety": OPTIONS},
                prompts=str(prompts),
                iterations=3,
            ),
            tmp_path / place.partition(":")[0],
        )
        for place in ("here", "worker", f"http://{addresses}")
    ]
    first, *others = ([*metrics(run)] for run in runs)
    assert others == [first, first]
    assert all(line["errors/variety"] == 0 == line["abstained/variety"] for line in first[:3])
    assert first[0]["reward/variety"] > 0
    weights, *same = (load_file(run.student / "pytorch_lora_weights.safetensors") for run in runs)
    for other in same:
        assert all(torch.equal(weights[name], other[name]) for name in weights)
    reports = runs[0].reports()
    assert reports["after"].rewards["variety"].images == 8
    assert [run.reports() for run in runs[1:]] == [reports, reports]
