"""Published weights of a reward: of the Hugging Face Hub, or in a folder.

They are fetched ahead, by `tdmr1 rewards fetch`, and looked for on this machine alone: a run is
told at once what it lacks, and no process that loads a reward waits for a download. They stay
data: safetensors, or a file of torch that holds tensors alone. Torch is imported by whoever reads
one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdmr1.errors import UserError
from tdmr1.progress import task
from tdmr1.rewards.contract import Weights
from tdmr1.rewards.errors import WeightsMissing
from tdmr1.url_file import UrlFile

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
    return _found(model, patterns, model, _command(option, model))


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
    return _found(named[1], [named[2]], file, _command(option, file)) / named[2]


def find_weights(weights: Weights, place: str, command: str) -> Path:
    """The folder of published weights, or the file of those that have an address of their own.

    Args:
        weights: with the files that are needed, or the hash of the only one.
        place: a path; a name of the Hub; or the name of the weights, which have an address of
            their own.
        command: that fetches them.

    Raises:
        WeightsMissing: they are not on this machine.
        UserError: there is no such path, and it is no such name.
    """
    if (path := Path(place).expanduser()).exists():
        return path
    if weights.sha256:
        file = url_file(weights, place).place()
        if file.is_file():
            return file
        raise _missing(place, command)
    from tdmr1.hub import is_hub_id

    if not is_hub_id(place):
        raise UserError(f"there is no folder {place}; a model of the Hub is named ORG/NAME")
    return _found(place, weights.files, place, command)


def url_file(weights: Weights, place: str) -> UrlFile:
    """The published file that has an address of its own.

    Raises:
        UserError: the place is no path, and another name.
    """
    if place != weights.name:
        raise UserError(
            f"there is no file {place}; what can be fetched is {weights.name}, with the option "
            f"{weights.option} left out"
        )
    return UrlFile(weights.source, weights.sha256)


def check_file(weights: Weights, path: Path, command: str) -> None:
    """That a published file that has an address of its own is whole; one of another name, of which
    nobody knows, is not looked at.

    Args:
        weights: that it is of.
        path: of the file.
        command: that fetches it.

    Raises:
        UserError: it is damaged.
    """
    if path.name == weights.name and not url_file(weights, path.name).is_whole(path):
        raise UserError(
            f"{path} is damaged, or another file: its SHA-256 does not begin with "
            f"{weights.sha256}; try: {command}"
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU; where they lie beneath "state_dict", those.

    Args:
        path: `*.safetensors`, or a file that `torch.save` wrote; of the latter nothing is run.

    Raises:
        UserError: it is missing, damaged, or holds something else.
    """
    import torch

    try:
        with task(f"reading {path}"):
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
    missing = said["missing_keys"]
    if unneeded:
        missing = [name for name in missing if not name.startswith(unneeded)]
    _check_whole(kind, missing, folder)
    return network.requires_grad_(False).eval()


def network_with(
    kind: Any,  # noqa: ANN401
    config: Any,  # noqa: ANN401
    tensors: Mapping[str, Tensor],
    path: Path,
    **options: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """`kind(config, **options)` of transformers with these weights, all of them and no others.

    Args:
        kind: a class of transformers.
        config: of it.
        tensors: by the names that they have there; they are not copied.
        path: where they come from, for an error's text.

    Raises:
        UserError: one is missing, has another shape, or is not part of it.
    """
    with _quietly():
        network, said = kind.from_pretrained(
            None,
            config=config,
            state_dict=dict(tensors),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name
            **options,
        )
    _check_whole(kind, said["missing_keys"], path)
    others = {name: "another shape" for name, *_ in said["mismatched_keys"]}
    others |= dict.fromkeys(said["unexpected_keys"], "no place there")
    if others:
        name = min(others)
        raise UserError(f"{path} is of another {kind.__name__}: {name} has {others[name]}")
    return network.requires_grad_(False).eval()


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401
    """The tokenizer in a folder.

    Raises:
        UserError: a file is missing or damaged.
    """
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise UserError(
            f"{folder} has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt; "
            "what is of the Hub is completed by tdmr1 rewards fetch NAME"
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # of whatever lies there: always the same way out
        raise UserError(
            f"the tokenizer in {folder} cannot be read: {error}\n"
            "what is of the Hub is mended by tdmr1 rewards fetch NAME"
        ) from error


def _check_whole(kind: Any, missing: Collection[str], path: Path) -> None:  # noqa: ANN401
    if missing:
        raise UserError(
            f"{path} is not a {kind.__name__}: it lacks {len(missing)} weights, "
            f"e.g. {min(missing)}; name another one, or the model of the Hub itself"
        )


def _found(model: str, patterns: Sequence[str], place: str, command: str) -> Path:
    """The folder of a model of the Hub that is on this machine."""
    from tdmr1.hub_cache import CachedModel

    if (folder := CachedModel(model).find(patterns)) is None:
        raise _missing(place, command)
    return folder


def _missing(place: str, command: str) -> WeightsMissing:
    return WeightsMissing(f"the weights {place} are not on this machine; try: {command}")


def _command(option: str, place: str) -> str:
    reward, _, name = option.partition(".")
    return f"tdmr1 rewards fetch {reward} --option {name}={place}"


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
