"""The wire between a run and a reward that works elsewhere: a JSON header, then raw bytes.

    offset  bytes  what
    0       4      "TDMR"
    4       1      version of the wire, 1
    5       3      zero
    8       4      length of the header, unsigned, big-endian
    12      8      length of the body, likewise
    20             the header: one JSON object in UTF-8, without NaN and infinities
                   the body: images one after another, or nothing

A request names its operation, `{"op": "score", "samples": [{"prompt": ..., "metadata": {...},
"shape": [height, width, 3]}, ...]}`, and its body holds the pixels, uint8, row by row. The answer
is `{"scores": [null or {"value": ..., "reason": ..., "passed": ...}, ...]}`, or `{"error":
{"kind": ..., "text": ...}}`. Everything read is data: there is no pickle here, and nothing in a
frame names code.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np

from tdmr1.rewards.contract import Sample, Score

MAGIC = b"TDMR"
WIRE_VERSION = 1
_PREFIX = struct.Struct(">4sB3xIQ")

MAX_HEADER = 16 * 2**20
"""Bytes; prompts and metadata of some thousands of samples."""
MAX_BODY = 2**30
"""Bytes; 300 images of 1024 x 1024."""
MAX_SIDE = 65_536
"""Pixels of an image's height or width."""

Header: TypeAlias = dict[str, Any]


class FrameInvalid(ValueError):
    """What arrived is not a frame of this wire; the text says why."""


class StreamEnded(EOFError):
    """Nothing more arrives: the other side is gone, or has said all it had to say."""


def encode(header: Header, chunks: Sequence[bytes | memoryview] = ()) -> list[bytes | memoryview]:
    """A frame as pieces to be written one after another; the chunks are not copied."""
    text = json.dumps(header, allow_nan=False, ensure_ascii=False).encode()
    size = sum(memoryview(chunk).nbytes for chunk in chunks)
    return [_PREFIX.pack(MAGIC, WIRE_VERSION, len(text), size) + text, *chunks]


def read_frame(read: Callable[[int], bytes], max_body: int = MAX_BODY) -> tuple[Header, bytes]:
    """The next frame's header and body.

    Args:
        read: returns as many bytes as asked for, or fewer where the stream has ended.
        max_body: a longer body is refused before it is read.

    Raises:
        StreamEnded: there is no further frame.
        FrameInvalid: the frame is cut short, oversized or malformed.
    """
    prefix = read(_PREFIX.size)
    if not prefix:
        raise StreamEnded
    header_size, body_size = _sizes(prefix, max_body)
    text = _exactly(read, header_size, "header")
    header = parse_header(text)
    return header, _exactly(read, body_size, "body")


def parse_header(text: bytes) -> Header:
    """The JSON object in `text`; raises FrameInvalid where there is none."""
    try:
        header = json.loads(text.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FrameInvalid(f"the header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise FrameInvalid(f"the header is a JSON {type(header).__name__}, not an object")
    return header


def pack_samples(samples: Sequence[Sample]) -> tuple[list[Header], list[memoryview]]:
    """Samples as header entries and chunks of the body."""
    entries = [
        {"prompt": s.prompt, "metadata": dict(s.metadata), "shape": list(s.image.shape)}
        for s in samples
    ]
    return entries, [np.ascontiguousarray(sample.image).data.cast("B") for sample in samples]


def unpack_samples(entries: object, body: bytes) -> list[Sample]:
    """What `pack_samples` packed; the images are read-only views of `body`.

    Raises:
        FrameInvalid: an entry is not one, or the body is not as long as the shapes say.
    """
    if not isinstance(entries, list):
        raise FrameInvalid("`samples` is not a list")
    samples, start = [], 0
    for index, entry in enumerate(entries):
        prompt, metadata, shape = _entry(entry, f"sample {index}")
        end = start + math.prod(shape)
        if end > len(body):
            raise FrameInvalid(
                f"sample {index} ends at byte {end} of a body that has only {len(body)}"
            )
        pixels = np.frombuffer(body, np.uint8, end - start, start)
        samples.append(Sample(pixels.reshape(shape), prompt, metadata))
        start = end
    if start != len(body):
        raise FrameInvalid(f"the body has {len(body)} bytes, the samples take {start}")
    return samples


def pack_scores(scores: Sequence[Score | None]) -> list[Header | None]:
    """Scores, already checked to be finite, as header entries."""
    return [
        None if s is None else {"value": s.value, "reason": s.reason, "passed": s.passed}
        for s in scores
    ]


def unpack_scores(entries: object) -> list[Score | None]:
    """What `pack_scores` packed; raises FrameInvalid where it is something else."""
    if not isinstance(entries, list):
        raise FrameInvalid("`scores` is not a list")
    return [None if entry is None else _score(entry, i) for i, entry in enumerate(entries)]


def _sizes(prefix: bytes, max_body: int) -> tuple[int, int]:
    if len(prefix) < _PREFIX.size:
        raise FrameInvalid(f"cut short after {len(prefix)} bytes")
    magic, version, header_size, body_size = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise FrameInvalid(f"begins with {magic!r} instead of {MAGIC!r}")
    if version != WIRE_VERSION:
        raise FrameInvalid(f"speaks version {version} of the wire, this side {WIRE_VERSION}")
    if header_size > MAX_HEADER:
        raise FrameInvalid(f"a header of {header_size} bytes; at most {MAX_HEADER} are taken")
    if body_size > max_body:
        raise FrameInvalid(f"a body of {body_size} bytes; at most {max_body} are taken")
    return header_size, body_size


def _exactly(read: Callable[[int], bytes], size: int, part: str) -> bytes:
    data = read(size) if size else b""
    if len(data) < size:
        raise FrameInvalid(f"cut short: {len(data)} of the {part}'s {size} bytes")
    return data


def _entry(entry: object, where: str) -> tuple[str, dict[str, Any], tuple[int, int, int]]:
    if not isinstance(entry, dict):
        raise FrameInvalid(f"{where} is not an object")
    prompt, metadata, shape = entry.get("prompt"), entry.get("metadata"), entry.get("shape")
    if not isinstance(prompt, str):
        raise FrameInvalid(f"{where} has no prompt")
    if not isinstance(metadata, dict):
        raise FrameInvalid(f"{where}: the metadata is not an object")
    if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int for n in shape)):
        raise FrameInvalid(f"{where}: the shape {shape!r} is not [height, width, 3]")
    height, width, channels = shape
    if channels != 3 or not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise FrameInvalid(f"{where}: an image of shape {shape} is not taken")
    return prompt, metadata, (height, width, channels)


def _score(entry: object, index: int) -> Score:
    value = entry.get("value") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or isinstance(value, bool) or not isinstance(value, int | float):
        raise FrameInvalid(f"score {index} is {entry!r}")
    reason, passed = entry.get("reason", ""), entry.get("passed")
    if not isinstance(reason, str) or not (passed is None or isinstance(passed, bool)):
        raise FrameInvalid(f"score {index} is {entry!r}")
    try:
        return Score(float(value), reason, passed)
    except OverflowError:
        raise FrameInvalid(f"score {index} is too large") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
