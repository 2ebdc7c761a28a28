"""What rewards say of a teacher, kept in its provenance."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from tdmr1.core.roles import Roles
from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.trainers.config import DistillConfig
from tdmr1.trainers.environment import environment
from tdmr1.trainers.evaluation.evaluate import Evaluation, many_step
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.loop.setup import new_judge, read_split
from tdmr1.trainers.models import new_accelerator, prepared
from tdmr1_shapes.generator import ShapesGenerator
from tdmr1_shapes.pretrain import PROVENANCE


def evaluate(folder: Path, config: DistillConfig) -> Report:
    """Judge a teacher in many steps, with guidance, on the held-out prompts.

    Args:
        folder: of a teacher; its provenance takes the figures, in place of those of before.
        config: rewards, images a tag, seed of the noise, precision.

    Raises:
        UserError: there is no teacher, or a reward cannot be loaded, or failed.
    """
    folder = folder.absolute()  # a reward may take the process to another one
    provenance = _read(folder / PROVENANCE)
    with contextlib.closing(new_judge(config)) as judge:
        prompts = read_split(config, "heldout")
        judge.ask((), prompts)
        accelerator = new_accelerator(config.precision, config.seed)
        generator = prepared(ShapesGenerator(folder), accelerator)
        teacher = Roles.of(generator, config.method).teacher
        evaluation = Evaluation(config, generator, prompts, judge, accelerator.device)
        report = evaluation.measure_teacher(many_step(generator, teacher))
    provenance["evaluation"] = {
        "command": "tdmr1 shapes evaluate",
        "eval_images": config.eval_images,
        "eval_seed": config.eval_seed,
        "precision": config.precision,
        "environment": environment(),
        **report.to_json(),
    }
    with replacing(folder / PROVENANCE) as beside:
        beside.write_text(json.dumps(provenance, indent=2) + "\n")
    return report


def _read(path: Path) -> dict[str, object]:
    try:
        content: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"no teacher in {path.parent}: {path.name}: {error}\n"
            f"make one with: tdmr1 shapes pretrain {path.parent}"
        ) from error
    return content
