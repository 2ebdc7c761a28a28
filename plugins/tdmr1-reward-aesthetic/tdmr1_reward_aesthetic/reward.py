"""The reward `aesthetic`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tdmr1.rewards import Golden, Reward, Sample, Score, Weights
from tdmr1.rewards.models.clip import PictureTower
from tdmr1.rewards.models.pixels import as_openai
from tdmr1.rewards.models.published import WEIGHTS, published_file, published_folder, read_network
from tdmr1_reward_aesthetic.goldens import goldens
from tdmr1_reward_aesthetic.head import read_head

MODEL = "openai/clip-vit-large-patch14"
HEAD = "trl-lib/ddpo-aesthetic-predictor/aesthetic-model.pth"


class Aesthetic(Reward):
    """LAION's aesthetic predictor V2: a linear head on CLIP ViT-L/14's image embedding.

    The scale is that of its training data, people's ratings from 1 to 10; most pictures get 4 to
    7. The prompt plays no part.

    Args:
        model: a folder in the layout of transformers, or a Hub id.
        head: a file of weights, or ORG/NAME/FILE of the Hub.
        device: where the network goes, as torch names it; "auto" is a GPU where there is one.
        dtype: "float32", "bfloat16" or "float16"; the head computes in float32.
        batch: pictures that the network sees at a time.

    Raises:
        ValueError: `device`, `dtype` or `batch` is none.
        UserError: weights are missing, damaged or of another model.
    """

    name = "aesthetic"
    summary = "How beautiful do people find the picture? 1 to 10, mostly 4 to 7"
    range = (-math.inf, math.inf)
    engines = (
        "CLIP ViT-L/14 at 224 px by transformers, LAION's head sac+logos+ava1-l14-linearMSE",
    )
    weights = (
        Weights(
            MODEL,
            "MIT (of OpenAI's code)",
            1711,
            f"https://huggingface.co/{MODEL}",
            option="model",
            files=WEIGHTS,
        ),
        Weights(
            "sac+logos+ava1-l14-linearMSE",
            "Apache-2.0",
            4,
            "https://huggingface.co/trl-lib/ddpo-aesthetic-predictor, "
            "first at https://github.com/christophschuhmann/improved-aesthetic-predictor",
            option="head",
        ),
    )

    def __init__(
        self,
        model: str = MODEL,
        head: str = HEAD,
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 32,
    ) -> None:
        path = published_file(head, "aesthetic.head")
        folder = published_folder(model, WEIGHTS, "aesthetic.model")
        from transformers import CLIPVisionModelWithProjection  # after that, as it takes seconds

        network = read_network(CLIPVisionModelWithProjection, folder)
        self._tower = PictureTower(network, as_openai, device, dtype, batch)
        self._head = read_head(path, self._tower.width)

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """One score per sample, whatever the prompt."""
        values = self._head(self._tower.pictures([sample.image for sample in samples]))
        return [Score(float(value)) for value in values]

    def goldens(self) -> list[Golden]:
        """Photographs, and what is left of them beneath noise, or of a few colours."""
        return goldens()
