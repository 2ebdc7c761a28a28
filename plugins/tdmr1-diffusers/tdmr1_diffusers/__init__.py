"""Stable Diffusion 3, 3.5 and Z-Image as generators, from pipelines of diffusers."""
