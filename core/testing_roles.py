"""What the roles of every generator keep to; the part of `tdmr1.core.testing` about roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from tdmr1.core.generator import Condition, Generator
from tdmr1.core.roles import Role, Roles

NewGenerator = Callable[[], Generator]
SIGMA = torch.tensor(0.7)
ROLES = ("student", "fake", "surrogate", "reference", "anchor")


class RolesContract:
    """Tests that `GeneratorContract` inherits, and what both work with.

    Attributes:
        prompts: three that the generator can draw, of different lengths.
        tolerance: of what is equal but for rounding, absolute.
    """

    prompts: Sequence[str] = ("a photo of a red star", "two dogs", "a cat and a blue sign")
    tolerance = 1e-4

    @pytest.fixture(scope="class")
    @classmethod
    def new_generator(cls) -> NewGenerator:
        """Makes the generator anew, always with the same weights; a subclass overrides it."""
        raise NotImplementedError("override the fixture new_generator")

    @pytest.fixture(scope="class")
    @classmethod
    def generator(cls, new_generator: NewGenerator) -> Generator:
        return new_generator()

    @pytest.fixture(scope="class", params=[4, None], ids=["lora", "whole"])
    @classmethod
    def rank(cls, request: pytest.FixtureRequest) -> int | None:
        rank: int | None = request.param
        return rank

    @pytest.fixture(scope="class")
    @classmethod
    def roles(cls, new_generator: NewGenerator, rank: int | None) -> Roles:
        return Roles(new_generator(), rank, 8.0)

    @pytest.fixture(scope="class")
    @classmethod
    def players(cls, roles: Roles) -> dict[str, Role]:
        """The teacher and five others, each moved somewhere of its own."""
        return _players(roles)

    @pytest.fixture
    def x(self, generator: Generator) -> Tensor:
        """Latents for the prompts."""
        return _noise(len(self.prompts), generator)

    @pytest.fixture(scope="class")
    @classmethod
    def condition(cls, generator: Generator) -> Condition:
        return generator.encode(cls.prompts)

    def close(self, a: Tensor, b: Tensor) -> None:
        torch.testing.assert_close(a, b, rtol=0, atol=self.tolerance)

    @pytest.mark.parametrize("moved", ROLES)
    def test_moving_one_role_leaves_the_others_bit_identical(
        self, players: dict[str, Role], x: Tensor, condition: Condition, moved: str
    ) -> None:
        @torch.no_grad()
        def velocities() -> dict[str, Tensor]:
            return {name: role.velocity(x, SIGMA, condition) for name, role in players.items()}

        before = velocities()
        _move(players[moved], seed=99)
        after = velocities()
        assert {n for n in players if not torch.equal(before[n], after[n])} == {moved}

    def test_a_gradient_reaches_the_role_that_was_asked_alone(
        self, roles: Roles, players: dict[str, Role], x: Tensor, condition: Condition
    ) -> None:
        v = players["student"].velocity(x, SIGMA, condition)
        for role in players.values():
            role.velocity(x, SIGMA, condition)
        torch.autograd.backward(v.square().mean())
        network = list(roles.generator.network.parameters())
        own = [p for role in players.values() for p in role.parameters().values()]
        reached = {id(p) for p in [*network, *own] if p.grad is not None}
        for parameter in own:
            parameter.grad = None
        assert reached and reached <= {id(p) for p in players["student"].parameters().values()}

    @pytest.mark.parametrize("memory", [{"gradient_checkpointing": True}, {"micro_batch": 2}])
    def test_less_memory_gives_the_same_gradient(
        self,
        new_generator: NewGenerator,
        rank: int | None,
        players: dict[str, Role],
        x: Tensor,
        condition: Condition,
        memory: dict[str, int],
    ) -> None:
        """With other roles at work between the forward and the backward pass."""
        sparing = _players(Roles(new_generator(), rank, 8.0, **memory))  # type: ignore[arg-type]
        student, expected = sparing["student"], players["student"]
        student.load_state_dict(expected.state_dict())
        gradients = []
        for player, others in ((expected, players), (student, sparing)):
            v = player.velocity(x, SIGMA, condition)
            for name in ("fake", "teacher"):
                others[name].velocity(x, SIGMA, condition)
            parameters = list(player.parameters().values())
            gradients.append(
                torch.autograd.grad(v.square().mean(), parameters, materialize_grads=True)
            )
        largest = max(gradient.abs().max() for gradient in gradients[0])
        for a, b in zip(*gradients, strict=True):
            self.close(a / largest, b / largest)


def _players(roles: Roles) -> dict[str, Role]:
    """The teacher and five other roles, each moved somewhere of its own."""
    players = {name: roles.add(name, trainable=True) for name in ROLES}
    for seed, role in enumerate(players.values()):
        _move(role, seed)
    return {"teacher": roles.teacher, **players}


@torch.no_grad()
def _move(role: Role, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for parameter in role.parameters().values():
        parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.1)


def _noise(count: int, generator: Generator) -> Tensor:
    random = torch.Generator().manual_seed(7)
    return torch.randn(count, *generator.latent_shape, generator=random)
