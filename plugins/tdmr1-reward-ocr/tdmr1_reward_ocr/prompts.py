"""Training prompts that quote a text to be drawn.

Like the set that Flow-GRPO (Liu et al. 2025, arXiv 2505.05470) published for its OCR reward, in
figures: one text each, of 2 to 30 characters and mostly two to four words, a quarter with figures,
mostly in title case, in a scene that takes some 30 words. The words are our own.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Hashable, Iterator
from typing import ClassVar

from tdmr1.rewards.prompt_source import PromptSource, shuffled
from tdmr1.rewards.prompts import PromptLine
from tdmr1_reward_ocr.definition import normalise
from tdmr1_reward_ocr.quotation import quoted
from tdmr1_reward_ocr.vocabulary import LETTERING, LIGHT, SCENES, SLOTS, STYLES, Scene

LONGEST = 30
"""Characters of a text."""

_SLOT = re.compile(r"{(\w+)}")


class OcrPrompts(PromptSource):
    """Prompts for the reward `ocr`; their tag says what is quoted: several words, with figures, or
    one word. `shares` are those of the published set, in percent."""

    shares: ClassVar = {"phrase": 73, "number": 23, "word": 4}

    def prompts(self, tag: str, rng: random.Random) -> Iterator[PromptLine]:
        # A pattern of few texts is as likely as one of many, until it has no more.
        left = [
            (scene, _texts(pattern, rng)) for scene in SCENES for pattern in scene.patterns[tag]
        ]
        while left:
            at = rng.randrange(len(left))
            scene, texts = left[at]
            if (text := next(texts, None)) is None:
                del left[at]
            elif len(text) <= LONGEST:
                yield PromptLine(_sentence(scene, _cased(text, rng), rng), {"tag": tag})

    def asks(self, prompt: PromptLine) -> Hashable:
        """The texts that it quotes, as the reward compares them."""
        return tuple(normalise(text) for text in quoted(prompt.text))


def _texts(pattern: str, rng: random.Random) -> Iterator[str]:
    """All texts of a pattern in an order of chance, none with a word twice for one slot."""
    slots = _SLOT.findall(pattern)
    for index in shuffled(math.prod(len(SLOTS[slot]) for slot in slots), rng):
        chosen = []
        for slot in slots:
            index, choice = divmod(index, len(SLOTS[slot]))
            chosen.append(SLOTS[slot][choice])
        if len(set(chosen)) == len(chosen):
            text = pattern
            for slot, words in zip(slots, chosen, strict=True):
                text = text.replace(f"{{{slot}}}", words, 1)
            yield text


def _cased(text: str, rng: random.Random) -> str:
    """Mostly title case, in which short words inside stay small; or capitals, or a sentence."""
    case = rng.choice(("title",) * 6 + ("capitals", "sentence"))
    if case == "capitals":
        return text.upper()
    words = text.split(" ")
    large = [i == 0 or (case == "title" and len(word) > 2) for i, word in enumerate(words)]
    pairs = zip(words, large, strict=True)
    return " ".join(word[0].upper() + word[1:] if capital else word for word, capital in pairs)


def _sentence(scene: Scene, text: str, rng: random.Random) -> str:
    style, thing, place = map(rng.choice, (STYLES, scene.things, scene.places))
    lettering, light = rng.choice(LETTERING), rng.choice(LIGHT)
    says = rng.choice(("that reads", "that says", "with the text", "which bears the text"))
    return f'{style} {thing} {says} "{text}" {lettering}, {place}, {light}.'
