"""Students in the layouts of others, read as the libraries that wrote them read them."""

import copy
import io
import json
import zipfile

import pytest
import torch
from diffusers import SD3Transformer2DModel
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from tdmr1.core.adapters import LORA_FILE, NETWORK_FILE
from tdmr1.core.layouts import read_student
from tdmr1.core.naming import Alias, LayerNames
from tdmr1.core.options import TDMOptions
from tdmr1.core.roles import Roles
from tdmr1.errors import UserError

SIGMA = torch.tensor(0.7)
TARGETS = ["to_out.0", "to_q", "to_k", "to_v", "proj_out"]
"""Those of the tiny generator, not in their order in the network."""


@pytest.fixture
def velocity():
    @torch.no_grad()
    def velocity(role_or_network, generator):
        x = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(7))
        condition = generator.encode(["a", "b"])
        if hasattr(role_or_network, "velocity"):
            return role_or_network.velocity(x, SIGMA, condition)
        given = condition.tokens, condition.pooled, (SIGMA * 1000).expand(2)
        return role_or_network(x, *given, return_dict=False)[0]

    return velocity


@pytest.fixture
def in_peft(new_roles):
    """The tiny network with a LoRA of peft's own, as the public code of TDM-R1 makes one."""

    def in_peft(adapter="tdmr1", **options):
        network = new_roles().generator.network
        config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": TARGETS, **options})
        adapted = get_peft_model(network, config, adapter_name=adapter)
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.normal_(std=0.3)
        return adapted

    return in_peft


@pytest.fixture
def new_student(new_roles):
    def new_student(rank):
        roles = new_roles(rank=rank, alpha=9.0)
        return roles, roles.add("student", trainable=True)

    return new_student


@pytest.fixture
def student(new_student):
    """Of a larger rank than a LoRA `in_peft`."""
    return new_student(6)


def trained(network):
    return [p.detach().clone() for p in network.parameters() if p.requires_grad]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lora_alpha": 3},
        {"use_rslora": True},
        {"alpha_pattern": {"to_k": 32}, "rank_pattern": {"transformer_blocks.0.attn.to_q": 2}},
        {"target_modules": ["to_q", "to_v"]},
    ],
)
def test_a_folder_of_peft_is_what_peft_makes_of_it(in_peft, student, velocity, tmp_path, options):
    network = in_peft(adapter="default", **options)
    network.save_pretrained(tmp_path)
    roles, role = student
    roles.load(role, tmp_path)
    expected = velocity(network, roles.generator)
    torch.testing.assert_close(velocity(role, roles.generator), expected)
    assert not torch.allclose(velocity(roles.teacher, roles.generator), expected)


@pytest.mark.parametrize("name", ["ema.ckpt", "ema.pt", "ema.pth"])
def test_averages_in_order_are_the_adapter_that_they_were_taken_of(
    in_peft, new_student, velocity, tmp_path, name
):
    network = in_peft()
    torch.save({"decay": 0.9, "ema_parameters": trained(network)}, tmp_path / name)
    roles, role = new_student(4)
    roles.add("another", trainable=True)
    roles.load(role, tmp_path / name)
    expected = velocity(network, roles.generator)
    torch.testing.assert_close(velocity(role, roles.generator), expected)


def test_averages_in_order_are_cast(in_peft, new_student, velocity, tmp_path):
    rounded = [t.to(torch.float8_e5m2) for t in trained(in_peft())]
    roles, role = new_student(4)
    found = []
    for content in (rounded, [t.float() for t in rounded]):
        torch.save({"ema_parameters": content}, tmp_path / "x.ckpt")
        roles.load(role, tmp_path / "x.ckpt")
        found.append(velocity(role, roles.generator))
    assert torch.equal(*found)


@pytest.mark.parametrize("rank", [2, 6])
def test_averages_in_order_are_of_one_rank(in_peft, new_student, tmp_path, rank):
    torch.save({"ema_parameters": trained(in_peft())}, tmp_path / "x.ckpt")
    roles, role = new_student(rank)
    with pytest.raises(UserError, match=rf"tensor 0 .*\(4, .*\({rank}, .*another base or rank"):
        roles.load(role, tmp_path)


def test_averages_in_order_are_merged_into_whole_weights(in_peft, new_roles, velocity, tmp_path):
    network = in_peft()
    torch.save({"ema_parameters": trained(network)}, tmp_path / "lora.ckpt")
    roles = new_roles(rank=None)
    role = roles.add("student", trainable=True)
    roles.load(role, tmp_path)
    expected = velocity(network, roles.generator)
    torch.testing.assert_close(velocity(role, roles.generator), expected)


def test_averages_in_order_may_be_of_all_weights(new_roles, tmp_path):
    roles = new_roles(rank=None)
    role = roles.add("student", trainable=True)
    other = [torch.randn_like(p) for p in role.parameters().values()]
    torch.save({"ema_parameters": other}, tmp_path / "whole.ckpt")
    roles.load(role, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(role.parameters().values(), other, strict=True))


@pytest.mark.parametrize("weight", [0.125, 1.0])
def test_an_adapter_weight_is_that_of_diffusers(new_roles, student, velocity, tmp_path, weight):
    """Without a description, as the LoRA of TDM for SD3 is published."""
    source = new_roles()
    lora = source.add("student", trainable=True)
    with torch.no_grad():
        for parameter in lora.parameters().values():
            parameter.normal_(std=0.3)
    source.save(lora, tmp_path)
    save_file(load_file(tmp_path / LORA_FILE), tmp_path / LORA_FILE)
    bare = new_roles().generator.network
    network = SD3Transformer2DModel.from_config(bare.config).eval()
    network.load_state_dict(bare.state_dict())
    network.load_lora_adapter(
        tmp_path, prefix="transformer", adapter_name="tdm", use_safetensors=True
    )
    network.set_adapters(["tdm"], [weight])
    roles, role = student
    roles.load(role, tmp_path, weight)
    torch.testing.assert_close(velocity(role, roles.generator), velocity(network, roles.generator))


NAMES = {
    "diffusers": ("transformer.{}", "lora_A", "lora_B"),
    "peft": ("base_model.model.{}", "lora_A", "lora_B"),
    "ComfyUI": ("diffusion_model.{}", "lora_A", "lora_B"),
    "bare": ("{}", "lora_A", "lora_B"),
    "two prefixes": ("base_model.model.transformer.{}", "lora_A", "lora_B"),
    "the other way round": ("transformer.base_model.model.{}", "lora_A", "lora_B"),
    "three prefixes": ("model.diffusion_model.transformer.{}", "lora_A", "lora_B"),
    "adapter": ("transformer.{}", "lora_A.default", "lora_B.default"),
    "another adapter": ("base_model.model.{}", "lora_A.tdm_r1", "lora_B.tdm_r1"),
    "down and up": ("diffusion_model.{}", "lora_down", "lora_up"),
    "with dots": ("{}", "lora.down", "lora.up"),
    "before peft": ("transformer.{}", "lora_linear_layer.down", "lora_linear_layer.up"),
    "kohya": ("lora_unet_{flat}", "lora_down", "lora_up"),
    "OneTrainer": ("lora_transformer_{flat}", "lora_down", "lora_up"),
    "LyCORIS": ("lycoris_{flat}", "lora_down", "lora_up"),
}
"""LAYER, A and B as files name them."""


@pytest.fixture
def named(new_roles, perturb):
    """A student, and the tensors of its LoRA under other names."""

    def named(layer, a, b, alpha=None):
        roles = new_roles()
        role = roles.add("source", trainable=True)
        perturb(role)
        tensors = {}
        for name, p in role.state_dict().items():
            own, is_a, _ = name.partition(".lora_A.")
            own = own.partition(".lora_B.")[0]
            theirs = layer.format(own, flat=own.replace(".", "_"))
            if is_a:
                tensors[f"{theirs}.{a}.weight"] = p.clone()
            else:  # the scale, 8 / 4, is in B unless a tensor says it
                tensors[f"{theirs}.{b}.weight"] = p * (2 if alpha is None else 8 / alpha)
            if alpha is not None:
                tensors[f"{theirs}.alpha"] = torch.tensor(float(alpha))
        return roles, role, tensors

    return named


@pytest.mark.parametrize("alpha", [None, 2, 16])
@pytest.mark.parametrize("names", NAMES)
def test_a_lora_is_the_same_by_any_of_its_names(named, student, velocity, tmp_path, names, alpha):
    roles, role, tensors = named(*NAMES[names], alpha=alpha)
    save_file(tensors, tmp_path / "any name.safetensors")
    other, loaded = student
    other.load(loaded, tmp_path)
    expected = velocity(role, roles.generator)
    torch.testing.assert_close(velocity(loaded, other.generator), expected)


def test_an_alpha_may_be_a_whole_number(named, student, velocity, tmp_path):
    """kohya's is where the user has typed none."""
    roles, role, tensors = named(*NAMES["kohya"], alpha=2)
    whole = {n: t.long() if n.endswith(".alpha") else t for n, t in tensors.items()}
    save_file(whole, tmp_path / "x.safetensors")
    other, loaded = student
    other.load(loaded, tmp_path)
    expected = velocity(role, roles.generator)
    torch.testing.assert_close(velocity(loaded, other.generator), expected)


@pytest.mark.parametrize("rank", [6, None])
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16])
def test_a_lora_of_less_precision_is_cast(named, new_roles, velocity, tmp_path, dtype, rank):
    _, _, tensors = named(*NAMES["diffusers"])
    rounded = {name: t.to(dtype) for name, t in tensors.items()}
    expected = []
    for name, content in (("a", rounded), ("b", {n: t.float() for n, t in rounded.items()})):
        save_file(content, tmp_path / f"{name}.safetensors")
        roles = new_roles(rank=rank)
        role = roles.add("student", trainable=True)
        roles.load(role, tmp_path / f"{name}.safetensors")
        expected.append(velocity(role, roles.generator))
    assert torch.equal(*expected)
    assert not torch.allclose(expected[0], velocity(roles.teacher, roles.generator))


def test_a_network_of_diffusers_saves_its_adapter_without_a_prefix(
    new_roles, student, velocity, tmp_path
):
    """And its metadata too."""
    network = new_roles().generator.network
    network.add_adapter(LoraConfig(r=4, lora_alpha=3, target_modules=TARGETS), "a")
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    network.save_lora_adapter(tmp_path, adapter_name="a")
    roles, role = student
    roles.load(role, tmp_path)
    expected = velocity(network, roles.generator)
    torch.testing.assert_close(velocity(role, roles.generator), expected)


def test_a_lora_of_some_blocks_leaves_the_others_as_the_teacher_has_them(
    new_roles, velocity, perturb, tmp_path
):
    """Whether it is read as an adapter or merged."""
    source = new_roles(layers=3)
    role = source.add("source", trainable=True)
    perturb(role)
    with torch.no_grad():
        for name, parameter in role.parameters().items():
            if ".lora_B." in name and "blocks.1." not in name:
                parameter.zero_()
    source.save(role, tmp_path)
    tensors = load_file(tmp_path / LORA_FILE)
    some = {name: t for name, t in tensors.items() if "blocks.1." in name}
    assert 0 < len(some) < len(tensors)
    save_file(some, tmp_path / LORA_FILE)
    expected = velocity(role, source.generator)
    for rank in (4, 6, None):
        roles = new_roles(layers=3, rank=rank)
        loaded = roles.add("student", trainable=True)
        roles.load(loaded, tmp_path)
        torch.testing.assert_close(velocity(loaded, roles.generator), expected)


class Fused(Roles):
    """Roles of the tiny network, for which other code has other names."""

    def __init__(self, generator, *given, **options):
        attention = "transformer_blocks.0.attn"
        generator.lora_aliases = lambda: {
            "blocks.0.qkv": Alias(tuple(f"{attention}.to_{x}" for x in "qkv")),
            "blocks.0.out": Alias((f"{attention}.to_out.0",)),
            "blocks.0.mod": Alias(("norm_out.linear",), swapped=True),
            "blocks.7.qkv": Alias(("nowhere",)),
        }
        super().__init__(generator, *given, **options)


@pytest.fixture
def fused(new_roles):
    """A role of whole weights, and a random LoRA for them by the other code's names."""
    random = torch.Generator().manual_seed(3)
    sizes = {"blocks.0.qkv": 48, "blocks.0.out": 16, "blocks.0.mod": 32}
    tensors = {}
    for layer, out in sizes.items():
        tensors[f"diffusion_model.{layer}.lora_A.weight"] = torch.randn(4, 16, generator=random)
        tensors[f"diffusion_model.{layer}.lora_B.weight"] = torch.randn(out, 4, generator=random)
    roles = Fused(new_roles().generator, None, 1.0)
    return roles, roles.add("student", trainable=True), tensors


def test_fused_layers_are_split_and_halves_swapped(fused, tmp_path):
    roles, role, tensors = fused
    save_file(tensors, tmp_path / "x.safetensors")
    teacher = {n: p.clone() for n, p in role.state_dict().items()}
    roles.load(role, tmp_path)
    delta = {n: p - teacher[n] for n, p in role.state_dict().items() if (p != teacher[n]).any()}
    assert len(delta) == 5

    def product(layer):
        a, b = (tensors[f"diffusion_model.blocks.0.{layer}.lora_{x}.weight"] for x in "AB")
        return b @ a

    attention = "transformer_blocks.0.attn"
    qkv = torch.cat([delta[f"{attention}.to_{x}.weight"] for x in "qkv"])
    torch.testing.assert_close(qkv, product("qkv"))
    torch.testing.assert_close(delta[f"{attention}.to_out.0.weight"], product("out"))
    first, second = product("mod").chunk(2)
    torch.testing.assert_close(delta["norm_out.linear.weight"], torch.cat([second, first]))


def test_a_fused_layer_beside_its_parts_is_redundant(fused, tmp_path):
    """Some trainers for Z-Image write both, as diffusers knows; the parts count."""
    roles, role, tensors = fused
    save_file({n: t for n, t in tensors.items() if "qkv" in n}, tmp_path / "x.safetensors")
    roles.load(role, tmp_path / "x.safetensors")
    expected = {n: p.clone() for n, p in role.state_dict().items()}
    parts = {}
    a, b = (tensors[f"diffusion_model.blocks.0.qkv.lora_{x}.weight"] for x in "AB")
    for x, rows in zip("qkv", b.chunk(3), strict=True):
        parts[f"transformer_blocks.0.attn.to_{x}.lora_A.weight"] = a.clone()
        parts[f"transformer_blocks.0.attn.to_{x}.lora_B.weight"] = rows.clone()
    other = {f"blocks.0.qkv.lora_{x}.weight": torch.ones_like(t) for x, t in (("A", a), ("B", b))}
    for content in ({**other, **parts}, {**parts, **other}):
        save_file(content, tmp_path / "y.safetensors")
        roles.load(role, tmp_path / "y.safetensors")
        torch.testing.assert_close(role.state_dict(), expected, rtol=0, atol=0)


A, B = torch.zeros(4, 16), torch.zeros(16, 4)
TO_Q = "transformer_blocks.0.attn.to_q"
PAIR = {f"{TO_Q}.lora_A.weight": A, f"{TO_Q}.lora_B.weight": B}


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({f"{TO_Q}.lora_A.weight": A}, r"lacks lora_B of .*to_q, of which it has: A$"),
        ({f"{TO_Q}.lora_up.weight": B}, r"lacks lora_A of .*to_q, of which it has: B$"),
        ({f"{TO_Q}.alpha": torch.ones(())}, r"lacks lora_A of .*to_q, .* has: alpha$"),
        (PAIR | {f"{TO_Q}.alpha": torch.ones(2)}, r"to_q\.alpha is not one number"),
        (PAIR | {f"{TO_Q}.lora_B.weight": B[:, :3]}, r"shapes \(4, 16\) and \(16, 3\)"),
        (PAIR | {f"{TO_Q}.lora_A.weight": A[..., None]}, r"of a linear layer are expected"),
        (PAIR | {f"{TO_Q}.lora_B.weight": B.to(torch.int8)}, r"is of torch\.int8"),
        (PAIR | {f"{TO_Q}.lora_B.bias": B[:, 0]}, r"beside a LoRA it holds .*lora_B\.bias"),
        (PAIR | {f"x.{n}": t for n, t in PAIR.items()}, r"another network: it has x\.trans"),
        (
            PAIR | {f"transformer.{n}": t for n, t in PAIR.items()},
            rf"has A of {TO_Q} twice, also as transformer",
        ),
        (
            {n.replace(".weight", f".{x}.weight"): t for n, t in PAIR.items() for x in "ab"},
            r"several adapters: a, b; save the one",
        ),
        ({f"{TO_Q}.lokr_w1": A}, r"it holds LoKr .*to_q\.lokr_w1"),
        ({f"{TO_Q}.hada_w1_a": A}, r"it holds LoHa "),
        (PAIR | {f"{TO_Q}.dora_scale": A}, r"it holds DoRA "),
        (PAIR | {"text_encoder.q.lora_A.weight": A}, r"adapts a text encoder too \(text_encoder"),
        (PAIR | {"lora_te1_q.lora_down.weight": A}, r"adapts a text encoder too \(lora_te1"),
        ({f"{TO_Q}.weight": A}, r"it has .*to_q\.weight, where there may .* whole weights are"),
        (
            {"single_blocks.0.linear.lora_A.weight": A, "single_blocks.0.linear.lora_B.weight": B},
            r"LoRA of another network: it has single_blocks\.0\.linear, and this network has no",
        ),
        (
            PAIR
            | {
                f"transformer.pos_embed.proj.lora_{x}.weight": torch.zeros(4, 4, 1, 1)
                for x in "AB"
            },
            r"cannot be read as a LoRA: it adapts pos_embed\.proj, which is no linear layer",
        ),
        (
            {n: torch.zeros([32 if s == 16 else s for s in t.shape]) for n, t in PAIR.items()},
            r"another network: .*to_q.* shape \((4, 32|32, 32)\), where this network takes",
        ),
    ],
)
@pytest.mark.parametrize("rank", [6, None])
def test_what_is_no_lora_of_the_network_is_refused_for_what_it_is(
    new_roles, tmp_path, tensors, says, rank
):
    path = tmp_path / "x.safetensors"
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, path)
    roles = new_roles(rank=rank)
    role = roles.add("student", trainable=True)
    before = copy.deepcopy(role.state_dict())
    with pytest.raises(UserError, match=says) as error:
        roles.load(role, path)
    assert str(path) in str(error.value)
    torch.testing.assert_close(role.state_dict(), before, rtol=0, atol=0)


def test_the_only_weights_of_a_folder_are_found(new_roles, tmp_path):
    source = new_roles()
    source.save(source.add("student", trainable=True), tmp_path)
    (tmp_path / LORA_FILE).rename(tmp_path / "mine.safetensors")
    names = LayerNames([n for n, _ in source.generator.network.named_modules()], {})
    assert read_student(tmp_path, names).path == tmp_path / "mine.safetensors"
    (tmp_path / "other.ckpt").touch()
    with pytest.raises(UserError, match=r"no student in .*name one of: .*mine.*other\.ckpt"):
        read_student(tmp_path, names)


def test_layers_can_be_chosen(new_roles, in_peft, velocity, tmp_path):
    network = in_peft(adapter="default", target_modules=["ff.net.2"])
    network.save_pretrained(tmp_path)
    roles = new_roles()
    with pytest.raises(
        UserError, match=r"adapts .*ff\.net\.2, which .*\n?.*lora_targets=\[.ff\.net\.2.\]"
    ):
        roles.load(roles.add("student", trainable=True), tmp_path)
    options = TDMOptions(rank=4, alpha=8.0, lora_targets=("ff.net.2",))
    other = Roles.of(new_roles().generator, options)
    role = other.add("student", trainable=True)
    other.load(role, tmp_path)
    expected = velocity(network, other.generator)
    torch.testing.assert_close(velocity(role, other.generator), expected)
    with pytest.raises(UserError, match=r"no linear layer 'to_w'.*proj_out"):
        new_roles(targets=["to_q", "to_w"])


class Harmful:
    def __reduce__(self):
        return (open, ("harmful", "w"))


def archive(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"ema_parameters": [torch.zeros(4, 8)] * 3}, "has 3 tensors in order.*trains 10.*base"),
        ({"ema_parameters": []}, "has 0 tensors in order"),
        (
            {"ema_parameters": [torch.zeros(4, 8)] * 10},
            r"tensor 0 .* shape \(4, 8\), and .*lora_A",
        ),
        ({"ema_parameters": {"a": torch.zeros(1)}}, "ema_parameters is not a list of tensors"),
        ({"ema_parameters": [1.0] * 10}, "ema_parameters is not a list of tensors"),
        ({"model": {"a": torch.zeros(1)}}, "read as a LoRA: it has model, where"),
        ({}, "holds no tensors"),
        ([torch.zeros(1)], "is no student: it holds a list"),
        ({"ema_parameters": [torch.zeros(1)], "author": Harmful()}, "run code of its own"),
        (b"", "damaged or cut short"),
        (b"not a checkpoint", "damaged or cut short"),
        (archive(a="b"), "damaged or cut short"),
    ],
)
def test_a_checkpoint_that_is_no_student_is_refused_and_runs_nothing(
    student, tmp_path, monkeypatch, content, says
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    roles, role = student
    before = copy.deepcopy(role.state_dict())
    with pytest.raises(UserError, match=says) as error:
        roles.load(role, path)
    assert str(path) in str(error.value)
    assert not (tmp_path / "harmful").exists()
    torch.testing.assert_close(role.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_checkpoint_cut_short_is_refused(in_peft, student, tmp_path, kept):
    path = tmp_path / "x.ckpt"
    torch.save({"ema_parameters": trained(in_peft())}, path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match="damaged or cut short"):
        student[0].load(student[1], path)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (None, r"adapter_config\.json is missing, which says rank and alpha"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ({"peft_type": "LOHA"}, "describes a LOHA"),
        ({"peft_type": "LORA", "lora_alpha": "much"}, "damaged"),
    ],
)
def test_a_folder_of_peft_needs_its_description(in_peft, student, tmp_path, config, says):
    in_peft(adapter="default").save_pretrained(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.unlink()
    if config is not None:
        path.write_text(config if isinstance(config, str) else json.dumps(config))
    with pytest.raises(UserError, match=says):
        student[0].load(student[1], tmp_path)


def test_other_adapters_than_lora_are_refused(in_peft, student, tmp_path):
    in_peft(adapter="default", use_dora=True).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"it holds DoRA .*magnitude"):
        student[0].load(student[1], tmp_path)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "olora"])
def test_a_lora_that_took_its_start_out_of_the_base_is_refused(in_peft, student, tmp_path, start):
    in_peft(adapter="default", init_lora_weights=start).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=rf"began with init_lora_weights='{start}', which changes"):
        student[0].load(student[1], tmp_path)


@pytest.mark.parametrize("start", ["gaussian", "orthogonal", True, False])
def test_other_starts_are_a_plain_lora(in_peft, student, velocity, tmp_path, start):
    network = in_peft(adapter="default", init_lora_weights=start)
    network.save_pretrained(tmp_path)
    roles, role = student
    roles.load(role, tmp_path)
    expected = velocity(network, roles.generator)
    torch.testing.assert_close(velocity(role, roles.generator), expected)


def test_whole_weights_in_fp8_are_cast(new_roles, perturb, tmp_path):
    roles = new_roles(rank=None)
    source, role = (roles.add(name, trainable=True) for name in ("source", "student"))
    perturb(source)
    roles.save(source, tmp_path)
    state = load_file(tmp_path / NETWORK_FILE)
    save_file({n: t.to(torch.float8_e4m3fn) for n, t in state.items()}, tmp_path / NETWORK_FILE)
    roles.load(role, tmp_path)
    for name, parameter in role.state_dict().items():
        assert torch.equal(parameter, state[name].to(torch.float8_e4m3fn).float())


def test_whole_weights_are_no_lora(new_roles, student, tmp_path):
    whole = new_roles(rank=None)
    whole.save(whole.add("student", trainable=True), tmp_path / "transformer")
    for path in (tmp_path, tmp_path / "transformer", tmp_path / "transformer" / NETWORK_FILE):
        with pytest.raises(UserError, match=r"whole weights.*--set method\.rank=none"):
            student[0].load(student[1], path)
        whole.load(whole.add(f"from {path.name}", trainable=True), path)
