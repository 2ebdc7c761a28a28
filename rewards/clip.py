"""CLIP (Radford et al. 2021, arXiv 2103.00020) by transformers, from published weights.

Torch and transformers are imported by whoever makes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tdmr1.errors import UserError
from tdmr1.rewards.contract import Image
from tdmr1.rewards.devices import device_of, dtype_of
from tdmr1.rewards.pixels import Prepare
from tdmr1.rewards.published import CLIP, published_folder, read_network

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

TOKENS = 77
"""What CLIP's text network sees of a prompt, with the marks of its beginning and end."""
THREADS = 8
"""That prepare pictures."""


class PictureTower:
    """CLIP's image network.

    Args:
        network: a CLIPModel, or a CLIPVisionModelWithProjection, of transformers.
        prepare: makes its input of a picture.
        device: where it goes, as torch names it; "auto" is a GPU where there is one.
        dtype: what it computes in, one of `devices.DTYPES`.
        batch: pictures that it sees at a time, > 0.

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
        if batch < 1:
            raise ValueError(f"batch is {batch}; expected 1 or more")
        self._device, self._dtype = device_of(device), dtype_of(dtype)
        self._network = network.to(self._device, self._dtype)
        self._prepare, self._batch = prepare, batch
        config = network.config
        self.side: int = getattr(config, "vision_config", config).image_size
        self.width: int = config.projection_dim

    def pictures(self, images: Sequence[Image]) -> Tensor:
        """Embeddings (N, D) of pictures of any sizes, float32, of length 1."""
        import torch

        found = [torch.zeros(0, self.width)]
        for pixels in self._prepared(images):
            with torch.no_grad():
                seen = self._network.vision_model(pixels.to(self._device, self._dtype))
                found.append(_unit(self._network.visual_projection(seen.pooler_output)))
        return torch.cat(found)

    def _prepared(self, images: Sequence[Image]) -> Iterator[Tensor]:
        """The network's input, batch by batch; the next is made while it sees the last.

        By several threads, as a picture takes one of them milliseconds, and a GPU less than one.
        """
        import torch

        with ThreadPoolExecutor(THREADS) as pool:
            batches = [*in_batches(images, self._batch), []]
            coming = pool.map(self._prepare, batches[0], repeat(self.side))
            for after in batches[1:]:
                pixels = torch.stack(list(coming))
                coming = pool.map(self._prepare, after, repeat(self.side))
                yield pixels


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
        return float(self._network.logit_scale.float().exp())

    def prompts(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings (N, D) of prompts, float32, of length 1; of a long one its beginning.

        Those of a prompt that is there several times are computed once.
        """
        import torch

        distinct = list(dict.fromkeys(prompts))
        found = [torch.zeros(0, self.width)]
        for some in in_batches(distinct, self._batch):
            # Padding to one length, as the rounding of sums depends on it.
            tokens = self._tokenizer(
                some, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
            ).to(self._device)
            with torch.no_grad():
                read = self._network.text_model(**tokens)
                found.append(_unit(self._network.text_projection(read.pooler_output)))
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
        model: a folder in the layout of transformers, or a Hub id.
        option: of a reward, that names it, e.g. "pickscore.model".
        prepare, device, dtype, batch: as of `Clip`.

    Raises:
        ValueError: as `Clip`.
        UserError: it cannot be had, is incomplete, or another model.
    """
    folder = published_folder(model, CLIP, option)
    from transformers import CLIPModel  # after that, as it takes seconds

    network = read_network(CLIPModel, folder)
    return Clip(network, read_tokenizer(folder), prepare, device, dtype, batch)


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401
    """The tokenizer of a CLIP.

    Raises:
        UserError: a file is missing or damaged.
    """
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise UserError(
            f"{folder} has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt; "
            "what is of the Hub is completed by tdmr1 rewards fetch NAME"
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # of whatever lies there: always the same way out
        raise UserError(
            f"the tokenizer in {folder} cannot be read: {error}\n"
            "what is of the Hub is mended by tdmr1 rewards fetch NAME"
        ) from error


def in_batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """So many at a time."""
    return (items[i : i + size] for i in range(0, len(items), size))


def _unit(embedded: Tensor) -> Tensor:
    """Rows of length 1, float32, on the CPU."""
    import torch.nn.functional as F

    return F.normalize(embedded.float(), dim=1).cpu()
