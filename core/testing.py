"""What every generator keeps to, as tests for its author. Needs pytest.

class TestMine(GeneratorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def new_generator(cls):
        return MyGenerator

    def plain(self, generator, prompts, noise, steps, guidance):
        ...  # the same by the model's own library
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from tdmr1.core.generator import Condition, Generator
from tdmr1.core.roles import LORA_FILE, Role, Roles
from tdmr1.core.sampler import OdeSampler, guided

NewGenerator = Callable[[], Generator]
SIGMA = torch.tensor(0.7)
ROLES = ("student", "fake", "surrogate", "reference", "anchor")


class GeneratorContract(abc.ABC):
    """Tests that a subclass inherits. Small weights suffice, on a CPU, in float32.

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

    @abc.abstractmethod
    def plain(
        self,
        generator: Generator,
        prompts: Sequence[str],
        noise: Tensor,
        steps: int,
        guidance: float,
    ) -> tuple[Tensor, Tensor]:
        """What the model's own library draws, without this framework.

        Args:
            generator: for its options alone.
            prompts: B of them.
            noise: (B, *latent_shape).
            steps: from noise, down the uniform schedule as the generator's `shift` shifts it.
            guidance: weight w of classifier-free guidance, 1 = none.

        Returns:
            Latents (B, *latent_shape), and images (B, 3, H, W) in [0, 1].
        """

    @pytest.fixture(scope="class")
    @classmethod
    def generator(cls, new_generator: NewGenerator) -> Generator:
        return new_generator()

    @pytest.fixture(scope="class")
    @classmethod
    def roles(cls, new_generator: NewGenerator) -> Roles:
        return Roles(new_generator(), 4, 8.0)

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

    # What it is

    def test_it_says_what_it_is(self, generator: Generator) -> None:
        assert generator.name
        assert len(generator.latent_shape) == 3 and min(generator.latent_shape) > 0
        assert generator.shift > 0
        assert generator.teacher_steps >= 1 and generator.teacher_guidance >= 1

    def test_lora_targets_are_linear_layers(self, generator: Generator) -> None:
        modules = dict(generator.network.named_modules())
        for target in generator.lora_targets:
            found = [m for name, m in modules.items() if f".{name}".endswith(f".{target}")]
            assert found, f"no layer is named {target}"
            assert all(isinstance(module, nn.Linear) for module in found), target

    def test_train_and_heldout_share_no_prompt(self, generator: Generator) -> None:
        train, heldout = ({p.text for p in generator.prompts(s)} for s in ("train", "heldout"))
        assert not train & heldout

    def test_a_student_that_ships_can_be_loaded(self, new_generator: NewGenerator) -> None:
        folder = new_generator().student_folder()
        assert folder is None or (folder / LORA_FILE).is_file()

    # Encoding

    def test_a_batch_of_prompts_is_encoded_as_each_alone(
        self, generator: Generator, condition: Condition
    ) -> None:
        assert len(condition) == len(self.prompts)
        for index, prompt in enumerate(self.prompts):
            alone = _rows(generator.encode([prompt]))[0]
            self.close(_rows(condition)[index], alone)

    def test_a_prompt_is_always_encoded_alike(self, generator: Generator) -> None:
        first, again = (generator.encode([self.prompts[0]] * 2) for _ in range(2))
        assert torch.equal(first.tokens, again.tokens)
        assert torch.equal(first.tokens[0], first.tokens[1])
        assert not first.tokens.requires_grad

    def test_prompts_matter_the_empty_one_too(self, generator: Generator, x: Tensor) -> None:
        encoded = [generator.encode([prompt]) for prompt in (*self.prompts, "")]
        with torch.no_grad():
            v = [generator.velocity(x[:1], SIGMA, condition) for condition in encoded]
        for i in range(len(v)):
            assert not any(torch.equal(v[i], other) for other in v[:i])

    # Velocity

    def test_a_velocity_is_like_the_latents(
        self, generator: Generator, x: Tensor, condition: Condition
    ) -> None:
        v = generator.velocity(x, SIGMA, condition)
        assert v.shape == x.shape
        assert v.dtype == torch.float32
        assert v.isfinite().all()

    def test_a_batch_of_latents_is_each_alone(
        self, generator: Generator, x: Tensor, condition: Condition
    ) -> None:
        sigma = torch.tensor([0.3, 0.7, 1.0])
        with torch.no_grad():
            v = generator.velocity(x, sigma, condition)
            for i in range(len(x)):
                row = slice(i, i + 1)
                self.close(generator.velocity(x[row], sigma[i], condition[row]), v[row])

    def test_conditions_go_with_their_rows(
        self, generator: Generator, x: Tensor, condition: Condition
    ) -> None:
        order = torch.tensor([2, 0, 1])
        with torch.no_grad():
            v = generator.velocity(x, SIGMA, condition)
            self.close(generator.velocity(x[order], SIGMA, condition[order]), v[order])
            twice = generator.velocity(x.repeat_interleave(2, 0), SIGMA, condition.repeat(2))
            self.close(twice, v.repeat_interleave(2, 0))
            joined = Condition.cat([generator.encode([p]) for p in self.prompts])
            self.close(generator.velocity(x, SIGMA, joined), v)

    # Decoding

    def test_images_are_in_0_1(self, generator: Generator, x: Tensor) -> None:
        for latents in (x, 100 * x):
            images = generator.decode(latents.clone().requires_grad_())
            assert images.shape[:2] == (len(x), 3) and images.ndim == 4
            assert images.min() >= 0 and images.max() <= 1
            assert not images.requires_grad

    def test_a_batch_of_images_is_each_alone(self, generator: Generator, x: Tensor) -> None:
        images = generator.decode(x)
        for i in range(len(x)):
            self.close(generator.decode(x[i : i + 1])[0], images[i])

    # The convention, v = eps - x0 at sigma

    @pytest.mark.parametrize("steps", [1, 4])
    def test_a_trajectory_is_that_of_the_models_own_library(
        self, generator: Generator, players: dict[str, Role], x: Tensor, steps: int
    ) -> None:
        """One step is the clean prediction from pure noise, x0 = x - v."""
        self._compare(generator, players["teacher"], x, steps, guidance=1.0)

    def test_so_is_that_of_the_guided_teacher(
        self, generator: Generator, players: dict[str, Role], x: Tensor
    ) -> None:
        guidance = max(2.0, generator.teacher_guidance)
        self._compare(generator, players["teacher"], x, 7, guidance)

    def _compare(
        self, generator: Generator, teacher: Role, noise: Tensor, steps: int, guidance: float
    ) -> None:
        condition, empty = generator.encode(self.prompts), generator.encode([""])
        velocity = guided(teacher, condition, empty.repeat(len(noise)), guidance)
        ours = OdeSampler(steps, generator.shift).trajectory(velocity, noise)[-1]
        latents, images = self.plain(generator, self.prompts, noise, steps, guidance)
        self.close(ours, latents)
        self.close(generator.decode(ours), images)

    # Roles

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

    def test_a_gradient_reaches_the_adapter_that_was_asked_alone(
        self, roles: Roles, players: dict[str, Role], x: Tensor, condition: Condition
    ) -> None:
        player, network = players["student"], roles.generator.network
        network.zero_grad()
        torch.autograd.backward(player.velocity(x, SIGMA, condition).square().mean())
        reached = [p for p in network.parameters() if p.grad is not None]
        network.zero_grad()
        assert {id(p) for p in reached} == {id(p) for p in player.parameters().values()}

    @pytest.mark.parametrize("memory", [{"gradient_checkpointing": True}, {"micro_batch": 2}])
    def test_less_memory_gives_the_same_gradient(
        self,
        new_generator: NewGenerator,
        players: dict[str, Role],
        x: Tensor,
        condition: Condition,
        memory: dict[str, int],
    ) -> None:
        """With other roles at work between the forward and the backward pass."""
        sparing = _players(Roles(new_generator(), 4, 8.0, **memory))  # type: ignore[arg-type]
        student, expected = sparing["student"], players["student"]
        student.load_state_dict(expected.state_dict())
        gradients = []
        for player, others in ((expected, players), (student, sparing)):
            v = player.velocity(x, SIGMA, condition)
            for name in ("fake", "teacher"):
                others[name].velocity(x, SIGMA, condition)
            parameters = list(player.parameters().values())
            gradients.append(torch.autograd.grad(v.square().mean(), parameters))
        for a, b in zip(*gradients, strict=True):
            self.close(a, b)

    # Devices

    def test_it_works_where_it_is_moved(
        self, generator: Generator, new_generator: NewGenerator, x: Tensor
    ) -> None:
        devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
        for device in map(torch.device, devices):
            moved = new_generator()
            moved.to(device)
            condition = moved.encode(self.prompts)
            with torch.no_grad():
                v = moved.velocity(x.to(device), SIGMA.to(device), condition)
                expected = generator.velocity(x, SIGMA, generator.encode(self.prompts))
            assert {t.device.type for t in (condition.tokens, v)} == {device.type}
            torch.testing.assert_close(v.cpu(), expected, rtol=0, atol=1e-2)
            images = moved.decode(x.to(device)).cpu()
            torch.testing.assert_close(images, generator.decode(x), rtol=0, atol=1e-2)


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


def _rows(condition: Condition) -> list[Tensor]:
    """What each prompt brings, tokens and pooled, without padding: (numbers,)."""
    masks = [None] * len(condition) if condition.mask is None else list(condition.mask)
    return [
        torch.cat([(row if mask is None else row[mask]).flatten(), pooled]).float()
        for row, pooled, mask in zip(condition.tokens, condition.pooled, masks, strict=True)
    ]
