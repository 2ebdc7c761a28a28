"""The command line of training: what each mistake says, and what it leaves behind."""

import json
import re
import sys

import pytest
import torch

from tdmr1.cli import main
from tdmr1.core.generator import Prompt
from tdmr1.core.tdmr1 import TDMR1
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.models import generator_type

SMALL = """
model = "tiny"
iterations = 3
checkpoint_every = 2
eval_images = 4

[method]
steps = 2
boundaries = 1
batch = 8
rank = 2
alpha = 4.0
"""


@pytest.fixture
def tdmr1(site, tmp_path, monkeypatch, capsys):
    """Run a command line here, in an empty folder; gives (exit status, stdout, stderr)."""
    monkeypatch.setenv("TDMR1_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "train.toml").write_text(f"{SMALL}groups = 2\ngroup_size = 4\n")

    def tdmr1(*arguments):
        monkeypatch.setattr(sys, "argv", ["tdmr1", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code or 0, *capsys.readouterr()

    return tdmr1


@pytest.fixture
def train(tdmr1, reward):
    def train(*arguments, rewards=("red",)):
        chosen = [option for name in rewards for option in ("--reward", reward(name))]
        return tdmr1("train", "--config", "train.toml", "--out", "run", *chosen, *arguments)

    return train


def test_train_eval_and_generate(train, tdmr1, tmp_path, reward):
    status, out, err = train(rewards=["red", "blue"])
    assert (status, err) == (0, "")
    run = tmp_path / "run"
    assert out.splitlines()[0] == f"run folder: {run}"
    assert out.splitlines()[-2:] == [
        f"student: {run}/lora",
        f'try it: tdmr1 generate "PROMPT" --run {run}',
    ]
    assert " teacher  before" in out

    status, out, err = tdmr1("eval", "run")
    assert status == 0
    assert "overall" in out
    status, out, err = tdmr1("eval", "run", "--json")
    kept = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert {who: of for who, of in json.loads(out).items() if who != "paired"} == kept
    loud = "def score(samples):\n    print('loud')\n    return [0.5] * len(samples)\n"
    (tmp_path / "loud.py").write_text(loud)
    status, out, err = tdmr1("eval", "run", "--json", "--reward", "./loud.py:score")
    assert json.loads(out)["after"]["rewards"][f"{tmp_path}/loud.py:score"]
    assert "loud\n" in err

    assert tdmr1("generate", "a red one", "--run", "run", "--out", "a.png")[:2] == (
        0,
        "wrote a.png\n",
    )
    assert (tmp_path / "a.png").exists()
    for other in (("--model", "tiny"), ("--student", "x"), ("--set", "seed=1")):
        status, _, err = tdmr1("generate", "a red one", "--run", "run", *other)
        assert status == 1
        assert err == "error: --run says which model, student and options; drop the others\n"


PRESET = """
[prompt_weights]
red = 2
"""


def test_a_user_s_own_prompts_are_trained_and_judged_on(
    train, tdmr1, tmp_path, monkeypatch, reward
):
    """The preset of the model weighs tags that they have not."""
    (tmp_path / "tiny-train.toml").write_text(PRESET)
    presets = {"tiny-train": tmp_path / "tiny-train.toml"}
    monkeypatch.setattr("tdmr1.trainers.config.preset_files", lambda: presets)
    (tmp_path / "MINE.CSV").write_text("# two\nprompt,tag\na red one,x\na blue one,y\n")
    (tmp_path / "held.json").write_text('["a red and a blue one"]')
    own = ("--prompts", "MINE.CSV", "--heldout", "held.json")
    status, _, err = train(*own, "--iterations", 1, rewards=["red"])
    assert (status, err) == (0, "")
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert {f"reward/{reward('red')}/{tag}" for tag in "xy"} <= first.keys()
    run = RunFolder(tmp_path / "run")
    assert run.reports()["after"].rewards[reward("red")].by_tag.keys() == {""}
    assert run.config().heldout == str(tmp_path / "held.json")
    arguments = ("--config", "train.toml", "--reward", reward("red"), "--iterations", 1)
    weights = ("--set", "prompt_weights.red=2")
    status, _, err = tdmr1("train", *arguments, *own, *weights)
    assert status == 1
    assert "prompt_weights names red, which no prompt has as its 'tag'; there are: x, y" in err
    assert tdmr1("train", *arguments, *own, *weights, "--set", "prompt_weights={}")[0] == 0
    assert tdmr1("distill", "--config", "small.toml", *own, "--iterations", 1)[0] == 0


def test_a_busy_machine_is_told_once_at_the_start(train, tdmr1, monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (1e4, 0.0, 0.0))
    _, out, _ = train("--iterations", 1)
    assert out.startswith("this machine is busy")
    assert out.count("this machine is busy") == 1
    _, out, err = tdmr1("eval", "run", "--json")
    assert json.loads(out)
    assert err.startswith("this machine is busy")


def test_a_gate_s_reward_is_measured_beside_those_that_are_climbed(train, tdmr1, tmp_path, reward):
    gate = f"{reward('red')}>0.4"
    status, _, err = train("--gate", gate, rewards=["blue"])
    assert (status, err) == (0, "")
    assert RunFolder(tmp_path / "run").config().gates == (gate,)
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert 0 <= first[f"gated/{gate}"] <= 1
    evaluated = json.loads(tdmr1("eval", "run", "--json")[1])["after"]["rewards"]
    assert list(evaluated) == [reward("blue"), reward("red")]
    of_others = tdmr1("eval", "run", "--json", "--reward", reward("blue"))[1]
    assert list(json.loads(of_others)["after"]["rewards"]) == [reward("blue")]


def test_distill_needs_no_reward(tdmr1, tmp_path):
    status, out, _ = tdmr1("distill", "--config", "small.toml", "--out", "run")
    assert status == 0
    assert out.splitlines()[-2] == f"student: {tmp_path}/run/lora"
    assert RunFolder(tmp_path / "run").config().kind == "distill"


@pytest.mark.parametrize(("text", "value"), [("1%", 0.01), ("0.25", 0.25), ("0 %", 0.0)])
def test_the_budget_for_errors_is_a_share(train, tmp_path, text, value):
    assert train("--iterations", 1, "--max-reward-errors", text)[0] == 0
    assert RunFolder(tmp_path / "run").config().max_reward_errors == value


@pytest.mark.parametrize("text", ["1 in 100", "101%", "-1", "nan"])
def test_a_budget_that_is_no_share_is_refused(train, tmp_path, text):
    status, _, err = train("--max-reward-errors", text)
    assert status == 2
    assert f"{text!r} is no share; write e.g. 1% or 0.01" in " ".join(err.split())
    assert not (tmp_path / "run").exists()


def test_arguments_win_over_settings_and_files(train, tmp_path):
    train("--set", "iterations=2", "--set", "method.clip=none", "--iterations", 1, "--seed", 3)
    config = RunFolder(tmp_path / "run").config()
    assert (config.iterations, config.seed, config.method.clip) == (1, 3, None)


def test_without_out_a_run_is_named_after_its_kind_and_time(tdmr1, tmp_path):
    assert tdmr1("distill", "--config", "small.toml")[0] == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("distill-2")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--reward", "oxr"], "no reward 'oxr' is installed.*\ntry: pip install tdmr1-reward-oxr"),
        ([], "no reward is selected; name one, e.g. --reward ocr"),
        (["--reward", "RED", "--model", "tony"], "unknown generator 'tony'; installed: .*tiny"),
        (
            ["--reward", "RED", "--prompts", "none.jsonl"],
            "cannot read the prompt file .*/none.jsonl",
        ),
        (
            ["--reward", "RED", "--prompts", "empty.jsonl"],
            "the prompt file .*/empty.jsonl is empty",
        ),
        (["--reward", "RED", "--prompts", "bad.jsonl"], "bad.jsonl, line 2: not valid JSON"),
        (["--reward", "RED", "--set", "heldout=bad.jsonl"], "bad.jsonl, line 2: not valid JSON"),
        (["--reward", "RED", "--set", "method.group_size=1"], "'method.group_size' = 1: .* 2"),
        (["--reward", "RED", "--set", "method.group=2"], "unknown config key.*method.groups"),
        (["--reward", "RED", "--preset", "x"], "unknown preset 'x'; there are:"),
        (["--reward", "RED", "--student", "nowhere"], "there is no folder nowhere"),
        (["--reward", "SHY"], "no reward scores any prompt of the mixture"),
        (["--reward", "RAISES"], "failed on 64 samples: ValueError: the engine is off"),
        (["--reward", "NAN"], "returned nan for sample 0"),
        (["--reward", "RED", "--gate", "red=5"], "'red=5' is not a comparison: expected NAME"),
        (["--reward", "RED", "--gate", "oxr>5"], "no reward 'oxr' is installed"),
        (["--reward", "SHORT"], "returned 63 scores for 64 samples"),
        (
            ["--reward", "HANGS", "--set", "reward_timeout=0.1"],
            "did not score 64 samples within 0.1",
        ),
    ],
)
def test_a_mistake_is_explained_and_leaves_no_run_behind(tdmr1, reward, tmp_path, arguments, text):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a red one"}\n{"prompt"\n')
    arguments = [reward(a.lower()) if a.isupper() else a for a in arguments]
    status, _, err = tdmr1("train", "--config", "train.toml", "--out", "run", *arguments)
    assert status == 1
    assert err.startswith("error: ")
    assert re.search(text, err), err
    assert "continue with" not in err
    assert not (tmp_path / "run").exists()


def test_a_mistyped_reward_names_the_nearest(tdmr1, install):
    install("tdmr1-reward-one", ["geneval2"])
    status, _, err = tdmr1("train", "--config", "train.toml", "--reward", "genevl2")
    assert status == 1
    assert "did you mean geneval2" in err


def test_a_run_is_not_overwritten_but_continued(train, tdmr1, tmp_path):
    train()
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    status, _, err = train()
    assert status == 1
    run = tmp_path / "run"
    assert f"{run} exists already; continue it with: tdmr1 train --resume {run}" in err
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before
    assert tdmr1("train", "--resume", "run")[0] == 0


def test_resume_takes_no_other_options(train, tdmr1, tmp_path):
    train()
    for more in (["--seed", 1], ["--config", "train.toml"], ["--out", "x"], ["--reward", "r"]):
        status, _, err = tdmr1("train", "--resume", "run", *more)
        assert status == 1
        assert "--resume continues a run with its own options; drop the others" in err
    status, _, err = tdmr1("train", "--resume", "run", "--set", "seed=1")
    assert status == 1
    assert err.startswith("error: --set seed=1: a run that goes on keeps its own options, but for")
    assert "save memory: method.micro_batch, method.gradient_checkpointing, shard\n" in err
    status, _, err = train("--changed-prompts")
    assert status == 1
    assert err == "error: --changed-prompts is for a run that goes on: --resume RUN\n"
    status, _, err = tdmr1("distill", "--resume", "run")
    assert (status, err) == (1, "error: run is a run of `tdmr1 train`, not of `tdmr1 distill`\n")
    status, _, err = tdmr1("train", "--resume", "nowhere")
    assert status == 1
    assert "nowhere is not a run folder" in err


def test_prompts_that_have_changed_stop_a_resumed_run(train, tdmr1, tmp_path):
    prompts, heldout = tmp_path / "p.txt", tmp_path / "h.txt"
    prompts.write_text("a red one\na blue one\n")
    heldout.write_text("a red one\n")
    assert train("--prompts", "p.txt", "--heldout", "h.txt")[0] == 0
    prompts.write_text("# a comment\na red one\n\na blue one\n")
    assert tdmr1("train", "--resume", "run")[0] == 0
    prompts.write_text("a red one\na green one\n")
    heldout.write_text("a red one\na blue one\n")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*")}
    status, _, err = tdmr1("train", "--resume", "run")
    assert status == 1
    assert f"changed since the run began: {prompts}, 2 prompts then, 2 now\n" in err
    assert f"changed since the run began: {heldout}, 1 prompts then, 2 now\n" in err
    assert "take what there is with --changed-prompts\nthen continue with: tdmr1 train" in err
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*")} == before
    _, out, err = tdmr1("eval", "run", "--json")
    assert json.loads(out)
    assert f"{heldout}, 1 prompts then, 2 now; these figures are not comparable" in err
    assert str(prompts) not in err
    status, out, _ = tdmr1("train", "--resume", "run", "--changed-prompts")
    assert status == 0
    assert f"changed since the run began: {prompts}" in out
    assert "figures of then are not comparable; `tdmr1 eval` judges all at the end" in out
    assert "figures of then" not in (out := tdmr1("train", "--resume", "run")[1])
    assert "changed since" not in out
    seen = json.loads((tmp_path / "run" / "prompts.json").read_text())
    assert {split: [s["count"] for s in each] for split, each in seen.items()} == {
        "train": [2, 2],
        "heldout": [1, 2],
    }


def test_so_do_prompts_of_a_generator_that_have_changed(train, tdmr1, tmp_path, monkeypatch):
    assert train("--iterations", 1)[0] == 0
    with monkeypatch.context() as patched:
        kind = generator_type("tiny")
        patched.setattr(kind, "prompts", classmethod(lambda cls, split: [Prompt("a red one")]))
        status, _, err = tdmr1("train", "--resume", "run")
        assert status == 1
        assert "began: the train prompts of tiny, 6 prompts then, 1 now" in err
    (tmp_path / "run" / "prompts.json").write_text("{")
    status, _, err = tdmr1("train", "--resume", "run")
    assert status == 1
    assert re.search(r"prompts\.json cannot be read: .*\nput it back, or delete it", err)
    (tmp_path / "run" / "prompts.json").unlink()  # as of a run before this was written down
    assert tdmr1("train", "--resume", "run")[0] == 0
    assert (tmp_path / "run" / "prompts.json").exists()


def test_a_checkpoint_cut_short_says_what_to_type(train, tdmr1, tmp_path):
    train()
    path = tmp_path / "run" / "checkpoints" / "checkpoint-000003.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    status, _, err = tdmr1("train", "--resume", "run")
    assert status == 1
    assert f"delete it to continue from the one before: rm {path.parent}/checkpoint-" in err
    assert err.endswith(f"\nthen continue with: tdmr1 train --resume {tmp_path}/run\n")
    path.unlink()
    assert tdmr1("train", "--resume", "run")[0] == 0


def test_a_checkpoint_of_another_run_is_refused(train, tdmr1, tmp_path, reward):
    train()
    other = ["--out", "other", "--reward", reward("red"), "--set", "method.rank=3"]
    assert tdmr1("train", "--config", "train.toml", *other)[0] == 0
    name = "checkpoints/checkpoint-000003.safetensors"
    (tmp_path / "run" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    status, _, err = tdmr1("train", "--resume", "run")
    assert status == 1
    assert "of another model, or of other options" in err


def test_a_full_disk_says_how_to_continue(train, tdmr1, tmp_path, monkeypatch):
    def full(tensors, path, metadata):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tdmr1.trainers.checkpoint.save_file", full)
        status, _, err = train()
    assert status == 1
    assert "No space left on device\nmake room on the disk" in err
    assert err.endswith(f"\nthen continue with: tdmr1 train --resume {tmp_path}/run\n")
    assert tdmr1("train", "--resume", "run")[0] == 0


@pytest.mark.parametrize("where", ["tdmr1.core.adapters.save_file", "tdmr1.files.os.fsync"])
def test_a_full_disk_at_the_very_end_too(train, tdmr1, monkeypatch, where):
    with monkeypatch.context() as patched:
        patched.setattr(where, lambda *a: (_ for _ in ()).throw(OSError(28, "No space left")))
        status, _, err = train()
    assert status == 1
    assert "No space left" in err
    assert tdmr1("eval", "run")[0] == 1


PRESSES = """
import os, signal

calls = []

def press(samples):
    calls.append(1)
    if len(calls) == 6:  # one call tries it, two evaluate, and this is of the third iteration
        os.kill(os.getpid(), signal.SIGINT)
    return [0.5 + len(s.prompt) / 100 for s in samples]
"""


def test_ctrl_c_saves_says_how_to_resume_and_exits_with_130(tdmr1, tmp_path):
    (tmp_path / "p.py").write_text(PRESSES)
    arguments = ["--reward", "./p.py:press", "--out", "run", "--iterations", 9]
    status, out, err = tdmr1("train", "--config", "train.toml", *arguments)
    assert (status, err) == (130, "")
    told, figures, how = out.splitlines()[-3:]
    assert told == "stopping after this iteration; Ctrl-C again stops at once"
    assert figures.startswith("training: 3 of 9 iterations, ")
    saved = "stopped, saved after 3 iterations; continue with: tdmr1 train --resume"
    assert how == f"{saved} {tmp_path}/run"
    assert RunFolder(tmp_path / "run").last_checkpoint()["iteration"] == 3
    assert not (tmp_path / "run" / "lora").exists()
    (tmp_path / "p.py").write_text(PRESSES.replace("== 6", "== 0"))
    assert tdmr1("train", "--resume", "run")[0] == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == list(range(10))


BLACK = """
def black(samples):
    return [-float(s.image.mean()) / 255 for s in samples]
"""


def test_the_guard_ends_a_run_that_loses_itself_with_a_status_of_its_own(tdmr1, tmp_path, reward):
    (tmp_path / "b.py").write_text(BLACK)
    fast = ("method.student_lr=0.1", "method.surrogate_lr=0.1", "method.ema=0", "images_every=2")
    options = [part for setting in fast for part in ("--set", setting)]
    arguments = [*options, "--reward", "./b.py:black", "--watch", reward("red")]
    arguments += ["--iterations", 12, "--out", "run", "--guard", "stop"]
    status, out, _ = tdmr1("train", "--config", "train.toml", *arguments)
    assert status == 4
    assert "the guard keeps at most 10 students of " in out
    ended, how = out.splitlines()[-2:]
    assert re.match("the guard ended the run before iteration .*; outside their limits: ", ended)
    assert how.startswith("the last student inside all limits is that of iteration ")
    assert how.endswith(f"; continue with: tdmr1 train --resume {tmp_path}/run --guard warn")
    assert tdmr1("train", "--resume", "run")[0] == 4
    status, out, _ = tdmr1("train", "--resume", "run", "--guard", "warn")
    assert status == 0
    assert "--checkpoint last takes the last" in out
    assert "red" in out[out.index("teacher ") :]

    taken = [
        tdmr1("generate", "a red one", "--run", "run", "--checkpoint", which)[2]
        for which in ("best", "last", "12")
    ]
    assert [text.partition("\n")[0] for text in taken][1:] == [
        "student: the last",
        "student: that of iteration 12",
    ]
    assert re.match(r"student: the best, of iteration \d+ of 12\n", taken[0])
    assert tdmr1("generate", "a red one", "--run", "run", "--checkpoint", "5")[0] == 1
    for command in (("generate", "a red one"), ("eval", "--model", "tiny")):
        status, _, err = tdmr1(*command, "--checkpoint", "last")
        assert status == 1 and "--checkpoint chooses among the students of a run" in err
    _, out, _ = tdmr1("export", "run", "--checkpoint", "last")
    assert out.startswith("its student is the last\n")


def test_what_the_guard_does_not_know_is_refused(train, tmp_path):
    status, _, err = train("--guard", "shout")
    assert status == 1 and "guard.action" in err and "'warn', 'stop' or 'off'" in err
    status, _, err = train("--set", "guard.sharpnes=1")
    assert status == 1 and "guard.sharpness" in err
    assert not (tmp_path / "run").exists()


def test_ctrl_c_before_anything_is_begun_says_nothing(train, tmp_path, monkeypatch):
    def press(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("tdmr1.trainers.loop.jobs.new_stage", press)
    status, out, err = train()
    assert (status, err) == (130, "")
    assert "continue" not in out


@pytest.mark.parametrize(("precision", "dtype"), [("no", "float32"), ("bf16", "bfloat16")])
def test_bench_prints_the_ratio(tdmr1, reward, monkeypatch, fresh_accelerator, precision, dtype):
    monkeypatch.setattr("tdmr1.trainers.benchmarks.matrix_rate.SIDE", {"cpu": 32})
    arguments = ["--config", "train.toml", "--reward", reward("red"), "--repeats", 1]
    status, out, _ = tdmr1("bench", *arguments, "--set", f"precision={precision}")
    assert status == 0
    figures = dict(re.split(r"\s{2,}", line.strip()) for line in out.splitlines())
    assert float(figures["(iteration - rewards) / networks"]) > 0
    assert figures[f"{dtype} matrix products here"].endswith("operations a second")
    assert figures["peak memory, planned"].endswith("MiB")


@pytest.fixture
def claims(monkeypatch, reward):
    """A small claim `main`."""
    from tdmr1.trainers.evaluation.claims import CLAIMS, Claim
    from tdmr1.trainers.evaluation.verdict import Check, Of

    check = Check("r.py:red reward", Of("main"), Of("main", "teacher"), within=1)
    monkeypatch.setitem(CLAIMS, "main", Claim("A small one", ("main",), (check,)))


def test_reproduce_continues_what_was_stopped_and_repeats_nothing(
    claims, tdmr1, tmp_path, monkeypatch
):
    def full(tensors, path, metadata):
        raise OSError(28, "No space left on device")

    typed = ["reproduce", "main", "--config", "train.toml", "--reward", "./r.py:red", "--seeds", 2]
    with monkeypatch.context() as patched:
        patched.setattr("tdmr1.core.adapters.save_file", full)
        status, _, err = tdmr1(*typed)
    assert status == 1
    again = err.partition("then continue with: ")[2].split()
    assert again[:2] == ["tdmr1", "reproduce"]
    status, out, err = tdmr1(*again[1:])
    assert (status, err) == (0, "")
    assert "A small one: mean (smallest-largest) of 2 seeds; images of each: 8 for r.py:red" in out
    header, _, *rows = out[out.index("\nfigure ") + 1 :].splitlines()
    assert header.split() == ["figure", "teacher", "before", "main"]
    assert [row.split()[0] for row in rows[:3]] == ["r.py:red"] * 3
    assert "main: holds\nholds: r.py:red reward: main - main (teacher) = " in out
    assert out.endswith("figures and curves: runs/main.json\n")
    status, out, _ = tdmr1(*typed)
    assert status == 0 and "run folder" not in out and "machines" not in out
    path = tmp_path / "runs" / "main.json"
    content = json.loads(path.read_text())
    content["runs"][0]["machine"] = "an abacus"
    path.write_text(json.dumps(content))
    out = re.sub(r"\s+", " ", tdmr1(*typed)[1])
    assert "trained on different machines, an abacus: main 0; " in out
    status, out, err = tdmr1(*typed, "--plots", "plots")
    assert (status, err) == (0, "") and out.endswith("plots: plots/main\n")
    assert len([*(tmp_path / "plots" / "main").glob("*.png")]) > 1
    status, _, err = tdmr1(*typed, "--set", "method.beta=7")
    assert status == 1
    assert "has other options than the claim has now" in err


def test_reproduce_needs_one_claim_that_it_knows(tdmr1):
    assert tdmr1("reproduce", "x")[2].startswith("error: unknown claim 'x'; there are: main")
    assert tdmr1("reproduce")[2].startswith("error: name one claim, or --all; there are: main")
    assert tdmr1("reproduce", "main", "--all")[2].startswith("error: name one claim, or --all")
    assert "at least two seeds" in tdmr1("reproduce", "main", "--seeds", 1)[2]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_too_little_memory_is_saved_and_says_what_to_set(
    train, tdmr1, tmp_path, monkeypatch, error
):
    """In the third iteration; a second time with half of what was enough before."""
    enough = 4

    def full(self, rollout, *more):
        size = self.roles.micro_batch or len(rollout.group)
        if size > enough and self.iterations == 2:
            raise error
        return reinforce(self, rollout, *more)

    reinforce = TDMR1.reinforce
    monkeypatch.setattr(TDMR1, "reinforce", full)
    status, _, err = train()
    assert status == 1
    assert "too little memory: " in err and str(error) in err
    assert "set method.micro_batch=4: " in err and "tdmr1 plan --card-memory GIB" in err
    resume = f"tdmr1 train --resume {tmp_path}/run"
    assert err.endswith(f"\nthen continue with: {resume} --set method.micro_batch=4\n")
    kept = RunFolder(tmp_path / "run").last_checkpoint()
    assert kept["iteration"] == kept["method"]["iterations"] == 2
    enough = 2
    status, _, err = tdmr1(*err.splitlines()[-1].partition(": tdmr1 ")[2].split())
    assert status == 1
    assert err.endswith(f"\nthen continue with: {resume} --set method.micro_batch=2\n")
    status, _, err = tdmr1(*err.splitlines()[-1].partition(": tdmr1 ")[2].split())
    assert (status, err) == (0, "")
    assert RunFolder(tmp_path / "run").config().method.micro_batch is None
    assert RunFolder(tmp_path / "run").last_checkpoint()["iteration"] == 3


def test_one_process_has_nobody_to_share_the_network_with(train, tdmr1, tmp_path):
    status, _, err = train("--shard")
    assert (status, (tmp_path / "run").exists()) == (1, False)
    assert err.startswith("error: --shard shares the frozen network out over the processes of a")
    status, _, err = tdmr1("plan", "--config", "train.toml", "--shard")
    assert status == 1 and "of `tdmr1 plan`: --processes 8" in err
    status, out, _ = tdmr1("plan", "--config", "train.toml", "--shard", "--processes", 2)
    assert status == 0
    assert "memory of each process" in out and re.search("network, frozen, a share of 2 ", out)


@pytest.mark.parametrize("command", ["train", "distill"])
def test_a_network_without_blocks_is_not_compiled(command, train, tdmr1):
    status, _, err = (
        train("--set", "compile=true")
        if command == "train"
        else tdmr1("distill", "--model", "tiny", "--set", "compile=true", "--out", "distilled")
    )
    assert status == 1
    assert err.startswith("error: compile = true compiles the blocks of a network, and this one")


def test_another_error_of_torch_is_not_taken_for_it(train, monkeypatch):
    def broken(self, *collected):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("tdmr1.core.tdm.TDM.iteration", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        train()


def test_plan_says_what_is_needed_and_what_to_set(tdmr1):
    status, out, err = tdmr1("plan", "--config", "train.toml", "--tflops", "0.001")
    assert (status, err) == (0, "")
    assert re.search(r"network, frozen +0\.00", out)
    assert "update of the surrogate" in out and "s at 0.001 TFLOP/s" in out
    assert "an estimate" in out
    status, out, _ = tdmr1("plan", "--config", "small.toml", "--distill", "--card-memory", 1)
    assert status == 0
    assert "surrogate" not in out
    assert out.splitlines()[-1].startswith("fits 1 GiB") and out.endswith("as it is\n")
    status, _, err = tdmr1("plan", "--model", "./nowhere")
    assert (status, "there is no folder ./nowhere" in err) == (1, True)


def test_plan_names_the_settings_of_a_smaller_card(tdmr1, monkeypatch):
    monkeypatch.setattr("tdmr1.cli.plan.GIB", 1 << 10)
    arguments = ("--config", "train.toml", "--batch", 64, "--set", "method.groups=32")
    _, out, _ = tdmr1("plan", *arguments)
    whole = float(re.search(r"most at a time, .*? (\d+\.\d\d)", out)[1])
    status, out, _ = tdmr1("plan", *arguments, "--card-memory", whole)
    assert status == 0
    assert re.search(r"with: --set method\.micro_batch=\d+$", out)
    status, _, err = tdmr1("plan", *arguments, "--card-memory", 1)
    assert status == 1
    assert "are too little: even with method.micro_batch=1" in err


def test_export(train, tdmr1, tmp_path):
    assert train()[0] == 0
    status, out, err = tdmr1("export", "run")
    assert (status, err) == (0, "")
    assert out == (
        "its student is the best, of iteration 3 of 3\n"
        "exported to run/export; run/export/README.md says how to draw with it\n"
    )
    assert tdmr1("export", "run", "--merge")[0] == 0
    assert (tmp_path / "run" / "export-merged" / "transformer").is_dir()
    assert tdmr1("export", "run")[2].startswith("error: run/export exists already")
    status, _, err = tdmr1("export", "nowhere")
    assert (status, "/nowhere is not a run folder" in err) == (1, True)
    draw = ("--student", "run/export", "--set", "method.steps=2", "--set", "method.boundaries=1")
    assert tdmr1("generate", "a red one", "--model", "tiny", *draw)[0] == 0
    assert (tmp_path / "image.png").is_file()
