"""Notices a judge that does not look."""

from __future__ import annotations

from collections.abc import Sequence

BATCHES = 3
"""In a row, before it is said."""


class Watch:
    """Counts batches in which every image of a prompt got the same answer.

    So answers a judge whose server drops the images, or one that always says the same. A batch of
    one image, or of one image a prompt whose answers differ, shows nothing.
    """

    def __init__(self) -> None:
        self._batches = 0

    def sees(self, prompts: Sequence[str], values: Sequence[float]) -> bool:
        """Add a batch.

        Args:
            prompts: of N images.
            values: of each; what differs by less than 0.001 is the same.

        Returns:
            Whether it is the last of `BATCHES` in a row; once, until an answer differs.
        """
        if len(values) < 2:
            return False
        answers = [round(value, 3) for value in values]
        by_prompt = set(zip(prompts, answers, strict=True))
        of_its_prompt = len(by_prompt) == len(set(prompts)) < len(values)
        same = of_its_prompt or len(set(answers)) == 1
        self._batches = self._batches + 1 if same else 0
        return self._batches == BATCHES
