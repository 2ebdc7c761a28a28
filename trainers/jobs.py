"""`distill` and `train` from configuration to final table: load, loop, evaluate, export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.table import Table

from tdmr1.core.generator import Generator, Prompt
from tdmr1.errors import UserError
from tdmr1.core.roles import Roles
from tdmr1.trainers.config import DistillConfig, RunOptions, TrainConfig, build_config
from tdmr1.trainers.evaluate import Evaluation, Report, as_rows, few_step, many_step
from tdmr1.trainers.images import grid, to_uint8, write_png
from tdmr1.trainers.judge import Judge
from tdmr1.trainers.loop import run_loop
from tdmr1.trainers.models import load_generator
from tdmr1.trainers.observe import Observer, read_reports
from tdmr1.trainers.progress import Progress
from tdmr1.trainers.prompts import read_prompts
from tdmr1.trainers.run import RunFolder
from tdmr1.trainers.stages import Distillation, Reinforcement, Stage


def distill(config: DistillConfig, run: RunFolder, console: Console) -> None:
    """Stage 0: a K-step student, whose LoRA ends up in the run folder."""
    judge, accelerator = _judge(config), _accelerator(config)
    generator = load_generator(config.model)
    prompts = read_split(config, generator, "train")
    _train(Distillation(config, generator, prompts, accelerator), config, run, console, judge)


def train(config: TrainConfig, run: RunFolder, console: Console) -> None:
    """Stage 1: the student after TDM-R1, whose LoRA ends up in the run folder."""
    stage = reinforcement(config)
    _train(stage, config, run, console, stage.judge)


def reinforcement(config: TrainConfig) -> Reinforcement:
    """TDM-R1 at its first iteration: rewards and weights loaded, the student distilled."""
    judge, accelerator = _judge(config), _accelerator(config)
    generator = load_generator(config.model)
    prompts = read_split(config, generator, "train")
    stage = Reinforcement(config, generator, prompts, judge, accelerator)
    stage.start_from(student_folder(config, generator))
    return stage


def read_split(config: RunOptions, generator: Generator, split: str) -> list[Prompt]:
    """The prompts of a run's "train" or "heldout" split: its file's, or the generator's own."""
    file = config.prompts if split == "train" else config.heldout
    return generator.prompts(split) if file is None else read_prompts(Path(file))


def student_folder(config: TrainConfig, generator: Generator) -> Path:
    """Where the student's LoRA is read from.

    Raises:
        UserError: none is named, and the generator ships none.
    """
    folder = Path(config.student) if config.student else generator.student_folder()
    if folder is None:
        raise UserError(
            f"the generator {generator.name!r} ships no student; make one with `tdmr1 distill "
            f"--model {generator.name} --out RUN`, then add --student RUN/lora"
        )
    return folder


def evaluate(
    folder: Path,
    rewards: Sequence[str] | None = None,
    prompts: Path | None = None,
    images: int | None = None,
    seed: int | None = None,
) -> dict[str, Report]:
    """Teacher, student before and student after a run, on the same prompts and noise.

    Args:
        folder: of the run.
        rewards, prompts, images, seed: instead of the run's own.
    """
    config, run = _open(folder)
    changes = {"rewards": rewards, "heldout": prompts, "eval_images": images, "eval_seed": seed}
    config = config.model_copy(update={k: v for k, v in changes.items() if v is not None})
    judge, generator = _judge(config), load_generator(config.model)
    evaluation = _evaluation(config, generator, judge)
    roles = Roles(generator, config.method.rank, config.method.alpha)
    student = roles.add("student", trainable=False)
    sample = few_step(generator, student, config.method.steps)
    reports = {"teacher": evaluation(many_step(generator, roles.teacher))}
    if isinstance(config, TrainConfig):
        roles.load(student, student_folder(config, generator))
    reports["before"] = evaluation(sample)
    roles.load(student, run.lora)
    reports["after"] = evaluation(sample)
    return reports


def generate(
    prompt: str, folder: Path | None, model: str, out: Path, count: int, seed: int
) -> None:
    """Write `count` pictures of `prompt` side by side to the PNG `out`.

    Args:
        prompt: for the generator.
        folder: of the run whose student draws; None: the one that ships with `model`.
        model: where `folder` is None.
        out: a PNG file.
        count: >= 1.
        seed: of the noise.
    """
    config: TrainConfig | DistillConfig = TrainConfig(model=model)
    if folder is not None:
        config, run = _open(folder)
        lora = run.lora
    generator = load_generator(config.model)
    if folder is None:
        assert isinstance(config, TrainConfig)
        lora = student_folder(config, generator)
    roles = Roles(generator, config.method.rank, config.method.alpha)
    student = roles.add("student", trainable=False)
    roles.load(student, lora)
    shape = (count, *generator.latent_shape)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    latents = few_step(generator, student, config.method.steps)([Prompt(prompt)] * count, noise)
    write_png(grid(to_uint8(generator.decode(latents)), columns=count), out)


def as_table(reports: Mapping[str, Report]) -> Table:
    """Reports as a table for the terminal."""
    header, rows = as_rows(reports)
    table = Table(*header, box=None)
    for row in rows:
        table.add_row(*row)
    return table


def _open(folder: Path) -> tuple[TrainConfig | DistillConfig, RunFolder]:
    run = RunFolder(folder)
    kind = {"train": TrainConfig, "distill": DistillConfig}[run.kind]
    return build_config(kind, overrides=run.read_config(run.kind)), run


def _evaluation(config: RunOptions, generator: Generator, judge: Judge) -> Evaluation:
    heldout = read_split(config, generator, "heldout")
    return Evaluation(generator, heldout, config.eval_images, config.eval_seed, judge)


def _train(
    stage: Stage, config: RunOptions, run: RunFolder, console: Console, judge: Judge
) -> None:
    generator = stage.generator
    evaluation = _evaluation(config, generator, judge)
    student = few_step(generator, stage.student, stage.steps)
    observer = Observer(evaluation, student, config, run)
    try:
        run_loop(stage, config, run, Progress(console), observer)
    finally:
        run.close()
    stage.method.roles.save(stage.student, run.lora)
    observer.report("teacher", many_step(generator, stage.method.teacher))
    console.print(as_table(read_reports(run)))
    console.print(f"student: {run.lora}")


def _judge(config: RunOptions) -> Judge:
    return Judge(config.rewards, config.reward_timeout, config.max_reward_errors)


def _accelerator(config: RunOptions) -> Accelerator:
    torch.set_flush_denormal(True)
    torch.manual_seed(config.seed)
    return Accelerator(mixed_precision=config.precision)
