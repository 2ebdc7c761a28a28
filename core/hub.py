"""Models as folders: local ones, and those of the Hugging Face Hub, downloaded once."""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is of httpx
    HFValidationError,
    HTTPError,
)

from tdmr1.core.adapters import LORA_FILE
from tdmr1.core.cards import CARD
from tdmr1.core.layouts import ADAPTER_CONFIG, ADAPTER_FILES
from tdmr1.core.published import PUBLISHED
from tdmr1.errors import UserError
from tdmr1.hub import HUB_FILE, downloading, explained
from tdmr1.progress import task

INDEX = "model_index.json"
_WRITE = (
    "{folder} is exported, and its upload to {name} failed: {why}\n"
    "log in with a token that may write there: hf auth login, then: hf upload {name} {folder}"
)


def pipeline_layout(model: str) -> str:
    """The class of a diffusers pipeline, as its model_index.json names it.

    Args:
        model: a folder, or a Hub id, of which this one file is downloaded.

    Raises:
        UserError: there is no such folder or model, or it is not a pipeline.
    """
    if Path(model).is_dir():
        index = Path(model) / INDEX
    else:
        with explained(model):
            index = Path(hf_hub_download(model, INDEX))
    try:
        layout = json.loads(index.read_text(encoding="utf-8"))["_class_name"]
    except FileNotFoundError as error:
        raise UserError(
            f"{model} is not a pipeline of diffusers: it has no {INDEX}; "
            "name the folder that `pipe.save_pretrained(FOLDER)` or `hf download` wrote"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{index} is damaged ({error!r}); download the model again") from error
    if not isinstance(layout, str):
        raise UserError(f"{model} brings code of its own ({layout}), which is not run")
    return layout


def pipeline_folder(model: str) -> Path:
    """The folder with all files of a diffusers pipeline; weights as safetensors alone.

    Args:
        model: a folder, or a Hub id.

    Raises:
        UserError: as above, or the download failed.
    """
    if Path(model).is_dir():
        return Path(model)
    # Imported here, because it takes seconds, and a generator that ships its weights needs none.
    from diffusers import DiffusionPipeline

    with explained(model), downloading(model):
        return Path(DiffusionPipeline.download(model, use_safetensors=True))


def outline_folder(model: str) -> Path:
    """The folder with the configurations of a diffusers pipeline, without its weights.

    Args:
        model: a folder, or a Hub id.

    Raises:
        UserError: as above.
    """
    if Path(model).is_dir():
        return Path(model)
    patterns = [INDEX, "*/config.json", "scheduler/scheduler_config.json"]
    with explained(model):
        return Path(snapshot_download(model, allow_patterns=patterns))


def network_folder(model: str, weights: bool = True) -> Path:
    """The folder with the configuration, and the weights, of a single network.

    Args:
        model: a folder, or a Hub id.
        weights: false leaves them out.

    Raises:
        UserError: as above.
    """
    if Path(model).is_dir():
        return Path(model)
    patterns = ["config.json", *(["*.safetensors"] if weights else [])]
    with explained(model), downloading(model):
        return Path(snapshot_download(model, allow_patterns=patterns))


def student_path(student: str) -> Path:
    """Where a student lies on disk.

    Args:
        student: a folder or a file; or of the Hub ORG/NAME, or ORG/NAME/FILE, downloaded once.

    Raises:
        UserError: as above.
    """
    if Path(student).exists():
        return Path(student)
    if (named := HUB_FILE.fullmatch(student)) is not None:
        model, file = named.groups()
    else:
        model, file = student, PUBLISHED[student].file if student in PUBLISHED else None
    with explained(model, "--student FOLDER", "a LoRA"), downloading(student):
        if file is not None:
            return Path(hf_hub_download(model, file))
        patterns = [CARD, LORA_FILE, ADAPTER_CONFIG, *ADAPTER_FILES]
        return Path(snapshot_download(model, allow_patterns=patterns))


def push(folder: Path, name: str) -> str:
    """Upload a folder to the Hub, into a model that may exist; gives the address of its page.

    Args:
        folder: with a model card.
        name: ORG/NAME.

    Raises:
        UserError: nobody is logged in, or may not write there; or the upload failed.
    """
    api = HfApi()
    try:
        page = api.create_repo(name, exist_ok=True)
        with task(f"uploading {folder}"):
            api.upload_folder(repo_id=name, folder_path=folder, commit_message="Export of tdmr1")
    except (HTTPError, HFValidationError, OSError) as error:
        raise UserError(_WRITE.format(name=name, folder=folder, why=error)) from error
    return str(page)
