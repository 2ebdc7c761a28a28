"""FLUX.2 klein as a generator, from pipelines of diffusers."""
