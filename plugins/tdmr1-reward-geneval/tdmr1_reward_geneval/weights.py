"""Find learnt weights on this machine, and tell whether they are those of the right model.

Nothing is downloaded and no network is made: what is asked here is asked before a run starts.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdmr1.rewards import published
from tdmr1_reward_geneval import CLIP, MASK2FORMER
from tdmr1_reward_geneval.coco import LABELS
from tdmr1_reward_geneval.detector import DetectorError

MODULES = ("torch", "transformers", "scipy")
"""transformers' Mask2Former needs scipy to be constructed, also for inference."""

SAME_NAMES = 70
"""Of the 80 names of a detector's classes, how many have to be COCO's at their place: there are
several spellings, sofa for couch, and weights of other classes share next to none."""


def check_modules() -> None:
    """That the packages are installed.

    Raises:
        DetectorError: one is not; says what to type.
    """
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise DetectorError(
            f"detector mask2former needs {', '.join(missing)}; "
            "try: pip install 'tdmr1-reward-geneval[mask2former]'"
        )


def find_mask2former(which: str) -> Path:
    """The folder of a Mask2Former for COCO's 80 classes.

    Args:
        which: a folder as transformers saves it, or a model of the Hub that was fetched.

    Raises:
        UserError: it is not on this machine.
        DetectorError: it is incomplete, or another model.
    """
    folder, config = _find(which, "weights", "mask2former", published.WEIGHTS)
    names = config.get("id2label")
    names = names if isinstance(names, dict) else {}
    given = [str(names.get(str(i), "")).lower().replace("_", " ") for i in range(len(LABELS))]
    # Where GenEval has two words of its own, COCO has the second.
    same = sum(name in (own, own.split()[-1]) for name, own in zip(given, LABELS, strict=True))
    if len(names) != len(LABELS) or same < SAME_NAMES:
        raise DetectorError(
            f"weights={which!r} has {len(names)} classes, of which {same} stand where COCO has "
            f"them; expected a Mask2Former for COCO's 80 instances, as {MASK2FORMER}"
        )
    return folder


def find_clip(which: str) -> Path:
    """The folder of OpenAI's CLIP.

    With another activation than they were trained with, the weights mean nothing, and no error
    would tell.

    Args:
        which: as for `find_mask2former`.

    Raises:
        UserError, DetectorError: likewise; or it has another activation.
    """
    folder, config = _find(which, "color_weights", "clip", published.CLIP)
    for tower in ("text_config", "vision_config"):
        part = config.get(tower)
        activation = part.get("hidden_act", "quick_gelu") if isinstance(part, dict) else part
        if activation != "quick_gelu":
            raise DetectorError(
                f"color_weights={which!r}: its {tower} has the activation {activation!r}; "
                f"GenEval's colours are by OpenAI's CLIP, which has quick_gelu, as {CLIP}"
            )
    return folder


def _find(
    which: str, option: str, kind: str, patterns: Sequence[str]
) -> tuple[Path, dict[str, Any]]:
    """A folder and its config.json, whose model_type is `kind`."""
    folder = published.published_folder(which, patterns, f"geneval.{option}")
    file = folder / "config.json"
    stored = any(next(folder.glob(f"*.{ending}"), None) for ending in ("safetensors", "bin"))
    if not file.is_file() or not stored:
        what = "file of weights" if file.is_file() else "config.json"
        raise DetectorError(f"{option}={which!r}: there is no {what} in {folder}; {_ways(option)}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DetectorError(f"{option}={which!r}: {file} cannot be read: {error}") from error
    found = config.get("model_type") if isinstance(config, dict) else None
    if found != kind:
        raise DetectorError(
            f"{option}={which!r} is a model of type {found!r}; expected {kind!r}; {_ways(option)}"
        )
    return folder, config


def _ways(option: str) -> str:
    return f"try: tdmr1 rewards fetch geneval, and leave the option {option} out"
