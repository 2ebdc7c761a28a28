"""Published weights of a reward: of the Hugging Face Hub, downloaded once, or in a folder.

They stay data: safetensors, or a file of torch that holds tensors alone. Torch is imported by
whoever reads one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdmr1.errors import UserError
from tdmr1.progress import task

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = ("*.json", "model*.safetensors")
TOKENIZER = ("*.json", "merges.txt")
"""Files of the Hub: of a network of transformers, and of CLIP's tokenizer."""


def published_folder(model: str, patterns: Sequence[str], option: str) -> Path:
    """The folder with files of a published model.

    Args:
        model: a folder, or a Hub id.
        patterns: of the files that are needed; "*" matches as in a shell.
        option: of a reward, that names the model, e.g. "pickscore.model".

    Raises:
        UserError: there is neither, or it cannot be downloaded; its text says what to type.
    """
    if (folder := Path(model).expanduser()).is_dir():
        return folder
    # Imported here, because whoever has a folder needs no Hub.
    from huggingface_hub import snapshot_download

    from tdmr1.hub import downloading, explained

    # All files would be several formats of the same weights.
    files = " ".join(f"--include '{pattern}'" for pattern in patterns)
    naming = _naming(option, "FOLDER")
    with explained(model, naming, "what it should be", files), downloading(model):
        return Path(snapshot_download(model, allow_patterns=[*patterns]))


def published_file(file: str, option: str) -> Path:
    """A single published file.

    Args:
        file: a path, or ORG/NAME/FILE of the Hub.
        option: that names it, as above.

    Raises:
        UserError: as above.
    """
    if (path := Path(file).expanduser()).is_file():
        return path
    from huggingface_hub import hf_hub_download

    from tdmr1.hub import HUB_FILE, downloading, explained

    named = HUB_FILE.fullmatch(file)
    if named is None:
        raise UserError(f"there is no file {file}; a file of the Hub is named ORG/NAME/FILE")
    model, name = named.groups()
    naming = _naming(option, f"FOLDER/{name}")
    with explained(model, naming, "what it should be", name), downloading(file):
        return Path(hf_hub_download(model, name))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU; where they lie beneath "state_dict", those.

    Args:
        path: `*.safetensors`, or a file that `torch.save` wrote; of the latter nothing is run.

    Raises:
        UserError: it is missing, damaged, or holds something else.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a file that may be anything: always the same way out
        raise UserError(
            f"{path} cannot be read as weights: {_first_line(error)}\ndownload it again"
        ) from error
    if isinstance(found, Mapping):
        found = found.get("state_dict", found)
    if not isinstance(found, Mapping) or not all(
        isinstance(v, torch.Tensor) for v in found.values()
    ):
        raise UserError(f"{path} holds something else than tensors by name; is it another file?")
    return dict(found)


def read_network(kind: Any, folder: Path, unneeded: str = "") -> Any:  # noqa: ANN401
    """`kind.from_pretrained(folder)` of transformers, whole: no weight is left at random.

    Args:
        kind: a class of transformers.
        folder: a local one, with config.json and weights.
        unneeded: how names of weights begin that inference does without.

    Raises:
        UserError: a file is missing or damaged, or it is another model.
    """
    try:
        if not (folder / "config.json").is_file():
            raise FileNotFoundError("there is no config.json")
        with task(f"reading {folder}"), _quietly():
            network, said = kind.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
    except Exception as error:  # of whatever lies there: always the same way out
        raise UserError(
            f"{folder} cannot be read as {kind.__name__}: {_first_line(error)}\n"
            "a file is missing, damaged or of another model; complete it with: "
            f"hf download ORG/NAME --local-dir {folder}"
        ) from error
    missing = sorted(said["missing_keys"])
    if unneeded:
        missing = [name for name in missing if not name.startswith(unneeded)]
    if missing:
        raise UserError(
            f"{folder} is not a {kind.__name__}: it lacks {len(missing)} weights, "
            f"e.g. {missing[0]}; name another folder, or the model of the Hub itself"
        )
    return network.requires_grad_(False).eval()


def _naming(option: str, place: str) -> str:
    """How an option of a reward is given on the command line."""
    return (
        f"--set reward_options.{option}={place}, or --option {option.partition('.')[2]}={place} "
        "of `tdmr1 rewards`"
    )


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Inside the block transformers neither shows bars nor warns of weights that are not used."""
    from transformers.utils import logging as of_transformers

    logging: Any = of_transformers  # it is without types
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
