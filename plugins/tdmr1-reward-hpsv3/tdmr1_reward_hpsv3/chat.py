"""A picture and its prompt as a turn of Qwen2-VL's chat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.models.published import read_tokenizer
from tdmr1_reward_hpsv3.question import MARK, PLACE

if TYPE_CHECKING:
    from torch import Tensor

PICTURE = "<|image_pad|>"
"""Of the chat's template a picture, of what the network reads a square of patches."""


class Turns(NamedTuple):
    """What the network reads.

    Attributes:
        tokens: (N, L), filled up on the right.
        mask: (N, L), 1 where `tokens` are of the turn.
        asked: (N,), where in each the token stands whose output is rated.
    """

    tokens: Tensor
    mask: Tensor
    asked: Tensor


class Chat:
    """Asks a question about pictures and prompts.

    Args:
        folder: with Qwen2-VL's tokenizer and template of a chat.
        question: with `PLACE` and `MARK` in it.

    Attributes:
        words: of the vocabulary with `MARK`, which is the last.

    Raises:
        UserError: a file is missing or damaged.
    """

    def __init__(self, folder: Path, question: str) -> None:
        self._tokenizer = read_tokenizer(folder)
        self._tokenizer.add_tokens([MARK], special_tokens=True)
        self._tokenizer.padding_side = "right"
        self.words = len(self._tokenizer)
        content = [{"type": "image"}, {"type": "text", "text": question}]
        try:
            turn = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
            )
            self._before, self._after = turn.split(PLACE)
            if self._before.count(PICTURE) != 1:
                raise ValueError(f"it has no {PICTURE} for a picture")
        except Exception as error:  # of a template that may be anything: always the same way out
            raise RewardError(
                f"the chat's template in {folder} is not that of Qwen2-VL: {error}"
            ) from error

    def turns(self, squares: Sequence[int], prompts: Sequence[str]) -> Turns:
        """The turns with pictures of so many squares of patches, and these prompts."""
        texts = [
            f"{self._before.replace(PICTURE, PICTURE * number)}{prompt}{self._after}"
            for number, prompt in zip(squares, prompts, strict=True)
        ]
        read = self._tokenizer(texts, padding=True, return_tensors="pt")
        asked = (read["input_ids"] == self.words - 1).int().argmax(dim=1)
        return Turns(read["input_ids"], read["attention_mask"], asked)

    def marks(self, prompt: str) -> list[str]:
        """What is in a prompt that would be read as a mark of the chat, not as text."""
        return [mark for mark in self._tokenizer.get_added_vocab() if mark in prompt]
