"""The reward `pickscore`."""

from __future__ import annotations

import math

from tdmr1.rewards import Weights
from tdmr1.rewards.models.clip import published_clip
from tdmr1.rewards.models.pixels import as_transformers
from tdmr1.rewards.models.published import CLIP
from tdmr1_reward_preference.reward import ClipReward

MODEL = "yuvalkirstain/PickScore_v1"


class PickScore(ClipReward):
    """PickScore (Kirstain et al. 2023, arXiv 2305.01569, Sec. 4): exp(t) cos.

    CLIP ViT-H/14 after training on people's choices between two pictures of a prompt; t is its
    learnt logit scale, exp(t) about 100. Good pictures get about 20 to 24.

    Args:
        model: a folder in the layout of transformers, with a tokenizer, or a Hub id.
        device: where the network goes, as torch names it; "auto" is a GPU where there is one.
        dtype: "float32", "bfloat16" or "float16".
        batch: pictures, and prompts, that the network sees at a time.

    Raises:
        ValueError: `device`, `dtype` or `batch` is none.
        UserError: weights are missing, damaged or of another model.
    """

    name = "pickscore"
    summary = "Which picture would people pick for its prompt? PickScore, mostly 16 to 24"
    range = (-math.inf, math.inf)
    engines = ("PickScore_v1, a CLIP ViT-H/14 at 224 px, by transformers",)
    weights = (
        Weights(
            MODEL,
            "not stated on its card",
            3940,
            f"https://huggingface.co/{MODEL}",
            option="model",
            files=CLIP,
        ),
    )

    def __init__(
        self,
        model: str = MODEL,
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 32,
    ) -> None:
        self.clip = published_clip(model, "pickscore.model", as_transformers, device, dtype, batch)
        self._scale = self.clip.scale

    def value(self, cosine: float) -> float:
        return self._scale * cosine
