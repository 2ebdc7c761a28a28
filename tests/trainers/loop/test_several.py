"""Several processes of one run, on gloo: what they train, and how they end together."""

import contextlib
import os
import shlex
import signal
import socket
import time
from pathlib import Path

import pytest
import torch

from tdmr1.cli import ALONE
from tdmr1.errors import UserError
from tdmr1.trainers.config import DGPOConfig, DistillConfig, FlowGRPOConfig, TrainConfig
from tdmr1.trainers.launchers import Launch, command, launch, refuse_several
from tdmr1.trainers.loop import agreement
from tdmr1.trainers.loop.agreement import agree, check_batch, check_folder
from tdmr1.trainers.loop.resuming import restore
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.setup import new_stage
from tdmr1.trainers.loop.stopping import Interrupted, Stopping
from tdmr1.trainers.processes import Processes, Stopped, joined

CONFIG = """
model = "tiny"
rewards = ["./r.py:score"]
iterations = 3
checkpoint_every = 1
checkpoints_kept = 9
images_every = 2
evaluate_every = 2
eval_images = 40

[method]
steps = 2
boundaries = 1
batch = 6
rank = 2
alpha = 4.0
groups = 4
group_size = 4
parts = 2
group_tau = true
reward_centered = true
"""

REWARD = """
import os, time
from pathlib import Path

Path("pid" + os.environ.get("RANK", "")).write_text(str(os.getpid()))

def score(samples):
    at, rank = samples[0].iteration, os.environ.get("RANK", "")
    if at == 2 and rank == "1":
        while Path("waits").exists():
            Path("waiting").touch()
            time.sleep(0.01)
        if Path("fails").exists():
            raise ValueError("the engine is off")
    return [float(s.image[..., 0].mean()) / 255 for s in samples]
"""
TRAIN = "train", "--config", "run.toml", "--out", "run"
UNLIKE = "seconds/", "gib/", "evaluations"
"""Metrics of what it has cost: a process without any of some picked samples takes one in vain."""


@pytest.fixture
def folder(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("run.toml").write_text(CONFIG)
    Path("r.py").write_text(REWARD)
    return tmp_path


@pytest.fixture
def start(folder, launched):
    """Start `tdmr1 ...` in several processes, each with its own arguments or with all the same."""

    def start(count, *arguments, last=None, before=""):
        launcher = {}
        if count > 1:
            launcher = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
            launcher |= {"MASTER_PORT": str(free_port()), "LOCAL_WORLD_SIZE": str(count)}
        processes = []
        for rank in range(count):
            typed = last if last and rank == count - 1 else arguments
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if launcher else {}
            processes.append(launched(typed, {**launcher, **own}, before))
        return processes

    return start


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def finished(processes, seconds=300):
    """Exit status, stdout, stderr of each."""
    deadline = time.monotonic() + seconds
    said = [p.communicate(timeout=max(deadline - time.monotonic(), 0.1)) for p in processes]
    return [(p.returncode, *texts) for p, texts in zip(processes, said, strict=True)]


def wait_for(path):
    deadline = time.monotonic() + 300
    while not Path(path).exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def metrics(run):
    lines = RunFolder(Path(run)).metrics()
    return [{k: v for k, v in m.items() if not k.startswith(UNLIKE)} for m in lines]


def learnt(run):
    return RunFolder(Path(run)).last_checkpoint()["method"]["roles"]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def alike(one, other):
    for ours, expected in zip(one, other, strict=True):
        assert ours.keys() == expected.keys()
        for name, value in expected.items():
            near = value if value is None else pytest.approx(value, rel=1e-5, abs=1e-7)
            assert ours[name] == near, name


def test_a_network_in_shares_trains_and_is_evaluated_as_a_whole_one(start, folder):
    """In micro-batches, and with a last batch of pictures that is smaller than the others."""
    text = CONFIG.replace("batch = 6\n", "batch = 16\nmicro_batch = 3\n")
    Path("run.toml").write_text(text)
    ((status, _, err),) = finished(start(1, *TRAIN[:-1], "one"))
    assert (status, err) == (0, "")
    assert [process[0] for process in finished(start(2, *TRAIN, "--shard"))] == [0, 0]
    close(learnt("run"), learnt("one"))
    alike(metrics("run"), metrics("one"))
    assert RunFolder(folder / "run").config().shard


KINDS = {
    "distill": {"steps": 2, "boundaries": 1, "batch": 6},
    "direct": {"steps": 2, "boundaries": 1, "batch": 6, "groups": 2, "group_size": 4},
    "dgpo": {"steps": 3, "groups": 2, "group_size": 4, "draws": 2},
    "flow-grpo": {"steps": 3, "groups": 4, "group_size": 4, "updates": 2},
}
"""Training -> a small one."""
LATE = """
import time
from tdmr1.trainers.loop import jobs
new_stage = jobs.new_stage
jobs.new_stage = lambda *given: (time.sleep(1), new_stage(*given))[1]
"""
"""It takes a second to load."""


@pytest.mark.parametrize("kind", KINDS)
def test_other_trainings_are_in_two_processes_what_they_are_in_one(start, kind):
    """And the time is up for two, who end well, before they begin to train and then go on."""
    method = {**KINDS[kind], "rank": 2, "alpha": 4.0}
    options = "\n".join(f"{name} = {value}" for name, value in method.items())
    Path("run.toml").write_text(f"{CONFIG.partition('[method]')[0]}[method]\n{options}\n")
    training = kind, "--config", "run.toml", "--out"
    ((status, _, err),) = finished(start(1, *training, "one"))
    assert (status, err) == (0, "")
    late = start(2, *training, "run", "--max-time", "1s", before=LATE)
    (status, out, err), other = finished(late)
    assert (status, err, other) == (0, "", (0, "", ""))
    assert "the time is up, saved after 0 iterations; continue with: torchrun --nproc" in out
    assert [status for status, *_ in finished(start(2, kind, "--resume", "run"))] == [0, 0]
    alike(metrics("run"), metrics("one"))
    close(learnt("run"), learnt("one"))


def test_two_processes_train_as_one_and_one_goes_on_for_them(start, folder):
    """A reward fails in the second process; the run is saved, and one process goes on with it."""
    ((status, _, err),) = finished(start(1, *TRAIN[:-1], "one"))
    assert (status, err) == (0, "")
    Path("fails").touch()
    (status, _, err), other = finished(start(2, *TRAIN))
    assert other == (1, "", "")
    assert status == 1
    assert err.startswith("error: process 1 of 2, on ") and "the engine is off" in err
    again = f"torchrun --nproc-per-node 2 -m tdmr1 train --resume {folder / 'run'}"
    assert f"then continue with: {again}" in err
    assert Path("run/metrics.jsonl").read_text().count("\n") == 2
    state = RunFolder(folder / "run").last_checkpoint()
    assert (state["iteration"], state["processes"], len(state["others"])) == (2, 2, 1)
    Path("fails").unlink()
    ((status, out, err),) = finished(start(1, "train", "--resume", "run"))
    assert (status, err) == (0, "")
    assert "the checkpoint was written by 2 processes, and the run goes on in one process: " in out
    both = shlex.join(["torchrun", "--nproc-per-node", "2", "-m", "tdmr1", *TRAIN])
    assert RunFolder(Path("run")).commands() == [both, "tdmr1 train --resume run"]
    alike(metrics("run"), metrics("one"))
    close(learnt("run"), learnt("one"))


FULL = """
import os, torch
from tdmr1.core.tdmr1 import TDMR1

def full(self, rollout, *more):
    size = self.roles.micro_batch or len(rollout.group)
    if os.environ["RANK"] == "1" and self.iterations == 2 and size > 2:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return reinforce(self, rollout, *more)

reinforce, TDMR1.reinforce = TDMR1.reinforce, full
"""
"""The second process runs out of memory, unless it takes two samples at a time."""


def test_too_little_memory_of_another_process_is_saved_and_says_what_to_set(start, folder):
    (status, _, err), other = finished(start(2, *TRAIN, before=FULL))
    assert (status, other) == (1, (1, "", ""))
    assert err.startswith("error: there is too little memory: process 1 of 2, on ")
    assert "CUDA out of memory" in err
    again = f"torchrun --nproc-per-node 2 -m tdmr1 train --resume {folder / 'run'}"
    assert err.endswith(f"\nthen continue with: {again} --set method.micro_batch=2\n")
    assert RunFolder(folder / "run").last_checkpoint()["iteration"] == 2
    typed = err.split(" tdmr1 ")[-1].split()
    assert [status for status, *_ in finished(start(2, *typed, before=FULL))] == [0, 0]


def stopped_at_once(start, how):
    """Two processes, of which the second gets a signal while its reward works."""
    Path("waits").touch()
    processes = start(2, *TRAIN)
    wait_for("waiting")
    os.kill(int(Path("pid1").read_text()), how)
    (status, out, err), (other, *silent) = finished(processes)
    assert silent == ["", ""]
    assert RunFolder(Path("run")).last_checkpoint()["iteration"] == 2
    Path("waits").unlink()
    return status, out, err, other


def test_a_signal_to_one_of_two_ends_both_saved(start):
    status, out, err, other = stopped_at_once(start, signal.SIGTERM)
    assert (status, other, err) == (143, 143, "")
    again = "torchrun --nproc-per-node 2 -m tdmr1 train --resume"
    assert f"stopped, saved after 2 iterations; continue with: {again}" in out


def test_one_of_two_is_killed_and_they_go_on_to_the_same_bits(start):
    status, _, err, other = stopped_at_once(start, signal.SIGKILL)
    assert (status, other) == (1, -signal.SIGKILL)
    assert "process 1 of 2, on " in err and "has ended without a word" in err
    assert [s for s, *_ in finished(start(2, "train", "--resume", "run"))] == [0, 0]
    assert [s for s, *_ in finished(start(2, *TRAIN[:-1], "unbroken"))] == [0, 0]
    torch.testing.assert_close(learnt("run"), learnt("unbroken"), rtol=0, atol=0)


def test_several_processes_do_not_wait_for_the_end_of_an_iteration():
    """Whose launcher kills soon after it has passed Ctrl-C on."""
    stop, told = Stopping(patient=False), []
    with pytest.raises(Interrupted), stop.at_leisure(told.append), stop.urgently():
        stop.hear(signal.SIGINT)
    assert told == []


def test_an_error_of_another_process_is_raised_where_it_disturbs_nothing():
    stop, error = Stopping(), UserError("the other's")
    with pytest.raises(UserError, match="the other's"), stop.at_leisure(print):
        stop.fail(error)
        with stop.urgently():
            raise AssertionError("it is due")
    stop = Stopping()
    with pytest.raises(Interrupted) as caught:
        stop.fail(Stopped(143))
    assert caught.value.status == 143


def test_a_process_with_other_options_ends_all_before_there_is_a_folder(start, folder):
    before = sorted(folder.rglob("*"))
    (status, out, err), other = finished(start(2, *TRAIN, last=(*TRAIN, "--seed", "3")))
    assert (status, out, other) == (1, "", (1, "", ""))
    assert err.startswith("error: process 1 of 2, on ")
    assert "other options than the main process: seed is 3, not 0" in err
    assert sorted(folder.rglob("*")) == before


class Told(Processes):
    """One of two, to whom the main process, or the other one, says what the test wants."""

    count = 2

    def __init__(self, index, **said):
        self.index, self._said = index, said

    def gather(self, tree):
        return [{**tree, **self._said}, tree] if self.index else [tree, {**tree, **self._said}]

    def spread(self, tree):
        return self._said if self.index else tree

    def name(self, index):
        return f"process {index}: "


def test_other_prompts_are_an_error(new_config):
    config = new_config()
    agree(config, Told(0))
    split = {"count": 3, "sha256": "0" * 64}
    with pytest.raises(UserError, match=r"process 1: other train prompts .* 3 of SHA-256 0000"):
        agree(config, Told(0, prompts={"train": split, "heldout": split}))


def test_a_folder_that_only_the_main_process_sees_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(agreement, "PATIENCE", 0)
    run = RunFolder(tmp_path / "run")
    with run.locked():
        text = (run.path / ".tdmr1.lock").read_text()
        check_folder(run, Told(1, lock=text))
        with pytest.raises(UserError, match=r"process 1: .*file system that all machines share"):
            check_folder(run, Told(0, wrong="put it on a file system that all machines share"))
        with pytest.raises(UserError, match="is not to be seen here"):
            check_folder(run, Told(1, lock="of another machine"))


@pytest.mark.parametrize(
    ("config", "fits", "told"),
    [
        (TrainConfig(method={"groups": 6}), [2, 3, 6], "share groups = 6"),
        (TrainConfig(method={"groups": 6, "parts": 2}), [3], "3 in each of 2 parts"),
        (DistillConfig(method={"batch": 8}), [2, 8], "share batch = 8"),
        (DGPOConfig(method={"groups": 2}), [2], "share groups = 2: there are only 2"),
        (FlowGRPOConfig(method={"groups": 8, "updates": 2}), [4], "4 in each of 2 parts"),
    ],
)
def test_groups_are_shared_evenly_or_not_at_all(config, fits, told):
    for count in fits:
        check_batch(config, count)
    with pytest.raises(UserError, match=told):
        check_batch(config, 5)
    with pytest.raises(UserError, match="there are only"):
        check_batch(config, 64)


@pytest.mark.parametrize(("others", "fits"), [([{}], True), ([], False), ([{}, {}], False)])
def test_a_checkpoint_that_lacks_a_process_is_damaged(new_config, tmp_path, others, fits):
    """A complete one is for any number of processes."""
    run = RunFolder(tmp_path / "run")
    with contextlib.closing(new_stage(new_config())) as stage:
        state = {**stage.state_dict(), "totals": {}, "processes": 2, "others": others}
        run.save(state, 4, 1)
        if fits:
            assert restore(stage, run, Told(0)).iteration == 4
        else:
            with pytest.raises(UserError, match="by 2 processes, and has the state of"):
                restore(stage, run, Told(0))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"WORLD_SIZE": "1", "RANK": "0"}, None),
        ({"SLURM_NTASKS": "4"}, None),  # a job that may start four, and has not
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"WORLD_SIZE": "2"}, "RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set"),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, "Open MPI's mpirun has"),
        ({"ACCELERATE_USE_FSDP": "false", "ACCELERATE_DYNAMO_BACKEND": "NO"}, None),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, "PMI_SIZE=2"),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, "srun has started 4"),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}, "srun"),
    ],
)
def test_what_launchers_say(variables, expected):
    if expected is None:
        assert launch(variables) is None
        refuse_several(variables, "an evaluation")
        return
    with pytest.raises(UserError, match=expected):
        launch(variables)
    with pytest.raises(UserError, match="an evaluation is done by one process"):
        refuse_several(variables, "an evaluation")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ACCELERATE_USE_FSDP", "true", "FSDP .*--shard"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "DeepSpeed .*--shard"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "TorchDynamo .*compile=true"),
    ],
)
def test_engines_of_accelerate_launch_are_refused_rather_than_ignored(variable, value, told):
    for count in ({}, {"WORLD_SIZE": "2"}):
        with pytest.raises(UserError, match=f"was told to use {told}"):
            launch({variable: value, **count})


@pytest.mark.parametrize("command", ALONE)
def test_what_one_process_does_is_refused_at_once(tdmr1, monkeypatch, command):
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, out, err = tdmr1(command, "nowhere")
    assert (status, out) == (1, "")
    assert err.startswith(f"error: tdmr1 {command} is done by one process, and torchrun, ")


def test_torchrun_says_which_of_how_many():
    told = {"WORLD_SIZE": "4", "LOCAL_RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    assert launch({**told, "RANK": "3", "SLURM_NTASKS": "2"}) == Launch(3, 4)
    for rank in ("4", "-1", "x"):
        with pytest.raises(UserError, match="RANK"):
            launch({**told, "RANK": rank})


def test_a_command_starts_as_many_again_on_as_many_machines():
    two = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "a"}
    two["MASTER_PORT"] = "1"
    assert command({**two, "LOCAL_WORLD_SIZE": "2"}) == "torchrun --nproc-per-node 2 -m tdmr1"
    apart = {"LOCAL_WORLD_SIZE": "1", "GROUP_WORLD_SIZE": "2"}
    meet = "--rdzv-backend c10d --rdzv-endpoint a:29500 -m tdmr1"
    assert command(two | apart) == f"torchrun --nnodes 2 --nproc-per-node 1 {meet}"
    assert command(two) == f"torchrun --nnodes N --nproc-per-node M {meet}"
    for alone in ({}, {"LOCAL_WORLD_SIZE": "1"}):
        assert command(alone) == "tdmr1"


def test_a_launcher_without_processes_is_an_error(monkeypatch):
    variables = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    for name, value in {**variables, "MASTER_PORT": str(free_port())}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(UserError, match=r"(?s)not all .* met within 1 s .*unset WORLD"),
        joined(launch(os.environ), seconds=1),
    ):
        raise AssertionError("there is only one")
