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

from tdmr1.core.adapters import LORA_FILE
from tdmr1.core.layouts import NETWORK_FILE, Lora, read_student
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


def test_alphas_beside_the_tensors_count(new_roles, tmp_path):
    source = new_roles()
    source.save(source.add("student", trainable=True), tmp_path)
    tensors = load_file(tmp_path / LORA_FILE)
    alphas = {k.replace(".lora_A.weight", ".alpha"): torch.tensor(2.0) for k in tensors}
    alphas = {k: v for k, v in alphas.items() if k.endswith(".alpha")}
    save_file(tensors | alphas, tmp_path / "any name.safetensors")
    lora = read_student(tmp_path / "any name.safetensors")
    assert isinstance(lora, Lora)
    assert set(lora.scales.values()) == {2.0 / 4}
    assert len(lora.tensors) == len(tensors)


def test_the_only_weights_of_a_folder_are_found(new_roles, tmp_path):
    source = new_roles()
    source.save(source.add("student", trainable=True), tmp_path)
    (tmp_path / LORA_FILE).rename(tmp_path / "mine.safetensors")
    assert read_student(tmp_path).path == tmp_path / "mine.safetensors"
    (tmp_path / "other.ckpt").touch()
    with pytest.raises(UserError, match=r"no student in .*name one of: .*mine.*other\.ckpt"):
        read_student(tmp_path)


def test_layers_can_be_chosen(new_roles, in_peft, velocity, tmp_path):
    network = in_peft(adapter="default", target_modules=["ff.net.2"])
    network.save_pretrained(tmp_path)
    roles = new_roles()
    with pytest.raises(UserError, match=r"another network: it has .*ff\.net\.2.*\n.*lora_targets"):
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
        ({"model": {"a": torch.zeros(1)}}, "no LoRA of a layout .*: it has model"),
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
    with pytest.raises(UserError, match=r"no LoRA of a layout .*magnitude"):
        student[0].load(student[1], tmp_path)


def test_whole_weights_are_no_lora(new_roles, student, tmp_path):
    whole = new_roles(rank=None)
    whole.save(whole.add("student", trainable=True), tmp_path / "transformer")
    for path in (tmp_path, tmp_path / "transformer", tmp_path / "transformer" / NETWORK_FILE):
        with pytest.raises(UserError, match=r"whole weights.*--set method\.rank=none"):
            student[0].load(student[1], path)
        whole.load(whole.add(f"from {path.name}", trainable=True), path)
