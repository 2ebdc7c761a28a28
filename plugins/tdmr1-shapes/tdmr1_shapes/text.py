"""A text encoder for the world's forty-odd words, trained together with the teacher."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tdmr1.errors import UserError
from tdmr1_shapes.world import COLORS, NUMBERS, SHAPES

LENGTH = 8
"""Tokens of a prompt: a start token, at most six that carry meaning, and padding."""

PAD, START = 0, 1
FUNCTION_WORDS = frozenset({"a", "an", "and", "of", "photo", "says", "that"})
"""Left out: they carry no meaning in this grammar, and every token costs time."""

_WORDS = (*SHAPES, *COLORS, *NUMBERS.values(), "left", "right", "above", "below", "sign")
VOCABULARY = {
    token: index for index, token in enumerate((*_WORDS, *string.ascii_uppercase), start=START + 1)
}


_QUOTATION_MARKS = str.maketrans(dict.fromkeys("“”„‟＂«»「」『』", '"'))
"""Those of other keyboards and languages, which rewards understand, too."""


class UnknownWord(UserError):
    """A prompt holds a word that this world does not know."""


def tokenize(prompt: str) -> list[int]:
    """Token ids, LENGTH of them. The empty prompt is the unconditional one.

    Raises:
        UnknownWord: naming the word and the vocabulary, or that the prompt is too long.
    """
    prompt = prompt.translate(_QUOTATION_MARKS)
    words = re.findall(r'"[^"]*"|[^\s"]+', prompt)
    tokens: list[str] = []
    for word in words:
        if word.startswith('"'):
            tokens.extend(word.strip('"').replace(" ", ""))
        elif word.lower() not in FUNCTION_WORDS:
            singular = word.lower().rstrip(",.")
            tokens.append(singular[:-1] if singular[:-1] in SHAPES else singular)
    for token in tokens:
        if token not in VOCABULARY:
            known = ", ".join([*_WORDS, *sorted(FUNCTION_WORDS)])
            raise UnknownWord(
                f"the shapes world does not know {token!r} in the prompt {prompt!r}; "
                f"it knows: {known}, and capitals A-Z in double quotes"
            )
    if len(tokens) > LENGTH - 1:
        raise UnknownWord(
            f"the prompt {prompt!r} has {len(tokens)} words and letters that carry meaning; "
            f"the shapes world takes {LENGTH - 1}"
        )
    ids = [START, *(VOCABULARY[token] for token in tokens)]
    return ids + [PAD] * (LENGTH - len(ids))


class TextEncoder(nn.Module):
    """Token and position embeddings, then two transformer layers."""

    def __init__(self, width: int = 192, layers: int = 2, heads: int = 3) -> None:
        super().__init__()
        self.tokens = nn.Embedding(START + 1 + len(VOCABULARY), width)
        self.positions = nn.Parameter(torch.randn(LENGTH, width))
        layer = nn.TransformerEncoderLayer(
            width,
            heads,
            2 * width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )

    def forward(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Embeddings (B, LENGTH, width) and their mean (B, width), on the encoder's device."""
        ids = torch.tensor([tokenize(prompt) for prompt in prompts], device=self.positions.device)
        embeddings = self.layers(self.tokens(ids) + self.positions)
        return embeddings, embeddings.mean(dim=1)
