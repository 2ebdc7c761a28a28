"""Compiled blocks are the same function, of every role, and no role has them compiled again."""

import shutil

import pytest
import torch
from torch import nn

from tdmr1.core.compiled import compile_blocks
from tdmr1.core.overflow import Overflow
from tdmr1.core.roles import Roles
from tdmr1.errors import UserError

# Of torch's own tracing.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
CPU = torch.device("cpu")
TRACED = "aot_eager"
"""A backend that traces and differentiates, but translates nothing: it needs no compiler."""
SIGMA = torch.tensor(0.7)


@pytest.fixture(autouse=True)
def fresh():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(torch.nn.functional.gelu(self.up(x)))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.checkpoint = None

    def enable_gradient_checkpointing(self, function):
        self.checkpoint = function

    def forward(self, x):
        for block in self.blocks:
            checkpointed = self.checkpoint is not None and torch.is_grad_enabled()
            x = self.checkpoint(block, x) if checkpointed else block(x)
        return x


@pytest.fixture
def generator(new_roles):
    """Its latents are 8 numbers."""
    generator = new_roles().generator
    generator.network, generator.lora_targets = Network(), ("up", "down")
    generator.velocity = lambda x, sigma, condition: generator.network(x)
    return generator


def cast(generator, **memory):
    """The teacher, and three roles of other weights each, by name."""
    roles = Roles(generator, 4, 8.0, **memory)
    torch.manual_seed(0)
    of = {"teacher": roles.teacher}
    for name in ("student", "fake", "average"):
        of[name] = roles.add(name, trainable=name != "average")
        for parameter in of[name].parameters().values():
            nn.init.normal_(parameter, std=0.2)
    return of


def asked(role, generator, count=4):
    """The role's velocity of some latents, and its gradients."""
    x = torch.randn(count, 8, generator=torch.Generator().manual_seed(1))
    v = role.velocity(x, SIGMA, generator.encode([f"prompt {n}" for n in range(count)]))
    learning = [p for p in role.parameters().values() if p.requires_grad]
    return v.detach(), torch.autograd.grad(v.square().sum(), learning) if learning else ()


@pytest.mark.parametrize("memory", [{}, {"micro_batch": 2}, {"gradient_checkpointing": True}])
def test_every_role_is_the_same_function(generator, memory):
    roles = cast(generator, **memory)
    before = {name: asked(role, generator) for name, role in roles.items()}
    compile_blocks(generator.network, CPU, TRACED)
    for name, role in roles.items():
        torch.testing.assert_close(asked(role, generator), before[name])
    for block in generator.network.blocks:
        assert block._compiled_call_impl is not None


def test_no_role_has_them_compiled_again(generator):
    roles = cast(generator)
    compile_blocks(generator.network, CPU, TRACED)
    asked(roles["student"], generator)
    with torch.no_grad():
        roles["student"].velocity(*latents(generator))
        roles["average"].velocity(*latents(generator))
    with torch.compiler.set_stance("fail_on_recompile"):
        asked(roles["fake"], generator)
        with torch.no_grad():
            roles["fake"].velocity(*latents(generator))


def latents(generator):
    return torch.randn(4, 8), SIGMA, generator.encode(list("abcd"))


def test_the_layer_that_overflows_is_found(generator):
    roles = cast(generator)
    compile_blocks(generator.network, CPU, TRACED)
    asked(roles["student"], generator)
    with torch.no_grad():
        generator.network.blocks[1].down.base_layer.weight.fill_(float("inf"))
    with pytest.raises(Overflow, match=r"blocks\.1\.down is the first"):
        asked(roles["student"], generator)


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_what_a_compiler_makes_is_the_same():
    network = nn.Module()
    network.blocks = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), nn.GELU())])
    x = torch.randn(5, 8)
    expected = network.blocks[0](x)
    compile_blocks(network, CPU)
    torch.testing.assert_close(network.blocks[0](x), expected)


def test_where_nothing_can_be_compiled_it_says_so(generator, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/no/compiler"))
    with pytest.raises(UserError, match=r"compile = true: .*C\+\+(.|\n)*--set compile=false"):
        compile_blocks(generator.network, CPU)
    assert generator.network.blocks[0]._compiled_call_impl is None


def test_a_network_without_blocks_is_refused():
    with pytest.raises(UserError, match="no list of any"):
        compile_blocks(nn.Linear(2, 2), CPU)
