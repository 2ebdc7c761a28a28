"""What a pipeline can be asked for: `--set generator.NAME=VALUE`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tdmr1.core.options import Options
from tdmr1.core.paths import AbsolutePath, PathOrName


class PipelineOptions(Options):
    """Options of every generator that is a pipeline of diffusers."""

    resolution: int | None = Field(
        None, ge=1, description="pixels of a side; by default those that the VAE was made for"
    )
    shift: float | None = Field(
        None, gt=0, description="timestep shift s; by default the scheduler's"
    )
    teacher_steps: int | None = Field(None, ge=1, description="by default the model's")
    teacher_guidance: float | None = Field(
        None, ge=1, description="CFG weight w, 1 = none; by default the model's"
    )
    dtype: Literal["bfloat16", "float32"] = Field(
        "bfloat16", description="of the frozen weights; adapters are float32 in any case"
    )
    prompt_tokens: int | None = Field(
        None, ge=1, le=512, description="where prompts are cut; by default as in diffusers"
    )
    text_encoders: Literal["offload", "keep", "free"] = Field(
        "offload",
        description="between new prompts: in the CPU's memory, on the device, or read anew",
    )
    embeddings: AbsolutePath | None = Field(
        None, description="folder that keeps prompt embeddings"
    )
    decoding: Literal["sliced", "tiled", "whole"] = Field(
        "sliced", description="one image at a time, tile by tile, or a batch at once"
    )
    blocks: int | None = Field(
        None, ge=2, description="of a network with random weights, or one that is only planned"
    )
    tiny_decoder: PathOrName | None = Field(
        None, description="Hub id or folder of an AutoencoderTiny, instead of the VAE"
    )

    @model_validator(mode="after")
    def _free_needs_a_folder(self) -> PipelineOptions:
        if self.text_encoders == "free" and self.embeddings is None:
            raise ValueError(
                'text_encoders = "free" computes the embeddings of all prompts once and reads '
                "them from disk; say where they are kept: embeddings = FOLDER"
            )
        return self
