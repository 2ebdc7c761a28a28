"""Models as folders: local ones, and those of the Hugging Face Hub, downloaded once."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is of httpx
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from tdmr1.core.adapters import LORA_FILE
from tdmr1.core.cards import CARD, is_hub_id
from tdmr1.core.layouts import ADAPTER_CONFIG, ADAPTER_FILES
from tdmr1.core.published import PUBLISHED
from tdmr1.errors import UserError
from tdmr1.progress import aside, task

INDEX = "model_index.json"
_WRITE = (
    "{folder} is exported, and its upload to {name} failed: {why}\n"
    "log in with a token that may write there: hf auth login, then: hf upload {name} {folder}"
)
_HUB_FILE = re.compile(r"([^/]+/[^/]+)/(.+\.\w+)")


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
        with _explained(model):
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

    with _explained(model), _downloading(model):
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
    with _explained(model):
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
    with _explained(model), _downloading(model):
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
    if (named := _HUB_FILE.fullmatch(student)) is not None:
        model, file = named.groups()
    else:
        model, file = student, PUBLISHED[student].file if student in PUBLISHED else None
    with _explained(model, "--student", "a LoRA"), _downloading(student):
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


@contextlib.contextmanager
def _downloading(model: str) -> Iterator[None]:
    """Inside the block the Hub's own bars are shown on a terminal: they know the bytes."""
    with task(f"downloading {model}"), aside():
        yield


@contextlib.contextmanager
def _explained(
    model: str, option: str = "--model", what: str = "a pipeline of diffusers"
) -> Iterator[None]:
    """What the Hub answers inside the block, as an error that says what to do.

    Args:
        model: of the Hub.
        option: of the command line, which could name a folder as well.
        what: it was to be.
    """
    page = f"https://huggingface.co/{model}"
    if not is_hub_id(model):
        raise UserError(f"there is no folder {model}; a model of the Hub is named ORG/NAME")
    try:
        yield
    except GatedRepoError as error:
        raise UserError(
            f"{model} is gated: accept its licence on {page}, then log in with: hf auth login"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"there is neither a folder {model} nor a model of that name on the Hub; look for it "
            f"on {page}, and if it is private log in with: hf auth login"
        ) from error
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"there is no folder {model}, and the Hub cannot be reached; on a machine that "
            f"reaches it: hf download {model} --local-dir FOLDER, then here: {option} FOLDER"
        ) from error
    except EntryNotFoundError as error:
        raise UserError(f"{model} is not {what}: {error}; see {page}") from error
    except (HTTPError, OSError) as error:
        raise UserError(
            f"the download of {model} failed: {error}\nthe same command again continues it"
        ) from error
