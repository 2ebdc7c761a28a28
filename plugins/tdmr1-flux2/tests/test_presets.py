"""Presets: valid, and honest about what they are."""

import pytest

from tdmr1.trainers.config import DistillConfig, TrainConfig, build_config, validated
from tdmr1.trainers.presets import preset_files
from tdmr1_diffusers.options import PipelineOptions

PRESET = "flux2-klein-4b-unmeasured"


@pytest.mark.parametrize(("name", "kind"), [("distill", DistillConfig), ("train", TrainConfig)])
def test_each_is_valid_and_says_that_nobody_measured_it(name, kind):
    config = build_config(kind, f"{PRESET}-{name}")
    validated(PipelineOptions, config.generator, within="generator")
    assert config.model == "black-forest-labs/FLUX.2-klein-base-4B"
    assert (config.method.rank, config.method.alpha, config.method.steps) == (32, 64, 4)
    comment = preset_files()[f"{PRESET}-{name}"].read_text().split("\nmodel = ")[0]
    assert "Nobody has published or measured" in comment.replace("\n# ", " ")
