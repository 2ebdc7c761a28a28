import json

import pytest
from accelerate import tracking

from tdmr1.errors import UserError
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.trackers import check_trackers


@pytest.fixture
def tracked(monkeypatch):
    """Accelerate's tracker `wandb`, which writes down what is asked of it."""
    asked = []

    class Tracker(tracking.GeneralTracker):
        name, requires_logging_directory = "wandb", False

        def __init__(self, project, **options):
            super().__init__()
            asked.append(("start", project, options))

        @property
        def tracker(self):
            return asked

        def store_init_configuration(self, values):
            asked.append(("config", values))

        def log(self, values, step=None, **more):
            asked.append(("log", step, values))

        def finish(self):
            asked.append(("finish",))

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", Tracker)
    available = [*tracking.get_available_trackers(), tracking.LoggerType.WANDB]
    monkeypatch.setattr(tracking, "_available_trackers", available)
    return asked


def test_options_and_metrics_go_there_and_a_run_that_goes_on_is_the_same(
    tracked, new_config, train, tmp_path
):
    options = {"trackers": ("wandb",), "tracker_options": {"wandb": {"entity": "me"}}}
    run = train(new_config(iterations=2, tracker_project="mine", **options), tmp_path / "run")
    (_, project, started), (_, values), *logs, end = tracked
    assert (project, started["entity"], started["resume"]) == ("mine", "me", "allow")
    assert (values["method.beta"], values["iterations"]) == (30.0, 2)
    assert all(value is None or isinstance(value, str | int | float) for value in values.values())
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [step for _, step, _ in logs] == [line["iteration"] for line in lines] == [0, 1, 2]
    numbers = {k: v for k, v in lines[0].items() if v is not None and k != "iteration"}
    assert logs[0][2] == numbers
    assert end == ("finish",)
    assert not (run.path / "tensorboard").exists()
    tracked.clear()
    train(run.config(), run.path)
    assert tracked[0] == ("start", "mine", started)


def test_each_run_is_one_of_its_own(tracked, tmp_path):
    for name in ("a", "b"):
        run = RunFolder(tmp_path / name)
        run.start(TrainConfig(trackers=("tensorboard", "wandb")))
        run.log(0, {"x": 1.0, "nothing": float("nan")})
        run.close()
        assert list((run.path / "tensorboard").iterdir())
    starts = [asked[2]["id"] for asked in tracked if asked[0] == "start"]
    assert len(set(starts)) == 2
    assert [more for what, *more in tracked if what == "log"] == [[0, {"x": 1.0}]] * 2


def test_one_that_cannot_start_says_what_to_do(tracked, tmp_path, monkeypatch):
    class NoLogin:
        requires_logging_directory = False

        def __init__(self, project, **options):
            raise RuntimeError("api_key not configured")

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", NoLogin)
    run = RunFolder(tmp_path / "run")
    run.start(TrainConfig(trackers=("wandb",)))
    with pytest.raises(
        UserError, match=r"cannot start \(wandb\): RuntimeError: api_key.*\nlog in"
    ):
        run.track_from(0)


def test_one_that_is_missing_or_unknown_is_told_before_anything_is_loaded(
    new_config, train, tmp_path, monkeypatch
):
    monkeypatch.setattr("tdmr1.trainers.loop.jobs.new_stage", None)
    monkeypatch.setattr(tracking, "_available_trackers", [])
    for name, told in (
        ("wandb", "try: pip install wandb$"),
        ("comet_ml", "try: pip install comet-ml$"),
        ("wanbd", "unknown tracker 'wanbd' in `trackers`; there are: aim, .*wandb"),
    ):
        with pytest.raises(UserError, match=told):
            train(new_config(trackers=(name,)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    check_trackers(())
