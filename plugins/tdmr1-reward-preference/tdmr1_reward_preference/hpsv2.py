"""The reward `hpsv2`."""

from __future__ import annotations

import html

from tdmr1.rewards import Weights
from tdmr1.rewards.models import published
from tdmr1.rewards.models.clip import Clip
from tdmr1.rewards.models.open_clip_layout import VIT_H, read_checkpoint
from tdmr1.rewards.models.pixels import as_hpsv2
from tdmr1_reward_preference.reward import ClipReward

CHECKPOINT = "xswu/HPSv2/HPS_v2.1_compressed.pt"
TOKENIZER = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"


class Hpsv2(ClipReward):
    """Human Preference Score v2.1 (Wu et al. 2023, arXiv 2306.09341): cos.

    CLIP ViT-H/14 after training on people's rankings of pictures of a prompt. Pictures get about
    0.20 to 0.35. The published checkpoint has open_clip's layout.

    Args:
        model: a file of weights, or ORG/NAME/FILE of the Hub; HPS_v2_compressed.pt is version 2.0.
        tokenizer: a folder with CLIP's tokenizer, or a Hub id.
        device: where the network goes, as torch names it; "auto" is a GPU where there is one.
        dtype: "float32", "bfloat16" or "float16".
        batch: pictures, and prompts, that the network sees at a time.

    Raises:
        ValueError: `device`, `dtype` or `batch` is none.
        UserError: weights are missing, damaged or of another model.
    """

    name = "hpsv2"
    summary = "Which picture would people rank first? HPSv2.1, a cosine, mostly 0.20 to 0.35"
    range = (-1.0, 1.0)
    engines = ("HPSv2.1, a CLIP ViT-H/14 at 224 px, by transformers",)
    weights = (
        Weights(
            "HPS_v2.1_compressed",
            "Apache-2.0",
            1970,
            "https://huggingface.co/xswu/HPSv2",
            option="model",
        ),
        Weights(
            f"{TOKENIZER} (tokenizer)",
            "MIT",
            4,
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
        options = "hpsv2"
        path = published.published_file(model, f"{options}.model")
        folder = published.published_folder(tokenizer, published.TOKENIZER, f"{options}.tokenizer")
        network = read_checkpoint(path, VIT_H)
        words = published.read_tokenizer(folder)
        self.clip = Clip(network, words, as_hpsv2, device, dtype, batch)

    def text(self, prompt: str) -> str:
        """As open_clip cleans it: no typographic quotation marks, no entities of HTML."""
        import ftfy

        cleaned = html.unescape(html.unescape(ftfy.fix_text(prompt)))
        return " ".join(cleaned.split())

    def value(self, cosine: float) -> float:
        return cosine
