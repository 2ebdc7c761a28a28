"""The model card of an export: what a stranger needs to draw with it, and what is known of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from huggingface_hub import EvalResult, ModelCardData

from tdmr1.core.generator import PipelineCall
from tdmr1.rewards.discovery.spec import RewardSpec, shown
from tdmr1.trainers.config import MethodConfig, TrainConfig
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.table import as_markdown, images
from tdmr1.trainers.export.drawing_code import diffusers_code, own_command

PAPERS = {
    "train": "[TDM-R1](https://arxiv.org/abs/2603.07700)",
    "distill": "[TDM](https://arxiv.org/abs/2503.06674)",
}


@dataclasses.dataclass(frozen=True)
class Card:
    """A model card.

    Attributes:
        name: of the model.
        config: of the run.
        base: the pipeline that is adapted, or the generator's name.
        published: whether the base is a model of the Hub.
        licence: what the base's card says of its licence.
        where: the folder or the Hub id that is loaded.
        whole: whether it has whole weights, in the dtype of the base.
        call: how diffusers draws; None where only this framework does.
        package: what brings a generator without a pipeline.
        shift: the timestep shift s of the schedule.
        teacher: its steps and its guidance weight w.
        size: pixels, (height, width).
        iterations: of the run, that were done.
        which: of the run's students it is, in words.
        reports: what rewards said of teacher and student; empty where nothing was measured, and
            without "after" where this student was not.
    """

    name: str
    config: MethodConfig
    base: str
    published: bool
    licence: Mapping[str, str]
    where: str
    whole: bool
    call: PipelineCall | None
    package: str | None
    shift: float
    teacher: tuple[int, float]
    size: tuple[int, int]
    iterations: int
    which: str
    reports: Mapping[str, Report]

    def text(self) -> str:
        """The README.md, metadata of the Hub first."""
        steps = self.config.method.steps
        what = "weights" if self.whole else "LoRA"
        intro = (
            f"{self.base} in {steps} network evaluations: {what} trained with "
            f"{PAPERS[self.config.kind]} by `tdmr1 {self.config.kind}`."
        )
        rows = "\n".join(f"| {name} | {value} |" for name, value in self._facts())
        options = self.config.method.model_dump(mode="json", exclude_defaults=True)
        parts = [
            f"---\n{self._metadata().to_yaml().strip()}\n---",
            f"# {self.name}",
            intro,
            "## Drawing with it",
            self._usage(),
            f"## What it is\n\n| | |\n| --- | --- |\n{rows}",
            f"## Figures\n\n{self._figures()}",
            "## Options of the method\n\nThose that are not the defaults:\n\n"
            f"```json\n{json.dumps(options, indent=2)}\n```",
        ]
        return "\n\n".join(parts) + "\n"

    def _metadata(self) -> ModelCardData:
        guidance = self.call.arguments["guidance_scale"] if self.call else None
        told = {
            "steps": self.config.method.steps,
            "shift": self.shift,
            "guidance_scale": guidance,
            "height": self.size[0],
            "width": self.size[1],
            "rewards": self._rewards(),
            "prompts": _prompts(self.config.prompts),
            "iterations": self.iterations,
        }
        relation = "finetune" if self.whole else "adapter"
        results = list(self._results())
        return ModelCardData(
            base_model=self.base if self.published else None,
            base_model_relation=relation if self.published else None,
            license=self.licence.get("license"),
            license_name=self.licence.get("license_name"),
            license_link=self.licence.get("license_link"),
            library_name="diffusers" if self.call else "tdmr1",
            pipeline_tag="text-to-image",
            tags=["text-to-image", *([] if self.whole else ["lora"]), "few-step", "tdmr1"],
            model_name=self.name if results else None,
            eval_results=results or None,
            tdmr1={key: value for key, value in told.items() if value is not None},
        )

    def _results(self) -> Iterator[EvalResult]:
        if "after" in self.reports:
            for name, reward in self._measured()["after"].rewards.items():
                yield EvalResult(
                    task_type="text-to-image",
                    dataset_type="prompts",
                    dataset_name=_prompts(self.config.heldout) + ", held out",
                    metric_type=name,
                    metric_name=f"{name}, mean of {reward.images} images",
                    metric_value=round(reward.value, 4),
                )

    def _usage(self) -> str:
        steps = self.config.method.steps
        if self.call is not None:
            code = diffusers_code(self.call, self.base, self.where, steps, self.whole)
            return (
                f"```python\n{code}\n```\n\n`sigmas` is the uniform schedule, which the scheduler "
                "shifts; left to itself diffusers takes other levels. `dtype` is the name from "
                "diffusers 0.40 on; earlier ones take `torch_dtype`, and ignore `dtype`."
            )
        rank = None if self.whole else self.config.method.rank
        command = own_command(self.package or "tdmr1", self.base, self.where, steps, rank)
        return (
            "The generator has no pipeline in diffusers; its package draws:\n\n"
            f"```sh\n{command}\n```"
        )

    def _facts(self) -> Iterator[tuple[str, object]]:
        method = self.config.method
        height, width = self.size
        steps, guidance = self.teacher
        yield "base", self.base
        yield "licence of the base", self._licence()
        yield "weights", self._weights()
        yield "steps", f"{method.steps} of Euler's, {method.steps} network evaluations"
        yield "shift", f"{self.shift:g}"
        scale = f": `guidance_scale={self.call.arguments['guidance_scale']}`" if self.call else ""
        yield "guidance", f"none{scale}; its teacher has w = {guidance:g} in {steps} steps"
        yield "resolution", f"{width} x {height} pixels"
        if rewards := self._rewards():
            trains = isinstance(self.config, TrainConfig)
            yield "rewards", ", ".join(rewards) + ("" if trains else " (they only measured)")
        yield "prompts", _prompts(self.config.prompts)
        if isinstance(self.config, TrainConfig):
            if self.config.gates:
                yield "gates", ", ".join(map(shown, self.config.gates))
            yield "began with", _student(self.config.student)
        yield "training", f"iterations: {self.iterations}; seed: {self.config.seed}"
        yield "checkpoint", self.which
        if isinstance(self.config, TrainConfig) and self.config.watch:
            yield "held-out rewards", ", ".join(map(shown, self.config.watch))

    def _weights(self) -> str:
        method = self.config.method
        if method.rank is None:
            return "whole"
        lora = f"LoRA of rank {method.rank}"
        if self.whole:
            return f"whole; a {lora}, alpha {method.alpha:g}, is merged"
        return (
            f"{lora}, to be added at scale 1: alpha is {method.rank} too, in every loader, "
            f"because the tensors hold the scale {method.alpha / method.rank:g} of training"
        )

    def _figures(self) -> str:
        if self.iterations < self.config.iterations and "after" not in self.reports:
            return (
                f"None: this student, after {self.iterations} of {self.config.iterations} "
                "iterations, was not measured."
            )
        if not self.reports:
            return "None: the run had no reward to measure with."
        told = f"""{as_markdown(self._measured())}

Prompts: {_prompts(self.config.heldout)}, held out; the same noise in every row; one seed; images:
{images(self._measured())}."""
        if isinstance(self.config, TrainConfig):
            told += " The rewards are those that it was trained on, which it may please unduly"
            told += f"{'; but those held out are not' if self.config.watch else ''}."
        return told

    def _measured(self) -> dict[str, Report]:
        """The reports, without the folders that rewards of files lie in."""
        return {
            who: dataclasses.replace(
                report, rewards={shown(name): found for name, found in report.rewards.items()}
            )
            for who, report in self.reports.items()
        }

    def _rewards(self) -> list[str]:
        found = []
        for text in self.config.rewards:
            spec = RewardSpec.parse(text)
            found.append(shown(spec.name) + (f" (weight {spec.weight:g})" * (spec.weight != 1)))
        return found

    def _licence(self) -> str:
        name = self.licence.get("license_name") or self.licence.get("license", "see its page")
        link = self.licence.get("license_link")
        return f"[{name}]({link})" if link else name


def _prompts(file: str | None) -> str:
    return "the generator's own" if file is None else PurePath(file).name


def _student(student: str | None) -> str:
    """A student that lies on its author's disk is nobody else's business."""
    if student is None:
        return "the student that ships with the generator"
    return "a distilled student" if PurePath(student).is_absolute() else student
