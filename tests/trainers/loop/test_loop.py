"""The loop alone, around a training that counts."""

import contextlib
import copy
import json
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tdmr1.errors import UserError
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.loop.loop import run_loop
from tdmr1.trainers.loop.progress import Progress
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.stopping import Interrupted, stopping


class Counting:
    """A stage: every iteration draws a number and adds it to a sum."""

    generator = type("Generator", (), {"name": "counting"})
    device = torch.device("cpu")
    evaluations = 0

    def __init__(self, before_collecting=lambda stage: None, before_updating=lambda stage: None):
        self.rng, self.sum, self.steps, self.drawn = np.random.default_rng(0), 0.0, 0, None
        self.before_collecting, self.before_updating = before_collecting, before_updating
        self.rates = []

    def scale_student_rate(self, factor):
        self.rates.append(factor)

    def collect(self, iteration=None):
        self.drawn = self.rng.random()
        self.before_collecting(self)
        return {"drawn": self.drawn}

    def update(self):
        self.before_updating(self)
        self.sum += self.drawn
        self.steps += 1
        return {"sum": self.sum}

    def state_dict(self):
        state = {"sum": self.sum, "steps": self.steps}
        return {"model": self.generator.name, "rng": self.rng.bit_generator.state, "method": state}

    def load_state_dict(self, state):
        self.sum, self.steps = state["method"]["sum"], state["method"]["steps"]
        self.rng.bit_generator.state = state["rng"]


@pytest.fixture
def loop(tmp_path, output):
    """Run, or continue, 7 iterations with a checkpoint after every third; gives the stage."""

    def loop(stage=None, observe=lambda iteration: {}, folder="run", seconds=None, **options):
        config = TrainConfig(iterations=7, checkpoint_every=3, **options)
        run, stage = RunFolder(tmp_path / folder), stage or Counting()
        run.start(config)
        try:
            with stopping(seconds) as stop:
                run_loop(stage, config, run, Progress(), observe, stop)
        finally:
            run.close()
        return stage

    return loop


@pytest.fixture
def lines(tmp_path):
    def lines(folder="run"):
        text = (tmp_path / folder / "metrics.jsonl").read_text()
        kept = [json.loads(line) for line in text.splitlines()]
        return [
            {k: v for k, v in line.items() if not k.startswith(("seconds/", "gib/"))}
            for line in kept
        ]

    return lines


def saved(tmp_path):
    return sorted(p.stem for p in (tmp_path / "run").glob("checkpoints/*"))


def fails_at(step, error):
    """Raises in the iteration after `step`, once."""
    errors = [error]

    def fail(stage):
        if stage.steps == step and errors:
            raise errors.pop()

    return fail


def test_the_students_rate_falls_to_nothing_over_the_last_share_of_the_run(loop):
    assert loop().rates == [1.0] * 7
    cooled = loop(folder="cooled", cooldown=4 / 7).rates
    assert cooled == pytest.approx([1, 1, 1, 1, 3 / 4, 2 / 4, 1 / 4])


def test_every_iteration_is_logged_and_the_end_observed(loop, lines, tmp_path):
    observed = []
    loop(observe=lambda iteration: observed.append(iteration) or {"seen": float(iteration)})
    assert observed == list(range(8))
    assert [line["iteration"] for line in lines()] == list(range(8))
    assert lines()[-1] == {"iteration": 7, "seen": 7.0}
    assert saved(tmp_path) == ["checkpoint-000006", "checkpoint-000007"]


@pytest.mark.parametrize("step", [0, 2, 3, 5])
@pytest.mark.parametrize("where", ["observe", "before_collecting", "before_updating"])
@pytest.mark.parametrize("error", [UserError("off"), ValueError("bug"), KeyboardInterrupt()])
def test_what_fails_loses_nothing(loop, lines, tmp_path, step, where, error):
    whole = loop(folder="whole")
    fail = fails_at(step, error)
    if where == "observe":
        stage = Counting()
        with pytest.raises(type(error)):
            loop(stage, observe=lambda iteration: fail(stage) or {})
    else:
        with pytest.raises(type(error)):
            loop(Counting(**{where: fail}))
    assert saved(tmp_path)[-1] == f"checkpoint-{step:06d}"
    assert loop().sum == whole.sum
    assert lines() == lines("whole")


def test_no_room_for_the_copy_loses_nothing(loop, tmp_path, monkeypatch):
    whole, copies = loop(folder="whole"), []

    def full(state):
        copies.append(1)
        if len(copies) == 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return copy.deepcopy(state)

    with monkeypatch.context() as patched, pytest.raises(torch.OutOfMemoryError):
        patched.setattr("tdmr1.trainers.loop.loop.copy", SimpleNamespace(deepcopy=full))
        loop()
    assert saved(tmp_path)[-1] == "checkpoint-000004"
    assert loop().sum == whole.sum


@pytest.mark.parametrize("step", [0, 2, 3, 5])
def test_a_kill_costs_the_iterations_since_the_last_checkpoint(
    loop, lines, tmp_path, monkeypatch, step
):
    whole = loop(folder="whole")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):

        def kill(stage):
            if stage.steps == step:
                patched.setattr(RunFolder, "save", lambda *given: None)
                raise RuntimeError("killed")

        loop(Counting(before_updating=kill))
    last = step - step % 3
    assert saved(tmp_path)[-1:] == ([f"checkpoint-{last:06d}"] if last else [])
    observed = []
    assert loop(observe=lambda iteration: observed.append(iteration) or {}).sum == whole.sum
    assert observed == list(range(last, 8))
    assert lines() == lines("whole")


def test_a_failing_last_observation_loses_nothing(loop, lines):
    whole = loop(folder="whole")

    def observe(iteration):
        if iteration == 7:
            raise UserError("off")
        return {}

    with pytest.raises(UserError):
        loop(observe=observe)
    assert loop().sum == whole.sum
    assert lines() == lines("whole")


def press(stage=None):
    signal.raise_signal(signal.SIGINT)
    return {}


@pytest.mark.parametrize("where", ["observe", "before_collecting", "before_updating"])
def test_ctrl_c_finishes_the_iteration_and_saves(loop, lines, tmp_path, output, where):
    whole = loop(folder="whole")
    handler = signal.getsignal(signal.SIGINT)

    def at_four(stage):
        return press() if stage.steps == 4 else {}

    stage = Counting(**({} if where == "observe" else {where: at_four}))
    observe = (lambda iteration: at_four(stage)) if where == "observe" else lambda iteration: {}
    with pytest.raises(Interrupted) as stop:
        loop(stage, observe=observe)
    assert stop.value.iteration == stage.steps == (4 if where == "observe" else 5)
    assert str(stop.value) == f"stopped, saved after {stage.steps} iterations"
    assert stop.value.status == 130
    assert saved(tmp_path)[-1] == f"checkpoint-{stage.steps:06d}"
    assert "stopping after this iteration" in output.getvalue()
    assert signal.getsignal(signal.SIGINT) is handler
    assert loop().sum == whole.sum
    assert lines() == lines("whole")


TWICE = (signal.SIGINT, signal.SIGINT)


@contextlib.contextmanager
def hangups(handler):
    """What this process does about SIGHUP, which `nohup` has it ignore from its start."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("where", ["before_collecting", "before_updating"])
@pytest.mark.parametrize("signals", [TWICE, (signal.SIGTERM,), (signal.SIGHUP,)])
def test_what_cannot_wait_stops_at_once_and_saves_all_the_same(
    loop, lines, tmp_path, where, signals
):
    whole = loop(folder="whole")

    def at_four(stage):
        if stage.steps == 4:
            for number in signals:
                signal.raise_signal(number)

    stopped = pytest.raises(Interrupted, match="saved after 4 iterations")
    with hangups(signal.SIG_DFL), stopped as stop:
        loop(Counting(**{where: at_four}))
    assert stop.value.status == 128 + signals[0]
    assert saved(tmp_path)[-1] == "checkpoint-000004"
    assert loop().sum == whole.sum
    assert lines() == lines("whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_it_saves_nothing_disturbs_it(loop, lines, tmp_path, monkeypatch, number):
    whole = loop(folder="whole")
    write = RunFolder.save

    def disturbed(*given):
        for _ in range(3):
            signal.raise_signal(number)
        return write(*given)

    with monkeypatch.context() as patched, pytest.raises(Interrupted, match="after 3 iterations"):
        patched.setattr(RunFolder, "save", disturbed)
        loop()
    assert saved(tmp_path) == ["checkpoint-000003"]
    assert loop().sum == whole.sum
    assert lines() == lines("whole")


def test_the_end_of_a_terminal_is_ignored_under_nohup(loop):
    with hangups(signal.SIG_IGN):
        loop(Counting(before_updating=lambda stage: signal.raise_signal(signal.SIGHUP)))


def test_when_its_time_is_up_it_saves_and_stops(loop, lines, tmp_path):
    whole = loop(folder="whole")
    with pytest.raises(Interrupted, match="the time is up, saved after 0 iterations") as stop:
        loop(seconds=0.0)
    assert stop.value.status == 0

    def sleep(stage):
        time.sleep(0.6 if stage.steps == 4 else 0)

    with pytest.raises(Interrupted, match="the time is up, saved after 5 iterations"):
        loop(Counting(before_updating=sleep), seconds=0.5)
    assert saved(tmp_path)[-1] == "checkpoint-000005"
    assert loop(seconds=60.0).sum == whole.sum
    assert lines() == lines("whole")


def test_a_line_that_cannot_be_shown_or_logged_loses_nothing(loop, lines, tmp_path, monkeypatch):
    whole = loop(folder="whole")

    def closed(self, iteration, metrics):
        if iteration == 5:
            raise BrokenPipeError

    with monkeypatch.context() as patched, pytest.raises(BrokenPipeError):
        patched.setattr(Progress, "update", closed)
        loop()
    assert saved(tmp_path)[-1] == "checkpoint-000004"
    assert loop().sum == whole.sum
    assert lines() == lines("whole")


def test_it_is_heard_where_it_was_ignored_as_in_a_script_s_background(loop):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Interrupted):
            loop(observe=lambda iteration: press() if iteration == 2 else {})
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_during_the_last_observation_stops_before_what_follows(loop):
    with pytest.raises(Interrupted, match="saved after 7 iterations"):
        loop(observe=lambda iteration: press() if iteration == 7 else {})
    assert loop().steps == 7


def test_a_checkpoint_of_another_model_is_refused(loop):
    loop()
    stage = Counting()
    stage.generator = type("Generator", (), {"name": "other"})
    with pytest.raises(UserError, match=r"of the model 'counting', not of 'other'; start a new"):
        loop(stage)


@pytest.mark.parametrize("error", [KeyError("inner.lora_A"), RuntimeError("sizes differ")])
def test_a_checkpoint_of_other_options_is_refused(loop, error):
    loop()
    stage = Counting()

    def load_state_dict(state):
        raise error

    stage.load_state_dict = load_state_dict
    with pytest.raises(UserError, match="of another model, or of other options"):
        loop(stage)


def test_a_checkpoint_cut_short_is_deleted_and_the_one_before_continued(loop, lines, tmp_path):
    whole = loop(folder="whole")
    loop()
    last = tmp_path / "run" / "checkpoints" / "checkpoint-000007.safetensors"
    last.write_bytes(last.read_bytes()[:40])
    with pytest.raises(UserError, match=r"cut short.*\ndelete it to continue from the one before"):
        loop()
    last.unlink()
    assert loop().sum == whole.sum
    assert lines() == lines("whole")


def test_a_disk_that_is_full_for_a_while_costs_no_checkpoint(loop, lines, tmp_path, monkeypatch):
    whole = loop(folder="whole")

    def full(tensors, path, metadata):
        raise OSError(28, "No space left on device")

    def fill(stage):
        if stage.steps == 5:
            monkeypatch.setattr("tdmr1.trainers.checkpoint.save_file", full)

    with pytest.raises(UserError, match=r"cannot write .*checkpoint-000006.*No space left"):
        loop(Counting(before_updating=fill))
    assert saved(tmp_path) == ["checkpoint-000003"]
    monkeypatch.undo()
    assert loop().sum == whole.sum
    assert lines() == lines("whole")


def test_observing_does_not_move_torch_s_random_stream(loop):
    """What the loop itself does between two iterations draws nothing."""
    before = torch.get_rng_state()
    loop()
    assert torch.equal(torch.get_rng_state(), before)


def test_totals_go_on_where_a_run_goes_on(loop, output):
    class Failing(Counting):
        def update(self):
            return {**super().update(), "errors/ocr": 2.0}

    with pytest.raises(UserError):
        loop(Failing(before_updating=fails_at(4, UserError("off"))))
    loop(Failing())
    assert "training: 7 of 7 iterations, " in output.getvalue()
    assert output.getvalue().rstrip().endswith("errors ocr 14")
