"""Linear latents: each 8x8 patch of pixels on its first principal components."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 8
CHANNELS = 32


class LinearLatents(nn.Module):
    """An orthogonal patch transform in the place of a VAE.

    Images (B, 3, 64, 64) in [-1, 1] <-> latents (B, CHANNELS, 8, 8). Each component is divided by
    the square root of its standard deviation: all are of order one, the large ones still lead.
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        dim = 3 * PATCH * PATCH
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("basis", torch.eye(dim)[:CHANNELS])
        self.register_buffer("scale", torch.ones(CHANNELS))

    def fit(self, images: Tensor) -> None:
        """Principal components of the patches of `images` (N, 3, 64, 64) in [-1, 1]."""
        patches = F.unfold(images, PATCH, stride=PATCH).transpose(1, 2).flatten(0, 1)
        self.mean.copy_(patches.mean(0))
        covariance = torch.cov(patches.T.double())
        variance, vectors = torch.linalg.eigh(covariance)
        leading = variance.argsort(descending=True)[:CHANNELS]
        self.basis.copy_(vectors.T[leading])
        self.scale.copy_(variance[leading].clamp_min(1e-8) ** 0.25)

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] to latents (B, CHANNELS, H / 8, W / 8)."""
        kernel = (self.basis / self.scale[:, None]).view(CHANNELS, 3, PATCH, PATCH)
        offset = -(self.basis @ self.mean) / self.scale
        return F.conv2d(images, kernel, offset, stride=PATCH)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, CHANNELS, h, w) to images (B, 3, 8 h, 8 w) in [-1, 1], clipped."""
        kernel = (self.basis * self.scale[:, None]).view(CHANNELS, 3, PATCH, PATCH)
        image = F.conv_transpose2d(latents, kernel, stride=PATCH)
        tiles = image.shape[-2] // PATCH, image.shape[-1] // PATCH
        return (image + self.mean.view(3, PATCH, PATCH).repeat(1, *tiles)).clamp(-1, 1)
