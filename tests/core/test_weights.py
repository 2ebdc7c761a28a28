"""Roles with whole weights of their own; those with adapters are in test_roles.py."""

import pytest
import torch
from diffusers import SD3Transformer2DModel
from safetensors.torch import load_file, save_file

from tdmr1.core.adapters import NETWORK_FILE
from tdmr1.core.roles import Roles
from tdmr1.errors import UserError

SIGMA = torch.tensor(0.7)


@pytest.fixture
def roles(new_roles):
    return new_roles(rank=None)


@pytest.fixture
def velocity():
    @torch.no_grad()
    def velocity(role, generator):
        x = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(7))
        return role.velocity(x, SIGMA, generator.encode(["a", "b"]))

    return velocity


def test_every_weight_is_a_roles_own(roles, velocity, perturb):
    generator = roles.generator
    names = {name for name, _ in generator.network.named_parameters()}
    before = velocity(roles.teacher, generator)
    student = roles.add("student", trainable=True)
    average = roles.add("average", trainable=False, like=student)
    assert student.parameters().keys() == names
    assert {p.requires_grad for p in student.parameters().values()} == {True}
    assert {p.requires_grad for p in average.parameters().values()} == {False}
    # Not to the last bit: torch takes another kernel where the weights require no gradient.
    torch.testing.assert_close(velocity(student, generator), before)
    perturb(student)
    assert not torch.allclose(velocity(student, generator), before)
    for role in (average, roles.teacher):
        assert torch.equal(velocity(role, generator), before)


def test_diffusers_alone_loads_saved_weights(roles, velocity, perturb, tmp_path):
    student, other = (roles.add(name, trainable=True) for name in ("student", "other"))
    perturb(student)
    velocity(other, roles.generator)
    roles.save(student, tmp_path)
    expected = velocity(student, roles.generator)
    roles.load(other, tmp_path)
    assert torch.equal(velocity(other, roles.generator), expected)
    roles.generator.network = SD3Transformer2DModel.from_pretrained(tmp_path).eval()
    plain = Roles(roles.generator, 4, 8.0).teacher
    torch.testing.assert_close(velocity(plain, roles.generator), expected)


def test_a_lora_is_merged(new_roles, roles, velocity, perturb, tmp_path):
    adapted = new_roles(rank=4)
    lora = adapted.add("student", trainable=True)
    perturb(lora)
    adapted.save(lora, tmp_path)
    student = roles.add("student", trainable=True)
    roles.load(student, tmp_path)
    expected = velocity(lora, adapted.generator)
    torch.testing.assert_close(velocity(student, roles.generator), expected)
    assert not torch.allclose(velocity(roles.teacher, roles.generator), expected)


def test_a_lora_of_another_network_is_not(new_roles, roles, tmp_path):
    student = roles.add("student", trainable=True)
    for size, says in (({"width": 32}, "proj_out.* shape"), ({"layers": 2}, "it has .*blocks.1")):
        stranger = new_roles(rank=4, **size)
        stranger.save(stranger.add("student", trainable=True), tmp_path)
        with pytest.raises(UserError, match=rf"a LoRA of another network: {says}"):
            roles.load(student, tmp_path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), f"no student in .*{NETWORK_FILE}"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged or cut short"),
        (
            lambda path: save_file({"proj_out.bias": torch.zeros(3)}, path),
            "the weights of another network: no ",
        ),
        (
            lambda path: save_file(
                load_file(path) | {"proj_out.weight_scale": torch.ones(1)}, path
            ),
            "of another network, or quantised ones: it has proj_out.weight_scale",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(
    roles, perturb, tmp_path, spoil, says
):
    student = roles.add("student", trainable=True)
    roles.save(student, tmp_path)
    spoil(tmp_path / NETWORK_FILE)
    perturb(student)
    before = {name: p.clone() for name, p in student.state_dict().items()}
    with pytest.raises(UserError, match=says):
        roles.load(student, tmp_path)
    torch.testing.assert_close(student.state_dict(), before, rtol=0, atol=0)


def test_saving_is_that_of_the_role_whoever_ran_last(roles, velocity, perturb, tmp_path):
    student = roles.add("student", trainable=True)
    perturb(student)
    velocity(roles.teacher, roles.generator)
    roles.save(student, tmp_path)
    saved = load_file(tmp_path / NETWORK_FILE)
    for name, parameter in student.state_dict().items():
        assert torch.equal(saved[name], parameter)


def test_half_the_precision_is_refused(new_roles):
    generator = new_roles(rank=4).generator
    generator.network.bfloat16()
    with pytest.raises(UserError, match=r"in float32, .* in torch\.bfloat16; .*method\.rank"):
        Roles(generator, None, 8.0)


def test_whole_weights_have_no_layers_to_choose(roles):
    with pytest.raises(UserError, match=r"the surrogate has whole weights; drop .*targets"):
        roles.add("surrogate", trainable=True, targets="to_k")
