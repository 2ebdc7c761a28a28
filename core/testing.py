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
import inspect
import pickle
import random
from collections.abc import Sequence

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tdmr1.core.adapters import LORA_FILE
from tdmr1.core.generator import Condition, Generator, Prompt
from tdmr1.core.roles import Role
from tdmr1.core.sampler import OdeSampler, guided
from tdmr1.core.testing_roles import SIGMA, NewGenerator, RolesContract


class GeneratorContract(RolesContract, abc.ABC):
    """Tests that a subclass inherits. Small weights suffice, on a CPU, in float32."""

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
            steps: from noise, down the uniform schedule as `generator.shift_of(steps)` shifts it.
            guidance: weight w of classifier-free guidance, 1 = none.

        Returns:
            Latents (B, *latent_shape), and images (B, 3, H, W) in [0, 1].
        """

    # What it is

    def test_it_says_what_it_is(self, generator: Generator) -> None:
        assert generator.name
        assert len(generator.latent_shape) == 3 and min(generator.latent_shape) > 0
        assert generator.shift_of(1) > 0 and generator.shift_of(generator.teacher_steps) > 0
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

    def test_its_pipeline_is_one_of_diffusers(self, generator: Generator) -> None:
        call = generator.pipeline_call()
        if call is None:
            return
        assert isinstance(generator.network, getattr(diffusers, call.transformer))
        pipeline = getattr(diffusers, call.pipeline)
        assert {"transformer", "scheduler"} <= inspect.signature(pipeline).parameters.keys()
        given = {"prompt", "sigmas", "num_inference_steps", *call.arguments}
        assert {"guidance_scale", "height", "width"} <= given
        assert given <= inspect.signature(pipeline.__call__).parameters.keys()
        assert isinstance(getattr(torch, call.dtype), torch.dtype)

    def test_free_traits_are_of_every_picture(self, generator: Generator) -> None:
        latents = torch.randn(2, *generator.latent_shape)
        images = generator.decode(latents).mul(255).byte().permute(0, 2, 3, 1).numpy()
        traits = generator.free_traits(images, [Prompt(self.prompts[0])] * 2)
        assert all(f.shape[0] == 2 and (f >= 0).all() for f in traits.frequencies.values())
        assert all(mean.shape == (2,) for mean in traits.means.values())

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

    def test_it_draws_nothing_from_the_streams_that_all_code_shares(
        self, generator: Generator, x: Tensor
    ) -> None:
        """While it is at work, they may be those of rewards in another thread."""
        before = _shared_streams()
        condition = generator.encode(self.prompts)
        v = generator.velocity(x.clone().requires_grad_(), SIGMA, condition)
        torch.autograd.backward(v.sum())
        generator.decode(x)
        assert _shared_streams() == before

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
            twice = torch.arange(len(x)).repeat_interleave(2)
            self.close(generator.velocity(x[twice], SIGMA, condition[twice]), v[twice])
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
        condition, empty = generator.encode(self.prompts), generator.encode([""] * len(noise))
        velocity = guided(teacher, condition, empty, guidance)
        ours = OdeSampler(steps, generator.shift_of(steps)).trajectory(velocity, noise)[-1]
        latents, images = self.plain(generator, self.prompts, noise, steps, guidance)
        self.close(ours, latents)
        self.close(generator.decode(ours), images)

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


def _shared_streams() -> list[bytes]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state().tolist()
    return [pickle.dumps(state) for state in states]


def _rows(condition: Condition) -> list[Tensor]:
    """What each prompt brings, tokens and pooled, without padding: (numbers,)."""
    masks = [None] * len(condition) if condition.mask is None else list(condition.mask)
    return [
        torch.cat([(row if mask is None else row[mask]).flatten(), pooled]).float()
        for row, pooled, mask in zip(condition.tokens, condition.pooled, masks, strict=True)
    ]
