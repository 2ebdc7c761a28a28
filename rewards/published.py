"""Published weights of a reward: of the Hugging Face Hub, or in a folder.

They are fetched ahead, by `tdmr1 rewards fetch`, and looked for on this machine alone: a run is
told at once what it lacks, and no process that loads a reward waits for a download. They stay
data: safetensors, or a file of torch that holds tensors alone. Torch is imported by whoever reads
one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdmr1.errors import UserError
from tdmr1.progress import task
from tdmr1.rewards.errors import WeightsMissing

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = ("*.json", "model*.safetensors")
TOKENIZER = ("*.json", "merges.txt")
CLIP = (*WEIGHTS, "merges.txt")
"""Files of the Hub: of a network of transformers, of CLIP's tokenizer, and of both."""


def published_folder(model: str, patterns: Sequence[str], option: str) -> Path:
    """The folder with files of a published model.

    Args:
        model: a folder, or a Hub id.
        patterns: of the files that are needed; "*" matches as in a shell.
        option: of a reward, that names the model, e.g. "pickscore.model".

    Raises:
        WeightsMissing: the model is not on this machine.
        UserError: there is neither.
    """
    if (folder := Path(model).expanduser()).is_dir():
        return folder
    # Imported here, because whoever has a folder needs no Hub.
    from tdmr1.hub import is_hub_id

    if not is_hub_id(model):
        raise UserError(f"there is no folder {model}; a model of the Hub is named ORG/NAME")
    return _found(model, patterns, option, model)


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
    from tdmr1.hub import HUB_FILE, is_hub_id

    named = HUB_FILE.fullmatch(file)
    if named is None or not is_hub_id(named[1]):
        raise UserError(f"there is no file {file}; a file of the Hub is named ORG/NAME/FILE")
    return _found(named[1], [named[2]], option, file) / named[2]


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
            f"{path} cannot be read as weights: {_first_line(error)}\n"
            "what is of the Hub is mended by tdmr1 rewards fetch NAME"
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
            "a file is missing, damaged or of another model; what is of the Hub is completed by "
            "tdmr1 rewards fetch NAME"
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


def _found(model: str, patterns: Sequence[str], option: str, place: str) -> Path:
    """The folder of a model of the Hub that is on this machine."""
    from tdmr1.hub_cache import CachedModel

    if (folder := CachedModel(model).find(patterns)) is not None:
        return folder
    reward, _, name = option.partition(".")
    raise WeightsMissing(
        f"the weights {place} are not on this machine; "
        f"try: tdmr1 rewards fetch {reward} --option {name}={place}"
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
