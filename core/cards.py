"""What models say of themselves: the metadata of their cards, in the format of the Hub."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from huggingface_hub import ModelCard, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError

from tdmr1.core.layouts import ADAPTER_CONFIG
from tdmr1.hub import is_hub_id

CARD = "README.md"


def bases_of(student: Path) -> list[str]:
    """The models of the Hub that a student in a folder says it adapts, in its card or its
    `adapter_config.json`; none for a file alone."""
    said: list[Any] = []
    if (student / CARD).is_file():
        base = _card_data(student / CARD).get("base_model")
        said += base if isinstance(base, list) else [base]
    if (student / ADAPTER_CONFIG).is_file():
        with contextlib.suppress(ValueError, OSError, AttributeError):  # read again, and refused
            config = json.loads((student / ADAPTER_CONFIG).read_text(encoding="utf-8"))
            said.append(config.get("base_model_name_or_path"))
    return [base for base in said if isinstance(base, str) and is_hub_id(base)]


def licence_of(model: str, published: str | None = None) -> dict[str, str]:
    """What the card of a model says of its licence: `license`, and where there are any
    `license_name` and `license_link`. Empty where there is no card to be had.

    Args:
        model: a folder, or a Hub id.
        published: the Hub id of what lies in the folder, to which links are.
    """
    local = Path(model).is_dir()
    try:
        card = _card_data(Path(model) / CARD if local else Path(hf_hub_download(model, CARD)))
    except (OSError, EntryNotFoundError, HFValidationError):
        return {}
    keys = ("license", "license_name", "license_link")
    found = {key: str(value) for key in keys if (value := card.get(key))}
    link = found.get("license_link", "https://")
    if "://" not in link:
        name = published or (None if local else model)
        place = model if name is None else f"https://huggingface.co/{name}/blob/main"
        found["license_link"] = f"{place}/{link}"
    return found


def _card_data(card: Path) -> dict[str, Any]:
    """The metadata of a model card; none where it is not valid YAML.

    Raises:
        OSError: there is no such file.
    """
    try:
        data: dict[str, Any] = ModelCard.load(card, ignore_metadata_errors=True).data.to_dict()
    except (ValueError, yaml.YAMLError):
        return {}
    return data
