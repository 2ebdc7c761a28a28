"""CLIP (Radford et al. 2021, arXiv 2103.00020) by transformers, from published weights.

Torch and transformers are imported by whoever makes one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tdmr1.errors import UserError
from tdmr1.rewards.contract import Image
from tdmr1.rewards.models.networks import PictureNetwork, in_batches
from tdmr1.rewards.models.open_clip_layout import CONFIG, has_open_clip_layout, read_open_clip
from tdmr1.rewards.models.pixels import MEAN, STD, Prepare
from tdmr1.rewards.models.published import CLIP, published_folder, read_network, read_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

PROCESSOR = "preprocessor_config.json"
TOKENS = 77
"""What CLIP's text network sees of a prompt, with the marks of its beginning and end."""


class PictureTower(PictureNetwork["Tensor"]):
    """CLIP's image network.

    Args:
        network: a CLIPModel, or a CLIPVisionModelWithProjection, of transformers.
        prepare: makes its input of a picture.
        device, dtype, batch: as above.

    Raises:
        ValueError: `device`, `dtype` or `batch` is none.
    """

    def __init__(
        self,
        network: Any,  # noqa: ANN401
        prepare: Prepare,
        device: str,
        dtype: str,
        batch: int,
    ) -> None:
        config = network.config
        self.side: int = getattr(config, "vision_config", config).image_size
        self.width: int = config.projection_dim
        super().__init__(network, lambda image: prepare(image, self.side), device, dtype, batch)

    def pictures(self, images: Sequence[Image]) -> Tensor:
        """Embeddings (N, D) of pictures of any sizes, float32, of length 1."""
        import torch

        found = [torch.zeros(0, self.width)]
        for inputs in self.prepared(images):
            pixels = torch.stack(inputs).to(self.device, self.dtype)
            with torch.no_grad():
                seen = self.network.vision_model(pixels)
                found.append(_unit(self.network.visual_projection(seen.pooler_output)))
        return torch.cat(found)


class Clip(PictureTower):
    """CLIP's image network, and its text network.

    Args:
        network: a CLIPModel of transformers.
        tokenizer: of transformers.
        prepare, device, dtype, batch: as above; prompts come in batches, too.
    """

    def __init__(
        self,
        network: Any,  # noqa: ANN401
        tokenizer: Any,  # noqa: ANN401
        prepare: Prepare,
        device: str,
        dtype: str,
        batch: int,
    ) -> None:
        super().__init__(network, prepare, device, dtype, batch)
        self._tokenizer = tokenizer

    @property
    def scale(self) -> float:
        """What cosines are multiplied by to become logits; about 100 after training."""
        return float(self.network.logit_scale.float().exp())

    def prompts(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings (N, D) of prompts, float32, of length 1; of a long one its beginning.

        Those of a prompt that is there several times are computed once.
        """
        import torch

        distinct = list(dict.fromkeys(prompts))
        found = [torch.zeros(0, self.width)]
        for some in in_batches(distinct, self.batch):
            # Padding to one length, as the rounding of sums depends on it.
            tokens = self._tokenizer(
                some, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
            ).to(self.device)
            with torch.no_grad():
                read = self.network.text_model(**tokens)
                found.append(_unit(self.network.text_projection(read.pooler_output)))
        return torch.cat(found)[[distinct.index(prompt) for prompt in prompts]]

    def cosines(self, images: Sequence[Image], prompts: Sequence[str]) -> list[float]:
        """Of each picture and its prompt, in [-1, 1]."""
        products = self.pictures(images) * self.prompts(prompts)
        return [float(product) for product in products.sum(dim=1).clamp(-1, 1)]


def published_clip(
    model: str, option: str, prepare: Prepare, device: str, dtype: str, batch: int
) -> Clip:
    """A published CLIP.

    Args:
        model: a folder in the layout of transformers or open_clip, or a Hub id.
        option: of a reward, that names it, e.g. "pickscore.model".
        prepare, device, dtype, batch: as of `Clip`.

    Raises:
        ValueError: as `Clip`.
        UserError: it cannot be had, is incomplete, or another model.
    """
    folder = published_folder(model, CLIP, option)
    return read_clip(folder, prepare, device, dtype, batch)


def read_clip(folder: Path, prepare: Prepare, device: str, dtype: str, batch: int) -> Clip:
    """A CLIP with its tokenizer.

    Args:
        folder: in the layout of transformers or open_clip.
        prepare, device, dtype, batch: as of `Clip`.

    Raises:
        ValueError: as `Clip`.
        UserError: it is incomplete, or another model.
    """
    check_standardised(folder)
    if has_open_clip_layout(folder):
        network = read_open_clip(folder)
    else:
        from transformers import CLIPModel

        network = read_network(CLIPModel, folder)
    return Clip(network, read_tokenizer(folder), prepare, device, dtype, batch)


def check_standardised(folder: Path) -> None:
    """That a CLIP has seen pictures standardised as `pixels` does it, as far as its folder says.

    Raises:
        UserError: it has not, or a file is damaged.
    """
    for name, part, keys in (
        (PROCESSOR, "", ("image_mean", "image_std")),
        (CONFIG, "preprocess_cfg", ("mean", "std")),
    ):
        if not (path := folder / name).is_file():
            continue
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            values = said.get(part, {}) if part else said
            same = [
                np.allclose(values.get(k, v), v) for k, v in zip(keys, (MEAN, STD), strict=True)
            ]
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path} cannot be read: {error}") from error
        if not all(same):
            raise UserError(
                f"{path} wants pictures of another mean and deviation than OpenAI's CLIP; "
                "name weights whose pictures are prepared like its"
            )


def _unit(embedded: Tensor) -> Tensor:
    """Rows of length 1, float32, on the CPU."""
    import torch.nn.functional as F

    return F.normalize(embedded.float(), dim=1).cpu()
