import shutil

import pytest
import torch

from tdmr1_diffusers.options import PipelineOptions
from tdmr1_diffusers.testing import write_sd3, write_tiny_decoder, write_zimage

TOKENS = 40
"""Longer than the prompts of the tests, so that their lengths differ."""
WRITERS = {"sd3": write_sd3, "zimage": write_zimage}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Folders of the tiny pipelines, by name; nobody changes them."""
    root = tmp_path_factory.mktemp("pipelines")
    return {name: write(root / name) for name, write in WRITERS.items()}


@pytest.fixture(params=list(WRITERS))
def folder(written, request):
    return written[request.param]


@pytest.fixture
def copied(written, tmp_path):
    """A copy of a tiny pipeline that a test may spoil."""
    return lambda name: shutil.copytree(written[name], tmp_path / name)


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory):
    return write_tiny_decoder(tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="session")
def options():
    """Float32 and short prompts, unless said otherwise."""

    def options(**changes):
        return PipelineOptions(**{"dtype": "float32", "prompt_tokens": TOKENS, **changes})

    return options
