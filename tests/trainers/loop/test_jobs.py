"""Whole runs of the tiny generator."""

import json
import os
import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tdmr1.core.weights import NETWORK_FILE
from tdmr1.errors import UserError
from tdmr1.trainers.config import DistillConfig, TrainConfig
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.stopping import Interrupted
from tdmr1.trainers.models import load_generator


def lora(run):
    return load_file(run.student / "pytorch_lora_weights.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def metrics(run):
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in line.items() if not k.startswith(("seconds/", "gib/"))} for line in lines
    ]


def pictures(run):
    return {path.name: path.read_bytes() for path in run.images.iterdir()}


class Killed(BaseException):
    """As if the process ended here: nobody handles it."""


@pytest.fixture
def killed_in(monkeypatch, train):
    """Train until the update of some iteration, which does not return."""

    def killed_in(iteration, config, folder):
        updates = []

        def reinforce(self, *given):
            updates.append(1)
            if len(updates) == iteration + 1:
                patched.setattr(RunFolder, "save", lambda *given: None)
                raise Killed
            return original(self, *given)

        from tdmr1.core.tdmr1 import TDMR1

        original = TDMR1.reinforce
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(TDMR1, "reinforce", reinforce)
            train(config, folder)

    return killed_in


def test_a_run_leaves_everything_behind(new_config, train, tmp_path, output):
    run = train(new_config(), tmp_path / "run")
    for name in ("config.json", "environment.json", "metrics.jsonl", "evaluation.json"):
        assert (run.path / name).stat().st_size > 0
    assert list((run.path / "tensorboard").glob("events.*"))
    assert sorted(pictures(run)) == ["000000.png", "000003.png", "000006.png"]
    assert [p.stem for p in sorted(run.checkpoints.iterdir())] == [
        "checkpoint-000004",
        "checkpoint-000006",
    ]
    assert not list(run.path.rglob("*.tmp"))
    assert list(run.reports()) == ["teacher", "before", "after"]
    shown = output.getvalue()
    assert re.search(r"^ +teacher +before +after\n +10 NFE +2 NFE +2 NFE\n", shown, re.MULTILINE)
    assert run.cost().minutes > 0
    assert f"{run.cost()}\n" in shown
    first = metrics(run)[0]
    for name in ("surrogate/agreement", "surrogate/drift", "groups_without_signal", "fake/loss"):
        assert name in first


def test_training_moves_the_student_and_the_seed_moves_the_training(new_config, train, tmp_path):
    run = train(new_config(), tmp_path / "a")
    assert run.reports()["before"] != run.reports()["after"]
    assert same(lora(run), lora(train(new_config(), tmp_path / "b")))
    assert not same(lora(run), lora(train(new_config(seed=1), tmp_path / "c")))


STEPS = """
def score(samples, *, added=0.0):
    return [added + round(float(s.image[..., 0].mean()) * 4) / 1024 for s in samples]
"""


def test_a_constant_added_to_a_reward_changes_no_bit_of_the_training(new_config, train, tmp_path):
    name = f"{tmp_path / 'steps.py'}:score"
    (tmp_path / "steps.py").write_text(STEPS)
    runs = [
        train(
            new_config(rewards=(name,), reward_options={name: {"added": added}}),
            tmp_path / f"{added}",
        )
        for added in (0.0, 1e8, -1e12)
    ]
    assert all(m["groups_without_signal"] < 1 for m in metrics(runs[0])[:-1])
    assert all(same(lora(run), lora(runs[0])) for run in runs[1:])


EMA = {"reference": "ema"}
SDE = {"rollout": "sde", "clip": None}
OTHERS = {"surrogate_draws": 3, "surrogate_ema": 0.9, "trunc_steps": 1}


@pytest.mark.parametrize(
    ("iteration", "method"), [(0, EMA), (4, EMA), (3, SDE), (5, SDE), (4, OTHERS), (5, OTHERS)]
)
def test_killed_and_resumed_it_ends_with_the_same_bits(
    new_config, train, killed_in, tmp_path, iteration, method
):
    config = new_config(method)
    whole = train(config, tmp_path / "whole")
    killed_in(iteration, config, tmp_path / "run")
    resumed = train(RunFolder(tmp_path / "run").config(), tmp_path / "run")
    assert same(lora(resumed), lora(whole))
    assert metrics(resumed) == metrics(whole)
    assert pictures(resumed) == pictures(whole)
    assert resumed.reports() == whole.reports()


def test_what_was_seen_at_first_is_not_looked_at_again(new_config, train, killed_in, tmp_path):
    killed_in(4, new_config(), tmp_path)
    run = RunFolder(tmp_path)
    times = [(run.images / "000000.png").stat().st_mtime_ns, run.reports()["before"]]
    train(new_config(), tmp_path)
    assert [(run.images / "000000.png").stat().st_mtime_ns, run.reports()["before"]] == times


def test_looking_more_often_does_not_change_the_training(new_config, train, tmp_path):
    seldom = train(new_config({"rollout": "sde"}), tmp_path / "seldom")
    often = new_config({"rollout": "sde"}, images_every=1, evaluate_every=1)
    assert same(lora(train(often, tmp_path / "often")), lora(seldom))


def test_a_run_that_goes_on_with_other_threads_says_so(new_config, train, tmp_path, output):
    run = train(new_config(iterations=1), tmp_path / "run")
    assert "other bits" not in output.getvalue()
    path = run.path / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "threads": 99}))
    train(run.config(), run.path)
    assert re.search(r"^it goes on elsewhere .*: threads \d+, not 99$", output.getvalue(), re.M)


def test_a_run_that_has_ended_may_be_resumed(new_config, train, tmp_path):
    first = train(new_config(), tmp_path)
    before = (lora(first), metrics(first), first.reports())
    again = train(new_config(), tmp_path)
    assert same(lora(again), before[0])
    assert (metrics(again), again.reports()) == before[1:]


FAILING = """
calls = [0]

def fails_once(samples):
    calls[0] += 1
    if calls[0] == {call}:
        raise ValueError("the engine is off")
    return [float(s.image[..., 0].mean()) / 255 for s in samples]
"""


# 1 tries the reward, 2 evaluates before, 3-8 are iterations, 9 evaluates after, 10 the teacher.
@pytest.mark.parametrize("call", [1, 2, 3, 6, 9, 10])
def test_a_reward_that_fails_once_costs_nothing(new_config, train, tmp_path, call):
    file = tmp_path / "f.py"
    file.write_text(FAILING.format(call=0))
    config = new_config(rewards=(f"{file}:fails_once",))
    whole = train(config, tmp_path / "whole")
    file.write_text(FAILING.format(call=call))
    with pytest.raises(UserError, match="the engine is off"):
        train(config, tmp_path / "run")
    assert RunFolder(tmp_path / "run").started == (call > 1)
    file.write_text(FAILING.format(call=0))
    resumed = train(config, tmp_path / "run")
    assert same(lora(resumed), lora(whole))
    assert metrics(resumed) == metrics(whole)
    assert resumed.reports() == whole.reports()


ENDING = """
import os, signal
from pathlib import Path

calls = [0]

def score(samples):
    calls[0] += 1
    Path("process").write_text(str(os.getpid()))
    if calls[0] == 4 and Path("end").exists():
        {action}
    return [float(s.image[..., 0].mean()) / 255 for s in samples]
"""


def ended(process):
    """Whether it is gone, its exit status taken note of."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_in_a_process_of_its_own_a_reward_gives_the_same_bits(
    new_config, train, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_text(ENDING.format(action="pass"))
    here, worker = (
        train(new_config(rewards=(f"./f.py:score@{place}",)), tmp_path / place)
        for place in ("here", "worker")
    )
    assert int((tmp_path / "process").read_text()) != os.getpid()
    assert ended(int((tmp_path / "process").read_text()))
    assert same(lora(here), lora(worker))
    assert metrics(here) == metrics(worker)
    assert here.reports() == worker.reports()


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("raise ValueError('the engine is off')", UserError),
        ("os.kill(os.getppid(), signal.SIGINT)", Interrupted),
    ],
)
def test_no_process_of_a_reward_outlives_its_run(
    new_config, train, tmp_path, monkeypatch, action, error
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_text(ENDING.format(action=action))
    (tmp_path / "end").touch()
    with pytest.raises(error):
        train(new_config(rewards=("./f.py:score@worker",)), tmp_path / "run")
    assert ended(int((tmp_path / "process").read_text()))


def test_a_distillation_without_rewards_makes_pictures_and_a_student(
    train, site, tmp_path, output
):
    method = {"steps": 2, "boundaries": 1, "batch": 8, "rank": 2, "alpha": 4}
    config = DistillConfig(model="tiny", iterations=2, eval_images=2, method=method)
    run = train(config, tmp_path)
    assert sorted(pictures(run)) == ["000000.png", "000002.png"]
    assert lora(run)
    assert run.reports() == {}
    assert "NFE" not in output.getvalue()
    with pytest.raises(UserError, match="no reward is selected"):
        jobs.evaluate(run)


def test_a_distilled_student_can_be_trained(train, new_config, site, reward, tmp_path):
    method = {"steps": 2, "boundaries": 1, "batch": 8, "rank": 2, "alpha": 4}
    options = {"model": "tiny", "iterations": 2, "eval_images": 4, "rewards": (reward("red"),)}
    distilled = train(DistillConfig(**options, method=method), tmp_path / "distilled")
    trained = train(
        new_config(student=str(distilled.student), rewards=(reward("red"),)), tmp_path / "trained"
    )
    assert trained.reports()["before"] == distilled.reports()["after"]


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_the_final_table_is_what_eval_says(
    new_config, train, tmp_path, fresh_accelerator, precision
):
    run = train(new_config(precision=precision), tmp_path)
    reports = jobs.evaluate(run)
    assert reports == run.reports()
    assert list(reports) == ["teacher", "before", "after"]


def test_eval_keeps_the_options_of_a_reward_of_the_run(new_config, train, tmp_path, reward):
    names = reward("bright"), reward("red")
    options = {names[0]: {"gain": 0.0}, names[1]: {}}
    run = train(new_config(rewards=names, reward_options=options), tmp_path / "run")
    for report in jobs.evaluate(run, [f"{names[0]}=2"]).values():
        assert report.rewards[names[0]].value == 0


def test_eval_takes_other_rewards_prompts_and_noise(new_config, train, tmp_path, reward):
    run = train(new_config(), tmp_path / "run")
    (tmp_path / "p.txt").write_text("a red one\n")
    reports = jobs.evaluate(run, [reward("red")], tmp_path / "p.txt", images=3, seeds=[5])
    assert [r.rewards[reward("red")].images for r in reports.values()] == [3, 3, 3]
    assert {len(r.rewards) for r in reports.values()} == {1}


@pytest.fixture
def unfinished(new_config, killed_in, tmp_path):
    killed_in(3, new_config(), tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_a_run_that_has_not_ended_is_to_be_continued_first(unfinished, tmp_path):
    with pytest.raises(UserError, match=r"has not ended; .*tdmr1 train --resume "):
        jobs.evaluate(unfinished, checkpoint="last")
    with pytest.raises(UserError, match="has not ended"):
        jobs.generate("a red one", unfinished, 1, 0, tmp_path / "a.png", "last")


def test_pictures_of_a_run_and_of_the_student_that_ships(new_config, train, tmp_path):
    run = train(new_config(), tmp_path / "run")
    jobs.generate("a red one", run, 3, 0, tmp_path / "a.png")
    jobs.generate("a red one", TrainConfig(model="tiny"), 3, 0, tmp_path / "b.png")
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        assert a.size == b.size == (3 * 4 + 2 * 2, 4)
        assert a.tobytes() != b.tobytes()
    again = (tmp_path / "a.png").read_bytes()
    jobs.generate("a red one", run, 3, 0, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == again


def test_whole_weights_are_trained_killed_and_resumed(new_config, train, killed_in, tmp_path):
    config = new_config({"rank": None})
    whole = train(config, tmp_path / "whole")
    assert whole.student == tmp_path / "whole" / "network"
    killed_in(3, config, tmp_path / "run")
    resumed = train(RunFolder(tmp_path / "run").config(), tmp_path / "run")
    weights = [load_file(run.student / NETWORK_FILE) for run in (whole, resumed)]
    assert same(*weights)
    teacher = load_generator("tiny").network.state_dict()
    assert not any(torch.equal(weights[0][name], teacher[name]) for name in teacher)
    assert resumed.reports() == whole.reports()


WANDERS = """
import os
from pathlib import Path

Path("elsewhere").mkdir(exist_ok=True)

def score(samples):
    os.chdir("{folder}/elsewhere")
    return [{value}] * len(samples)
"""


def test_a_reward_that_goes_somewhere_else_takes_nothing_with_it(
    new_config, train, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(WANDERS.format(folder=tmp_path, value=0.25))
    (tmp_path / "p.txt").write_text("a red one\n")
    config = new_config(rewards=("./my.py:score",), prompts="p.txt", heldout="p.txt")
    run = train(config, Path("run"))
    assert Path.cwd() == tmp_path / "elsewhere"
    assert list(Path.cwd().iterdir()) == []
    assert run.path == tmp_path / "run"
    assert lora(run)
    (Path.cwd() / "my.py").write_text(WANDERS.format(folder=tmp_path, value=0.75))
    reports = jobs.evaluate(RunFolder(Path("../run")))
    assert [r.value for of in reports.values() for r in of.rewards.values()] == [0.25] * 3
    os.chdir(tmp_path / "elsewhere")
    reports = jobs.evaluate(RunFolder(Path("../run")), ["./my.py:score"])
    assert [r.value for of in reports.values() for r in of.rewards.values()] == [0.75] * 3
