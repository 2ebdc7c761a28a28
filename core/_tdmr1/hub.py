"""What the Hugging Face Hub answers, for whoever downloads from it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is of httpx
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from tdmr1.errors import UserError
from tdmr1.progress import aside, task

HUB_FILE = re.compile(r"([^/]+/[^/]+)/(.+\.\w+)")
"""ORG/NAME/FILE."""
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """Whether it has the form ORG/NAME."""
    return _HUB_ID.fullmatch(name) is not None


@contextlib.contextmanager
def downloading(model: str) -> Iterator[None]:
    """Inside the block the Hub's own bars are shown on a terminal: they know the bytes."""
    with task(f"downloading {model}"), aside():
        yield


@contextlib.contextmanager
def explained(
    model: str,
    option: str = "--model FOLDER",
    what: str = "a pipeline of diffusers",
) -> Iterator[None]:
    """What the Hub answers inside the block, as an error that says what to do.

    Args:
        model: of the Hub.
        option: of the command line, as it names a folder instead.
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
            f"reaches it: hf download {model} --local-dir FOLDER, then here: {option}"
        ) from error
    except EntryNotFoundError as error:
        raise UserError(f"{model} is not {what}: {error}; see {page}") from error
    except (HTTPError, OSError) as error:
        raise UserError(
            f"the download of {model} failed: {error}\nthe same command again continues it"
        ) from error
