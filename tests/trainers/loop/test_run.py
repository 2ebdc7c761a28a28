import errno
import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tdmr1.errors import UserError
from tdmr1.trainers.config import DistillConfig, TrainConfig
from tdmr1.trainers.evaluation.report import Report, RewardReport
from tdmr1.trainers.loop.run import Cost, RunFolder


@pytest.fixture
def run(tmp_path):
    run = RunFolder.new(tmp_path / "run")
    run.start(TrainConfig(rewards=("ocr",), seed=7))
    yield run
    run.close()


def logged(run):
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def test_a_run_knows_its_options_and_its_environment(run):
    assert RunFolder(run.path).config() == TrainConfig(rewards=("ocr",), seed=7)
    environment = json.loads((run.path / "environment.json").read_text())
    assert {"tdmr1", "torch"} <= environment["packages"].keys()


def test_a_distillation_stays_one(tmp_path):
    RunFolder(tmp_path).start(DistillConfig(seed=7))
    assert RunFolder(tmp_path).config() == DistillConfig(seed=7)


def test_a_run_that_goes_on_keeps_its_config(run):
    run.start(TrainConfig(seed=8))
    assert run.config().seed == 7


def test_paths_are_kept_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lora").mkdir()
    rewards = {"rewards": ("./my.py:score=2@worker", "ocr"), "gates": ("my.py:score>0.5",)}
    options = {"./my.py:score": {"scale": 2}}
    RunFolder(Path("run")).start(
        TrainConfig(prompts="my.jsonl", student="lora", reward_options=options, **rewards)
    )
    RunFolder(Path("hub")).start(TrainConfig(student="org/name/ema.ckpt"))
    config = RunFolder(tmp_path / "run").config()
    assert RunFolder(tmp_path / "hub").config().student == "org/name/ema.ckpt"
    assert config.prompts == str(tmp_path / "my.jsonl")
    assert config.student == str(tmp_path / "lora")
    assert config.heldout is None
    assert config.rewards == (f"{tmp_path / 'my.py'}:score=2@worker", "ocr")
    assert config.gates == (f"{tmp_path / 'my.py'}:score>0.5",)
    assert config.reward_options == {f"{tmp_path / 'my.py'}:score": {"scale": 2}}


def test_so_is_the_folder_of_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sd3").mkdir()
    (tmp_path / "shapes").mkdir()
    RunFolder(Path("run")).start(TrainConfig(model="./sd3"))
    assert RunFolder(tmp_path / "run").config().model == str(tmp_path / "sd3")
    assert TrainConfig(model="shapes").model == "shapes"  # installed
    assert TrainConfig(model="org/name").model == "org/name"


def test_a_folder_is_not_touched_before_the_start(tmp_path):
    assert not RunFolder.new(tmp_path / "run").started
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_overwritten(run):
    with pytest.raises(UserError, match=r"exists already; .*tdmr1 train --resume .*\n.*--out"):
        RunFolder.new(run.path)


def test_nor_is_anything_else(tmp_path):
    (tmp_path / "thesis.tex").touch()
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(UserError, match="is not a run; choose another folder with --out"):
            RunFolder.new(path)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"is not a run folder: config\.json"):
        RunFolder(tmp_path).config()


def test_metrics_are_json_lines_and_nan_is_null(run):
    run.log(0, {"a": 0.5, "b": float("nan")})
    run.log(1, {"a": 1.5})
    assert logged(run) == [{"iteration": 0, "a": 0.5, "b": None}, {"iteration": 1, "a": 1.5}]


def test_lost_work_leaves_neither_lines_nor_events(run):
    for iteration in range(4):
        run.log(iteration, {"a": float(iteration)})
    run.close()
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 4, "a"')  # cut short by a kill
    again = RunFolder(run.path)
    again.forget_from(2)
    again.log(2, {"a": 20.0})
    again.close()
    assert [line["a"] for line in logged(run)] == [0, 1, 20]
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("a")] == [(0, 0), (1, 1), (2, 20)]


def test_what_a_run_took_is_the_sum_of_its_iterations_and_the_most_memory(run):
    run.log(0, {"seconds/iteration": 60.0, "seconds/observing": 30.0, "gib/peak": 2.0})
    run.log(1, {"seconds/iteration": 90.0, "gib/peak": 1.5})  # continued elsewhere
    run.log(2, {"seconds/observing": 0.0, "seconds/scoring": 7.0})
    assert run.cost() == Cost(minutes=3.0, gib=2.0)
    assert str(run.cost()) == "training took 3.0 minutes and 2.0 GiB of memory at most"


def test_memory_that_cannot_be_told_is_not_told(run):
    run.log(0, {"seconds/iteration": 60.0, "gib/peak": float("nan")})
    assert str(run.cost()) == "training took 1.0 minutes"


@pytest.mark.parametrize("text", [None, '{"iteration": 0, "a"'])
def test_metrics_that_are_gone_or_cut_short_are_told(run, text):
    if text is not None:
        (run.path / "metrics.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"cannot tell what the run in .* took: metrics\.jsonl"):
        run.cost()


def test_a_checkpoint_brings_the_events_to_the_disk(run):
    run.log(0, {"a": 1.0})
    run.save({}, 1, keep=1)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert len(events.Scalars("a")) == 1


def test_the_last_checkpoint_is_found_and_after_deleting_it_the_one_before(run):
    assert run.last_checkpoint() is None
    for iteration in (2, 4):
        run.save({"x": iteration}, iteration, keep=2)
    newest = run.checkpoints / "checkpoint-000004.safetensors"
    newest.write_bytes(newest.read_bytes()[:50])
    with pytest.raises(UserError, match="delete it to continue from the one before"):
        run.last_checkpoint()
    newest.unlink()
    assert run.last_checkpoint() == {"iteration": 2, "x": 2}


def test_reports_are_kept_beside_each_other(run):
    assert run.reports() == {}
    one = Report(4, {"ocr": RewardReport(0.1, {"text": 1 / 3}, 1 / 3, 9)})
    run.report("before", one)
    run.report("after", Report(4, {}))
    assert run.reports() == {"before": one, "after": Report(4, {})}


def test_a_full_disk_is_the_user_s_to_solve(run, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"evaluation\.json.*No space left"):
        run.report("before", Report(4, {}))
    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.raises(UserError, match=r"metrics\.jsonl.*No space left"):
        run.log(0, {})
