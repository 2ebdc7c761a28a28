"""`@ray` or `@ray:N`: a reward in N actors of a Ray cluster, which share each batch.

Ray finds the cluster as it always does: the one that RAY_ADDRESS names, or that runs on this
machine, or else one of this process's own.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardBroken, RewardLost, RewardRefused, RewardSpecInvalid
from tdmr1.rewards.places.actor import Actor
from tdmr1.rewards.places.base import Judged, Place, RewardInfo
from tdmr1.rewards.places.messages import load_request, score_request, sendable
from tdmr1.rewards.places.parts import first_of, parts_of
from tdmr1.rewards.places.requirement import base_requirement, plugin_requirement
from tdmr1.rewards.places.wire import encode, pixel_chunks
from tdmr1.rewards.prompts import PromptLine

OPTIONS = "TDMR1_RAY_ACTOR"
"""Environment variable: Ray's own options of the actors, as JSON, e.g. {"num_gpus": 1}."""

_log = logging.getLogger(__name__)
_connecting = threading.Lock()


class Ray(Place):
    """A reward in actors, each with a runtime environment of its own.

    An actor that dies, hangs or answers nonsense is replaced, wherever the cluster has room, and
    its part of the batch is scored once more.

    Args:
        name: of the reward; no file, as the machines of a cluster do not have it.
        actors: how many; >= 1.
        timeout: seconds for one batch, > 0; the start of an actor does not count.
        options: of the reward.

    Raises:
        RewardBroken: Ray is not installed, or there is no cluster.
        RewardSpecInvalid: the reward is a file; TDMR1_RAY_ACTOR is no JSON object, or has an
            option that Ray does not know.
        RewardError: the reward is unknown or broken there, or no actor could be started.
    """

    def __init__(
        self,
        name: str,
        actors: int = 1,
        timeout: float = 60.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.timeout = timeout
        self._name = name
        self._actor_options = actor_options(name)
        with sendable(name):
            self._load = b"".join(encode(load_request(name, options or {}, None)))
        self._ray = _connected()
        self._actors: list[Actor] = []
        try:
            for _ in range(actors):
                self._actors.append(self._new_actor())
            self.info, *others = [actor.info() for actor in self._actors]
            self._check(others)
        except BaseException:
            self.close()
            raise

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        parts = dict(enumerate(parts_of(samples, len(self._actors), self.info.grouped)))
        scores, lost = self._attempt(parts)
        for i, error in lost.items():
            self._replace(i, error)
        for i in lost:
            try:
                info = self._actors[i].info()
            except RewardLost as error:
                # Ray notices only after some seconds that a machine is gone, and has started it
                # there. By now it knows.
                self._replace(i, error)
                info = self._actors[i].info()
            self._check([info])
        again, lost_again = self._attempt({i: parts[i] for i in lost})
        if lost_again:
            raise next(iter(lost_again.values()))
        self.figures = first_of([actor.figures for actor in self._actors])
        return [score for i in parts for score in (scores | again)[i]]

    def judges(self, prompts: Sequence[PromptLine]) -> list[Judged]:
        with sendable(self._name):
            return self._actors[0].judges(prompts, self.timeout)

    def _attempt(
        self, parts: Mapping[int, Sequence[Sample]]
    ) -> tuple[dict[int, list[Score | None]], dict[int, RewardLost]]:
        """Actor -> scores of its part, of those that answered; actor -> error, of those lost."""
        with sendable(self._name):
            frames = {
                i: b"".join(encode(score_request(part), pixel_chunks(part)))
                for i, part in parts.items()
            }
        asked = {i: self._actors[i].ask(frame) for i, frame in frames.items()}
        started = time.monotonic()
        scores: dict[int, list[Score | None]] = {}
        lost: dict[int, RewardLost] = {}
        for i, part in parts.items():
            try:
                left = started + self.timeout - time.monotonic()
                scores[i] = self._actors[i].scores(asked[i], part, self.info, left)
            except RewardLost as error:
                lost[i] = error
        return scores, lost

    def close(self) -> None:
        for actor in self._actors:
            actor.end()

    def _replace(self, i: int, error: RewardLost) -> None:
        _log.warning("%s\nanother one takes its place, and scores the same samples again", error)
        self._actors[i].end()
        self._actors[i] = self._new_actor()

    def _new_actor(self) -> Actor:
        try:
            return Actor(self._ray, self._name, self._actor_options, self._load)
        except (TypeError, ValueError) as error:
            raise RewardSpecInvalid(f"Ray refuses the options of {OPTIONS}: {error}") from error

    def _check(self, infos: Sequence[RewardInfo]) -> None:
        for info in infos:
            if info != self.info:
                raise RewardRefused(
                    f"reward {self._name!r} is {self.info} in one actor and {info} in another; "
                    "install the same version on all machines of the cluster"
                )


def actor_options(name: str) -> dict[str, Any]:
    """Ray's options of the actors: what TDMR1_RAY_ACTOR says, and else our own.

    These are a runtime environment with this `tdmr1`, the reward's package and what it pins, and
    as many machines as possible.

    Raises:
        RewardSpecInvalid: the reward is a file, or the variable is no JSON object.
    """
    if name.rpartition(":")[0].endswith(".py"):
        raise RewardSpecInvalid(
            f"the machines of a cluster do not have {name!r}; make it a package, tdmr1 rewards "
            f"new NAME, or let it run here: --reward {name}@worker"
        )
    text = os.environ.get(OPTIONS) or "{}"
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise RewardSpecInvalid(
            f"{OPTIONS}={text} is no JSON object; write e.g. {OPTIONS}='{{\"num_gpus\": 1}}'"
        )
    packages = [base_requirement()]
    if not RewardSpec(name).function:
        packages.append(plugin_requirement(name))
    return {"runtime_env": {"pip": packages}, "scheduling_strategy": "SPREAD", **options}


def _connected() -> Any:  # noqa: ANN401
    """The module `ray`, connected to a cluster."""
    try:
        import ray
    except ImportError as error:
        raise RewardBroken(f"@ray needs Ray: {error}; try: pip install 'tdmr1[ray]'") from error
    with _connecting:
        if not ray.is_initialized():
            try:
                ray.init()
            except (ray.exceptions.RayError, OSError, ValueError, RuntimeError) as error:
                raise RewardBroken(f"there is no Ray cluster to be reached: {error}") from error
    return ray
