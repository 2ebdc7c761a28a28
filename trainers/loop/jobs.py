"""What the commands do: train, evaluate, generate."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tdmr1.core.generator import Generator, Prompt
from tdmr1.core.roles import Role, Roles
from tdmr1.errors import UserError
from tdmr1.progress import say, task
from tdmr1.rewards.discovery.spec import RewardSpec, absolute_source
from tdmr1.rewards.models.features import find_space
from tdmr1.rewards.offline.layout import LayoutWriter, read_pictures
from tdmr1.rewards.offline.pairing import Picture
from tdmr1.rewards.prompts import PromptLine
from tdmr1.trainers.config import (
    AnyConfig,
    ReinforcedOptions,
    StudentOptions,
    TrainConfig,
    changed,
    validated,
)
from tdmr1.trainers.environment import changes_since
from tdmr1.trainers.evaluation.evaluate import (
    Evaluation,
    Keep,
    Sampler,
    many_step,
    trained_sampler,
)
from tdmr1.trainers.evaluation.folder import evaluate_pictures
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.table import as_table
from tdmr1.trainers.images import grid, to_uint8, write_png
from tdmr1.trainers.launchers import refuse_several
from tdmr1.trainers.loop.agreement import agree, check_folder
from tdmr1.trainers.loop.assisting import assist
from tdmr1.trainers.loop.choice import BEST, choose
from tdmr1.trainers.loop.guard import Guard, told_at_the_end
from tdmr1.trainers.loop.loop import run_loop
from tdmr1.trainers.loop.periodic import PeriodicEvaluation
from tdmr1.trainers.loop.progress import Progress
from tdmr1.trainers.loop.prompt_record import PromptRecord
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.setup import expect, new_judge, new_stage, new_watch, read_split
from tdmr1.trainers.loop.stages import Stage
from tdmr1.trainers.loop.stopping import stopping
from tdmr1.trainers.loop.trackers import check_trackers
from tdmr1.trainers.memory import too_little_explained
from tdmr1.trainers.models import load_generator, located, new_accelerator, prepared
from tdmr1.trainers.processes import Processes
from tdmr1.trainers.sharding import check_sharding
from tdmr1.trainers.sparing import next_setting
from tdmr1.trainers.students import find_student
from tdmr1.trainers.writing import writing


def train(
    config: AnyConfig,
    run: RunFolder,
    changed_prompts: bool = False,
    max_seconds: float | None = None,
    processes: Processes | None = None,
) -> None:
    """Any training from configuration to final table; a run that was stopped goes on.

    The run folder is begun when everything has been loaded, so that a mistake leaves none behind.

    Args:
        config: what is trained.
        run: its folder.
        changed_prompts: whether a run goes on whose prompts have changed since it began.
        max_seconds: after which the iteration under way is the last for now; none: no limit.
        processes: that train together, each of which calls this; none: this one alone.

    Raises:
        UserError, Interrupted: as `run_loop`; or something cannot be loaded, or has changed,
            another process trains in the folder, or a launcher has started several.
        SystemExit: another of the processes has ended the run.
    """
    if processes is None:
        refuse_several(os.environ, f"tdmr1 {config.kind} from Python, without `processes`,")
        processes = Processes()
    try:
        check_trackers(config.trackers)
        check_sharding(config, processes.count)
        agree(config, processes)
        if processes.main:
            _train(config, run, changed_prompts, max_seconds, processes)
        else:
            _assist(config, run, processes)
    except BaseException as error:
        processes.fail(error)
        raise


def _train(
    config: AnyConfig,
    run: RunFolder,
    changed_prompts: bool,
    max_seconds: float | None,
    processes: Processes,
) -> None:
    """What the main process does."""
    with stopping(max_seconds, processes) as stop, run.locked():
        check_folder(run, processes)
        record = PromptRecord(run.path, config)
        record.check(accept=changed_prompts)
        with too_little_explained(), contextlib.closing(new_stage(config, processes)) as stage:
            evaluation, student, teacher = _observed(config, stage, processes)
            guard = _guard(config, stage, run)
            periodic = PeriodicEvaluation(evaluation, student, teacher, config, run, guard)
            run.start(located(config))  # not before the rewards: of a Hub id it downloads an index
            record.keep()
            several = f", trained by {processes.count} processes" if processes.count > 1 else ""
            say(f"run folder: {run.path}{several}")
            if changed := changes_since(run.environment()):
                say(f"it goes on elsewhere than it began, to other bits: {'; '.join(changed)}")
            try:
                with too_little_explained(next_setting(config, processes.count)):
                    run_loop(stage, config, run, Progress(), periodic, stop, processes)
            finally:
                run.close()
            with task("saving"), writing(run.student):
                stage.method.roles.save(stage.student, run.student)
            asking = []
            if stage.judge is not None:
                say(as_table(run.reports()))
                asking = stage.judge.asking()
        say(str(run.cost()))
        run.write_provenance()
        if told := told_at_the_end(run, asking):
            say(told)


def _assist(config: AnyConfig, run: RunFolder, processes: Processes) -> None:
    """What the others do."""
    with stopping(None, processes):
        check_folder(run, processes)
        with too_little_explained(), contextlib.closing(new_stage(config, processes)) as stage:
            evaluation, *samplers = _observed(config, stage, processes)
            help = functools.partial(evaluation.help, samplers)
            with too_little_explained(next_setting(config, processes.count)):
                assist(stage, config, run, help, processes)


def _observed(
    config: AnyConfig, stage: Stage, processes: Processes
) -> tuple[Evaluation, Sampler, Sampler]:
    """The evaluation of a training, and who is evaluated: the student and the teacher."""
    generator, heldout = stage.generator, read_split(config, "heldout")
    expect(generator, heldout)
    evaluation = Evaluation(
        config,
        generator,
        heldout,
        stage.judge,
        stage.device,
        watch=stage.watch,
        processes=processes,
    )
    student = trained_sampler(config, generator, stage.student)
    return evaluation, student, many_step(generator, stage.method.teacher)


def evaluate(
    run: RunFolder,
    rewards: Sequence[str] | None = None,
    heldout: Path | None = None,
    images: int | None = None,
    seeds: Sequence[int] = (),
    pictures: Path | None = None,
    reward_options: Mapping[str, Mapping[str, Any]] | None = None,
    checkpoint: str = BEST,
) -> dict[str, Report]:
    """Teacher, student before and student after a run, on the same prompts and noise.

    Args:
        run: one that has ended, or whose guard has looked at students.
        rewards, heldout, images, seeds: instead of the run's own; a reward of the run keeps its
            options, and gates and held-out rewards go with their run's rewards.
        pictures: a folder that takes all of them, in GenEval's layout.
        reward_options: of the rewards instead of those of the run's own.
        checkpoint: which student is the one after, see `choose`.

    Raises:
        UserError: something cannot be loaded, or a reward failed.
    """
    refuse_several(os.environ, "an evaluation")
    config = run.config()
    changes: dict[str, Any] = {
        "rewards": rewards,
        "heldout": heldout and str(heldout),
        "eval_images": images,
    }
    if rewards is not None:
        names = {RewardSpec.parse(absolute_source(text)).name for text in rewards}
        options = config.reward_options if reward_options is None else reward_options
        changes["reward_options"] = {n: o for n, o in options.items() if n in names}
        if isinstance(config, ReinforcedOptions):
            changes |= {"gates": (), "watch": ()}
    changes = {key: value for key, value in changes.items() if value is not None}
    config = validated(type(config), {**config.model_dump(), **changes})
    chosen = choose(run, checkpoint)
    say(f"after: {chosen.what}")
    if heldout is None:
        for change in PromptRecord(run.path, config).changes(("heldout",)):
            say(f"{change}; these figures are not comparable with the run's own")
    return _evaluated(config, seeds, pictures, {"after": chosen.folder})


def evaluate_model(
    config: TrainConfig, seeds: Sequence[int] = (), pictures: Path | None = None
) -> dict[str, Report]:
    """The teacher, and the student that a run with these options would begin with.

    Args:
        config: says which; without `student` the generator's own, if it ships one.
        seeds, pictures: as above.

    Raises:
        UserError: as above.
    """
    refuse_several(os.environ, "an evaluation")
    return _evaluated(config, seeds, pictures, {})


def evaluate_images(
    folder: Path,
    rewards: Sequence[str],
    prompts: Path | None = None,
    settings: Sequence[str] = (),
) -> tuple[Report, Sequence[Picture]]:
    """Images that exist already, whoever made them.

    Args:
        folder: with prompts beside the images, in GenEval's layout, or with a prompt file.
        rewards: at least one.
        prompts: a prompt file whose lines all name an image, or as many as there are images.
        settings: "key=value" each, of a configuration's options those of rewards.

    Returns:
        What the rewards say, and of which images, in its order.

    Raises:
        UserError: an image has no prompt, or a prompt no image; or as above.
    """
    refuse_several(os.environ, "an evaluation")
    if not folder.is_dir():
        raise UserError(
            f"there is no run and no folder of images {folder}; a generator is named by --model, "
            "its LoRA by --student"
        )
    if not rewards:
        raise UserError(f"name what shall judge the images in {folder}: --reward NAME")
    pictures, unused = read_pictures([folder], prompts)
    if unused:
        raise UserError(
            f"{unused} lines of {prompts} name no image in {folder}; draw them, or remove the "
            "lines: without their images the figures would be of a part"
        )
    config = changed(validated(TrainConfig, {"rewards": rewards}), settings)
    with contextlib.closing(new_judge(config)) as judge:
        return evaluate_pictures(pictures, judge, config.balance), pictures


def _evaluated(
    config: AnyConfig, seeds: Sequence[int], pictures: Path | None, students: dict[str, Path]
) -> dict[str, Report]:
    """Reports of the teacher, of the student that `config` begins with, and of others."""
    find_space(config.eval_features, "eval_features")
    with contextlib.ExitStack() as opened:
        judge = opened.enter_context(contextlib.closing(new_judge(config)))
        if (watch := new_watch(config)) is not None:
            opened.enter_context(contextlib.closing(watch))
        prompts = read_split(config, "heldout")
        judge.ask((), prompts)
        generator, roles, student = _student(config)
        expect(generator, prompts)
        device = next(generator.network.parameters()).device
        distinct = list(dict.fromkeys(seeds))
        evaluation = Evaluation(config, generator, prompts, judge, device, distinct, watch)
        teacher = many_step(generator, roles.teacher)
        reports = {"teacher": evaluation.measure_teacher(teacher, _keep(pictures, "teacher"))}
        sampler = trained_sampler(config, generator, student)
        if isinstance(config, StudentOptions):
            if not students and config.student is None and generator.student_folder() is None:
                return reports
            roles.load(student, *find_student(config, generator))
        reports["before"] = evaluation(sampler, _keep(pictures, "before"))
        for who, folder in students.items():
            roles.load(student, folder)
            reports[who] = evaluation(sampler, _keep(pictures, who))
    return reports


def _keep(pictures: Path | None, who: str) -> Keep | None:
    """Writes the pictures of `who` into a folder of their own."""
    if pictures is None:
        return None
    writer = LayoutWriter(pictures / who)
    return lambda images, prompts: writer.add(
        images, [PromptLine(prompt.text, prompt.metadata) for prompt in prompts]
    )


def generate(
    prompt: str,
    source: RunFolder | TrainConfig,
    count: int,
    seed: int,
    out: Path,
    checkpoint: str = BEST,
) -> None:
    """Write `count` (>= 1) pictures of `prompt` side by side to the PNG `out`.

    Args:
        prompt: for the generator.
        source: a run, whose student draws; or options, of which the student that a
            run with them would begin with draws.
        count: pictures.
        seed: of the noise.
        out: a PNG file.
        checkpoint: which student of a run, see `choose`.

    Raises:
        UserError: something cannot be loaded, or `out` cannot be written.
    """
    refuse_several(os.environ, "drawing")
    if isinstance(source, RunFolder):
        config, chosen = source.config(), choose(source, checkpoint)
        say(f"student: {chosen.what}")
        generator, roles, student = _student(config)
        roles.load(student, chosen.folder)
    else:
        config = source
        generator, roles, student = _student(config)
        roles.load(student, *find_student(config, generator))
    shape = (count, *generator.latent_shape)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    noise = noise.to(next(generator.network.parameters()).device)
    sampler = trained_sampler(config, generator, student)
    with task("drawing"):
        images = generator.decode(sampler.sample([Prompt(prompt)] * count, noise))
    write_png(grid(to_uint8(images), columns=count), out)


def _student(config: AnyConfig) -> tuple[Generator, Roles, Role]:
    """A run's generator with one role, which still equals the teacher."""
    accelerator = new_accelerator(config.precision, config.seed)
    generator = prepared(load_generator(config.model, config.generator), accelerator)
    roles = Roles.of(generator, config.method)
    return generator, roles, roles.add("student", trainable=False)


def _guard(config: AnyConfig, stage: Stage, run: RunFolder) -> Guard | None:
    """That of a training which has not switched it off."""
    if not isinstance(config, ReinforcedOptions) or config.guard.action == "off":
        return None
    scorers = {} if stage.watch is None else stage.watch.mix.scorers
    watched = {name: of.place.info.higher_is_better for name, of in scorers.items()}
    write = functools.partial(stage.method.roles.save, stage.student)
    return Guard(config.guard, watched, run, write)
