"""What a judge can be asked."""

from __future__ import annotations

import dataclasses
import re

YES_OR_NO = "Answer with the single word yes or no."


@dataclasses.dataclass(frozen=True)
class Preset:
    """A question, and what numbers answer it where "yes" and "no" do not.

    Attributes:
        question: in which {prompt} stands for the sample's.
        axes: names of the numbers that are asked for; their mean counts.
        low, high: the worst and the best number.
        yes_or_no: whether it can be answered so.
        quotes: whether it is about text that the prompt quotes.
    """

    question: str
    axes: tuple[str, ...] = ("score",)
    low: float = 0.0
    high: float = 1.0
    yes_or_no: bool = True
    quotes: bool = False

    def asks_for_numbers(self) -> str:
        """The sentence that follows the question where numbers are to answer it."""
        scale = f"from {self.low:g} to {self.high:g}"
        if self.yes_or_no:
            scale += f": {self.low:g} is certainly no, {self.high:g} certainly yes"
        named = ", ".join(f"`{axis}`" for axis in self.axes)
        return (
            "Answer with a JSON object: in `reason` say why, in a few words; "
            f"in {named} give a number {scale}."
        )


PRESETS = {
    "match": Preset('Does this picture show "{prompt}"?'),
    "text": Preset(
        "This picture was made for the prompt: {prompt}\n"
        "Is the text that the prompt quotes written in the picture, legible, with every letter "
        "right, none missing and none added?",
        quotes=True,
    ),
    "unified-reward": Preset(
        "This picture was made for the caption: {prompt}\n"
        "Rate it. `alignment`: does its content match the caption? `coherence`: does it make "
        "sense, without visual glitches and distorted objects? `style`: is it beautiful, "
        "whatever the caption says?",
        axes=("alignment", "coherence", "style"),
        low=1.0,
        high=5.0,
        yes_or_no=False,
    ),
}
"""Name -> what is asked. The axes and scale of "unified-reward" are those of UnifiedReward 2.0
(its paper: Wang et al. 2025, arXiv 2503.05236); the words are our own."""

_QUOTED = re.compile(r'(?<!\d)"[^"]+"|[“”„«»‹「『][^“”"«»›」』]+[“”"«»›」』]')


def quotes_text(prompt: str) -> bool:
    """Whether a prompt has something between double quotation marks, of any language.

    Straight ones right after a digit are inches.
    """
    return bool(_QUOTED.search(prompt))
