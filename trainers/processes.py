"""The processes that train a run together: how they meet, talk, and end.

One is the main process: it alone writes and prints. What fails in any of them ends all: who fails
says so over the lifeline, and who is killed is missed there; the others are interrupted wherever
they wait, and end once the main process has saved.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from tdmr1.errors import UserError
from tdmr1.progress import task
from tdmr1.trainers import lifeline
from tdmr1.trainers.checkpoint import pack_tree, unpack_tree
from tdmr1.trainers.launchers import Launch
from tdmr1.trainers.lifeline import Lifeline, Word
from tdmr1.trainers.memory import TooLittleMemory

Tree: TypeAlias = dict[str, Any]
"""Nested dicts and lists of tensors and plain values, as `write_tree` takes them."""

MEET = 120.0
"""Seconds in which all processes have to be there."""
COLLECTIVE = datetime.timedelta(minutes=30)
"""The longest that one waits for another who lives, e.g. one whose reward is slow."""
LEAVE = 60.0
"""Seconds for the main process to save before the others end without it."""
SHORTEST, LONGEST = 2e-5, 2e-3
"""Seconds between two looks whether a message has come."""


class Processes:
    """Those of a run: this one alone. Several are `Joined`.

    Attributes:
        index: of this one; the main one has 0.
        count: how many there are.
    """

    index, count = 0, 1

    @property
    def main(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.index == 0

    def gather(self, tree: Tree) -> list[Tree]:
        """What all processes bring, in their order."""
        return [tree]

    def spread(self, tree: Tree) -> Tree:
        """What the main process brings; the argument of others does not count."""
        return tree

    def check(self, told: str | None) -> None:
        """Raise on all what one of them has found wrong; None: nothing is.

        Raises:
            UserError: with the words of the first who has.
        """
        for index, other in enumerate(self.gather({"wrong": told})):
            if other["wrong"] is not None:
                raise UserError(f"{self.name(index)}{other['wrong']}")

    def name(self, index: int) -> str:
        """Before a word of another process, which is it."""
        return "" if index == self.index or self.count == 1 else f"process {index}: "

    def fail(self, error: BaseException) -> None:
        """Tell the others that the run ends here, before it is saved."""

    def hand_over(self, raising: Callable[[BaseException], None] | None) -> None:
        """From now on what ends the others goes to `raising`, in the main thread, which decides
        when it is raised; None: it is raised at once, as at first."""


class Joined(Processes):
    """Several, in a process group of torch: gloo on CPUs, NCCL on GPUs.

    Args:
        index, count: as above.
        connections: of the lifeline.
        hosts: of all, for words about them.
    """

    def __init__(
        self, index: int, count: int, connections: dict[int, socket.socket], hosts: list[str]
    ) -> None:
        self.index, self.count, self._hosts = index, count, hosts
        self._ending = False
        self._due: BaseException | None = None
        self._raising: Callable[[BaseException], None] | None = None
        self._left: set[int] = set()
        self._lifeline = Lifeline(connections, self._hear)

    def name(self, index: int) -> str:
        if index == self.index:
            return ""
        return f"process {index} of {self.count}, on {self._hosts[index]}: "

    def gather(self, tree: Tree) -> list[Tree]:
        own = torch.frombuffer(bytearray(pack_tree(tree)), dtype=torch.uint8)
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        self._wait(dist.all_gather(sizes, torch.tensor([len(own)]), async_op=True))
        most = max(int(size) for size in sizes)
        padded = torch.zeros(most, dtype=torch.uint8)
        padded[: len(own)] = own
        packed = [torch.empty_like(padded) for _ in sizes]
        self._wait(dist.all_gather(packed, padded, async_op=True))
        return [
            unpack_tree(bytes(of[: int(size)].numpy()))
            for of, size in zip(packed, sizes, strict=True)
        ]

    def spread(self, tree: Tree) -> Tree:
        own = torch.frombuffer(bytearray(pack_tree(tree)), dtype=torch.uint8)
        size = torch.tensor([len(own)])
        self._wait(dist.broadcast(size, 0, async_op=True))
        packed = own if self.main else torch.empty(int(size), dtype=torch.uint8)
        self._wait(dist.broadcast(packed, 0, async_op=True))
        return unpack_tree(bytes(packed.numpy()))

    def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        """The sum, or with "mean" the mean, of all processes' tensors; as an Accelerator's."""
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        self._wait(dist.all_reduce(total, async_op=True))
        return total / self.count if reduction == "mean" else total

    def rows(self, tensor: Tensor) -> Tensor:
        """The rows of all processes' tensors, as many of each; as an Accelerator's `gather`."""
        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        self._wait(dist.all_gather(parts, tensor, async_op=True))
        return torch.cat(parts)

    def _wait(self, work: Any) -> None:  # noqa: ANN401
        """For a collective. Signals, and with them what ends the run, are heard meanwhile."""
        pause = SHORTEST
        while not work.is_completed():
            time.sleep(pause)
            pause = min(1.5 * pause, LONGEST)
        try:
            work.wait()
        except RuntimeError as error:
            time.sleep(5)  # the lifeline knows why, and interrupts
            raise UserError(
                f"the processes of the run lost one another: {str(error).splitlines()[0]}\n"
                "one may have been killed, or be out of memory"
            ) from error

    def hand_over(self, raising: Callable[[BaseException], None] | None) -> None:
        self._raising = raising
        if self._due is not None and raising is not None:
            raising(self._due)

    def fail(self, error: BaseException) -> None:
        if self._ending:
            return
        self._ending = True
        self._lifeline.say(_word(error))

    def leave(self) -> None:
        """End well."""
        self._ending = True
        self._lifeline.say({"kind": "done"})
        self._lifeline.close()
        dist.destroy_process_group()

    def abandon(self) -> None:
        """End with the others, who have been told: the main process first."""
        if not self.main:
            self._lifeline.wait(LEAVE)
        self._lifeline.close()

    def _hear(self, process: int, word: Word) -> None:
        """In a thread of the lifeline."""
        if self._ending or process in self._left:
            return
        if word.get("kind") == "done":
            self._left.add(process)
            return
        self._ending = True
        self._due = self._news(process, word)
        if self.main:  # so that the others do not wait for the one that has failed
            self._lifeline.say(_word(self._due))
        signal.pthread_kill(_main_thread(), signal.SIGUSR1)

    def _news(self, process: int, word: Word) -> BaseException:
        """What another process's word means here."""
        if not self.main:
            return SystemExit(word.get("status", 1))
        if not word:
            return UserError(
                f"process {process} of {self.count}, on {self._hosts[process]}, has ended without "
                "a word: it was killed, perhaps as memory ran out"
            )
        if word["kind"] == "interrupted":
            return Stopped(word["status"])
        told = f"{self.name(process)}{word['text']}"
        return TooLittleMemory(told, word["setting"]) if "setting" in word else UserError(told)

    def interrupt(self, signum: int, frame: FrameType | None = None) -> None:
        """The handler of the signal by which the lifeline reaches the main thread."""
        due = self._due
        if due is not None and self._raising is not None:
            self._raising(due)
        elif due is not None:
            raise due


class Stopped(KeyboardInterrupt):
    """Another process was asked to stop.

    Attributes:
        status: 128 + the signal's number.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@contextlib.contextmanager
def joined(launch: Launch | None, seconds: float = MEET) -> Iterator[Processes]:
    """The processes of a run, met, inside the block; whatever ends one of them ends all.

    Args:
        launch: what the launcher says; None: there is this process alone.
        seconds: in which all have to be there.

    Raises:
        UserError: not all are there in time.
    """
    if launch is None:
        yield Processes()
        return
    _meet(launch, seconds)
    # The lifeline may be heard before there is a handler, and after; left alone, the signal kills.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    processes = _connected(launch)
    try:
        signal.signal(signal.SIGUSR1, processes.interrupt)
        processes.interrupt(signal.SIGUSR1)  # by what was heard meanwhile
        yield processes
    except BaseException as error:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        processes.fail(error)
        processes.abandon()
        raise
    else:
        processes.leave()
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _meet(launch: Launch, seconds: float) -> None:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        with task(f"waiting for {launch.count} processes"):
            store, index, count = next(
                rendezvous("env://", timeout=datetime.timedelta(seconds=seconds))
            )
            store.set(f"tdmr1/{index}", socket.gethostname())
            store.wait([f"tdmr1/{i}" for i in range(count)], datetime.timedelta(seconds=seconds))
            dist.init_process_group(
                backend, store=store, rank=index, world_size=count, timeout=COLLECTIVE
            )
    except RuntimeError as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UserError(
            f"WORLD_SIZE={launch.count}, but not all of the processes met within {seconds:g} s at "
            f"{address}: {str(error).splitlines()[0]}\nstart all of them, by torchrun or "
            "accelerate launch; if there is only this one: unset WORLD_SIZE"
        ) from error


def _connected(launch: Launch) -> Joined:
    """The lifeline between processes that have met."""
    bare = Joined(launch.index, launch.count, {}, [""] * launch.count)
    hosts = [told["host"] for told in bare.gather({"host": socket.gethostname()})]
    address, connections = os.environ["MASTER_ADDR"], {}
    if launch.index == 0:
        server, token = lifeline.listen(address), secrets.token_hex(16)
        bare.spread({"port": server.getsockname()[1], "token": token})
        connections = lifeline.accept(server, token, range(1, launch.count))
    else:
        told = bare.spread({})
        connections[0] = lifeline.connect(address, told["port"], told["token"], launch.index)
    return Joined(launch.index, launch.count, connections, hosts)


def _word(error: BaseException) -> Word:
    """What is said of an error that ends a process."""
    status = getattr(error, "status", None)
    if isinstance(error, KeyboardInterrupt):
        return {"kind": "interrupted", "status": 130 if status is None else status}
    if isinstance(error, TooLittleMemory):  # what to set is for the main process to say
        return {"kind": "failed", "status": 1, "text": error.what, "setting": error.setting}
    if isinstance(error, UserError):
        return {"kind": "failed", "status": 1, "text": str(error)}
    if isinstance(error, SystemExit):
        return {"kind": "failed", "status": error.code or 1, "text": "it has ended"}
    return {"kind": "failed", "status": 1, "text": "".join(traceback.format_exception(error))}


def _main_thread() -> int:
    identity = threading.main_thread().ident
    assert identity is not None, "it runs"
    return identity


def differing(values: Sequence[Any]) -> int | None:
    """The first process whose value is not the main one's."""
    return next((i for i, value in enumerate(values) if value != values[0]), None)
