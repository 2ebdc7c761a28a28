"""The wire between a run and a reward that works elsewhere: a JSON header, then raw bytes.

    offset  bytes  what
    0       4      "TDMR"
    4       1      version of the wire, 1
    5       3      zero
    8       4      length of the header, unsigned, big-endian
    12      8      length of the body, likewise
    20             the header: one JSON object in UTF-8, without NaN and infinities
                   the body: images one after another, or nothing

Samples are header entries `{"prompt": ..., "metadata": {...}, "shape": [height, width, 3]}`, and
their pixels are the body: uint8, row by row, one image after another. Where it is known which
samples belong together, entries have a number, too, `"group": 0`; those that a training has drawn
say when, `"iteration": 0`. Scores are header entries `null` or `{"value": ..., "reason": ...,
"passed": ...}`, with `"details": {...}` where there are some, and need no body. What is asked and
answered with them, `messages.py` says.
Everything read is data: there is no pickle here, and nothing in a frame names code.
"""

from __future__ import annotations

import io
import json
import math
import reprlib
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tdmr1.rewards.contract import Image, Sample, Score
from tdmr1.rewards.strict_json import read_json

MAGIC = b"TDMR"
WIRE_VERSION = 1
_PREFIX = struct.Struct(">4sB3sIQ")

MAX_HEADER = 16 * 2**20
"""Bytes; prompts and metadata of some thousands of samples."""
MAX_BODY = 2**30
"""Bytes; 300 images of 1024 x 1024."""
MAX_SIDE = 65_536
"""Pixels of an image's height or width."""
NUMBERS = ("group", "iteration")
"""What an entry says of its sample where it is known; to an older side it is not."""

Header: TypeAlias = dict[str, Any]


class FrameInvalid(ValueError):
    """What arrived is not a frame of this wire; the text says why."""


class StreamEnded(EOFError):
    """Nothing more arrives: the other side is gone, or has said all it had to say."""


def encode(header: Header, chunks: Sequence[bytes | memoryview] = ()) -> list[bytes | memoryview]:
    """A frame as pieces to be written one after another; the chunks are not copied.

    Raises:
        FrameInvalid: the header holds what JSON cannot, or the frame would be refused as too long.
    """
    try:
        text = json.dumps(header, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameInvalid(f"the header cannot be written as JSON: {error}") from None
    size = sum(memoryview(chunk).nbytes for chunk in chunks)
    _check_sizes(len(text), size)
    return [_PREFIX.pack(MAGIC, WIRE_VERSION, bytes(3), len(text), size) + text, *chunks]


def read_head(read: Callable[[int], bytes]) -> tuple[Header, int]:
    """The next frame's header, and the length of the body, which is still to be read.

    Args:
        read: returns as many bytes as asked for, or fewer where the stream has ended.

    Raises:
        StreamEnded: there is no further frame.
        FrameInvalid: the frame is cut short, oversized or malformed.
    """
    prefix = read(_PREFIX.size)
    if not prefix:
        raise StreamEnded
    if len(prefix) < _PREFIX.size:
        raise FrameInvalid(f"cut short after {len(prefix)} bytes")
    magic, version, zeros, header_size, body_size = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise FrameInvalid(f"begins with {magic!r} instead of {MAGIC!r}")
    if version != WIRE_VERSION:
        raise FrameInvalid(f"speaks version {version} of the wire, this side {WIRE_VERSION}")
    if any(zeros):
        raise FrameInvalid(f"has {zeros!r} where there should be zeros")
    _check_sizes(header_size, body_size)
    text = read(header_size)
    if len(text) < header_size:
        raise FrameInvalid(f"cut short: {len(text)} of the header's {header_size} bytes")
    return parse_header(text), body_size


def read_frame(data: bytes) -> tuple[Header, memoryview]:
    """Header and body of a whole frame in memory; raises FrameInvalid where it is not one."""
    stream = io.BytesIO(data)
    header, body_size = read_head(stream.read)
    body = memoryview(data)[stream.tell() :]
    if len(body) != body_size:
        raise FrameInvalid(f"its body has {len(body)} bytes, {body_size} are announced")
    return header, body


def parse_header(text: bytes) -> Header:
    """The JSON object in `text`; raises FrameInvalid where there is none."""
    try:
        header = read_json(text.decode())
    except ValueError as error:
        raise FrameInvalid(f"the header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise FrameInvalid(f"the header is a JSON {type(header).__name__}, not an object")
    return header


def describe_samples(samples: Sequence[Sample]) -> list[Header]:
    """Samples, but for their pixels, as header entries.

    Raises:
        FrameInvalid: an image is not uint8 (height, width, 3).
    """
    entries: list[Header] = [
        {"prompt": s.prompt, "metadata": dict(s.metadata), "shape": _shape(s.image, f"sample {i}")}
        for i, s in enumerate(samples)
    ]
    for entry, sample in zip(entries, samples, strict=True):
        numbers = {key: getattr(sample, key) for key in NUMBERS}
        entry.update({key: number for key, number in numbers.items() if number is not None})
    return entries


def pixel_chunks(samples: Sequence[Sample]) -> list[memoryview]:
    """The pixels of samples that can be described, as chunks of the body."""
    return [np.ascontiguousarray(sample.image).data.cast("B") for sample in samples]


def unpack_samples(entries: object, body: bytes | memoryview) -> list[Sample]:
    """What `describe_samples` and `pixel_chunks` packed; the images are read-only views of `body`.

    Raises:
        FrameInvalid: an entry is not one, or the body is not as long as the shapes say.
    """
    if not isinstance(entries, list):
        raise FrameInvalid("`samples` is not a list")
    samples, start = [], 0
    for index, entry in enumerate(entries):
        prompt, metadata, shape, numbers = _entry(entry, f"sample {index}")
        end = start + math.prod(shape)
        if end > len(body):
            raise FrameInvalid(
                f"sample {index} ends at byte {end} of a body that has only {len(body)}"
            )
        pixels = np.frombuffer(body, np.uint8, end - start, start)
        pixels.flags.writeable = False
        samples.append(Sample(pixels.reshape(shape), prompt, metadata, **numbers))
        start = end
    if start != len(body):
        raise FrameInvalid(f"the body has {len(body)} bytes, the samples take {start}")
    return samples


def pack_scores(scores: Sequence[Score | None]) -> list[Header | None]:
    """Scores, already checked to be finite, as header entries."""
    return [None if score is None else _packed(score) for score in scores]


def unpack_scores(entries: object) -> list[Score | None]:
    """What `pack_scores` packed; raises FrameInvalid where it is something else."""
    if not isinstance(entries, list):
        raise FrameInvalid("`scores` is not a list")
    return [None if entry is None else _score(entry, i) for i, entry in enumerate(entries)]


def _packed(score: Score) -> Header:
    entry: Header = {"value": score.value, "reason": score.reason, "passed": score.passed}
    return {**entry, "details": dict(score.details)} if score.details else entry


def _check_sizes(header: int, body: int) -> None:
    if header > MAX_HEADER:
        raise FrameInvalid(f"a header of {header} bytes; at most {MAX_HEADER} are taken")
    if body > MAX_BODY:
        raise FrameInvalid(f"a body of {body} bytes; at most {MAX_BODY} are taken")


def _shape(image: Image, where: str) -> list[int]:
    if image.dtype != np.uint8:
        raise FrameInvalid(f"{where}: an image of {image.dtype} is not taken, only of uint8")
    _check_shape(image.shape, where)
    return list(image.shape)


def _check_shape(shape: Sequence[int], where: str) -> None:
    if len(shape) != 3 or shape[2] != 3 or not all(0 < side <= MAX_SIDE for side in shape[:2]):
        raise FrameInvalid(
            f"{where}: an image of shape {reprlib.repr(list(shape))} is not taken, only "
            f"[height, width, 3] with sides of 1 to {MAX_SIDE}"
        )


def _entry(
    entry: object, where: str
) -> tuple[str, dict[str, Any], list[int], dict[str, int | None]]:
    if not isinstance(entry, dict):
        raise FrameInvalid(f"{where} is not an object")
    prompt, metadata, shape = entry.get("prompt"), entry.get("metadata"), entry.get("shape")
    if not isinstance(prompt, str):
        raise FrameInvalid(f"{where} has no prompt")
    if not isinstance(metadata, dict):
        raise FrameInvalid(f"{where}: the metadata is not an object")
    if not isinstance(shape, list) or not all(type(n) is int for n in shape):
        raise FrameInvalid(f"{where}: the shape {reprlib.repr(shape)} is not [height, width, 3]")
    _check_shape(shape, where)
    numbers = {key: entry.get(key) for key in NUMBERS}
    for key, number in numbers.items():
        if not (number is None or type(number) is int):
            raise FrameInvalid(f"{where}: the {key} {reprlib.repr(number)} is no number")
    return prompt, metadata, shape, numbers


def _score(entry: object, index: int) -> Score:
    match entry:
        case {
            "value": int() | float() as value,
            "reason": str(reason),
            "passed": passed,
            **more,
        } if not isinstance(value, bool) and (passed is None or isinstance(passed, bool)):
            pass
        case _:
            raise FrameInvalid(f"score {index} is {reprlib.repr(entry)}")
    details = more.get("details", {})
    if not isinstance(details, dict):
        raise FrameInvalid(f"score {index} has details that are no object")
    try:
        return Score(float(value), reason, passed, details)
    except OverflowError:
        raise FrameInvalid(f"score {index} is too large") from None
