import json

import pytest
from typer.testing import CliRunner

from tdmr1.errors import UserError
from tdmr1.trainers.config import DistillConfig
from tdmr1_shapes.cli import app
from tdmr1_shapes.evaluation import evaluate
from tdmr1_shapes.model import Architecture
from tdmr1_shapes.pretrain import PretrainOptions, pretrain

REWARD = "tdmr1.trainers.benchmarks.iteration:brightness"


@pytest.fixture
def teacher(tmp_path):
    pretrain(PretrainOptions(steps=1, batch=2), tmp_path, Architecture(16, 1, 2))
    return tmp_path


def test_the_figures_are_kept_beside_how_the_teacher_was_made(teacher):
    asked = ["evaluate", str(teacher), "--reward", REWARD, "--images", "2", "--precision", "no"]
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0, said.output
    provenance = json.loads((teacher / "provenance.json").read_text())
    assert provenance["command"] == "tdmr1 shapes pretrain"
    evaluation = provenance["evaluation"]
    (figures,) = evaluation["rewards"].values()
    assert (evaluation["nfe"], figures["images"], len(figures["by_tag"])) == (56, 14, 7)
    assert f"{figures['value']:.2f}" in said.output


def test_where_there_is_no_teacher_the_command_that_makes_one_is_named(tmp_path):
    with pytest.raises(UserError, match=f"tdmr1 shapes pretrain {tmp_path}"):
        evaluate(tmp_path, DistillConfig(rewards=(REWARD,)))
