import os

import pytest

from tdmr1.rewards.places.output import KEPT_BYTES, Output


@pytest.fixture
def written():
    """The output of a writer that has written some pieces and ended."""

    def written(*pieces):
        reading, writing = os.pipe()
        output = Output(os.fdopen(reading, "rb"))
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for piece in pieces:
                pipe.write(piece)
        assert output.ended(60)
        return output

    return written


def test_output_is_passed_on_and_its_last_lines_are_kept(written, capfd):
    lines = [f"line {i}\n" for i in range(50)]
    tail = written(*[line.encode() for line in lines]).tail()
    assert capfd.readouterr().err == "".join(lines)
    kept = tail.splitlines()
    assert kept[:2] == ["", "its last lines of output:"]
    assert kept[2:] == [f"    line {i}" for i in range(30, 50)]


def test_silence_adds_nothing(written):
    assert written().tail() == ""


def test_a_line_without_end_is_bounded(written):
    output = written(*[b"\r%d %%" % i for i in range(KEPT_BYTES)])
    assert len(output.tail()) < 2 * KEPT_BYTES
    assert output.tail().endswith(f"{KEPT_BYTES - 1} %")


def test_bytes_that_are_no_text_are_kept_as_far_as_possible(written):
    assert "caf\ufffd" in written(b"caf\xe9\n").tail()


def test_a_writer_that_goes_on_has_not_ended():
    reading, writing = os.pipe()
    output = Output(os.fdopen(reading, "rb"))
    assert not output.ended(0.01)
    os.close(writing)
    assert output.ended(60)


def test_the_writer_is_not_held_up_where_stderr_is_closed(written, monkeypatch):
    write = os.write

    def refuse(descriptor, data):
        if descriptor == 2:
            raise BrokenPipeError
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", refuse)
    assert "last words" in written(b"x" * 200_000, b"\nlast words").tail()
