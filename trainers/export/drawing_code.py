"""The code in a model card: how to draw with an export, without this framework where it can be."""

from __future__ import annotations

import json
import shlex

from tdmr1.core.adapters import LORA_FILE
from tdmr1.core.generator import PipelineCall
from tdmr1.core.layouts import TRANSFORMER

SCHEDULER = "scheduler"


def diffusers_code(call: PipelineCall, base: str, where: str, steps: int, whole: bool) -> str:
    """Python that draws with diffusers alone.

    Args:
        call: how.
        base: Hub id or folder of the pipeline.
        where: Hub id or folder of the export.
        steps: K of the student.
        whole: whether the export has whole weights; otherwise it has a LoRA.
    """
    dtype = f"dtype=torch.{call.dtype}"
    base, where = json.dumps(base), json.dumps(where)
    if whole:
        classes = [call.pipeline, call.transformer]
        load = f"""transformer = {call.transformer}.from_pretrained(
    {where}, subfolder="{TRANSFORMER}", {dtype}
)
pipe = {call.pipeline}.from_pretrained(
    {base}, transformer=transformer, {dtype}
)"""
    else:
        classes = [call.pipeline]
        load = f"""pipe = {call.pipeline}.from_pretrained({base}, {dtype})
pipe.load_lora_weights(
    {where}, weight_name="{LORA_FILE}"
)"""
    sigmas = [1 - k / steps for k in range(steps)]
    arguments = {"num_inference_steps": steps, "sigmas": sigmas, **call.arguments}
    given = "\n".join(f"    {name}={value}," for name, value in arguments.items())
    return f"""import torch
from diffusers import FlowMatchEulerDiscreteScheduler, {", ".join(classes)}

{load}
pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(
    {where}, subfolder="{SCHEDULER}"
)
pipe.to("cuda" if torch.cuda.is_available() else "cpu")
image = pipe(
    prompt="PROMPT",
{given}
    generator=torch.Generator().manual_seed(0),
).images[0]
image.save("image.png")"""


def own_command(package: str, model: str, where: str, steps: int, rank: int | None) -> str:
    """Commands that draw with a generator that has no pipeline in diffusers.

    Args:
        package: that brings the generator.
        model: the generator's name.
        where: Hub id or folder of the export.
        steps: K of the student.
        rank: of its LoRA; None: it has whole weights.
    """
    options = f"--set method.steps={steps} --set method.rank={'none' if rank is None else rank}"
    return f"""pip install {package}
tdmr1 generate "PROMPT" --model {model} --student {shlex.quote(where)} {options}"""
