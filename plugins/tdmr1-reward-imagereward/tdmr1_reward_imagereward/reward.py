"""The reward `imagereward`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from tdmr1.rewards import Image, Score, Weights
from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.models import published
from tdmr1.rewards.models.networks import PictureNetwork, in_batches
from tdmr1.rewards.models.pixels import as_openai
from tdmr1.rewards.models.preference import PreferenceReward

CHECKPOINT = "THUDM/ImageReward/ImageReward.pt"
TOKENIZER = "google-bert/bert-base-uncased"

MEAN, STD = 0.16717362830052426, 1.0333394966054072
"""Of ratings, as published with the network."""
TOKENS = 35
"""What the network reads of a prompt, with the marks of its beginning and end."""
MARKS = ["[DEC]", "[ENC]"]
"""What BLIP added to BERT's vocabulary."""


class ImageReward(PreferenceReward):
    """ImageReward-v1.0 (Xu et al. 2023, arXiv 2304.05977): (rating - 0.1672) / 1.0333.

    A BLIP reads the prompt while it looks at the picture, after training on people's rankings of
    pictures of a prompt. Of Stable Diffusion 1.4 the authors report 62 % within 1 of 0, 98 %
    within 2. Abstains where the prompt is empty.

    Args:
        model: a file of weights, or ORG/NAME/FILE of the Hub.
        tokenizer: a folder with BERT's tokenizer, or a Hub id.
        device: where the network goes, as torch names it; "auto" is a GPU where there is one.
        dtype: "float32", "bfloat16" or "float16"; the head computes in float32.
        batch: pictures, each with its prompt, that the network sees at a time.

    Raises:
        ValueError: `device`, `dtype` or `batch` is none.
        UserError: weights are missing, damaged or of another model.
    """

    name = "imagereward"
    summary = "Which picture would people prefer for its prompt? ImageReward, mostly -2 to 2"
    range = (-math.inf, math.inf)
    engines = ("ImageReward-v1.0, a BLIP with ViT-L/16 at 224 px, by transformers",)
    weights = (
        Weights(
            "ImageReward-v1.0",
            "Apache-2.0",
            1790,
            "https://huggingface.co/THUDM/ImageReward",
            option="model",
        ),
        Weights(
            f"{TOKENIZER} (tokenizer)",
            "Apache-2.0",
            1,
            f"https://huggingface.co/{TOKENIZER}",
            option="tokenizer",
            files=published.TOKENIZER,
        ),
    )

    def __init__(
        self,
        model: str = CHECKPOINT,
        tokenizer: str = TOKENIZER,
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 32,
    ) -> None:
        path = published.published_file(model, "imagereward.model")
        folder = published.published_folder(
            tokenizer, published.TOKENIZER, "imagereward.tokenizer"
        )
        from tdmr1_reward_imagereward.network import read_imagereward  # it takes seconds

        self._tokenizer = published.read_tokenizer(folder)
        self._tokenizer.add_tokens(MARKS, special_tokens=True)
        rater = read_imagereward(path)
        if len(self._tokenizer) != rater.words:
            raise RewardError(
                f"{path} knows {rater.words} tokens, and the tokenizer in {folder} has "
                f"{len(self._tokenizer)}, BLIP's {' and '.join(MARKS)} among them; the published "
                f"one is that of {TOKENIZER}"
            )
        prepare = partial(as_openai, side=rater.side)
        self._blip = PictureNetwork(rater.blip, prepare, device, dtype, batch)
        self._head = rater.head

    def rate(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Score]:
        import torch

        blip, ratings = self._blip, []
        batches = zip(blip.prepared(images), in_batches(prompts, blip.batch), strict=True)
        for pixels, texts in batches:
            read = self._tokenizer(
                texts,
                padding="max_length",
                truncation=True,
                max_length=TOKENS,
                return_tensors="pt",
            ).to(blip.device)
            with torch.no_grad():
                seen = torch.stack(pixels).to(blip.device, blip.dtype)
                output = blip.network(seen, read["input_ids"], read["attention_mask"])
                ratings += self._head(output.float().cpu()).tolist()
        return [Score((rating - MEAN) / STD, f"rating {rating:.3f}") for rating in ratings]
