"""Exports of the tiny generator, which has no pipeline; those of diffusers are in its package."""

from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import ModelCard
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
from safetensors.torch import load_file

from tdmr1.core import hub
from tdmr1.core.adapters import LORA_FILE, NETWORK_FILE
from tdmr1.core.tdmr1 import TDMR1
from tdmr1.errors import UserError
from tdmr1.trainers.config import DistillConfig, TrainConfig
from tdmr1.trainers.export.card import Card
from tdmr1.trainers.export.export import Export
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture
def stopped(new_config, train, tmp_path, monkeypatch):
    """A run that is stopped in one of its six iterations."""

    def stopped(iteration, **method):
        original = TDMR1.reinforce

        def reinforce(self, *given):
            if self.iterations == iteration:
                raise KeyboardInterrupt
            return original(self, *given)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(TDMR1, "reinforce", reinforce)
            train(new_config(method), tmp_path / "run")
        return RunFolder(tmp_path / "run")

    return stopped


@pytest.fixture
def distilled(site, train, tmp_path):
    """A short distillation; options of the method change it."""

    def distilled(folder="run", **method):
        given = {"steps": 2, "boundaries": 1, "batch": 4, "rank": 2, "alpha": 4, **method}
        config = DistillConfig(model="tiny", iterations=1, eval_images=2, method=given)
        return train(config, tmp_path / folder)

    return distilled


def test_an_export_draws_what_its_run_draws(new_config, train, tmp_path):
    run = train(new_config(), tmp_path / "run")
    assert Export(run).write(tmp_path / "out") == "the best, of iteration 6 of 6"
    assert same(load_file(tmp_path / "out" / LORA_FILE), load_file(run.student / LORA_FILE))
    given = {"model": "tiny", "student": str(tmp_path / "out")}
    config = TrainConfig(**given, method={"steps": 2, "rank": 2, "boundaries": 1})
    jobs.generate("a red one", run, 2, 0, tmp_path / "a.png")
    jobs.generate("a red one", config, 2, 0, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_card_says_how_to_draw_without_a_pipeline(new_config, train, tmp_path, reward):
    run = train(new_config(), tmp_path / "a run")
    Export(run).write(tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert "pip install tdmr1-tiny" in card.text
    assert (
        f'tdmr1 generate "PROMPT" --model tiny --student {tmp_path / "out"} '
        "--set method.steps=2 --set method.rank=2"
    ) in card.text
    told = card.data.to_dict()
    assert told["tdmr1"] == {
        "steps": 2,
        "shift": 3.0,
        "height": 4,
        "width": 4,
        "rewards": ["r.py:red", "r.py:blue (weight 0.5)"],
        "prompts": "the generator's own",
        "iterations": 6,
    }
    assert (card.data.library_name, card.data.model_name) == ("tdmr1", "a run")
    assert "LoRA of rank 2, to be added at scale 1: alpha is 2 too, in every loader" in card.text
    assert "the tensors hold the scale 2 of training" in card.text
    assert "began with | the student that ships with the generator" in card.text


def test_the_card_has_the_figures_of_the_run(new_config, train, tmp_path, reward):
    run = train(new_config(), tmp_path / "run")
    Export(run).write(tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    after = run.reports()["after"].rewards
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results == {
        "r.py:red": pytest.approx(after[reward("red")].value, abs=1e-4),
        "r.py:blue": pytest.approx(after[reward("blue")].value, abs=1e-4),
    }
    rows = [line for line in card.text.splitlines() if "NFE)" in line]
    assert [row.split(" (")[0] for row in rows] == ["| teacher", "| before", "| after"]
    assert f"{after[reward('red')].value:.3f}" in rows[2]
    without = card.content.replace(str(tmp_path / "out"), "")
    assert str(tmp_path) not in without, "a folder of its author's"


@pytest.mark.parametrize("iteration", [0, 3])
def test_a_run_that_was_stopped_gives_its_last_student(stopped, tmp_path, iteration):
    run = stopped(iteration)
    said = Export(run, checkpoint="last").write(tmp_path / "out")
    assert said == f"the last, after {iteration} iterations, of a run that was stopped"
    expected = run.last_checkpoint()["method"]["roles"]["student_ema"]
    lora = load_file(tmp_path / "out" / LORA_FILE)
    method = run.config().method
    scales = {"A": 1, "B": method.alpha / method.rank}
    assert scales["B"] != 1
    told = {n: p * scales[n.removesuffix(".weight")[-1]] for n, p in expected.items()}
    assert same({f"transformer.{name}": p for name, p in told.items()}, lora)
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert f"| checkpoint | {said} |" in card.text
    # That of step 0 was evaluated before the first iteration.
    unmeasured = f"after {iteration} of 6 iterations, was not measured" in card.text
    assert unmeasured == (card.data.eval_results is None) == (iteration == 3)


def test_so_does_one_of_whole_weights(stopped, tmp_path):
    run = stopped(2, rank=None)
    Export(run, checkpoint="last").write(tmp_path / "out")
    expected = run.last_checkpoint()["method"]["roles"]["student_ema"]
    assert same(expected, load_file(tmp_path / "out" / "transformer" / NETWORK_FILE))


def test_one_that_was_resumed_gives_the_student_of_a_whole_run(
    new_config, train, stopped, tmp_path
):
    whole = train(new_config(), tmp_path / "whole")
    run = stopped(3)
    Export(run, checkpoint="last").write(tmp_path / "early")
    train(run.config(), run.path)
    Export(whole).write(tmp_path / "a")
    Export(run).write(tmp_path / "b")
    a, b, early = (load_file(tmp_path / name / LORA_FILE) for name in ("a", "b", "early"))
    assert same(a, b) and not same(a, early)


@pytest.mark.parametrize(("rank", "merge"), [(2, True), (None, False), (None, True)])
def test_whole_weights(distilled, tmp_path, rank, merge):
    run = distilled(rank=rank, alpha=3)
    Export(run, merge).write(tmp_path / "out")
    assert not (tmp_path / "out" / LORA_FILE).exists()
    state = load_file(tmp_path / "out" / "transformer" / NETWORK_FILE)
    assert state.keys() == {"inner.weight", "inner.bias", "outer.weight", "outer.bias"}
    text = (tmp_path / "out" / "README.md").read_text()
    assert "--set method.rank=none" in text
    assert ("a LoRA of rank 2, alpha 3, is merged" in text) == (rank == 2)
    config = TrainConfig(
        model="tiny",
        student=str(tmp_path / "out"),
        method={"steps": 2, "boundaries": 1, "rank": None},
    )
    jobs.generate("a red one", run, 1, 0, tmp_path / "a.png")
    jobs.generate("a red one", config, 1, 0, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# What goes wrong


def test_no_run_no_checkpoint_and_a_folder_that_exists(new_config, distilled, tmp_path):
    with pytest.raises(UserError, match=r"nowhere is not a run folder.*\n.*printed as its run"):
        Export(RunFolder(tmp_path / "nowhere")).write(tmp_path / "out")
    begun = RunFolder(tmp_path / "begun")
    begun.start(new_config())
    with pytest.raises(
        UserError, match=r"nothing .* is saved yet; .*tdmr1 train --resume .*begun"
    ):
        Export(begun).write(tmp_path / "out")
    run = distilled()
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"out exists already; .*--out"):
        Export(run).write(tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_student_that_is_cut_short_leaves_no_export(distilled, tmp_path):
    run = distilled()
    path = run.student / LORA_FILE
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="damaged or cut short"):
        Export(run).write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_base_is_refused(stopped, tmp_path, monkeypatch):
    run = stopped(3)
    config = run.path / "config.json"
    config.write_text(config.read_text().replace('"rank": 2', '"rank": 3'))
    with pytest.raises(UserError, match=r"of another model .* or of other options"):
        Export(run, checkpoint="last").write(tmp_path / "out")


def test_what_fails_half_way_leaves_nothing(distilled, tmp_path, monkeypatch):
    run = distilled()
    before = {p.name for p in tmp_path.iterdir()}

    def text(self):
        raise OSError("disk full")

    monkeypatch.setattr(Card, "text", text)
    with pytest.raises(UserError, match=r"cannot write .*disk full"):
        Export(run).write(tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == before


# The Hub


class FakeApi:
    """Keeps what is asked of it; `fails` raises."""

    def __init__(self, fails=None):
        self.calls, self.fails = [], fails

    def __call__(self):
        return self

    def create_repo(self, name, **options):
        if self.fails is not None:
            raise self.fails
        self.calls.append(("create", name, options))
        return f"https://huggingface.co/{name}"

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        files = sorted(str(p.relative_to(folder_path)) for p in folder_path.rglob("*.*"))
        self.calls.append(("upload", repo_id, files))


@pytest.fixture
def api(monkeypatch):
    api = FakeApi()
    monkeypatch.setattr(hub, "HfApi", api)
    return api


def test_an_export_is_uploaded(distilled, tmp_path, api):
    run = distilled()
    Export(run, push="me/mine", licence="apache-2.0").write(tmp_path / "out")
    create, upload = api.calls
    assert create == ("create", "me/mine", {"exist_ok": True})
    assert upload[:2] == ("upload", "me/mine")
    assert upload[2] == ["README.md", LORA_FILE, "scheduler/scheduler_config.json"]
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.license == "apache-2.0"
    assert "# mine\n" in card.text
    assert "--student me/mine " in card.text
    assert str(tmp_path) not in card.content


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (LocalTokenNotFoundError("no token"), "no token"),
        (
            HfHubHTTPError("403 Forbidden", response=SimpleNamespace(headers={}, request=None)),
            "403 Forbidden",
        ),
        (hub.HTTPError("Connection refused"), "Connection refused"),
        (OSError("no disk"), "no disk"),
    ],
)
def test_an_upload_that_fails_leaves_the_export_and_says_how_to_repeat_it(
    distilled, tmp_path, api, error, says
):
    api.fails = error
    out = tmp_path / "out"
    with pytest.raises(UserError, match=rf"exported, and its upload to me/mine failed: {says}"):
        Export(distilled(), push="me/mine", licence="mit").write(out)
    assert (out / LORA_FILE).is_file()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"push": "mine"}, "--push mine: a model of the Hub is named ORG/NAME"),
        ({"push": "me/mine", "base": "./base"}, r"--base \./base: a model of the Hub"),
        ({"push": "me/mine"}, r"does not say its licence.*--licence apache-2\.0"),
    ],
)
def test_what_the_hub_needs_is_asked_for_before_anything_is_read(
    distilled, tmp_path, api, options, says
):
    run = distilled()
    (run.student / LORA_FILE).unlink()
    with pytest.raises(UserError, match=says):
        Export(run, **options).write(tmp_path / "out")
    assert not api.calls
