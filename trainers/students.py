"""The student that a run begins with: where it lies, and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdmr1.core.cards import bases_of
from tdmr1.core.generator import Generator
from tdmr1.core.hub import student_path
from tdmr1.core.published import PUBLISHED, Published
from tdmr1.errors import UserError
from tdmr1.hub import is_hub_id
from tdmr1.trainers.config import StudentOptions


def find_student(config: StudentOptions, generator: Generator) -> tuple[Path, float]:
    """Where the student that a run begins with lies, and the weight of its LoRA as an adapter.

    Raises:
        UserError: none is named, and the generator ships none; it cannot be found; it says that
            it is for another base; or it was published with another shift than the run has
            without having been asked.
    """
    if config.student is None:
        path, weight = generator.student_folder(), 1.0
        if path is None:
            raise UserError(
                f"the generator {generator.name!r} ships no student; make one with `tdmr1 distill "
                f"--model {config.model} --out RUN`, then add --student RUN/lora"
            )
    else:
        published = PUBLISHED.get(config.student)
        if published is not None:
            _check_base(config, [published.base])
            _check_shift(config, published, generator.shift_of(config.method.steps))
        path, weight = student_path(config.student), published.weight if published else 1.0
        _check_base(config, bases_of(path))
    return path, weight if config.student_weight is None else config.student_weight


def _check_base(config: StudentOptions, bases: Sequence[str]) -> None:
    """Models of one family have layers of the same shapes, so that a LoRA of another one fits."""
    named = is_hub_id(config.model) and not Path(config.model).exists()
    if named and bases and config.model not in bases:
        raise UserError(
            f"{config.student} is a LoRA of another base: of {' or '.join(bases)}, and this run "
            f"has {config.model}\nchoose --model {bases[0]}; if you know that it fits all the "
            "same, download it and name its file: --student FOLDER/FILE"
        )


def _check_shift(config: StudentOptions, published: Published, shift: float) -> None:
    if "shift" not in config.generator and published.shift not in (None, shift):
        raise UserError(
            f"{config.student} was published with shift {published.shift:g}, and this model has "
            f"{shift:g}; say which: --set generator.shift={published.shift:g} or "
            f"--set generator.shift={shift:g}"
        )
