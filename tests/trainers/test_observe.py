import pytest
import torch

from tdmr1.trainers.evaluate import Evaluation, Sampler
from tdmr1.trainers.judge import Judge
from tdmr1.trainers.observe import Observer
from tdmr1.trainers.run import RunFolder

LOOKS = ("drift", "sharpness", "colour", "hues")


@pytest.fixture
def observe(generator, new_config, tmp_path):
    """An observer of a student that draws its noise; and its run."""

    def observe(with_rewards=True, **options):
        config = new_config(**options)
        prompts = generator.prompts("heldout")
        judge = Judge(config.rewards) if with_rewards else None
        evaluation = Evaluation(config, generator, prompts, judge, torch.device("cpu"))
        run = RunFolder(tmp_path / "run")
        return Observer(evaluation, Sampler(2, lambda prompts, noise: noise), config, run), run

    return observe


def test_pictures_and_evaluations_are_due_at_the_ends_and_in_their_intervals(observe):
    observer, run = observe(iterations=7, images_every=3, evaluate_every=2)
    evaluated = []
    for iteration in range(8):
        metrics = observer(iteration)
        evaluated += [iteration] if any(name.startswith("heldout/") for name in metrics) else []
    assert evaluated == [0, 2, 4, 6, 7]
    names = sorted(path.stem for path in run.images.iterdir())
    assert [int(name) for name in names] == [0, 3, 6, 7]
    assert list(run.reports()) == ["before", "after"]


def test_an_evaluation_says_how_every_tag_fares(observe):
    observer, run = observe()
    metrics = observer(0)
    for name, figures in run.reports()["before"].rewards.items():
        assert metrics[f"heldout/{name}/overall"] == figures.overall
        assert figures.by_tag
        for tag, value in figures.by_tag.items():
            assert metrics[f"heldout/{name}/{tag}"] == value


def test_an_evaluation_in_between_is_no_report(observe):
    observer, run = observe(evaluate_every=2)
    observer(2)
    assert run.reports() == {}


def test_without_rewards_there_are_pictures_alone(observe):
    observer, run = observe(with_rewards=False)
    assert set(observer(0)) == {f"student/{what}" for what in LOOKS}
    assert run.reports() == {}
    assert len(list(run.images.iterdir())) == 1


def test_a_deleted_first_picture_costs_the_comparison_alone(observe):
    observer, run = observe()
    observer(0)
    (run.images / "000000.png").unlink()
    assert observer(3) == {}
