"""Complete tiny pipelines on disk, in the layout that the published models have.

The classes are the real ones, the weights random: what loads these loads the models of the Hub.
"""

from tdmr1_diffusers.testing.pipelines import write_sd3, write_tiny_decoder, write_zimage

__all__ = ["write_sd3", "write_tiny_decoder", "write_zimage"]
