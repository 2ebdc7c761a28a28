"""Which prompt belongs to which image file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tdmr1.errors import UserError
from tdmr1.rewards.prompts import PromptLine, read_prompt_file

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Of the files that are looked for in a folder; a file that is named may have any."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image file and what it should show.

    Attributes:
        file: its path as it was given.
        path: the same from any folder.
        prompt: that it was generated for.
        metadata: the other keys of the prompt's line, without `file`.
    """

    file: str
    path: Path
    prompt: str
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, image: Path, prompt: str, metadata: Mapping[str, Any]) -> Picture:
        """Of a file that lies where the process is now; a reward may go somewhere else."""
        return cls(str(image), image.absolute(), prompt, metadata)


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Image files: those that are named, and all but hidden ones in and below named folders.

    Returns:
        In the order of their names, numbers in them by value: 2.png before 10.png.

    Raises:
        UserError: there is no such file or folder, or no image in a folder.
    """
    found = {path: None for given in paths for path in _images_of(given)}
    return sorted(found, key=lambda path: (_natural(path), str(path)))


def pair(images: Sequence[Path], prompts: Path) -> tuple[list[Picture], int]:
    """Give each image its prompt.

    Where the lines of the prompt file have a key `file`, that is the image's path or the end of
    it: `0007.png`, `star/0007.png`. Where they have none, the first line belongs to the first
    image and so on.

    Args:
        images: in order, without duplicates.
        prompts: a prompt file.

    Returns:
        The images with their prompts, in order, and the number of lines that name no image.

    Raises:
        UserError: the prompt file cannot be read, some lines alone have a `file`, one names
            several images, an image is named by none or by two; or without `file` there are not as
            many lines as images.
    """
    lines = read_prompt_file(prompts)
    named = sum("file" in line.metadata for line in lines)
    if 0 < named < len(lines):
        raise UserError(
            f'{named} of the {len(lines)} lines of {prompts} have a "file"; '
            "give one to each line, or to none"
        )
    if named:
        return _by_name(images, lines, prompts)
    if len(images) != len(lines):
        raise UserError(
            f"there are {len(images)} images, and {len(lines)} prompts in {prompts}; they can be "
            'paired in their order only if there are as many. Give each line the key "file", e.g. '
            '{"prompt": "a star", "file": "0007.png"}'
        )
    return [Picture.of(i, *line) for i, line in zip(images, lines, strict=True)], 0


def _by_name(
    images: Sequence[Path], lines: Sequence[PromptLine], prompts: Path
) -> tuple[list[Picture], int]:
    by_last: dict[str, list[Path]] = {}
    for image in images:
        by_last.setdefault(image.name, []).append(image)
    chosen: dict[Path, Picture] = {}
    for line in lines:
        file = line.metadata["file"]
        if not isinstance(file, str) or not Path(file).name:
            raise UserError(f'{prompts}: "file" is {file!r} instead of the name of an image')
        parts = Path(file).parts
        matches = [i for i in by_last.get(parts[-1], []) if i.parts[-len(parts) :] == parts]
        if len(matches) > 1:
            raise UserError(
                f'{prompts}: "file": "{file}" is {matches[0]} as well as {matches[1]}; '
                "write more of its path"
            )
        for image in matches:
            if image in chosen:
                raise UserError(f"{prompts}: two lines name the image {image}; keep one")
            metadata = {key: value for key, value in line.metadata.items() if key != "file"}
            chosen[image] = Picture.of(image, line.text, metadata)
    if missing := [image for image in images if image not in chosen]:
        raise UserError(
            f"{len(missing)} of {len(images)} images have no line in {prompts} that names them, "
            f"e.g. {missing[0]}; there are {len(lines)} lines, the first names "
            f"{lines[0].metadata['file']!r}"
        )
    return [chosen[image] for image in images], len(lines) - len(chosen)


def _images_of(given: Path) -> Iterator[Path]:
    if not given.exists():
        raise UserError(f"there is no file or folder {given}")
    if not given.is_dir():
        yield given
        return
    none = True
    for path in given.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(given).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            none = False
            yield path
    if none:
        raise UserError(f"there is no image in {given} (looked for {', '.join(SUFFIXES)})")


def _natural(path: Path) -> list[tuple[str | int, ...]]:
    """Sorts the numbers in a path's parts by their value."""
    return [
        tuple(int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", part))
        for part in path.parts
    ]
