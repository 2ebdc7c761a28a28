"""The baselines as runs: begun, continued, evaluated and drawn with, like the others."""

import pytest
import torch

from tdmr1.errors import UserError
from tdmr1.trainers.checkpoint import list_checkpoints, read_tree
from tdmr1.trainers.config import KINDS
from tdmr1.trainers.export.export import Export
from tdmr1.trainers.loop import jobs

FEW = {"rank": 2, "alpha": 4.0, "groups": 2, "group_size": 4}
METHODS = {
    "direct": {**FEW, "steps": 2, "boundaries": 1, "batch": 8},
    "dgpo": {**FEW, "steps": 3, "draws": 2},
    "flow-grpo": {**FEW, "steps": 3},
}


@pytest.fixture(params=METHODS)
def new_config(request, site, reward):
    def new_config(**options):
        defaults = {"model": "tiny", "rewards": (reward("red"),), "iterations": 4}
        defaults |= {"checkpoint_every": 2, "eval_images": 4, "method": METHODS[request.param]}
        return KINDS[request.param](**{**defaults, **options})

    return new_config


def test_one_trains_is_continued_to_the_same_bits_evaluated_and_drawn_with(
    new_config, train, tmp_path, monkeypatch
):
    config = new_config()
    whole = train(config, tmp_path / "whole")
    assert whole.config() == config
    assert whole.reports().keys() == {"teacher", "before", "after"}

    from tdmr1.trainers.loop.stages import Reinforcement

    collect, calls = Reinforcement.collect, []

    def stops(stage, iteration=None):
        calls.append(stage)
        if len(calls) == 3:
            raise UserError("stopped")
        return collect(stage, iteration)

    with monkeypatch.context() as patched:
        patched.setattr(Reinforcement, "collect", stops)
        with pytest.raises(UserError, match="stopped"):
            train(config, tmp_path / "parts")
    parts = train(config, tmp_path / "parts")
    first, second = (read_tree(list_checkpoints(run.checkpoints)[-1]) for run in (whole, parts))
    for role, state in first["method"]["roles"].items():
        for name, tensor in state.items():
            assert torch.equal(tensor, second["method"]["roles"][role][name]), (role, name)

    again = jobs.evaluate(whole)
    assert again["after"].rewards == whole.reports()["after"].rewards
    jobs.generate("a red star", whole, 1, 0, tmp_path / "one.png")
    assert (tmp_path / "one.png").exists()
    with pytest.raises(UserError, match=f"is a run of `tdmr1 {config.kind}`, a baseline"):
        Export(whole).write(tmp_path / "exported")


def test_a_run_of_an_unknown_kind_is_told(new_config, train, tmp_path):
    run = train(new_config(iterations=1), tmp_path / "run")
    file = run.path / "config.json"
    file.write_text(file.read_text().replace(f'"kind": "{run.config().kind}"', '"kind": "x"'))
    with pytest.raises(UserError, match="of a kind that this version does not know; there are: "):
        run.config()
