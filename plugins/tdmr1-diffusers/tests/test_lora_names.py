"""LoRA by the names of the authors' own code, beside what diffusers converts."""

import pytest
import torch
from diffusers import ZImagePipeline
from diffusers.loaders.single_file_utils import (
    convert_sd3_transformer_checkpoint_to_diffusers,
    convert_z_image_transformer_checkpoint_to_diffusers,
)
from safetensors.torch import save_file

from tdmr1.core.roles import Roles
from tdmr1.trainers.models import load_generator

WIDTH, CONTEXT, LATENT = 32, 48, 16
"""Of the tiny pipelines."""


def linear(out, width=WIDTH):
    return {"weight": (out, width), "bias": (out,)}


def sd3_shapes():
    """The tiny transformer in Stability AI's layout: three blocks, the first with two attentions,
    the last without an output for the context."""
    shapes = {"pos_embed": (1, 64, WIDTH)}

    def add(name, parts):
        shapes.update({f"{name}.{part}": shape for part, shape in parts.items()})

    add("x_embedder.proj", {"weight": (WIDTH, LATENT, 2, 2), "bias": (WIDTH,)})
    add("context_embedder", linear(WIDTH, CONTEXT))
    for name, width in (("t_embedder", 256), ("y_embedder", 40)):
        add(f"{name}.mlp.0", linear(WIDTH, width))
        add(f"{name}.mlp.2", linear(WIDTH))
    add("final_layer.linear", linear(4 * LATENT))
    add("final_layer.adaLN_modulation.1", linear(2 * WIDTH))
    for i in range(3):
        for kind in ("x_block", "context_block"):
            block, last = f"joint_blocks.{i}.{kind}", i == 2 and kind == "context_block"
            parts = 2 if last else 9 if i == 0 and kind == "x_block" else 6
            add(f"{block}.adaLN_modulation.1", linear(parts * WIDTH))
            attentions = ["attn"] + ["attn2"] * (parts == 9)
            for attention in attentions:
                add(f"{block}.{attention}.qkv", linear(3 * WIDTH))
                for x in "qk":
                    add(f"{block}.{attention}.ln_{x}", {"weight": (WIDTH // 2,)})
                if not last:
                    add(f"{block}.{attention}.proj", linear(WIDTH))
            if not last:
                add(f"{block}.mlp.fc1", linear(4 * WIDTH))
                add(f"{block}.mlp.fc2", linear(WIDTH, 4 * WIDTH))
    return shapes


def zimage_shapes(state):
    """The tiny transformer in Tongyi Lab's layout."""
    renamed = (
        ("all_final_layer.2-1", "final_layer"),
        ("all_x_embedder.2-1", "x_embedder"),
        ("attention.to_out.0", "attention.out"),
    )
    shapes = {}
    for name, tensor in state.items():
        for ours, theirs in renamed:
            name = name.replace(ours, theirs)
        shape = tuple(tensor.shape)
        if ".attention.to_q." in name:
            name, shape = name.replace("to_q", "qkv"), (3 * shape[0], *shape[1:])
        if ".attention.to_k." not in name and ".attention.to_v." not in name:
            shapes[name] = shape
    return shapes


@pytest.fixture
def generator(written):
    return lambda name: load_generator(
        str(written[name]), {"dtype": "float32", "prompt_tokens": 16}
    )


def lora_of(shapes, alpha):
    """A, B and alpha for every linear layer, by its name there."""
    layers = {n.removesuffix(".weight"): s for n, s in shapes.items() if n.endswith(".weight")}
    for layer, shape in layers.items():
        if len(shape) == 2:
            a, b = 0.1 * torch.randn(4, shape[1]), 0.1 * torch.randn(shape[0], 4)
            yield layer, a, b, torch.tensor(float(alpha))


CONVERTERS = {
    "sd3": convert_sd3_transformer_checkpoint_to_diffusers,
    "zimage": convert_z_image_transformer_checkpoint_to_diffusers,
}


@pytest.mark.parametrize("style", ["ComfyUI", "kohya"])
@pytest.mark.parametrize("name", CONVERTERS)
def test_a_lora_of_the_authors_layers_is_what_diffusers_makes_of_their_weights(
    generator, tmp_path, name, style
):
    """Of every linear layer that there is: W, and W + alpha / r B A, both converted."""
    roles = Roles(generator(name), None, 1.0)
    role = roles.add("student", trainable=True)
    shapes = sd3_shapes() if name == "sd3" else zimage_shapes(role.state_dict())
    theirs = {key: torch.randn(shape) for key, shape in shapes.items()}
    changed, file = dict(theirs), {}
    for layer, a, b, alpha in lora_of(shapes, alpha=2):
        changed[f"{layer}.weight"] = theirs[f"{layer}.weight"] + alpha / 4 * (b @ a)
        flat = f"lora_unet_{layer.replace('.', '_')}"
        prefix = flat if style == "kohya" else f"diffusion_model.{layer}"
        file |= {
            f"{prefix}.lora_down.weight": a,
            f"{prefix}.lora_up.weight": b,
            f"{prefix}.alpha": alpha,
        }
    save_file(file, tmp_path / "x.safetensors")
    before, after = (CONVERTERS[name](dict(state)) for state in (theirs, changed))
    with torch.no_grad():
        for key, parameter in roles.generator.network.named_parameters():
            parameter.copy_(before[key])
    roles.load(role, tmp_path / "x.safetensors")
    adapted = role.state_dict()
    assert adapted.keys() <= after.keys()
    for key, tensor in adapted.items():
        torch.testing.assert_close(tensor, after[key], msg=lambda text, key=key: f"{key}: {text}")
    moved = {key for key in adapted if not torch.equal(before[key], adapted[key])}
    linear = [m for m in roles.generator.network.modules() if isinstance(m, torch.nn.Linear)]
    assert len(moved) == len(linear)


@pytest.mark.parametrize(
    "names",
    [
        ("diffusion_model.{}", "lora_A", "lora_B"),
        ("diffusion_model.{}", "lora_down", "lora_up"),
        ("lora_unet_{flat}", "lora_down", "lora_up"),
        ("{}", "lora_A.default", "lora_B.default"),
        ("{}", "lora.down", "lora.up"),
        ("{to}", "lora.down", "lora.up"),
    ],
)
def test_diffusers_loader_for_z_image_makes_the_same_of_a_file(generator, tmp_path, names):
    layer, a, b = names
    roles = Roles(generator("zimage"), 4, 4.0)
    role = roles.add("student", trainable=True)
    file = {}
    for own in {name.partition(".lora_")[0] for name in role.parameters()}:
        flat, to = own.replace(".", "_"), own.replace(".to_", ".to.").replace("to.out", "to_out")
        theirs = layer.format(own, flat=flat, to=to)
        file[f"{theirs}.{a}.weight"] = torch.randn(4, WIDTH)
        file[f"{theirs}.{b}.weight"] = torch.randn(WIDTH, 4)
        alpha_of = own if layer == "{to}" else theirs
        file[f"{alpha_of}.alpha"] = torch.tensor(2.0)
    save_file(file, tmp_path / "x.safetensors")
    roles.load(role, tmp_path / "x.safetensors")
    ours = role.state_dict()
    theirs = ZImagePipeline.lora_state_dict(dict(file))
    converted = [name for name in theirs if ".lora_A." in name]
    assert len(converted) == len(ours) / 2
    for name in converted:
        own = name.removeprefix("transformer.")
        other, b_name = theirs[name.replace("_A.", "_B.")], own.replace("_A.", "_B.")
        torch.testing.assert_close(ours[b_name] @ ours[own], other @ theirs[name])
