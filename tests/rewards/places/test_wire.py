import dataclasses
import io
import json
import struct

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.places import wire
from tdmr1.rewards.places.wire import FrameInvalid, StreamEnded


def frame(header=b"{}", body=b"", magic=b"TDMR", version=1, zeros=bytes(3), sizes=None):
    """A frame byte by byte, as its documentation has it."""
    sizes = sizes or (len(header), len(body))
    prefix = magic + bytes([version]) + zeros + struct.pack(">IQ", *sizes)
    assert len(prefix) == 20
    return prefix + header + body


def sample(height=2, width=3, prompt="a cat", metadata=None):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Sample(pixels, prompt, metadata or {})


def through(samples):
    """Samples over the wire and back."""
    header = {"samples": wire.describe_samples(samples)}
    frame = b"".join(wire.encode(header, wire.pixel_chunks(samples)))
    header, body = wire.read_frame(frame)
    return wire.unpack_samples(header["samples"], body)


def test_the_bytes_of_a_frame():
    pieces = wire.encode({"op": "info"}, [b"ab", b"c"])
    assert b"".join(pieces) == frame(b'{"op": "info"}', b"abc")


def test_chunks_are_not_copied():
    pixels = np.zeros(10, np.uint8)
    assert wire.encode({}, [pixels.data])[1].obj is pixels


def test_samples_arrive_as_they_were_sent():
    metadata = {"tag": "two", "include": [{"class": "dog", "count": 2}], "none": None, "x": 0.1}
    sent = [sample(), sample(1, 1, "日本 \ud800 \n", metadata), sample(7, 5, "")]
    arrived = through(sent)
    for before, after in zip(sent, arrived, strict=True):
        assert (after.image == before.image).all()
        assert (after.prompt, after.metadata) == (before.prompt, before.metadata)
        assert not after.image.flags.writeable
    assert through([]) == []


def test_the_numbers_of_a_sample_arrive_where_there_are_any():
    sent = [
        sample(),
        dataclasses.replace(sample(), group=0),
        dataclasses.replace(sample(), group=7),
    ]
    assert [after.group for after in through(sent)] == [None, 0, 7]
    drawn = [dataclasses.replace(before, iteration=3) for before in sent]
    assert [after.iteration for after in through([*sent[:1], *drawn])] == [None, 3, 3, 3]
    assert [after.group for after in through(drawn)] == [None, 0, 7]
    for nonsense in ("0", True, 0.5, [0]):
        (entry,) = wire.describe_samples([sample(1, 1)])
        for key in ("group", "iteration"):
            with pytest.raises(FrameInvalid, match=rf"sample 0: the {key} .* is no number"):
                wire.unpack_samples([{**entry, key: nonsense}], bytes(3))


def test_an_image_of_any_strides_is_packed_row_by_row():
    image = sample(6, 8).image[::-2, 1::3]
    assert (through([Sample(image, "")])[0].image == image).all()


def test_scores_arrive_as_they_were_sent():
    scores = [
        Score(0.25, "blurred", False),
        None,
        Score(-1e300),
        Score(1.0, "", True, {"dog": [[1.5]]}),
    ]
    (text,) = wire.encode({"scores": wire.pack_scores(scores)})
    header, body = wire.read_frame(text)
    assert wire.unpack_scores(header["scores"]) == scores
    assert len(body) == 0


def test_frames_follow_one_another_in_a_stream():
    stream = io.BytesIO(frame(b'{"n": 1}', b"xy") + frame(b'{"n": 2}'))
    assert wire.read_head(stream.read) == ({"n": 1}, 2)
    assert stream.read(2) == b"xy"
    assert wire.read_head(stream.read) == ({"n": 2}, 0)
    with pytest.raises(StreamEnded):
        wire.read_head(stream.read)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"TDM", "cut short after 3 bytes"),
        (frame(magic=b"HTTP"), "begins with b'HTTP' instead of b'TDMR'"),
        (frame(version=2), "speaks version 2 of the wire, this side 1"),
        (frame(zeros=b"\0\0\1"), "where there should be zeros"),
        (frame(sizes=(2**32 - 1, 0)), "a header of 4294967295 bytes; at most 16777216"),
        (frame(sizes=(2, 2**63)), "a body of 9223372036854775808 bytes; at most 1073741824"),
        (frame(sizes=(3, 0)), "cut short: 2 of the header's 3 bytes"),
        (frame(sizes=(2, 1)), "its body has 0 bytes, 1 are announced"),
        (frame(body=b"xy", sizes=(2, 1)), "its body has 2 bytes, 1 are announced"),
        (frame(b""), "not JSON"),
        (frame(b"{}{}"), "not JSON"),
        (frame(b"\xff"), "not JSON"),
        (frame(b'{"x": 1, "x": 1}'), "the key 'x' is there twice"),
        (frame(b'{"x": NaN}'), "NaN is not a JSON number"),
        (frame(b'{"x": 1e999}'), "1e999 is too large a number"),
        (frame(b'{"x": -Infinity}'), "-Infinity is not a JSON number"),
        (frame(b'{"x":' * 100_000), "not JSON"),
        (frame(b"[]"), "a JSON list, not an object"),
    ],
)
def test_what_is_no_frame_is_refused_with_a_reason(data, says):
    with pytest.raises(FrameInvalid) as caught:
        wire.read_frame(data)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"x": float("nan")}, "not JSON compliant"),
        ({"x": np.zeros(1)}, "ndarray is not JSON serializable"),
        ({"x": "y" * wire.MAX_HEADER}, "a header of "),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_reason(header, says):
    with pytest.raises(FrameInvalid) as caught:
        wire.encode(header)
    assert says in str(caught.value)


def test_a_body_that_would_be_refused_is_not_sent(monkeypatch):
    monkeypatch.setattr(wire, "MAX_BODY", 5)
    with pytest.raises(FrameInvalid, match="a body of 6 bytes; at most 5 are taken"):
        wire.encode({}, [b"abc", b"abc"])


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((2, 2, 3), np.float32), "sample 0: an image of float32 is not taken"),
        (np.zeros((2, 2), np.uint8), "an image of shape [2, 2] is not taken"),
        (np.zeros((2, 2, 4), np.uint8), "an image of shape [2, 2, 4] is not taken"),
        (np.zeros((0, 2, 3), np.uint8), "an image of shape [0, 2, 3] is not taken"),
        (np.zeros((1, 65_537, 3), np.uint8), "sides of 1 to 65536"),
    ],
)
def test_an_image_that_is_none_is_not_sent(image, says):
    with pytest.raises(FrameInvalid) as caught:
        wire.describe_samples([Sample(image, "")])
    assert says in str(caught.value)


ENTRY = {"prompt": "a cat", "metadata": {}, "shape": [1, 2, 3]}


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (None, "`samples` is not a list"),
        ({"0": ENTRY}, "`samples` is not a list"),
        ([None], "sample 0 is not an object"),
        ([ENTRY | {"prompt": 3}], "sample 0 has no prompt"),
        ([ENTRY | {"metadata": []}], "sample 0: the metadata is not an object"),
        ([ENTRY | {"shape": None}], "sample 0: the shape None is not [height, width, 3]"),
        ([ENTRY | {"shape": [1, 2.0, 3]}], "is not [height, width, 3]"),
        ([ENTRY | {"shape": [True, 2, 3]}], "is not [height, width, 3]"),
        ([ENTRY | {"shape": [2, 3]}], "an image of shape [2, 3] is not taken"),
        ([ENTRY | {"shape": [6, 1, 1]}], "an image of shape [6, 1, 1] is not taken"),
        ([ENTRY | {"shape": [-1, -2, 3]}], "an image of shape [-1, -2, 3] is not taken"),
        ([ENTRY | {"shape": [0, 2, 3]}], "an image of shape [0, 2, 3] is not taken"),
        ([ENTRY | {"shape": [10**9, 10**9, 3]}], "is not taken"),
        ([ENTRY | {"shape": [2, 2, 3]}], "sample 0 ends at byte 12 of a body that has only 6"),
        ([ENTRY, ENTRY], "sample 1 ends at byte 12 of a body that has only 6"),
        ([], "the body has 6 bytes, the samples take 0"),
        ([ENTRY | {"shape": [1, 1, 3]}], "the body has 6 bytes, the samples take 3"),
    ],
)
def test_samples_that_are_none_are_refused_with_a_reason(entries, says):
    with pytest.raises(FrameInvalid) as caught:
        wire.unpack_samples(entries, bytes(6))
    assert says in str(caught.value)


ONE = {"value": 1, "reason": "", "passed": None}


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (None, "`scores` is not a list"),
        ([1.0], "score 0 is 1.0"),
        ([None, {}], "score 1 is {}"),
        ([ONE | {"value": "1"}], "score 0 is "),
        ([ONE | {"value": True}], "score 0 is "),
        ([ONE | {"value": None}], "score 0 is "),
        ([ONE | {"reason": None}], "score 0 is "),
        ([ONE | {"passed": 1}], "score 0 is "),
        ([ONE | {"value": 10**400}], "score 0 is too large"),
        ([ONE | {"details": []}], "score 0 has details that are no object"),
    ],
)
def test_scores_that_are_none_are_refused_with_a_reason(entries, says):
    with pytest.raises(FrameInvalid) as caught:
        wire.unpack_scores(json.loads(json.dumps(entries)))
    assert says in str(caught.value)


def test_a_refusal_does_not_repeat_all_that_was_sent():
    with pytest.raises(FrameInvalid) as caught:
        wire.unpack_samples([ENTRY | {"shape": ["x" * 10_000] * 10_000}], b"")
    assert len(str(caught.value)) < 1_000
