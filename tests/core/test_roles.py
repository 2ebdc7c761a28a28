import json

import pytest
import torch
from diffusers import SD3Transformer2DModel
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tdmr1.core.adapters import LORA_FILE
from tdmr1.errors import UserError

SIGMA = torch.tensor(0.7)


@pytest.fixture
def query():
    """Latents for two prompts."""
    return torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def velocity(query, new_roles):
    """What a role makes of the query, without gradient."""
    condition = new_roles().generator.encode(["a", "b"])

    @torch.no_grad()
    def velocity(role):
        return role.velocity(query, SIGMA, condition).clone()

    return velocity


@pytest.fixture
def roles(new_roles):
    return new_roles()


@pytest.fixture
def players(roles):
    """The teacher, and two roles that have parameters."""
    student, fake = (roles.add(name, trainable=True) for name in ("student", "fake"))
    return {"teacher": roles.teacher, "student": student, "fake": fake}


def test_roles_start_as_the_teacher_which_is_the_bare_network(new_roles, velocity):
    roles = new_roles()
    bare = velocity(roles.teacher)
    student = roles.add("student", trainable=True)
    assert torch.equal(velocity(student), bare)
    assert torch.equal(velocity(roles.teacher), bare)


@pytest.mark.parametrize("name", ["student", "fake"])
def test_moving_one_role_leaves_the_others_bit_identical(players, velocity, perturb, name):
    perturb(players["student"], seed=5)
    before = {key: velocity(role) for key, role in players.items()}
    perturb(players[name])
    after = {key: velocity(role) for key, role in players.items()}
    assert {key for key in players if not torch.equal(before[key], after[key])} == {name}


def test_only_the_adapters_of_trainable_roles_require_gradients(roles, players):
    average = roles.add("average", trainable=False, like=players["student"])
    required = {n for n, p in roles.generator.network.named_parameters() if p.requires_grad}
    assert required and all(".student." in n or ".fake." in n for n in required)
    assert average.parameters().keys() == players["student"].parameters().keys()


def test_a_graph_built_before_a_switch_still_gets_its_gradient(roles, players, query, perturb):
    student, fake = players["student"], players["fake"]
    perturb(student), perturb(fake, seed=2)
    condition = roles.generator.encode(["a", "b"])
    gradients = []
    for switch in (False, True):
        v = student.velocity(query, SIGMA, condition)
        if switch:
            fake.velocity(query, SIGMA, condition)
            players["teacher"].velocity(query, SIGMA, condition)
        parameters = list(student.parameters().values())
        gradients.append(torch.autograd.grad(v.square().sum(), parameters))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert all((g != 0).any() for g in gradients[0])


def test_copy_from_interpolates(players, perturb):
    student, fake = players["student"], players["fake"]
    perturb(student), perturb(fake, seed=2)
    old = {name: p.clone() for name, p in fake.state_dict().items()}
    fake.copy_from(student, 0.25)
    for name, p in fake.state_dict().items():
        torch.testing.assert_close(p, old[name] + 0.25 * (student.state_dict()[name] - old[name]))
    fake.copy_from(student)
    torch.testing.assert_close(fake.state_dict(), student.state_dict(), rtol=0, atol=0)


def test_like_starts_a_role_where_another_stands(roles, players, velocity, perturb):
    perturb(players["student"])
    average = roles.add("average", trainable=False, like=players["student"])
    # Not to the last bit: torch takes another kernel where the weights require no gradient.
    torch.testing.assert_close(velocity(average), velocity(players["student"]))


def test_targets_choose_the_layers_of_a_role(roles, players, velocity, perturb):
    before = velocity(players["student"])
    role = roles.add("text", trainable=True, targets=r"to_[kv]")
    assert role.parameters()
    assert all("to_k" in name or "to_v" in name for name in role.parameters())
    assert torch.equal(velocity(role), velocity(roles.teacher))
    perturb(role)
    assert not torch.equal(velocity(role), velocity(roles.teacher))
    assert torch.equal(velocity(players["student"]), before)


def test_targets_that_no_layer_has(roles):
    with pytest.raises(UserError, match=r"no layer .* matches 'attention'; there are .*to_q"):
        roles.add("text", trainable=True, targets="attention")


def test_adapters_are_float32_on_a_network_of_half_the_precision(new_roles, query):
    roles = new_roles()
    roles.generator.network.bfloat16()
    student = roles.add("student", trainable=True)
    assert {p.dtype for p in student.parameters().values()} == {torch.float32}
    condition = roles.generator.encode(["a", "b"])
    condition = type(condition)(condition.tokens.bfloat16(), condition.pooled.bfloat16())
    student.velocity(query.bfloat16(), SIGMA, condition).float().sum().backward()
    assert all(p.grad is not None for p in student.parameters().values())


def test_save_and_load_are_bit_identical(roles, players, velocity, perturb, tmp_path):
    student, fake = players["student"], players["fake"]
    perturb(student)
    roles.save(student, tmp_path)
    roles.load(fake, tmp_path)
    torch.testing.assert_close(fake.state_dict(), student.state_dict(), rtol=0, atol=0)
    assert torch.equal(velocity(fake), velocity(student))


@pytest.mark.parametrize(("rank", "alpha"), [(8, 16.0), (4, 4.0), (6, 30.0)])
def test_a_larger_rank_or_another_alpha_gives_the_same_function(
    roles, players, new_roles, velocity, perturb, tmp_path, rank, alpha
):
    student = players["student"]
    perturb(student)
    roles.save(student, tmp_path)
    larger = new_roles(rank=rank, alpha=alpha)
    loaded = larger.add("student", trainable=True)
    larger.load(loaded, tmp_path)
    torch.testing.assert_close(velocity(loaded), velocity(student))


def test_the_ranks_above_the_files_can_learn(roles, players, new_roles, query, perturb, tmp_path):
    perturb(players["student"])
    roles.save(players["student"], tmp_path)
    larger = new_roles(rank=6)
    loaded = larger.add("student", trainable=True)
    larger.load(loaded, tmp_path)
    condition = larger.generator.encode(["a", "b"])
    loaded.velocity(query, SIGMA, condition).square().sum().backward()
    for name, p in loaded.parameters().items():
        if ".lora_B." in name:
            assert (p.grad[:, 4:] != 0).any(), name


def network_of(roles):
    """The bare network of diffusers, with the same weights."""
    state = roles.generator.network.state_dict()
    bare = {n.replace(".base_layer", ""): t for n, t in state.items() if "lora_" not in n}
    network = SD3Transformer2DModel.from_config(roles.generator.network.config)
    network.load_state_dict(bare)
    return network.eval()


def plain_velocity(network, query, generator):
    condition = generator.encode(["a", "b"])
    given = condition.tokens, condition.pooled, (SIGMA * 1000).expand(2)
    with torch.no_grad():
        return network(query, *given, return_dict=False)[0]


def test_diffusers_alone_loads_a_saved_lora(roles, players, velocity, query, perturb, tmp_path):
    student = players["student"]
    generator = roles.generator
    perturb(student)
    roles.save(student, tmp_path)
    network = network_of(roles)
    network.load_lora_adapter(tmp_path, prefix="transformer", use_safetensors=True)
    assert torch.equal(plain_velocity(network, query, generator), velocity(student))


def test_no_number_of_a_saved_lora_is_in_its_metadata(
    roles, players, velocity, query, perturb, tmp_path
):
    """Rank and scale are those that a loader infers from the tensors alone: alpha = r."""
    student, fake = players["student"], players["fake"]
    perturb(student)
    roles.save(student, tmp_path)
    with safe_open(tmp_path / LORA_FILE, "pt") as file:
        assert file.metadata() == {"format": "pt"}
    save_file(load_file(tmp_path / LORA_FILE), tmp_path / LORA_FILE)
    roles.load(fake, tmp_path)
    assert torch.equal(velocity(fake), velocity(student))
    network = network_of(roles)
    network.load_lora_adapter(
        tmp_path, prefix="transformer", adapter_name="a", use_safetensors=True
    )
    layers = [m for m in network.modules() if isinstance(m, LoraLayer)]
    assert layers and {layer.scaling["a"] for layer in layers} == {1.0}
    assert torch.equal(plain_velocity(network, query, roles.generator), velocity(student))


@pytest.mark.parametrize("alpha", [8.0, 1.0, 6.0, 7.0])
def test_loaders_that_add_up_tensors_make_the_same_network(
    new_roles, velocity, query, perturb, tmp_path, alpha
):
    """ComfyUI's arithmetic: W + alpha / r B A, where r is a shape, and alpha = r unless there is
    a tensor LAYER.alpha."""
    roles = new_roles(alpha=alpha)
    student = roles.add("student", trainable=True)
    perturb(student)
    roles.save(student, tmp_path)
    tensors = load_file(tmp_path / LORA_FILE)
    network = network_of(roles)
    for name, a in tensors.items():
        layer, is_a, _ = name.partition(".lora_A.")
        if is_a:
            b = tensors[f"{layer}.lora_B.weight"]
            alpha_of = tensors.get(f"{layer}.alpha", torch.tensor(len(a)))
            module = network.get_submodule(layer.removeprefix("transformer."))
            module.weight.data += alpha_of / len(a) * (b @ a)
    torch.testing.assert_close(plain_velocity(network, query, roles.generator), velocity(student))


@pytest.mark.parametrize("alpha", [8.0, 1.0, 6.0, 12.0])
def test_what_is_saved_is_read_and_saved_as_the_same_bytes(new_roles, perturb, tmp_path, alpha):
    roles = new_roles(alpha=alpha)
    first, second = (roles.add(name, trainable=True) for name in ("first", "second"))
    perturb(first)
    roles.save(first, tmp_path / "a")
    roles.load(second, tmp_path / "a")
    roles.save(second, tmp_path / "b")
    assert (tmp_path / "a" / LORA_FILE).read_bytes() == (tmp_path / "b" / LORA_FILE).read_bytes()


def test_a_lora_whose_metadata_says_alpha_is_read_at_its_scale(
    roles, players, velocity, perturb, tmp_path
):
    """As this package wrote them before, and as diffusers does."""
    student, fake = players["student"], players["fake"]
    perturb(student)
    told = {"transformer.r": 4, "transformer.lora_alpha": 8.0}
    tensors = {f"transformer.{name}": p for name, p in student.state_dict().items()}
    save_file(tensors, tmp_path / LORA_FILE, {"lora_adapter_metadata": json.dumps(told)})
    roles.load(fake, tmp_path)
    assert torch.equal(velocity(fake), velocity(student))


def damaged(path, kind):
    tensors = load_file(path)
    first = sorted(key for key in tensors if ".lora_A." in key)[0]
    match kind:
        case "truncated":
            path.write_bytes(path.read_bytes()[:-100])
            return
        case "empty":
            path.write_bytes(b"")
            return
        case "missing":
            path.unlink()
            return
        case "narrow":
            tensors[first] = tensors[first][:, :-2].contiguous()
        case "flat":
            tensors[first] = tensors[first].flatten()
        case "a key less":
            del tensors[first]
        case "a key more":
            tensors["text_encoder.lora_A.weight"] = torch.zeros(4, 4)
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps({})})


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "cut short"),
        ("empty", "cut short"),
        ("missing", "missing"),
        ("narrow", "shape"),
        ("flat", "shape"),
        ("a key less", "lacks"),
        ("a key more", "adapts a text encoder too"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(
    roles, players, perturb, tmp_path, kind, says
):
    student = players["student"]
    roles.save(student, tmp_path)
    damaged(tmp_path / LORA_FILE, kind)
    perturb(student)
    before = {name: p.clone() for name, p in student.state_dict().items()}
    with pytest.raises(UserError, match=says) as error:
        roles.load(student, tmp_path)
    assert str(tmp_path) in str(error.value)
    torch.testing.assert_close(student.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"layers": 2}, "another network"),
        ({"width": 32}, "another network"),
        ({"rank": 6}, "rank=6"),
    ],
)
def test_a_lora_of_another_network_or_a_larger_rank_is_refused(
    roles, players, new_roles, tmp_path, other, says
):
    stranger = new_roles(**other)
    stranger.save(stranger.add("student", trainable=True), tmp_path)
    with pytest.raises(UserError, match=says):
        roles.load(players["student"], tmp_path)


def test_a_role_that_lacks_a_parameter_in_its_state_raises(players):
    state = players["student"].state_dict()
    state.popitem()
    with pytest.raises(KeyError):
        players["student"].load_state_dict(state)
