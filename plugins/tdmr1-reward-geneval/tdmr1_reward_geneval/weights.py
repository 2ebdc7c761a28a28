"""Find learnt weights on this machine, and tell whether they are those of the right model.

Nothing is downloaded and no network is made: what is asked here is asked before a run starts.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdmr1.rewards.models import published
from tdmr1.rewards.models.clip import check_standardised
from tdmr1.rewards.models.open_clip_layout import CONFIG, has_open_clip_layout, read_architecture
from tdmr1_reward_geneval import CLIP, MASK2FORMER
from tdmr1_reward_geneval.coco import LABELS, SAME_NAMES, names_in_place
from tdmr1_reward_geneval.detector import DetectorError

TOWERS = ("text_config", "vision_config")
"""The two networks of a CLIP."""


def check_modules(names: Sequence[str], remedy: str) -> None:
    """That the packages of a detector are installed.

    Raises:
        DetectorError: one is not; says what to type.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise DetectorError(f"this detector needs {', '.join(missing)}; try: {remedy}")


def find_mask2former(which: str) -> Path:
    """The folder of a Mask2Former for COCO's 80 classes.

    Args:
        which: a folder as transformers saves it, or a model of the Hub that was fetched.

    Raises:
        UserError: it is not on this machine.
        DetectorError: it is incomplete, or another model.
    """
    folder = published.published_folder(which, published.WEIGHTS, "geneval.weights")
    config = _config(folder, f"weights={which!r}", "mask2former")
    names = config.get("id2label")
    names = names if isinstance(names, dict) else {}
    same = names_in_place(str(names.get(str(i), "")) for i in range(len(LABELS)))
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
        which: as for `find_mask2former`; or a folder in the layout of open_clip.

    Raises:
        UserError, DetectorError: likewise; or it has another activation, or has seen pictures
            that were standardised otherwise.
    """
    given = f"color_weights={which!r}"
    folder = published.published_folder(which, published.CLIP, "geneval.color_weights")
    check_standardised(folder)
    if has_open_clip_layout(folder):
        activations: dict[str, object] = {CONFIG: read_architecture(folder).activation}
    else:
        config = _config(folder, given, "clip")
        activations = {tower: _activation(config.get(tower)) for tower in TOWERS}
    for place, activation in activations.items():
        if activation != "quick_gelu":
            raise DetectorError(
                f"{given}: its {place} has the activation {activation!r}; "
                f"GenEval's colours are by OpenAI's CLIP, which has quick_gelu, as {CLIP}"
            )
    return folder


def _activation(tower: object) -> object:
    """As the configuration of a network says it; transformers writes down what differs."""
    return tower.get("hidden_act", "quick_gelu") if isinstance(tower, dict) else tower


def _config(folder: Path, given: str, kind: str) -> dict[str, Any]:
    """The config.json of a folder, whose model_type is `kind`."""
    option = given.partition("=")[0]
    again = f"try: tdmr1 rewards fetch geneval, and leave the option {option} out"
    file = folder / "config.json"
    stored = any(next(folder.glob(f"*.{ending}"), None) for ending in ("safetensors", "bin"))
    if not file.is_file() or not stored:
        what = "file of weights" if file.is_file() else "config.json"
        raise DetectorError(f"{given}: there is no {what} in {folder}; {again}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DetectorError(f"{given}: {file} cannot be read: {error}") from error
    found = config.get("model_type") if isinstance(config, dict) else None
    if found != kind:
        raise DetectorError(f"{given} is a model of type {found!r}; expected {kind!r}; {again}")
    return dict(config)
