"""A model behind a server that speaks OpenAI's chat completions protocol."""

from __future__ import annotations

import asyncio
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.texts import plain, told
from tdmr1_reward_vlm.errors import JudgeFailed, JudgeRefused

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

NO_KEY = "none"
"""What is sent where there is no key: servers of one's own do not look at it."""

HIDDEN = "***"
"""What stands for the key in whatever the server says, should it send that back."""

MOST_RETRIES = 10


class Judge:
    """Asks a server several questions at once.

    Rate limits, errors of the server (5xx) and lost connections are asked again, after the time
    that the server names, at most two minutes, or else after 0.5 s, 1 s, 2 s and so on up to 8 s,
    as the `openai` client does.

    Args:
        url: of the protocol's root, e.g. "http://127.0.0.1:8000/v1".
        model: as the server calls it.
        key: sent as a bearer token; "" for none.
        key_variable: where the key is looked for, for an error's text.
        concurrency: questions at a time, at least 1.
        time_limit: seconds for one answer, with all retries, > 0.
        retries: of one question, 0 to `MOST_RETRIES`.
        extra: fields that every request gets beside, or instead of, its own; a null takes its
            field away.

    Raises:
        RewardOptionInvalid: one of these is impossible.
        ImportError: the client cannot be imported.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str,
        key_variable: str,
        concurrency: int,
        time_limit: float,
        retries: int,
        extra: Mapping[str, Any],
    ) -> None:
        _check_url(url)
        if not model:
            raise RewardOptionInvalid(
                f"vlm does not know which model to ask: {_missing('model')}; {_look(url)}"
            )
        if concurrency < 1:
            raise RewardOptionInvalid(f"vlm: concurrency is {concurrency}; expected 1 or more")
        if not 0 < time_limit < math.inf:
            raise RewardOptionInvalid(f"vlm: time_limit is {time_limit}; expected seconds, > 0")
        if not 0 <= retries <= MOST_RETRIES:
            raise RewardOptionInvalid(f"vlm: retries is {retries}; expected 0 to {MOST_RETRIES}")
        import openai  # here, so that a missing one is told when a run selects the reward

        self._openai = openai
        self._url, self._model, self._key, self._key_variable = url, model, key, key_variable
        self._concurrency, self._time_limit, self._retries = concurrency, time_limit, retries
        self._extra = extra

    def __str__(self) -> str:
        return f"the judge {plain(self._model)} at {self._url}"

    def ask(self, requests: Sequence[Mapping[str, Any]]) -> list[bytes]:
        """Ask N questions; bodies of the N answers, in their order.

        Args:
            requests: fields of each, without the model.

        Raises:
            JudgeRefused: the server will not answer one of them.
            JudgeFailed: it cannot be reached, fails, or is too slow. The others are given up.
        """
        return asyncio.run(self._ask_all(requests)) if requests else []

    async def _ask_all(self, requests: Sequence[Mapping[str, Any]]) -> list[bytes]:
        gate = asyncio.Semaphore(self._concurrency)
        # A client for each batch, as its connections belong to one event loop.
        async with self._openai.AsyncOpenAI(
            base_url=self._url,
            api_key=self._key or NO_KEY,
            max_retries=self._retries,
            timeout=self._time_limit,
        ) as client:
            tasks = [asyncio.create_task(self._ask(client, gate, each)) for each in requests]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(
        self, client: AsyncOpenAI, gate: asyncio.Semaphore, request: Mapping[str, Any]
    ) -> bytes:
        fields = {"model": self._model, **request, **self._extra}
        body = {name: value for name, value in fields.items() if value is not None}
        async with gate:
            try:
                # The raw response, as the client takes for a completion whatever is sent. Its own
                # limit is one between two bytes; this one is of the whole.
                asking = client.chat.completions.with_raw_response.create(
                    model=body.pop("model"), messages=body.pop("messages"), extra_body=body
                )
                response = await asyncio.wait_for(asking, self._time_limit)
            except (asyncio.TimeoutError, self._openai.APITimeoutError):
                raise JudgeFailed(
                    f"{self} did not answer within {self._time_limit:g} s; if it is only slow: "
                    "--set reward_options.vlm.time_limit=SECONDS, or a smaller concurrency"
                ) from None
            except self._openai.APIStatusError as error:
                raise self._refusal(error) from None
            except self._openai.OpenAIError as error:
                cause = self._hidden(told(error.__cause__ or error))
                raise JudgeFailed(
                    f"{self} cannot be reached: {cause}; is the server running? {_look(self._url)}"
                ) from None
        content: bytes = response.content
        return content.replace(self._key.encode(), HIDDEN.encode()) if self._key else content

    def _refusal(self, error: APIStatusError) -> JudgeFailed:
        """What a status of 4xx or 5xx says."""
        status = error.status_code
        said = f"{self} answered {status}: {plain(self._hidden(error.message))}"
        if status == 429 or status >= 500:
            return JudgeFailed(
                f"{said}\nafter {self._retries} retries; try later, with a smaller "
                "reward_options.vlm.concurrency, or with more reward_options.vlm.retries"
            )
        if status in (401, 403):
            said += (
                f"\nput the key into the environment variable {self._key_variable}, or name "
                "another with reward_options.vlm.key_variable"
            )
        if status == 404:
            said += f"\nis it the model's name, and does the url end in /v1? {_look(self._url)}"
        return JudgeRefused(said)

    def _hidden(self, text: str) -> str:
        """A text of the server, without the key."""
        return text.replace(self._key, HIDDEN) if self._key else text


def _missing(option: str) -> str:
    """How an option is set."""
    return (
        f"set the option {option}; of a run --set reward_options.vlm.{option}=..., of "
        f"`tdmr1 rewards score` and `check` --option {option}=..."
    )


def _look(url: str) -> str:
    """The command that shows whether a server is there, and its models."""
    return f"try: curl {url.rstrip('/')}/models"


def _check_url(url: str) -> None:
    if not url:
        example = "it looks like http://127.0.0.1:8000/v1"
        raise RewardOptionInvalid(
            f"vlm does not know where its judge is: {_missing('url')}; {example}"
        )
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise RewardOptionInvalid(f"vlm: url is {url!r}; expected one like http://HOST:PORT/v1")
    if parts.username or parts.password or parts.query:
        raise RewardOptionInvalid(
            "vlm: the url has a user, a password or a query; a key belongs into the environment "
            "variable that the option key_variable names, as options are written to files"
        )


def key_from(name: str) -> str:
    """The key that an environment variable holds, without white space around it; "" for none.

    Raises:
        RewardOptionInvalid: the name looks like the key itself, or a header cannot hold the key;
            neither is repeated.
    """
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        raise RewardOptionInvalid(
            "vlm: key_variable is the name of an environment variable, in capitals, not the key; "
            "options are written to files"
        )
    key = os.environ.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise RewardOptionInvalid(
            f"vlm: the environment variable {name} holds no key: it has characters that are not "
            "printable ASCII"
        )
    return key
