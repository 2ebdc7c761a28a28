"""From latents to images."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

Decoding = Literal["sliced", "tiled", "whole"]


class Decoder:
    """A VAE of diffusers, or an AutoencoderTiny, which decodes.

    Args:
        vae: frozen.
        how: one image at a time, which gives the images of a whole batch but for rounding, in
            bfloat16 a level or two of 255; each in overlapping tiles as well, which does nothing
            up to the VAE's own size and changes every pixel above it; or a whole batch at once.
    """

    def __init__(self, vae: Any, how: Decoding) -> None:  # noqa: ANN401
        self._vae = vae
        if how != "whole":
            vae.enable_slicing()
        if how == "tiled":
            vae.enable_tiling()

    @torch.no_grad()
    def __call__(self, latents: Tensor) -> Tensor:
        """The VAE's own latents (B, C, h, w) to images (B, 3, H, W) in [0, 1]."""
        images: Tensor = self._vae.decode(latents, return_dict=False)[0].float()
        return (images / 2 + 0.5).clamp(0, 1)

    def to(self, device: torch.device) -> None:
        self._vae.to(device)
