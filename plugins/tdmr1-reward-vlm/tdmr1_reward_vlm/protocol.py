"""Requests and answers of the chat completions protocol, as JSON. Knows no connection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, FiniteFloat, ValidationError

from tdmr1.rewards.strict_json import read_json
from tdmr1.rewards.texts import shown
from tdmr1_reward_vlm.errors import JudgeFailed

MOST_TOKENS = 20
"""Log-probabilities that are asked for: the most that servers give."""

LOWEST_MASS = 0.5
"""Probability that the answer begins with yes or no, below which it is something else."""

_AROUND = " \t\r\n\"'`*.,:;!?()▁Ġ"
"""What may stand around the word in a token."""


class _Token(BaseModel):
    token: str
    logprob: FiniteFloat


class _Place(_Token):
    top_logprobs: list[_Token] = []


class _LogProbabilities(BaseModel):
    content: list[_Place] | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    """An answer; whatever else servers add to it is left out."""

    message: _Message
    logprobs: _LogProbabilities | None = None
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """What it says, in words."""
        return self.message.content or self.message.refusal or ""

    @property
    def candidates(self) -> list[_Token]:
        """The likeliest first tokens; none where the server does not give them."""
        content = self.logprobs.content if self.logprobs else None
        return content[0].top_logprobs if content else []


class _Completion(BaseModel):
    choices: list[Choice]


def asked(question: str, picture: str) -> list[dict[str, Any]]:
    """The messages that ask a question about a picture, given as a data URL."""
    image = {"type": "image_url", "image_url": {"url": picture}}
    return [{"role": "user", "content": [image, {"type": "text", "text": question}]}]


def for_yes_or_no() -> dict[str, Any]:
    """The part of a request that wants the likeliest first tokens of the answer."""
    return {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": MOST_TOKENS}


def for_numbers(axes: Sequence[str], low: float, high: float, max_tokens: int) -> dict[str, Any]:
    """The part of a request that wants a reason, and a number for each axis, by a JSON schema."""
    number = {"type": "number", "minimum": low, "maximum": high}
    schema = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, **dict.fromkeys(axes, number)},
        "required": ["reason", *axes],
        "additionalProperties": False,
    }
    named = {"name": "judgement", "strict": True, "schema": schema}
    wanted = {"type": "json_schema", "json_schema": named}
    return {"max_tokens": max_tokens, "temperature": 0, "response_format": wanted}


def read_choice(body: bytes) -> Choice:
    """The answer in the body of a response.

    Raises:
        JudgeFailed: it is no completion, or one without an answer.
    """
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_input=False)
        where = ".".join(map(str, first["loc"]))
        raise JudgeFailed(
            f"sent {shown(body[:200])} instead of a completion: {where} {first['msg']}".rstrip()
        ) from None
    if not completion.choices:
        raise JudgeFailed("sent no answer: its list of choices is empty")
    return completion.choices[0]


def chance_of_yes(choice: Choice) -> float:
    """P(yes) / (P(yes) + P(no)) of the first word, whatever its case, in [0, 1].

    Raises:
        JudgeFailed: it has no log-probabilities, or begins with another word.
    """
    if not choice.candidates:
        raise JudgeFailed("gave no log-probabilities; set the option answer=number")
    chances = {"yes": 0.0, "no": 0.0}
    for candidate in choice.candidates:
        word = candidate.token.strip(_AROUND).lower()
        if word in chances:
            chances[word] += math.exp(min(candidate.logprob, 0.0))
    mass = chances["yes"] + chances["no"]
    if mass < LOWEST_MASS:
        raise JudgeFailed(
            f"begins with {shown(choice.candidates[0].token)} instead of yes or no, to which it "
            f"gives a probability of {mass:.3f}; ask for one of them in `question`, or set the "
            "option answer=number; one that thinks first has to be told not to, by `extra`"
        )
    return chances["yes"] / mass


def numbers(
    choice: Choice, axes: Sequence[str], low: float, high: float
) -> tuple[list[float], str]:
    """The number of each axis, in [low, high], and the reason.

    Raises:
        JudgeFailed: the answer is not the JSON object that was asked for.
    """
    said = shown(choice.text)
    if choice.finish_reason == "length":
        raise JudgeFailed(f"was cut off after {said}; set the option max_tokens higher")
    try:
        answer = read_json(choice.text)
    except ValueError:
        raise JudgeFailed(
            f"answered {said} instead of JSON; its server has to know `response_format`"
        ) from None
    if not isinstance(answer, dict):
        raise JudgeFailed(f"answered {said} instead of a JSON object")
    for axis in axes:
        number = answer.get(axis)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise JudgeFailed(f"answered {said}, which has no number {axis!r}")
        if not low <= number <= high:
            raise JudgeFailed(f"answered {axis} = {number:g}; expected {low:g} to {high:g}")
    reason = answer.get("reason")
    return [float(answer[axis]) for axis in axes], reason if isinstance(reason, str) else ""
