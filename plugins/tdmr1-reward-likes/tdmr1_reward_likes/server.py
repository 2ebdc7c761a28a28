"""The server of the pages: one for each queue."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from tdmr1.locks import locked
from tdmr1_reward_likes.app import RATE, application
from tdmr1_reward_likes.errors import ServerRefused
from tdmr1_reward_likes.guard import check_token
from tdmr1_reward_likes.store import Store
from tdmr1_reward_likes.voting import LEASE, Sharing, Voting

ANY = ("0.0.0.0", "::")
"""Hosts that are all addresses of this machine."""
_BACKLOG = 128
_LEFT = 5
"""Seconds that requests under way have when the server is ended."""


def serve(
    queue: Path,
    host: str,
    port: int,
    token: str | None = None,
    sharing: Sharing | None = None,
    lease: float = LEASE,
    rate: float = RATE,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the pages of a queue until a signal ends it.

    Args:
        queue: the file; it is made.
        host: name or address to listen on.
        port: likewise; 0 for any free one.
        token: that the link has to hold. None: none on a loopback address; elsewhere one that is
            made once and kept in the queue, so that links stay good when the server starts again.
        sharing, lease: as of `Voting`.
        rate: requests a second that one address may send.
        say: gets the lines that tell the link.

    Raises:
        ServerRefused: the address is taken, or not of this machine.
        TokenInvalid: the token is none.
        UserError: another server has the queue; the text says where it is reached.
        QueueInvalid, QueueFailed: as of `Store`.
    """
    with _listening(host, port) as (listener, is_open):
        port = listener.getsockname()[1]
        address = f"http://{_shown(host)}:{port}"
        file = queue.resolve()  # the same lock under all its names
        lock = file.with_name(f".{file.name}.lock")
        remedy = "open that one, or stop it first; or name another file with --queue"
        with (
            contextlib.closing(Store(queue)) as store,
            locked(lock, f"the queue {queue}", remedy, address),
        ):
            if token is None and is_open:
                token = store.setting("token", secrets.token_urlsafe(16))
            app = application(
                Voting(store, sharing, lease),
                port,
                None if token is None else check_token(token),
                rate,
            )
            shown = "" if token is None else f"/?token={token}"
            say(f"voting: {address}{shown}")
            if host in ANY and (number := own_address()) is not None:
                say(f"or, where that name is not known: http://{number}:{port}{shown}")
            say(f"session: {address}/session\nqueue: {queue}")
            # Warnings and errors go where those of everything else go.
            logging.getLogger("uvicorn").setLevel(logging.WARNING)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_LEFT,
            )
            uvicorn.Server(config).run(sockets=[listener])


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[tuple[socket.socket, bool]]:
    """A socket that listens, and whether other machines reach it."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server((str(address[0]), port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ServerRefused(
            f"cannot listen on {host}:{port}: {error}; choose another --host or --port"
        ) from error
    with listener:
        name = str(address[0]).partition("%")[0]
        yield listener, not ipaddress.ip_address(name).is_loopback


def _shown(host: str) -> str:
    """The host as it stands in a link."""
    name = socket.gethostname() if host in ANY else host
    return f"[{name}]" if ":" in name else name


def own_address() -> str | None:
    """This machine's address, as others of its network see it; None where it has none."""
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # of no machine, and nothing is sent
        found: str = probe.getsockname()[0]
        return found
    return None
