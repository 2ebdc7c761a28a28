"""The process at the other end of `process.py`: loads one reward, and scores what it is sent.

    python -m tdmr1.rewards.places.child NAME

Stdin is the wire, a Unix socket, and `messages.py` says what passes over it; whatever is written
to stdout and stderr is for people. NAME is for them, too, who look at a list of processes.

The process ends when the wire does.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import mmap
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

from tdmr1.errors import UserError
from tdmr1.rewards.contract import Reward
from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.here import call, figures_of, judged
from tdmr1.rewards.places.loading import load_described
from tdmr1.rewards.places.messages import (
    error_message,
    info_message,
    judged_message,
    read_prompts,
    scores_message,
)
from tdmr1.rewards.places.process import GRACE
from tdmr1.rewards.places.wire import (
    FrameInvalid,
    Header,
    StreamEnded,
    encode,
    read_head,
    unpack_samples,
)


class Wire:
    """The child's end. Nothing that the reward does to stdin and stdout can reach it."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=os.dup(0))
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        self._ended = False
        atexit.register(self._end_helpers)  # as the first one, so that it is the last to run
        threading.Thread(target=self._end_with_it, name="wire", daemon=True).start()

    def send(self, header: Header) -> None:
        """Raises FrameInvalid where the header cannot be sent, StreamEnded at the end."""
        (frame,) = encode(header)
        with self._noticing_the_end():
            self._socket.sendall(frame)

    def receive(self) -> tuple[Header, int | None]:
        """The next header, and the descriptor that came with it, if any, to be closed.

        Raises:
            StreamEnded: nothing more comes.
            FrameInvalid: what came is not a frame.
        """
        descriptors: list[int] = []

        def read(size: int) -> bytes:
            data = b""
            while len(data) < size:
                piece, fds, _, _ = socket.recv_fds(self._socket, size - len(data), 1)
                descriptors.extend(fds)
                if not piece:
                    break
                data += piece
            return data

        with self._noticing_the_end():
            header, _ = read_head(read)
        return header, descriptors[0] if descriptors else None

    @contextlib.contextmanager
    def _noticing_the_end(self) -> Iterator[None]:
        try:
            yield
        except (StreamEnded, ConnectionError):
            self._ended = True
            raise StreamEnded from None

    def _end_with_it(self) -> None:
        """End this process some time after the wire, should the reward be hanging then."""
        ending = select.poll()
        ending.register(self._socket, 0)  # no events are asked for: a hang-up is always told
        ending.poll()
        time.sleep(GRACE)
        _end_group()

    def _end_helpers(self) -> None:
        """End the processes that the reward has started, as nobody else is left to do so."""
        if self._ended:
            _end_group()


def _end_group() -> None:
    os.killpg(os.getpid(), signal.SIGKILL)


def answer(reward: Reward, info: RewardInfo, header: Header, descriptor: int | None) -> Header:
    """Score what a request asks for, or say which prompts are judged.

    Args:
        reward: that of this process.
        info: what is said of it.
        header: of the request.
        descriptor: of the memory with the pixels; is closed.

    Raises:
        FrameInvalid: it is not a request.
    """
    if header.get("op") == "judge" and descriptor is None:
        return judged_message(judged(reward, read_prompts(header), info))
    size = header.get("memory")
    if header.get("op") != "score" or type(size) is not int or descriptor is None:
        raise FrameInvalid("it asks neither to score nor to judge prompts")
    try:
        memory = mmap.mmap(descriptor, max(size, 1), access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    reply = _score(reward, info, header, memoryview(memory)[:size])
    try:
        memory.close()
    except BufferError:
        reply["kept"] = True
    return reply


def _score(reward: Reward, info: RewardInfo, header: Header, pixels: memoryview) -> Header:
    # In a function of its own: no variable of it may hold images when it has returned.
    try:
        scores = call(reward, unpack_samples(header.get("samples"), pixels), info)
        return scores_message(scores, figures_of(reward, info))
    except RewardError as error:
        return error_message(error)


def first_request(wire: Wire) -> Header:
    """What this process was started for; from then on it imports from where the request says.

    Raises:
        StreamEnded: nothing comes.
    """
    faulthandler.enable()
    request, _ = wire.receive()
    if (paths := request["path"]) is not None:
        sys.path[:] = paths
    return request


def main() -> None:
    """Serve the wire until it ends."""
    wire = Wire()
    try:
        request = first_request(wire)
        try:
            reward, info = load_described(request["reward"], request["options"])
        except UserError as error:
            wire.send(error_message(error))
            return
        wire.send(info_message(info))
        while True:
            wire.send(answer(reward, info, *wire.receive()))
    except StreamEnded:
        return


if __name__ == "__main__":
    main()
