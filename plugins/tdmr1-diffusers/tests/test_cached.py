"""A model of the Hub that was downloaded before, on a machine without a network."""

import shutil

import pytest
from huggingface_hub import constants

from tdmr1.errors import UserError
from tdmr1.trainers.models import load_generator
from tdmr1_diffusers.zimage import ZImageGenerator

COMMIT = "0" * 40


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The cache of the Hub's library, which may not use the network."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_it_is_loaded_by_its_name(hub, written):
    repository = hub / "models--somebody--tiny"
    shutil.copytree(written["zimage"], repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    generator = load_generator("somebody/tiny", {"dtype": "float32"})
    assert isinstance(generator, ZImageGenerator)
    assert generator.encode(["a star"]).tokens.isfinite().all()


def test_one_that_is_not_there_says_how_to_get_it(hub):
    with pytest.raises(UserError, match="hf download somebody/other --local-dir"):
        load_generator("somebody/other")
