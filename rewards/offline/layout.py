"""GenEval's folders of images: 00000/metadata.jsonl and 00000/samples/0000.png, and so on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdmr1.errors import UserError
from tdmr1.rewards.offline.pairing import Picture, find_images, pair
from tdmr1.rewards.prompts import PromptLine, read_prompt_file

METADATA, SAMPLES = "metadata.jsonl", "samples"


def read_pictures(paths: Sequence[Path], prompts: Path | None) -> tuple[list[Picture], int]:
    """Image files and what they should show, in order.

    Args:
        paths: folders and image files, with a prompt file; or folders in GenEval's layout.
        prompts: a prompt file, see `pair`; None: the prompts stand beside the images.

    Returns:
        The pictures, and the number of lines of `prompts` that name no image.

    Raises:
        UserError: as `find_images`, `pair` and `read_layout`.
    """
    if prompts is not None:
        return pair(find_images(paths), prompts)
    return [picture for path in paths for picture in read_layout(path)], 0


def read_layout(folder: Path) -> list[Picture]:
    """The samples of a folder in GenEval's layout, prompt by prompt.

    Raises:
        UserError: it is not one; a prompt has no samples, or samples have no prompt; or the
            metadata is not one JSON object with a "prompt".
    """
    if not folder.exists():
        raise UserError(f"there is no file or folder {folder}")
    inside = sorted(path for path in folder.iterdir()) if folder.is_dir() else []
    of_prompts = [p for p in inside if (p / METADATA).is_file() or (p / SAMPLES).is_dir()]
    if not of_prompts:
        raise UserError(
            f"nothing says what the images in {folder} should show: there is no "
            f"{folder}/00000/{METADATA}, as GenEval has it\nname their prompts: --prompts FILE"
        )
    found: list[Picture] = []
    for place in of_prompts:
        if not (place / METADATA).is_file():
            raise UserError(
                f"{place / SAMPLES} has images without metadata: there is no {place / METADATA}\n"
                'write it, {"prompt": "...", ...} on one line, or remove the folder'
            )
        lines = read_prompt_file(place / METADATA)
        if len(lines) != 1:
            raise UserError(f"{place / METADATA} has {len(lines)} prompts; it needs one")
        if not (place / SAMPLES).is_dir():
            raise UserError(
                f"{place / METADATA} has no images: there is no folder {place / SAMPLES}\n"
                "draw them, or remove the folder of the prompt"
            )
        found += [Picture.of(image, *lines[0]) for image in find_images([place / SAMPLES])]
    return found


class LayoutWriter:
    """Writes pictures in GenEval's layout: a folder for each prompt, in order of appearance.

    Args:
        folder: where to; made when the first picture is written.

    Raises:
        UserError: something is there already.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists already; choose another folder, or move it away")
        self._folder = folder
        self._seen: dict[str, tuple[int, int]] = {}

    def add(self, images: NDArray[np.uint8], prompts: Sequence[PromptLine]) -> None:
        """Write pictures (N, H, W, 3) of N prompts.

        Raises:
            UserError: one cannot be written.
        """
        try:
            for image, (text, metadata) in zip(images, prompts, strict=True):
                self._add(image, text, metadata)
        except OSError as error:
            raise UserError(f"cannot write into {self._folder}: {error}\nmake room") from error

    def _add(self, image: NDArray[np.uint8], text: str, metadata: Mapping[str, Any]) -> None:
        line = json.dumps({**metadata, "prompt": text})
        number, count = self._seen.get(line, (len(self._seen), 0))
        self._seen[line] = number, count + 1
        place = self._folder / f"{number:05d}"
        if count == 0:
            (place / SAMPLES).mkdir(parents=True)
            (place / METADATA).write_text(line + "\n", encoding="utf-8")
        Image.fromarray(image).save(place / SAMPLES / f"{count:04d}.png")
