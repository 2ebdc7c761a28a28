"""The reward `vlm`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tdmr1.rewards import Golden, Reward, Sample, Score
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.texts import plain
from tdmr1_reward_vlm.errors import JudgeFailed, JudgeRefused
from tdmr1_reward_vlm.goldens import goldens
from tdmr1_reward_vlm.judge import Judge, key_from
from tdmr1_reward_vlm.presets import quotes_text
from tdmr1_reward_vlm.protocol import read_choice
from tdmr1_reward_vlm.question import Question
from tdmr1_reward_vlm.watch import BATCHES, Watch

_log = logging.getLogger(__name__)

ANSWERS = ("auto", "yes-no", "number")

FIRST = Sample(np.full((64, 64, 3), 128, np.uint8), 'a grey wall with a sign that says "OPEN"')
"""What a judge is asked when the reward loads, to see whether it is there and can answer."""


class Vlm(Reward):
    """What a vision-language model behind a server says of an image, in [0, 1].

    Its probability of "yes", or where its server gives no log-probabilities, a number that it
    states. The judge is asked once when the reward is made. Abstains where there is no prompt,
    with the preset "text" where the prompt quotes no text. What cannot be read as an answer is an
    error, never a zero.

    Args:
        url: root of the protocol, e.g. "http://127.0.0.1:8000/v1".
        model: as the server calls it.
        preset: what is asked: a key of `PRESETS`.
        question: asked instead of the preset's; {prompt} stands for the sample's.
        answer: "yes-no", by log-probabilities; "number", by a JSON schema; or "auto", the first
            that the server knows.
        key_variable: environment variable that holds the key; none is sent where it is not set.
        concurrency: questions at a time.
        time_limit: seconds for one answer, with all retries.
        retries: of one question, after a rate limit, an error of the server (5xx) or a lost
            connection; at most 10.
        max_tokens: of an answer in JSON.
        extra: further fields of every request, or others in the place of its own; a null takes
            one away.

    Raises:
        RewardOptionInvalid: an option is impossible, or one that is needed is not set.
        JudgeFailed: the judge cannot be reached, or does not answer as it has to.
    """

    name = "vlm"
    summary = "What does a vision-language model say of the image?"
    repeatable = False  # servers round by what else is in their batch, and models are exchanged
    needs = ("a prompt; with preset=text, one that quotes text",)
    engines = ("a vision-language model behind an OpenAI-compatible server",)

    def __init__(
        self,
        url: str = "",
        model: str = "",
        preset: str = "match",
        question: str = "",
        answer: str = "auto",
        key_variable: str = "TDMR1_VLM_KEY",
        concurrency: int = 8,
        time_limit: float = 60.0,
        retries: int = 5,
        max_tokens: int = 512,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self._question = Question.of(preset, question, max_tokens)
        if answer not in ANSWERS:
            raise RewardOptionInvalid(f"vlm: answer={answer!r}; there are: {', '.join(ANSWERS)}")
        if answer == "yes-no" and not self._question.preset.yes_or_no:
            raise RewardOptionInvalid(
                f"vlm: preset={preset} asks for {', '.join(self._question.preset.axes)}, which "
                "yes or no does not answer; set answer=number"
            )
        if not isinstance(extra, dict | None):
            raise RewardOptionInvalid(f"vlm: extra is {extra!r}; expected a table")
        self._judge = Judge(
            url,
            model,
            key_from(key_variable),
            key_variable,
            concurrency,
            time_limit,
            retries,
            extra or {},
        )
        self._watch = Watch()
        self._answer = self._chosen(answer)
        self._scores([FIRST])

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score per sample, or None.

        Raises:
            JudgeFailed: the judge gave none.
            ImageRefused: an image is too thin.
        """
        judged = [self.judges(sample.prompt, sample.metadata) for sample in samples]
        mine = [sample for sample, is_judged in zip(samples, judged, strict=True) if is_judged]
        found = self._scores(mine)
        prompts, values = [sample.prompt for sample in mine], [score.value for score in found]
        if self._watch.sees(prompts, values):
            _log.warning(
                "%s gave all images of a prompt the same answer in %d batches in a row; does it "
                "see them? A model without eyes, and a server that drops images, answer so, and "
                "nothing is learnt from it. try: tdmr1 rewards check vlm --option url=... "
                "--option model=...",
                self._judge,
                BATCHES,
            )
        scores = iter(found)
        return [next(scores) if is_judged else None for is_judged in judged]

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether there is a prompt, and it quotes text where that is what is judged."""
        return quotes_text(prompt) if self._question.preset.quotes else bool(prompt.strip())

    def goldens(self) -> list[Golden]:
        """Signs that say what the prompt quotes, and signs that do not."""
        return goldens()

    def _chosen(self, answer: str) -> str:
        """How it is answered; "auto" becomes what the server knows."""
        if not self._question.preset.yes_or_no:
            return "number"
        if answer != "auto":
            return answer
        try:
            (body,) = self._judge.ask([self._question.request(FIRST, "yes-no")])
        except JudgeRefused as error:
            if "logprob" not in str(error).lower():
                raise
            return "number"
        with self._blamed(FIRST):
            return "yes-no" if read_choice(body).candidates else "number"

    def _scores(self, samples: Sequence[Sample]) -> list[Score]:
        requests = [self._question.request(sample, self._answer) for sample in samples]
        scores = []
        for body, sample in zip(self._judge.ask(requests), samples, strict=True):
            with self._blamed(sample):
                scores.append(self._question.score(read_choice(body), self._answer))
        return scores

    @contextlib.contextmanager
    def _blamed(self, sample: Sample) -> Iterator[None]:
        """Whose answer it is that cannot be read, and about what."""
        try:
            yield
        except JudgeFailed as error:
            about = f'{self._judge}, asked about "{plain(sample.prompt)}",'
            raise JudgeFailed(f"{about} {error}") from None
