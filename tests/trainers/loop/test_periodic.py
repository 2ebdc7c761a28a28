import pytest
import torch

from tdmr1.trainers.evaluation.evaluate import Evaluation, Sampler
from tdmr1.trainers.evaluation.judge import Judge
from tdmr1.trainers.loop.periodic import PeriodicEvaluation
from tdmr1.trainers.loop.run import RunFolder

LOOKS = ("drift", "sharpness")


@pytest.fixture
def look(generator, new_config, tmp_path):
    """The pictures and evaluations of a student that draws its noise; and its run."""

    def look(with_rewards=True, **options):
        config = new_config(**options)
        prompts = generator.prompts("heldout")
        judge = Judge(config.rewards) if with_rewards else None
        evaluation = Evaluation(config, generator, prompts, judge, torch.device("cpu"))
        run = RunFolder(tmp_path / "run")
        student, teacher = (
            Sampler(nfe, lambda prompts, noise, flip=flip: flip * noise, "someone")
            for nfe, flip in ((2, 1), (9, -1))
        )
        return PeriodicEvaluation(evaluation, student, teacher, config, run), run

    return look


def test_pictures_and_evaluations_are_due_at_the_ends_and_in_their_intervals(look):
    periodic, run = look(iterations=7, images_every=3, evaluate_every=2)
    evaluated = []
    for iteration in range(8):
        metrics = periodic(iteration)
        evaluated += [iteration] if any(name.startswith("heldout/") for name in metrics) else []
    assert evaluated == [0, 2, 4, 6, 7]
    names = sorted(path.stem for path in run.images.iterdir())
    assert [int(name) for name in names] == [0, 3, 6, 7]
    assert list(run.reports()) == ["teacher", "before", "after"]


def test_an_evaluation_says_how_every_tag_fares(look):
    periodic, run = look()
    metrics = periodic(0)
    for name, figures in run.reports()["before"].rewards.items():
        assert metrics[f"heldout/{name}/overall"] == figures.overall
        assert figures.by_tag
        for tag, value in figures.by_tag.items():
            assert metrics[f"heldout/{name}/{tag}"] == value


def test_an_evaluation_in_between_is_no_report(look):
    periodic, run = look(evaluate_every=2)
    periodic(2)
    assert list(run.reports()) == ["teacher"]


def test_without_rewards_there_are_pictures_alone(look):
    periodic, run = look(with_rewards=False)
    assert set(periodic(0)) == {f"student/{what}" for what in LOOKS}
    assert run.reports() == {}
    assert len(list(run.images.iterdir())) == 1


def test_a_deleted_first_picture_costs_the_comparison_alone(look):
    periodic, run = look()
    periodic(0)
    (run.images / "000000.png").unlink()
    assert periodic(3) == {}


def test_an_evaluation_says_how_varied_the_pictures_are(look):
    periodic, run = look(eval_group=2)
    metrics = periodic(0)
    before, teacher = (run.reports()[who].variety for who in ("before", "teacher"))
    looks = {"sharpness", "chroma", "edge_density", "dark", "saturated"}
    assert {"diversity", "vendi", "precision", "recall"} | looks == set(before)
    assert {name: metrics[f"variety/{name}"] for name in before} == before
    assert metrics["over_teacher/diversity"] == before["diversity"] / teacher["diversity"]
    assert "over_teacher/recall" not in metrics
    assert teacher["recall"] == 1


def test_a_run_that_goes_on_does_not_measure_the_teacher_again(look, monkeypatch):
    periodic, _ = look(evaluate_every=2)
    periodic(0)
    again, _ = look(evaluate_every=2)
    monkeypatch.setattr(again, "_teacher", None)
    whole, resumed = periodic(2), again(2)
    assert resumed == whole
