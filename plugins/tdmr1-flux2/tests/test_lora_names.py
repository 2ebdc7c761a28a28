"""LoRA by the names of Black Forest Labs' code, beside what diffusers makes of the same file."""

import pytest
import torch
from diffusers import Flux2KleinPipeline
from diffusers.loaders.single_file_utils import convert_flux2_transformer_checkpoint_to_diffusers
from safetensors.torch import save_file

from tdmr1.core.roles import Roles
from tdmr1_flux2.klein import Flux2KleinGenerator


def in_their_layout(generator):
    """Name of a linear layer in their code -> shape of its weight."""
    weights = generator.network.state_dict()
    return {
        theirs: (
            sum(weights[f"{layer}.weight"].shape[0] for layer in alias.layers),
            weights[f"{alias.layers[0]}.weight"].shape[1],
        )
        for theirs, alias in generator.lora_aliases().items()
    }


def test_a_lora_of_their_layers_is_what_diffusers_makes_of_their_weights(
    folder, options, tmp_path
):
    """Of every linear layer that there is: W, and W + B A, both converted."""
    generator = Flux2KleinGenerator(folder, options())
    roles = Roles(generator, None, 1.0)
    role = roles.add("student", trainable=True)
    shapes = in_their_layout(generator)
    theirs = {f"{layer}.weight": torch.randn(shape) for layer, shape in shapes.items()}
    changed, file = dict(theirs), {}
    for layer, (rows, columns) in shapes.items():
        a, b = 0.1 * torch.randn(4, columns), 0.1 * torch.randn(rows, 4)
        changed[f"{layer}.weight"] = theirs[f"{layer}.weight"] + b @ a
        file |= {
            f"diffusion_model.{layer}.lora_A.weight": a,
            f"diffusion_model.{layer}.lora_B.weight": b,
        }
    save_file(file, tmp_path / "x.safetensors")
    before, after = (
        convert_flux2_transformer_checkpoint_to_diffusers(dict(state))
        for state in (theirs, changed)
    )
    with torch.no_grad():
        for key, tensor in before.items():
            generator.network.get_parameter(key).copy_(tensor)
    roles.load(role, tmp_path / "x.safetensors")
    adapted = role.state_dict()
    linear = [m for m in generator.network.modules() if isinstance(m, torch.nn.Linear)]
    assert len(before) == len(linear)
    for key, expected in after.items():
        torch.testing.assert_close(adapted[key], expected)


def test_diffusers_loads_what_a_role_saves(folder, options, tmp_path):
    roles = Roles(Flux2KleinGenerator(folder, options()), 2, 4.0)
    student = roles.add("student", trainable=True)
    with torch.no_grad():
        for parameter in student.parameters().values():
            parameter.normal_(std=0.1)
    roles.save(student, tmp_path)
    pipe = Flux2KleinPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.load_lora_weights(tmp_path)
    adapted = {n for n, _ in pipe.transformer.named_parameters() if "lora_B" in n}
    blocks = {n.rpartition(".attn.")[2].partition(".lora_")[0] for n in adapted}
    assert len(adapted) == 2 * 4 + 2 * 2
    assert blocks == {"to_q", "to_k", "to_v", "to_out.0", "to_qkv_mlp_proj", "to_out"}
    x, sigma = torch.randn(1, *roles.generator.latent_shape), torch.tensor(0.5)
    condition = roles.generator.encode(["a star"])
    with torch.no_grad():
        ours = student.velocity(x, sigma, condition)
        teacher = roles.teacher.velocity(x, sigma, condition)
        roles.generator.network = pipe.transformer
        theirs = roles.generator.velocity(x, sigma, condition)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-4)
    assert (ours - teacher).abs().max() > 1e-2


@pytest.mark.parametrize("style", ["lora_A lora_B", "lora_down lora_up"])
def test_diffusers_loader_makes_the_same_of_a_file(folder, options, tmp_path, style):
    """Of the layers that both adapt; kohya's `lora_down` comes with an alpha."""
    generator = Flux2KleinGenerator(folder, options())
    shapes = in_their_layout(generator)
    roles = Roles(generator, 4, 4.0, targets=["to_q", "to_k", "to_v", "to_qkv_mlp_proj"])
    role = roles.add("student", trainable=True)
    down, up = style.split()
    layers = [n for n in shapes if n.endswith(("img_attn.qkv", "linear1"))]
    file = {}
    for layer in layers:
        rows, columns = shapes[layer]
        kohya = f"lora_unet_{layer.replace('.', '_')}"
        name = kohya if down == "lora_down" else f"diffusion_model.{layer}"
        file[f"{name}.{down}.weight"] = torch.randn(4, columns)
        file[f"{name}.{up}.weight"] = torch.randn(rows, 4)
        if down == "lora_down":
            file[f"{name}.alpha"] = torch.tensor(2.0)
    save_file(file, tmp_path / "x.safetensors")
    roles.load(role, tmp_path / "x.safetensors")
    ours = role.state_dict()
    theirs = Flux2KleinPipeline.lora_state_dict(dict(file))
    converted = [name for name in theirs if ".lora_A." in name]
    assert len(converted) == len(ours) / 2
    for name in converted:
        own = name.removeprefix("transformer.")
        b, other = own.replace("_A.", "_B."), theirs[name.replace("_A.", "_B.")]
        torch.testing.assert_close(ours[b] @ ours[own], other @ theirs[name])
