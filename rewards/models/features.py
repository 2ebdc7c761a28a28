"""Feature spaces in which pictures are compared: thumbnails, and embeddings of networks.

Torch is imported by those that have a network.
"""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdmr1.errors import UserError
from tdmr1.missing import remedy
from tdmr1.progress import task
from tdmr1.rewards.models.published import find_weights, read_network
from tdmr1.rewards.models.spaces import OPEN_CLIP, SPACES, open_clip_weights, space_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

Features: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pictures (N, H, W, 3) to features (N, D)."""

SIDE = 8
"""Pixels of a thumbnail's height and width."""

DINO_SIDE = 224
DINO_MEAN, DINO_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What DINOv2 was trained on, as its processor's configuration says it."""


def open_features(space: str, device: str, option: str) -> Features:
    """A feature space.

    Args:
        space: "thumbnail", "dinov2:FOLDER_OR_HUB_ID" or "open_clip:MODEL:PRETRAINED".
        device: where a network goes, as torch names it.
        option: that asks for the space, for an error's text.

    Raises:
        WeightsMissing: those of its network are not on this machine.
        UserError: there is no such space, or its network cannot be loaded.
    """
    if (place := find_space(space, option)) is None:
        return thumbnails
    kind, _, which = space.partition(":")
    name, _, pretrained = which.partition(":")
    try:
        with task(f"loading {space}"):
            if kind == "dinov2":
                return _dinov2(place, device)
            return _open_clip(name, pretrained, place, device)
    except Exception as error:  # of a file or a package: always the same way out
        hint = remedy(error) if isinstance(error, ImportError) else ""
        raise UserError(
            f"the feature space {option}={space!r} cannot be loaded: {error}\n"
            + (f"try: {hint}" if hint else f"take another; {SPACES}")
        ) from error


def find_space(space: str, option: str) -> Path | None:
    """Where the weights of a feature space are; None of thumbnails, which have none.

    Args:
        space, option: as of `open_features`.

    Raises:
        WeightsMissing, UserError: as `open_features`; nothing is loaded.
    """
    if space == "thumbnail":
        return None
    try:
        weights, place = space_weights(space)
    except UserError as error:
        raise UserError(f"{option}: {error}") from error
    found = find_weights(weights, place, f"tdmr1 rewards fetch {shlex.quote(space)}")
    if space.startswith(OPEN_CLIP) and found.is_dir():  # with one file, in this format or that
        return next(found / way for way in weights.files[0].split("|") if (found / way).is_file())
    return found


def thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels of blurred thumbnails: (N, 3 SIDE^2), what is where and in which colour.

    A pixel is the mean of its part of the picture. Divided by the square root of their number,
    so that distances are root mean squares of pixels' differences, in [0, 1].
    """
    small = [
        np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
        for image in images
    ]
    pixels = np.stack(small).reshape(len(images), -1)
    scaled: NDArray[np.float32] = pixels / np.float32(255 * np.sqrt(pixels.shape[1]))
    return scaled


def _dinov2(folder: Path, device: str) -> Features:
    """The class token of DINOv2 (arXiv 2304.07193), of length 1."""
    import torch
    from transformers import Dinov2Model

    model: nn.Module = read_network(Dinov2Model, folder).to(device)
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (DINO_MEAN, DINO_STD))

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.as_tensor(images, device=device).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            embedded: Tensor = model((_cropped(pixels) - mean) / std).pooler_output
        return _unit(embedded)

    return features


def _cropped(images: Tensor) -> Tensor:
    """The middle of (N, 3, H, W), DINO_SIDE pixels square, the shorter side resized to that."""
    import torch.nn.functional as F

    height, width = images.shape[-2:]
    scale = DINO_SIDE / min(height, width)
    size = round(height * scale), round(width * scale)
    resized = F.interpolate(images, size, mode="bicubic", antialias=True)
    top, left = (size[0] - DINO_SIDE) // 2, (size[1] - DINO_SIDE) // 2
    return resized[..., top : top + DINO_SIDE, left : left + DINO_SIDE].clamp(0, 1)


def _open_clip(model_name: str, pretrained: str, file: Path, device: str) -> Features:
    """CLIP's image embedding by the package open_clip, of length 1."""
    import torch

    open_clip: Any = importlib.import_module("open_clip")
    known = (
        open_clip_weights(model_name, pretrained)
        if str(file) != str(Path(pretrained).expanduser())
        else {}
    )
    model, _, preprocess = open_clip.create_model_and_transforms(
        model_name,
        pretrained=str(file),
        device=device,
        image_mean=known.get("mean"),
        image_std=known.get("std"),
        image_interpolation=known.get("interpolation"),
        image_resize_mode=known.get("resize_mode"),
    )
    model.eval()

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = torch.stack([preprocess(Image.fromarray(image)) for image in images])
        with torch.no_grad():
            return _unit(model.encode_image(batch.to(device)))

    return features


def _unit(embedded: Tensor) -> NDArray[np.float32]:
    """Rows of length 1, on the CPU."""
    import torch.nn.functional as F

    found: NDArray[np.float32] = F.normalize(embedded.float(), dim=1).cpu().numpy()
    return found
