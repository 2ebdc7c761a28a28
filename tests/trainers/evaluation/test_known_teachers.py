"""A teacher that was measured before is recognised, and any other is not."""

import json

import pytest
import torch

from tdmr1.core.roles import Roles
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.environment import environment
from tdmr1.trainers.evaluation import known_teachers
from tdmr1.trainers.evaluation.evaluate import Evaluation, Sampler, many_step
from tdmr1.trainers.evaluation.judge import Judge
from tdmr1.trainers.models import load_generator


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "teachers"


@pytest.fixture
def measured(folder, reward, site, output):
    """The report of a teacher, its album, how many pictures it drew, and what was said."""

    def measured(change=None, rewards=("red",), reward_options=None, keep=None, **options):
        generator = load_generator("tiny")
        if change is not None:
            change(generator)
        judge = Judge([reward(name) for name in rewards], options=reward_options)
        defaults = {"model": "tiny", "eval_images": 6, "teacher_cache": str(folder)}
        config = TrainConfig(**{**defaults, **options})
        prompts = generator.prompts("heldout")
        evaluation = Evaluation(config, generator, prompts, judge, torch.device("cpu"))
        sampler, drawn = many_step(generator, Roles(generator, 2, 4.0).teacher), []

        def sample(prompts, noise):
            drawn.extend(prompts)
            return sampler.sample(prompts, noise)

        before = len(output.getvalue())
        report = evaluation.measure_teacher(Sampler(sampler.nfe, sample), keep)
        judge.close()
        return report, evaluation.teacher, len(drawn), output.getvalue()[before:]

    return measured


def test_the_second_time_it_is_known(measured):
    first, album, drawn, said = measured()
    assert drawn == 2 + 12 and "known" not in said  # one of each tag tells who it is
    second, again, drawn, said = measured()
    assert drawn == 2 and said.count("the teacher's figures are known since 20") == 1
    assert second == first
    (name,) = first.rewards
    assert (second.scores.merit(name) == first.scores.merit(name)).all()
    assert (again.features == album.features).all()
    assert list(again.means) == list(album.means)
    assert all((again.means[name] == album.means[name]).all() for name in album.means)


def other_weights(generator):
    with torch.no_grad():
        generator.network.inner.weight[0, 0] += 1e-3


def more_steps(generator):
    generator.teacher_steps = 6


def more_guidance(generator):
    generator.teacher_guidance = 2.5


def other_decoder(generator):
    generator.decode = lambda latents: (latents * 1.001).sigmoid()


def other_encoder(generator):
    """Of one prompt alone, which is not among those that are drawn first."""
    encode = generator.encode

    def encoded(prompts):
        condition = encode(prompts)
        for i, prompt in enumerate(prompts):
            condition.pooled[i] += prompt.endswith("x")
        return condition

    generator.encode = encoded


@pytest.mark.parametrize(
    "change",
    [
        {"change": other_weights},
        {"change": more_steps},
        {"change": more_guidance},
        {"change": other_decoder},
        {"change": other_encoder},
        {"eval_seed": 1},
        {"eval_images": 7},
        {"eval_group": 1},
    ],
)
def test_whatever_changes_its_figures_makes_it_another(measured, change):
    measured()
    _, _, drawn, said = measured(**change)
    assert drawn > 2 and "known" not in said


def test_so_does_another_place_to_compute(measured, monkeypatch):
    measured()
    elsewhere = {**environment(), "threads": 77}
    monkeypatch.setattr(known_teachers, "environment", lambda: elsewhere)
    assert measured()[2] > 2


def test_so_does_a_reward_of_other_code(measured, reward, tmp_path):
    measured()
    file = tmp_path / "r.py"
    file.write_text(file.read_text().replace("[..., 0].mean()) / 255", "[..., 0].mean()) / 256"))
    assert measured()[2] > 2


def test_a_reward_that_does_not_say_what_it_reads_is_asked_each_time(measured, folder):
    for _ in range(2):
        _, _, drawn, _ = measured(rewards=("red", "bright"))
        assert drawn == 12
    assert not folder.exists()


def test_off_is_off(measured, folder):
    for _ in range(2):
        assert measured(teacher_cache="off")[2] == 12
    assert not folder.exists()


def test_pictures_that_are_asked_for_are_drawn(measured):
    measured()
    shown = []
    _, _, drawn, _ = measured(keep=lambda images, prompts: shown.extend(prompts))
    assert len(shown) == 12 < drawn


@pytest.mark.parametrize("name", ["about.json", "album.npz", "scores.jsonl"])
@pytest.mark.parametrize("damage", [b"", b"{", None])
def test_a_damaged_file_is_told_and_the_teacher_measured_again(
    measured, folder, caplog, name, damage
):
    first, *_ = measured()
    (path,) = folder.glob(f"*/{name}")
    if damage is not None:
        path.write_bytes(damage)
    elif name == "about.json":
        path.write_text(json.dumps([]))
    else:
        path.unlink()
    report, _, drawn, said = measured()
    assert (report, drawn) == (first, 14) and "known" not in said
    assert f"{path.parent} is damaged" in caplog.text
    assert measured()[2] == 2


def test_a_place_that_cannot_be_written_loses_no_run(measured, folder, caplog):
    folder.write_text("a file")
    assert measured()[2] == 14
    assert "what was measured of the teacher is not kept" in caplog.text


def test_those_not_asked_for_the_longest_are_forgotten(measured, folder, monkeypatch):
    monkeypatch.setattr(known_teachers, "KEPT", 2)
    for seed in (1, 2, 1, 3):
        measured(eval_seed=seed)
    assert len([*folder.iterdir()]) == 2
    assert [measured(eval_seed=seed)[2] for seed in (1, 3, 2)] == [2, 2, 14]
