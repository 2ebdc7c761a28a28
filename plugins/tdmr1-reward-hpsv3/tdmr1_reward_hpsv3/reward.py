"""The reward `hpsv3`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tdmr1.rewards import Image, Score, Weights
from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.models import published
from tdmr1.rewards.models.devices import check_dtype
from tdmr1.rewards.models.networks import PictureNetwork, in_batches
from tdmr1.rewards.models.preference import PreferenceReward
from tdmr1_reward_hpsv3.chat import Chat
from tdmr1_reward_hpsv3.patches import as_hpsv3
from tdmr1_reward_hpsv3.question import read_question

CHECKPOINT = "MizzenAI/HPSv3/HPSv3.safetensors"
BASE = "Qwen/Qwen2-VL-7B-Instruct"


class Hpsv3(PreferenceReward):
    """Human Preference Score v3 (Ma et al. 2025, arXiv 2508.03789): the mean of a rating.

    Qwen2-VL-7B, asked how good the picture is and how well it fits the prompt, after training on
    people's choices between two pictures of a prompt; a head gives the rating's mean and
    deviation. It has no bounds; pictures mostly get -2 to 15. Abstains where the prompt is empty.

    Args:
        model: a file of weights, or ORG/NAME/FILE of the Hub.
        base: a folder with the configuration and the tokenizer of Qwen2-VL, or a Hub id.
        package: a wheel of the authors' package, of which only the text around a prompt is read;
            "" is the installed one.
        device: where the network goes, as torch names it; "auto" is a GPU where there is one.
        dtype: "float32", "bfloat16" or "float16"; the head computes in float32.
        batch: pictures, each with its prompt, that the network sees at a time.

    Raises:
        ValueError: `device`, `dtype` or `batch` is none.
        UserError: weights are missing, damaged or of another model, or the package is missing.
    """

    name = "hpsv3"
    summary = "Which picture would people prefer for its prompt? HPSv3, mostly -2 to 15"
    range = (-math.inf, math.inf)
    engines = ("HPSv3, a Qwen2-VL-7B, by transformers",)
    weights = (
        Weights(
            "HPSv3",
            "Apache-2.0",
            16_600,
            "https://huggingface.co/MizzenAI/HPSv3",
            option="model",
        ),
        Weights(
            f"{BASE} (configuration and tokenizer)",
            "Apache-2.0",
            12,
            f"https://huggingface.co/{BASE}",
            option="base",
            files=published.TOKENIZER,
        ),
    )

    def __init__(
        self,
        model: str = CHECKPOINT,
        base: str = BASE,
        package: str = "",
        device: str = "auto",
        dtype: str = "bfloat16",
        batch: int = 8,
    ) -> None:
        check_dtype(dtype)
        question = read_question(package)  # before 16.6 GB are asked for
        folder = published.published_folder(base, published.TOKENIZER, "hpsv3.base")
        path = published.published_file(model, "hpsv3.model")
        from tdmr1_reward_hpsv3.network import read_hpsv3  # it takes seconds

        self._chat = Chat(folder, question)
        rater = read_hpsv3(path, folder)
        if self._chat.words != rater.words:
            raise RewardError(
                f"{path} knows {rater.words} tokens, and the tokenizer in {folder} has "
                f"{self._chat.words}; the published one is that of {BASE}"
            )
        prepare = partial(as_hpsv3, patch=rater.patch, merge=rater.merge)
        self._qwen = PictureNetwork(rater.qwen, prepare, device, dtype, batch)
        self._head, self._squares = rater.head, rater.merge**2

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether there is a prompt.

        Raises:
            ValueError: it has a mark of Qwen2-VL's chats in it.
        """
        if marks := self._chat.marks(prompt):
            raise ValueError(
                f"the prompt has {marks[0]}, which HPSv3 would read as a mark of its own"
            )
        return super().judges(prompt, metadata)

    def rate(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Score]:
        import torch

        qwen, found = self._qwen, []
        batches = zip(qwen.prepared(images), in_batches(prompts, qwen.batch), strict=True)
        for pictures, texts in batches:
            turns = self._chat.turns([len(p.pixels) // self._squares for p in pictures], texts)
            tokens = turns.tokens.to(qwen.device)
            # As the authors do: each token one place further than the last, those of the
            # picture, too, which Qwen2-VL itself gives places in two dimensions.
            places = torch.arange(tokens.shape[1], device=qwen.device).expand(3, *tokens.shape)
            with torch.no_grad():
                read = qwen.network(
                    input_ids=tokens,
                    attention_mask=turns.mask.to(qwen.device),
                    position_ids=places,
                    pixel_values=torch.cat([p.pixels for p in pictures]).to(qwen.device),
                    image_grid_thw=torch.tensor([(1, *p.grid) for p in pictures]).to(qwen.device),
                    use_cache=False,
                ).last_hidden_state
                asked = read[torch.arange(len(texts)), turns.asked.to(qwen.device)]
                found += self._head(asked.float().cpu()).tolist()
        return [Score(mean) for mean, _ in found]
