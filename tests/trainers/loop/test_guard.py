"""Runs of the tiny generator under the guard."""

import json

import pytest
from safetensors.torch import load_file

from tdmr1.core.adapters import LORA_FILE
from tdmr1.errors import UserError
from tdmr1.trainers.export.export import Export
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.choice import choose
from tdmr1.trainers.loop.guard import STATUS, OutsideLimits
from tdmr1.trainers.loop.looks import Look, best, last_inside
from tdmr1.trainers.loop.run import RunFolder

BLACK = """
from tdmr1.rewards import Reward
def black(samples):
    "Pays for black pixels."
    return [float((s.image.max(-1) < 25).mean()) - float(s.image.mean()) / 255 for s in samples]

def bright(samples):
    return [float(s.image.mean()) / 255 for s in samples]

class Darkness(Reward):
    name = "darkness"
    summary = "Brightness, of which less is better"
    higher_is_better = False
    score = staticmethod(bright)
"""
METHOD = {"student_lr": 3e-2, "surrogate_lr": 5e-2, "ema": 0.5}
LOOSE = dict.fromkeys(
    ("diversity", "vendi", "precision", "recall", "sharpness", "edge_density", "chroma", "dark"),
    None,
)


@pytest.fixture
def blackening(new_config, tmp_path):
    """Options of a run whose reward pays for black pixels: it looks every 4 iterations."""
    (tmp_path / "b.py").write_text(BLACK)

    def blackening(watch=(), **options):
        return new_config(
            METHOD,
            **{
                "rewards": (f"{tmp_path / 'b.py'}:black",),
                "watch": tuple(f"{tmp_path / 'b.py'}:{name}" for name in watch),
                "iterations": 12,
                "images_every": 4,
                **options,
            },
        )

    return blackening


def metrics(run):
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    return {line["iteration"]: line for line in map(json.loads, lines)}


def lora(folder):
    return {name: value.tolist() for name, value in load_file(folder / LORA_FILE).items()}


def look(iteration, gain=None, outside=()):
    compared = {} if gain is None else {"reward/hps": gain, "sharpness": 1.0}
    return Look(iteration, {}, compared, dict.fromkeys(outside, "too far"))


def test_the_best_has_the_highest_held_out_reward_inside_the_limits():
    looks = [
        look(0, 0.0),
        look(5, 0.4),
        look(10, 0.9, ["sharpness"]),
        look(15, 0.4),
        look(20, 0.1),
    ]
    assert best(looks).iteration == 15
    assert last_inside(looks).iteration == 20
    assert last_inside(looks[:3]).iteration == 5
    assert best([]) is None


def test_without_a_held_out_reward_the_best_is_the_last_inside():
    assert best([look(0), look(5), look(10, outside=["dark"])]).iteration == 5


def test_a_reward_that_pays_for_black_pixels_trips_it(blackening, train, tmp_path, output):
    run = train(blackening(), tmp_path / "run")
    assert {"dark", "diversity", "sharpness"} <= run.looks()[-1].outside.keys()
    marks = metrics(run)
    assert marks[0]["guard/dark"] == 0.0 and marks[12]["guard/dark"] == 1.0
    assert marks[12]["guarded/dark"] > 0.5
    assert "guard/dark" not in marks[1]
    assert output.getvalue().count(" dark is up by") == 1
    assert "--checkpoint last takes the last" in output.getvalue()
    assert choose(run).iterations == last_inside(run.looks()).iteration < 12


@pytest.mark.parametrize("asks", [False, True])
def test_where_people_were_asked_the_end_says_how_to_leave_it_to_them(
    blackening, train, tmp_path, output, asks
):
    (tmp_path / "b.py").write_text(f"{BLACK}\nblack.asks = {asks}\n")
    run = train(blackening(guard={**LOOSE, "dark": 0.05, "sharpness": 0.75}), tmp_path / "run")
    assert run.looks()[-1].outside.keys() == {"dark", "sharpness"}
    hint = "b.py:black asked people, and they may like just what is outside"
    settings = "has --set guard.dark=none --set guard.sharpness=none"
    assert (hint in output.getvalue(), settings in output.getvalue()) == (asks, asks)


def test_what_is_back_inside_is_told_and_may_trip_again(blackening, train, tmp_path, output):
    config = blackening(guard={**LOOSE, "sharpness": 0.75})
    run = train(config, tmp_path / "run")
    path = run.path / "guard.json"
    looks = json.loads(path.read_text())["looks"]
    assert looks[-1]["outside"]
    looks[-2]["outside"]["vendi"] = "too far"  # as if it had been, before the last look
    path.write_text(json.dumps({"looks": looks}))
    output.truncate(0)
    train(config, tmp_path / "run")
    assert "before iteration 12 vendi is inside its limit again" in output.getvalue()


def test_it_ends_a_run_and_keeps_the_last_good_student(blackening, train, tmp_path):
    with pytest.raises(OutsideLimits) as stop:
        train(blackening(guard={"action": "stop"}), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert stop.value.status == STATUS
    at = stop.value.iteration
    assert 0 < at < 12 and run.looks()[-1].iteration == at
    assert f"before iteration {at}, which is saved; outside their limits: " in str(stop.value)
    assert metrics(run)[at]["guard/sharpness"] == 1.0
    assert run.last_checkpoint()["iteration"] == at
    assert choose(run).iterations == run.looks()[-2].iteration
    jobs.generate("a red one", run, 1, 0, tmp_path / "a.png")
    with pytest.raises(OutsideLimits):  # as it was told
        train(run.config(), tmp_path / "run")
    guard = run.config().guard.model_copy(update={"action": "warn"})
    train(run.config().model_copy(update={"guard": guard}), tmp_path / "run")
    assert [seen.iteration for seen in run.looks()] == [0, 4, 8, 12]
    assert metrics(run).keys() == set(range(13))


def test_it_does_not_change_the_training(blackening, train, tmp_path):
    seen = train(blackening(["bright"]), tmp_path / "seen")
    unseen = train(blackening(guard={"action": "off"}), tmp_path / "unseen")
    assert lora(seen.student) == lora(unseen.student)
    assert unseen.looks() == [] and unseen.students() == []
    assert not unseen.start_pictures.exists()
    assert choose(unseen).folder == unseen.student


@pytest.mark.parametrize("evaluate_every", [0, 3])
def test_a_held_out_reward_is_measured_and_chooses_the_best(
    blackening, train, tmp_path, evaluate_every
):
    config = blackening(["bright"], guard=LOOSE, evaluate_every=evaluate_every)
    run = train(config, tmp_path / "run")
    name = f"reward/{tmp_path / 'b.py'}:bright"
    looks = run.looks()
    every = evaluate_every or 4
    assert [seen.iteration for seen in looks] == list(range(0, 13, every))
    assert name in looks[-1].outside and looks[0].compared[name] == 0
    highest = max(
        (seen for seen in looks if name not in seen.outside), key=lambda s: s.compared[name]
    )
    assert choose(run).iterations == highest.iteration
    assert f"{tmp_path / 'b.py'}:bright" in run.reports()["after"].rewards
    trained_on = {key for line in metrics(run).values() for key in line if key.startswith("rew")}
    assert not any("bright" in key for key in trained_on)


def test_a_held_out_reward_of_which_less_is_better_rises_as_it_falls(blackening, train, tmp_path):
    run = train(blackening(["Darkness"], guard=LOOSE), tmp_path / "run")
    name = f"reward/{tmp_path / 'b.py'}:Darkness"
    first, last = run.looks()[0], run.looks()[-1]
    assert last.figures[name] < first.figures[name]
    assert last.compared[name] > 0 and name not in last.outside
    assert choose(run).iterations == 12


def test_a_run_that_goes_on_remembers_what_it_saw(blackening, train, tmp_path, monkeypatch):
    whole = train(blackening(["bright"]), tmp_path / "whole")
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(
            "tdmr1.trainers.loop.guard.Guard._keep",
            lambda self, seen: 1 // 0 if seen.iteration == 8 else self._write(tmp_path / "x"),
        )
        train(blackening(["bright"]), tmp_path / "run")
    run = train(blackening(["bright"]), tmp_path / "run")
    assert run.looks() == whole.looks()
    assert lora(run.student_at(12)) == lora(whole.student_at(12))


def test_few_students_are_kept_and_always_the_best(blackening, train, tmp_path):
    config = blackening(["bright"], images_every=1, guard={"kept": 2})
    run = train(config, tmp_path / "run")
    assert run.students() == sorted(
        {choose(run).iterations, last_inside(run.looks()).iteration} | {11, 12}
    )
    for checkpoint, iterations in (("last", 12), ("11", 11), ("best", choose(run).iterations)):
        assert choose(run, checkpoint).iterations == iterations
    for checkpoint in ("5", "first", "-1"):
        with pytest.raises(UserError, match=f"--checkpoint {checkpoint}: "):
            choose(run, checkpoint)


def test_eval_and_export_take_the_best_and_say_so(blackening, train, tmp_path, output):
    run = train(blackening(evaluate_every=4), tmp_path / "run")
    chosen = choose(run)
    assert chosen.iterations < 12
    best, last = (jobs.evaluate(run, checkpoint=which)["after"] for which in ("best", "last"))
    assert last == run.reports()["after"]
    assert best == run.report_of(chosen.iterations)
    assert f"after: the best, of iteration {chosen.iterations} of 12" in output.getvalue()
    Export(run).write(tmp_path / "out")
    assert lora(tmp_path / "out") == lora(chosen.folder) != lora(run.student)
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"| checkpoint | the best, of iteration {chosen.iterations} of 12 |" in card
    assert f"{best.rewards[f'{tmp_path}/b.py:black'].value:.3f}" in card


def test_a_run_of_before_there_was_a_guard_has_none(blackening, train, tmp_path, output):
    off = train(blackening(guard={"action": "off"}, iterations=6), tmp_path / "run")
    (off.path / "config.json").write_text(
        json.dumps({"kind": "train", **blackening().model_dump(mode="json")})
    )
    run = train(blackening(), off.path)
    assert output.getvalue().count("the guard sees nothing") == 1
    assert run.looks() == [] and choose(run).iterations == 12
    assert "chosen none" in choose(run).what


def test_a_best_student_that_is_gone_is_told(blackening, train, tmp_path):
    run = train(blackening(), tmp_path / "run")
    run.drop_students(run.students())
    with pytest.raises(UserError, match="is gone; take another: --checkpoint last"):
        choose(run)


@pytest.mark.parametrize(
    "options", [{"watch": ["black"]}, {"watch": ["bright"], "gates": ["{}:bright>0.1"]}]
)
def test_what_is_trained_on_cannot_be_held_out(blackening, train, tmp_path, options):
    gates = tuple(gate.format(tmp_path / "b.py") for gate in options.pop("gates", ()))
    with pytest.raises(UserError, match=r"--watch b\.py:.*: the run trains on that reward"):
        train(blackening(gates=gates, **options), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_held_out_reward_has_options_and_no_weight(blackening, train, tmp_path):
    name = f"{tmp_path / 'b.py'}:bright"
    config = blackening(["bright=2"])
    with pytest.raises(UserError, match=r"has no weight; write --watch b\.py:bright"):
        train(config, tmp_path / "run")
    config = blackening(["bright"], reward_options={name: {"gain": 2}})
    with pytest.raises(UserError, match="gain"):
        train(config, tmp_path / "run")
