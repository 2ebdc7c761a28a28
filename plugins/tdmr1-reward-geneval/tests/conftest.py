"""Tiny networks with random weights, on disk as the published ones are."""

import json

import pytest

from tdmr1.rewards.models.small_clip import write_small_clip
from tdmr1_reward_geneval.small_mask2former import write_small_mask2former


@pytest.fixture(scope="session")
def detector_folder(tmp_path_factory):
    """A Mask2Former for COCO's classes whose every query is surely a dog."""
    return write_small_mask2former(tmp_path_factory.mktemp("mask2former"))


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A CLIP with its tokenizer."""
    return write_small_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def changed(tmp_path):
    """Copies a folder of weights with a changed config.json."""

    def change(folder, edit):
        for file in folder.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        config = json.loads((folder / "config.json").read_text())
        edit(config)
        (tmp_path / "config.json").write_text(json.dumps(config))
        return tmp_path

    return change
