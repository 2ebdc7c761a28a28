"""From a run to a folder that others draw with: weights, scheduler, model card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from tdmr1.core.cards import CARD, licence_of
from tdmr1.core.generator import Generator
from tdmr1.core.hub import push
from tdmr1.core.layouts import TRANSFORMER
from tdmr1.core.roles import Role, Roles
from tdmr1.errors import UserError
from tdmr1.files import new_folder, remove_unfinished
from tdmr1.hub import is_hub_id
from tdmr1.progress import task
from tdmr1.trainers.config import AnyConfig, BaselineConfig
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.export.card import Card
from tdmr1.trainers.export.drawing_code import SCHEDULER
from tdmr1.trainers.loop.choice import BEST, NotEnded, choose
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.models import load_generator, package_of
from tdmr1.trainers.writing import writing


@dataclasses.dataclass(frozen=True)
class Export:
    """What is to be exported, and what only its author knows.

    Attributes:
        run: one that has ended, or of which there is a checkpoint.
        merge: whole weights, with the LoRA added to those of the base.
        push: ORG/NAME of the Hub to upload it to.
        base: ORG/NAME of the base, where the run read it from a folder.
        licence: of the base, as the Hub names it, where the base's card does not say.
        checkpoint: which student, see `choose`; the last of a run that has not ended is that of
            its last checkpoint.
    """

    run: RunFolder
    merge: bool = False
    push: str | None = None
    base: str | None = None
    licence: str | None = None
    checkpoint: str = BEST

    def write(self, out: Path) -> str:
        """Write the folder, and upload it if that was asked; which student it is, in words.

        Args:
            out: where nothing is yet.

        Raises:
            UserError: there is no such run, nothing of it is saved, or it does not fit its base;
                `out` exists; what the card needs is not known; or the upload failed.
        """
        config = self.run.config()
        if isinstance(config, BaselineConfig):
            raise UserError(
                f"{self.run.path} is a run of `tdmr1 {config.kind}`, a baseline; `tdmr1 export` "
                "writes the students of `tdmr1 train` and `tdmr1 distill`. Its weights are in "
                f"{self.run.student}"
            )
        if out.exists():
            raise UserError(f"{out} exists already; choose another folder with --out")
        package = package_of(config.model)
        base, licence = self._base(config, package), self._licence(config, package)
        saved = _saved(self.run, self.checkpoint)
        generator = load_generator(config.model, config.generator)
        roles = Roles.of(generator, config.method)
        student = roles.add("student", trainable=False)
        _read(roles, student, saved, self.run)
        whole = self.merge or config.method.rank is None
        guidance = config.method.guidance or generator.teacher_guidance
        shift = generator.shift_of(config.method.steps)
        card = Card(
            name=(self.push or self.run.path.absolute().name).rpartition("/")[2],
            config=config,
            base=base,
            published=is_hub_id(base),
            licence=licence,
            where=self.push or str(out),
            whole=whole,
            call=generator.pipeline_call(),
            package=package.name if package else None,
            shift=shift,
            teacher=(generator.teacher_steps, guidance),
            size=_size(generator),
            iterations=saved.iterations,
            which=saved.what,
            reports=_reports(self.run, saved),
        )
        remove_unfinished(out.parent)
        with task(f"writing {out}"), writing(out), new_folder(out) as beside:
            roles.save(student, beside / TRANSFORMER if whole else beside, whole=whole)
            scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
            scheduler.save_pretrained(beside / SCHEDULER)
            (beside / CARD).write_text(card.text(), encoding="utf-8")
        if self.push is not None:
            push(out, self.push)
        return saved.what

    def _base(self, config: AnyConfig, package: Distribution | None) -> str:
        """The base as the card names it."""
        for option, name in (("--push", self.push), ("--base", self.base)):
            if name is not None and not is_hub_id(name):
                raise UserError(f"{option} {name}: a model of the Hub is named ORG/NAME")
        is_folder = Path(config.model).is_dir() and package is None
        if self.push is not None and self.base is None and is_folder:
            raise UserError(
                f"the run read its base from {config.model}, which is on no other machine; "
                "say which model of the Hub that is: --base ORG/NAME"
            )
        return self.base or config.model

    def _licence(self, config: AnyConfig, package: Distribution | None) -> Mapping[str, str]:
        if self.licence is not None:
            return {"license": self.licence}
        if package is not None:
            said = "".join(package.metadata.get_all("License-Expression", []))
            found = {"license": said.lower()} if said else {}
        else:
            found = licence_of(config.model, self.base)
            found = found or (licence_of(self.base) if self.base else {})
        if self.push is not None and not found:
            raise UserError(
                f"the card of {self.base or config.model} does not say its licence, which that of "
                "the export must; say it as the Hub names it: --licence apache-2.0, or other"
            )
        return found


@dataclasses.dataclass(frozen=True)
class _Saved:
    """A student on disk, in a folder, or in a checkpoint, whose parameters these are."""

    iterations: int
    what: str
    folder: Path | None
    parameters: Mapping[str, Any]


def _saved(run: RunFolder, which: str) -> _Saved:
    try:
        chosen = choose(run, which)
    except NotEnded:
        checkpoint = run.last_checkpoint()
        if checkpoint is None:
            raise UserError(
                f"nothing of the run in {run.path} is saved yet; continue it with: "
                f"tdmr1 {run.config().kind} --resume {run.path}"
            ) from None
        iteration = checkpoint["iteration"]
        what = f"the last, after {iteration} iterations, of a run that was stopped"
        return _Saved(iteration, what, None, checkpoint["method"]["roles"]["student_ema"])
    return _Saved(chosen.iterations, chosen.what, chosen.folder, {})


def _read(roles: Roles, student: Role, saved: _Saved, run: RunFolder) -> None:
    if saved.folder is not None:
        roles.load(student, saved.folder)
        return
    try:
        student.load_state_dict(saved.parameters)
    except (KeyError, RuntimeError) as error:
        raise UserError(
            f"the checkpoint in {run.path} is of another model than {run.config().model} is now, "
            f"or of other options than its config.json says ({error})"
        ) from error


def _reports(run: RunFolder, saved: _Saved) -> dict[str, Report]:
    """Those of the run; "after" is what is known of the student that was saved, if anything is."""
    reports = run.reports()
    if saved.iterations < run.config().iterations:
        reports.pop("after", None)
        if (measured := run.report_of(saved.iterations)) is not None:
            reports["after"] = measured
    return reports


def _size(generator: Generator) -> tuple[int, int]:
    """Pixels of an image, (height, width)."""
    call = generator.pipeline_call()
    if call is not None:
        return int(call.arguments["height"]), int(call.arguments["width"])
    height, width = generator.decode(torch.zeros(1, *generator.latent_shape)).shape[2:]
    return height, width
