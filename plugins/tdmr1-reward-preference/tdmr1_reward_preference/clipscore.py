"""The reward `clipscore`."""

from __future__ import annotations

from tdmr1.rewards import Weights
from tdmr1.rewards.models.clip import published_clip
from tdmr1.rewards.models.pixels import as_openai
from tdmr1.rewards.models.published import CLIP
from tdmr1_reward_preference.reward import ClipReward

MODEL = "openai/clip-vit-large-patch14"
WEIGHT = 2.5


class ClipScore(ClipReward):
    """CLIPScore (Hessel et al. 2021, arXiv 2104.08718, Eq. 1): 2.5 max(cos, 0).

    As published it is of CLIP ViT-B/32, with "A photo depicts " before the caption. Of generated
    pictures it is mostly reported as here, of ViT-L/14 and the bare prompt: about 0.5 to 0.8.

    Args:
        model: a folder in the layout of transformers, with a tokenizer, or a Hub id.
        prefix: stands before the prompt.
        device: where the network goes, as torch names it; "auto" is a GPU where there is one.
        dtype: "float32", "bfloat16" or "float16".
        batch: pictures, and prompts, that the network sees at a time.

    Raises:
        ValueError: `device`, `dtype` or `batch` is none.
        UserError: weights are missing, damaged or of another model.
    """

    name = "clipscore"
    summary = "Does the picture fit its prompt? CLIPScore, 0 to 2.5, mostly 0.4 to 0.9"
    range = (0.0, WEIGHT)
    engines = ("CLIP ViT-L/14 at 224 px, by transformers",)
    weights = (
        Weights(
            MODEL,
            "MIT (of OpenAI's code)",
            1711,
            f"https://huggingface.co/{MODEL}",
            option="model",
            files=CLIP,
        ),
    )

    def __init__(
        self,
        model: str = MODEL,
        prefix: str = "",
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 32,
    ) -> None:
        self.clip = published_clip(model, "clipscore.model", as_openai, device, dtype, batch)
        self._prefix = prefix

    def text(self, prompt: str) -> str:
        return f"{self._prefix}{prompt}"

    def value(self, cosine: float) -> float:
        return WEIGHT * max(cosine, 0.0)
