import numpy as np
import pytest
import torch
from PIL import Image

from tdmr1.core.flow import boundaries
from tdmr1.core.roles import Roles
from tdmr1.rewards.offline.pairing import Picture
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.evaluation.evaluate import BATCH, Evaluation, Sampler, few_step, many_step
from tdmr1.trainers.evaluation.folder import evaluate_pictures
from tdmr1.trainers.evaluation.judge import Judge

CPU = torch.device("cpu")


@pytest.fixture
def evaluation(generator, reward):
    def evaluation(*rewards, **options):
        judge = Judge([reward(name) for name in rewards]) if rewards else None
        defaults = {"eval_images": 5, "teacher_cache": "off"}
        config = TrainConfig(model="tiny", **{**defaults, **options})
        return Evaluation(config, generator, generator.prompts("heldout"), judge, CPU)

    return evaluation


def colored(prompts, noise):
    """Latents of white pictures for red prompts, of black ones for the others."""
    signs = torch.tensor([1.0 if p.metadata["tag"] == "red" else -1.0 for p in prompts])
    return noise.sign().abs() * 100 * signs.reshape(-1, 1, 1, 1)


def test_every_tag_has_as_many_images(evaluation):
    five = evaluation(eval_group=1)
    assert [five.tags.count(tag) for tag in ("red", "blue")] == [5, 5]
    assert all(p.metadata["tag"] == tag for p, tag in zip(five.prompts, five.tags, strict=True))
    assert len({p.text for p in five.prompts}) == 6  # all of the six prompts, some twice


@pytest.mark.parametrize(("images", "prompts"), [(4, 2), (5, 3), (40, 3)])
def test_a_prompt_has_a_group_of_images_and_more_where_prompts_are_few(
    evaluation, images, prompts
):
    two = evaluation(eval_images=images, eval_group=2)
    of_red = [group for group, tag in zip(two.group, two.tags, strict=True) if tag == "red"]
    assert len(set(of_red)) == prompts
    assert len(set(two.group)) == 2 * prompts
    texts = {(group, prompt.text) for group, prompt in zip(two.group, two.prompts, strict=True)}
    assert len(texts) == 2 * prompts


def test_a_student_that_draws_what_the_teacher_draws_has_its_variety(evaluation):
    both = evaluation("red", eval_group=2)
    teacher = both.measure_teacher(Sampler(9, lambda prompts, noise: noise, ""))
    student = both(Sampler(4, lambda prompts, noise: noise, ""))
    assert student.variety == teacher.variety
    assert (student.variety["precision"], student.variety["recall"]) == (1, 1)
    collapsed = both(Sampler(4, lambda prompts, noise: 0 * noise, "")).variety
    assert collapsed["diversity"] == 0 and collapsed["recall"] < 0.5


def test_a_report_has_verdicts_where_the_reward_gives_them(evaluation, reward):
    report = evaluation("red", "blue").measure_teacher(Sampler(4, colored))
    red, blue = report.rewards[reward("red")], report.rewards[reward("blue")]
    assert report.nfe == 4
    assert red.by_tag == {"red": 1.0, "blue": 0.0}
    assert (red.value, red.overall, red.images) == (0.5, 0.5, 10)
    assert blue.by_tag == {"blue": 0.0}
    assert (blue.value, blue.images) == (0.0, 5)


def test_a_reward_that_scores_nothing_is_named_as_such_and_told_once(evaluation, reward, caplog):
    both = evaluation("red", "shy")
    for _ in range(2):
        report = both.measure_teacher(Sampler(4, colored))
        assert list(report.rewards) == [reward("red")]
        assert report.unscored == (reward("shy"),)
    assert caplog.text.count("abstains on all 10 held-out prompts") == 1
    assert f"tdmr1 rewards info {reward('shy')}" in caplog.text


def test_noise_depends_on_the_seed_alone(evaluation):
    assert torch.equal(evaluation().noise, evaluation("red").noise)
    assert not torch.equal(evaluation().noise, evaluation(eval_seed=1).noise)


def test_evaluating_takes_part_in_no_random_stream(evaluation):
    before = torch.get_rng_state()
    evaluation("red").measure_teacher(Sampler(4, colored))
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_do_not_show(evaluation, monkeypatch, reward):
    sizes = []

    def sample(prompts, noise):
        sizes.append(len(prompts))
        return noise

    report = evaluation("red", eval_images=BATCH // 2 + 1).measure_teacher(Sampler(1, sample))
    assert sizes == [BATCH, 2]
    monkeypatch.setattr("tdmr1.trainers.evaluation.evaluate.BATCH", 7)
    again = evaluation("red", eval_images=BATCH // 2 + 1).measure_teacher(Sampler(1, sample))
    assert again.rewards == report.rewards
    assert again.variety == pytest.approx(report.variety)


def test_the_first_of_every_tag(evaluation):
    assert evaluation().first_per_tag(2) == [0, 1, 5, 6]
    assert evaluation(eval_images=1).first_per_tag(2) == [0, 1]
    assert evaluation().images(Sampler(1, colored), [0, 5]).mean((1, 2, 3)).tolist() == [1, 0]


def test_samplers_use_as_many_evaluations_as_they_say(generator, monkeypatch):
    roles = Roles(generator, 2, 4.0)
    student = roles.add("student", trainable=False)
    calls = []
    original = generator.velocity
    monkeypatch.setattr(
        generator, "velocity", lambda *given: calls.append(len(given[0])) or original(*given)
    )
    prompts = generator.prompts("heldout")[:3]
    noise = torch.randn(3, *generator.latent_shape)
    for sampler in (few_step(generator, student, 4), many_step(generator, roles.teacher)):
        calls.clear()
        assert sampler.sample(prompts, noise).shape == noise.shape
        assert calls == [3] * sampler.nfe
    monkeypatch.setattr(generator, "teacher_guidance", 1.0, raising=False)
    assert many_step(generator, roles.teacher).nfe == 5


def test_samplers_have_the_shift_of_their_own_steps(generator, monkeypatch):
    monkeypatch.setattr(generator, "shift_of", lambda steps: 12 / steps, raising=False)
    roles, levels, original = Roles(generator, 2, 4.0), [], generator.velocity

    def velocity(x, sigma, condition):
        levels.append(sigma)
        return original(x, sigma, condition)

    monkeypatch.setattr(generator, "velocity", velocity)
    student = roles.add("student", trainable=False)
    few, many = few_step(generator, student, 4), many_step(generator, roles.teacher)
    for sampler, expected in ((few, boundaries(4, 3.0)), (many, boundaries(5, 2.4))):
        levels.clear()
        sampler.sample(generator.prompts("heldout")[:1], torch.randn(1, *generator.latent_shape))
        assert torch.equal(torch.stack(levels).unique(), expected[:-1].flip(0))


@pytest.mark.parametrize("size", [2, 5, 64])
def test_a_grouped_reward_sees_all_pictures_of_a_prompt_whatever_the_batch(
    generator, reward, tmp_path, monkeypatch, size
):
    """And its scores, the other rewards' and the pictures come back in their order."""
    file = tmp_path / "compares.py"
    file.write_text(
        "from tdmr1.rewards import Score\n"
        "def rank(samples):\n"
        "    assert len({sample.prompt for sample in samples}) == 1\n"
        "    values = sorted(float(s.image.mean()) for s in samples)\n"
        "    rank = [values.index(float(s.image.mean())) for s in samples]\n"
        "    return [Score(r, s.prompt) for r, s in zip(rank, samples)]\n"
        "rank.grouped = True\n"
    )
    name = f"{file}:rank"
    monkeypatch.setattr("tdmr1.trainers.evaluation.evaluate.BATCH", size)
    config = TrainConfig(model="tiny", eval_images=7, eval_group=3)
    prompts = generator.prompts("heldout")
    both, alone = (
        Evaluation(config, generator, prompts, Judge(rewards), CPU)
        for rewards in ([name, reward("red")], [reward("red")])
    )
    sampler = Sampler(4, lambda prompts, noise: noise)
    pictures = both.measure(sampler)
    scored, album = pictures.outcomes, pictures.album
    ranks = {}
    for text, value, prompt in zip(
        scored[name].reasons, scored[name].values, both.prompts, strict=True
    ):
        assert text == prompt.text
        ranks.setdefault(text, []).append(value)
    assert {text: sorted(of) for text, of in ranks.items()} == {
        text: [*range(len(of))] for text, of in ranks.items()
    }
    expected = alone.measure(sampler)
    same = expected.album
    red = reward("red")
    assert scored[red].values.tolist() == expected.outcomes[red].values.tolist()
    assert album.features.tolist() == same.features.tolist()
    assert album.means["chroma"].tolist() == same.means["chroma"].tolist()


def test_a_grouped_reward_sees_all_images_of_a_prompt_in_a_folder(reward, tmp_path, monkeypatch):
    file = tmp_path / "compares.py"
    file.write_text(
        "def rank(samples):\n"
        "    values = [float(s.image.mean()) for s in samples]\n"
        "    return [10 * len(values) + sorted(values).index(v) for v in values]\n"
        "rank.grouped = True\n"
    )
    pictures = []
    for i, prompt in enumerate("abaacb"):
        path = tmp_path / f"{i}.png"
        Image.fromarray(np.full((4, 4 + i, 3), 200 - 30 * i, np.uint8)).save(path)
        pictures.append(Picture.of(path, prompt, {}))
    monkeypatch.setattr("tdmr1.trainers.evaluation.folder.BATCH", 2)
    scored = {}
    monkeypatch.setattr(
        "tdmr1.trainers.evaluation.folder.Report.of",
        lambda nfe, scores, figures: scored.update(scores.outcomes),
    )
    name, red = f"{file}:rank", reward("red")
    evaluate_pictures(pictures, Judge([name, red]), None)
    assert scored[name].values.tolist() == [32, 21, 31, 30, 10, 20]
    assert scored[red].values.tolist() == [(200 - 30 * i) / 255 for i in range(6)]
