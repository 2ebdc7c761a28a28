"""`@http://host:port[,host:port]`: a reward on servers, which share each batch."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.errors import RewardLost, RewardRefused
from tdmr1.rewards.places.base import START_TIMEOUT, Judged, Place
from tdmr1.rewards.places.connection import Server, WorkerLost
from tdmr1.rewards.places.parts import first_of, parts_of
from tdmr1.rewards.places.waiting import waited
from tdmr1.rewards.prompts import PromptLine

_log = logging.getLogger(__name__)


class Http(Place):
    """A reward on one server or several. Each scores a part of every batch.

    A part whose server fails is scored once more, by another server or else by the same one, for
    which `wait` gives time to be started again.

    Args:
        name: of the reward, as the servers have it.
        addresses: HOST:PORT each.
        timeout: seconds for one batch, > 0, and as many for it to wait behind those of others.
        options: that the reward is expected to be served with; None for any.
        wait: seconds for which a server that cannot be reached is waited for, >= 0: each of them
            at first, and one of them while a batch is scored.
        token: that the servers want; by default of the environment variable TDMR1_TOKEN.

    Raises:
        RewardLost: a server cannot be reached.
        RewardRefused: the token is wrong; a server has another reward, or another version of it,
            or has it with other options.
    """

    def __init__(
        self,
        name: str,
        addresses: Sequence[str],
        timeout: float = 60.0,
        options: Mapping[str, Any] | None = None,
        wait: float = 0.0,
        token: str | None = None,
    ) -> None:
        token = token or os.environ.get("TDMR1_TOKEN") or None
        self.timeout, self._wait = timeout, wait
        self._servers = [Server(address, name, token) for address in addresses]
        try:
            asks = [partial(waited, server.info, wait) for server in self._servers]
            asked = [s.lane.submit(ask) for s, ask in zip(self._servers, asks, strict=True)]
            infos = [future.result() for future in asked]
        except BaseException:
            self.close()
            raise
        self.info = infos[0]
        if options is not None and options != self.info.options:
            self.close()
            raise RewardRefused(
                f"reward {name!r} is served at {self._servers[0]} with the options "
                f"{self.info.options}, and the run asks for {dict(options)}; start the server "
                "with --option KEY=VALUE, or leave the options to it"
            )
        for server, info in zip(self._servers, infos, strict=True):
            if info != self.info:
                self.close()
                raise RewardRefused(
                    f"the servers of reward {name!r} differ: {self._servers[0]} has {self.info}, "
                    f"and {server} has {info}; give both the same files and packages"
                )

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        servers = [server for server in self._servers if server.is_rested] or self._servers
        shares = parts_of(samples, len(servers), self.info.grouped)
        parts = list(zip(servers, shares, strict=False))
        futures = [
            server.lane.submit(partial(server.score, part, self.info, self.timeout, self.timeout))
            for server, part in parts
        ]
        for i, (server, part) in enumerate(parts):
            try:
                futures[i].result()
            except RewardLost as error:
                server.rest()
                other = next((s for s in self._servers if s.is_rested), None)
                other = other or waited(self._reachable, self._wait)
                _log.warning("%s\n%s scores the same samples again", error, other)
                # A server that has lost its worker starts another; weights may take a while.
                patience = START_TIMEOUT if isinstance(error, WorkerLost) else self.timeout
                again = partial(other.score, part, self.info, self.timeout, patience)
                futures[i] = other.lane.submit(again)
        scores = [score for future in futures for score in future.result()]
        self.figures = first_of([server.figures for server in self._servers])
        return scores

    def judges(self, prompts: Sequence[PromptLine]) -> list[Judged]:
        server = self._servers[0]  # the others have the same reward
        return server.lane.submit(partial(server.judges, prompts, self.timeout)).result()

    def _reachable(self) -> Server:
        """A server that answers; whether it still has the reward of the run, it looks at itself.

        Raises:
            RewardLost: there is none.
        """
        for server in self._servers:
            try:
                server.lane.submit(server.info).result()
                return server
            except RewardLost as error:
                lost = error
        raise lost

    def close(self) -> None:
        for server in self._servers:
            server.close()
