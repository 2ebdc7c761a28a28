"""What a judge is asked, and what its answer is worth."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1_reward_vlm.pictures import data_url
from tdmr1_reward_vlm.presets import PRESETS, YES_OR_NO, Preset
from tdmr1_reward_vlm.protocol import (
    Choice,
    asked,
    chance_of_yes,
    for_numbers,
    for_yes_or_no,
    numbers,
)


@dataclasses.dataclass(frozen=True)
class Question:
    """A question about a sample, in words.

    Attributes:
        preset: says what numbers answer it.
        text: of the question; {prompt} stands for the sample's.
        max_tokens: of an answer in numbers, > 0.
    """

    preset: Preset
    text: str
    max_tokens: int

    @classmethod
    def of(cls, preset: str, text: str, max_tokens: int) -> Question:
        """That of a preset, in its own words where `text` is empty.

        Raises:
            RewardOptionInvalid: there is no such preset, or the text has another {field}.
        """
        if preset not in PRESETS:
            there_are = ", ".join(PRESETS)
            raise RewardOptionInvalid(f"vlm: preset is {preset!r}; there are: {there_are}")
        if unknown := set(re.findall(r"\{(\w+)\}", text)) - {"prompt"}:
            raise RewardOptionInvalid(
                f"vlm: the question has {{{min(unknown)}}}; {{prompt}} alone is filled in"
            )
        if max_tokens < 1:
            raise RewardOptionInvalid(f"vlm: max_tokens is {max_tokens}; expected 1 or more")
        return cls(PRESETS[preset], text or PRESETS[preset].question, max_tokens)

    def request(self, sample: Sample, answer: str) -> dict[str, Any]:
        """The fields of a request.

        Args:
            answer: "yes-no" or "number".
        """
        preset = self.preset
        if answer == "yes-no":
            how, fields = YES_OR_NO, for_yes_or_no()
        else:
            how = preset.asks_for_numbers()
            fields = for_numbers(preset.axes, preset.low, preset.high, self.max_tokens)
        text = self.text.replace("{prompt}", sample.prompt)
        return {"messages": asked(f"{text}\n{how}", data_url(sample.image)), **fields}

    def score(self, choice: Choice, answer: str) -> Score:
        """What an answer is worth, in [0, 1]; passed, where it is about yes or no, above 0.5.

        Raises:
            JudgeFailed: it is not what was asked for.
        """
        preset = self.preset
        if answer == "yes-no":
            value = chance_of_yes(choice)
            return Score(value, f"yes {value:.3f}", passed=value > 0.5)
        found, why = numbers(choice, preset.axes, preset.low, preset.high)
        value = (sum(found) / len(found) - preset.low) / (preset.high - preset.low)
        pairs = zip(preset.axes, found, strict=True)
        rated = ", ".join(f"{axis} {number:g}" for axis, number in pairs)
        reason = f"{rated}: {why}" if why else rated
        return Score(value, reason, passed=value > 0.5 if preset.yes_or_no else None)
