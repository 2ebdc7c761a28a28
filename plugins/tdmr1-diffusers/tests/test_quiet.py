"""What a user is told by the libraries beneath: of a prompt that is cut, once, and no more."""

import os
import subprocess
import sys

import pytest

from tdmr1.trainers.models import load_generator

LONG = "a red star beside a blue dog " * 12
QUIET = ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS")
SMALL = (
    "iterations=1",
    "eval_images=1",
    "generator.teacher_steps=1",
    "method.steps=1",
    "method.boundaries=1",
    "method.batch=1",
)

EACH = """
import sys
from tdmr1.cli import main

models, given = sys.argv[1].split(","), sys.argv[2:]
for model in models:
    sys.argv[1:] = ["distill", "--model", model, *given]
    try:
        main()
    except SystemExit as end:
        assert not end.code
"""
"""`tdmr1 distill` of one model after another, so that the libraries are imported once."""


def generator(folder, **options):
    return load_generator(str(folder), {"dtype": "float32", **options})


@pytest.fixture
def told(caplog):
    """What we say, without what the libraries do."""
    return lambda: [r.getMessage() for r in caplog.records if r.name.startswith("tdmr1")]


def test_the_first_prompt_that_is_cut_is_told(folder, told):
    model = generator(folder, prompt_tokens=40)
    model.encode(["a red star"])
    assert told() == []
    model.encode([LONG])
    model.encode([LONG + "again"])
    (said,) = told()
    assert said.startswith("the model reads 40 tokens of a prompt")
    assert f"such as: {LONG} (" in said


def test_a_prompt_that_just_fits_is_not(folder, told):
    whole = generator(folder, prompt_tokens=200)
    encoders = whole._prompts._read()
    count, read = whole.token_counts(encoders, LONG)
    assert read == 200 > count > 80
    generator(folder, prompt_tokens=count).encode([LONG])
    assert told() == []
    generator(folder, prompt_tokens=count - 1).encode([LONG])
    assert told()[0].endswith(f"({count} tokens)")


def test_a_log_file_has_no_bars_and_no_warnings(written, tmp_path):
    (tmp_path / "prompts.txt").write_text(f"a cat\n{LONG}\n")
    files = ["--prompts", "prompts.txt", "--heldout", "prompts.txt"]
    models = ",".join(map(str, written.values()))
    done = subprocess.run(
        [
            *(sys.executable, "-c", EACH, models, *files),
            *(argument for setting in SMALL for argument in ("--set", setting)),
        ],
        env={name: value for name, value in os.environ.items() if name not in QUIET},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert "Loading" not in done.stdout
    assert done.stdout.count("run folder: ") == len(written)
