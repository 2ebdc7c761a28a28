"""What a rehearsal finds on the meta device is what an iteration on real tensors takes."""

import copy

import pytest
import torch
from accelerate import Accelerator
from diffusers import SD3Transformer2DModel

from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Condition, Generator
from tdmr1.core.roles import Roles
from tdmr1.core.sampler import OdeSampler
from tdmr1.core.share import Share
from tdmr1.core.tdm import TDM
from tdmr1.core.tdmr1 import TDMR1
from tdmr1.trainers.config import DistillConfig, TrainConfig
from tdmr1.trainers.planning.rehearsal import rehearse
from tdmr1.trainers.planning.tensor_counter import TensorCounter, total_bytes

METHOD = {"steps": 2, "boundaries": 1, "batch": 12, "rank": 4, "alpha": 8.0}
GROUPS = {"groups": 3, "group_size": 4, "surrogate_draws": 1}


class SmallGenerator(Generator):
    name = "small"
    latent_shape = (4, 16, 16)
    shift = 3.0
    teacher_steps = 2
    teacher_guidance = 2.0
    lora_targets = ("attn.to_q", "attn.to_k", "attn.to_v")

    def __init__(self):
        torch.manual_seed(0)
        self.network = SD3Transformer2DModel(
            sample_size=16,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=3,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=8,
            caption_projection_dim=16,
            pooled_projection_dim=8,
            pos_embed_max_size=8,
        ).eval()

    def encode(self, prompts):
        device = self.network.device
        tokens = torch.ones(len(prompts), 3, 8, device=device)
        return Condition(tokens, tokens[:, 0])

    def velocity(self, x, sigma, condition):
        timestep = (sigma * 1000).expand(len(x))
        return self.network(x, condition.tokens, condition.pooled, timestep, return_dict=False)[0]

    def decode(self, latents):
        return latents[:, :3].sigmoid()

    @classmethod
    def prompts(cls, split):
        return []

    def student_folder(self):
        return None


def really(config):
    """The bytes of roles and optimisers, and the most beside them and the network, of the second
    iteration, on real tensors."""
    generator, options = SmallGenerator(), config.method
    fixed = [*generator.network.parameters(), *generator.network.buffers()]
    draws, accelerator = Draws(0), Accelerator(cpu=True)
    train = isinstance(config, TrainConfig)
    count = options.groups * options.group_size if train else options.batch
    group = torch.arange(options.groups).repeat_interleave(4) if train else torch.arange(count)
    with TensorCounter("cpu", fixed) as counter:
        roles = Roles.of(generator, options)
        method = (TDMR1 if train else TDM)(roles, options, draws, accelerator)
        for _ in range(2):
            before = copy.deepcopy(method.state_dict())
            counter.peak = counter.now
            noise = torch.randn(count, *generator.latent_shape)
            condition = generator.encode([""] * (int(group.max()) + 1)).of(group)
            rollout = OdeSampler(options.steps, 3.0).rollout(
                method.student, condition, Share(group), noise
            )
            del noise
            if train:
                feedback = Feedback("r", torch.rand(count), torch.ones(count, dtype=torch.bool))
                method.reinforce(rollout, lambda feedback=feedback: [feedback])
            else:
                method.iteration(rollout)
            del before, rollout
    own = [p for role in method.all_roles() for p in role.parameters().values()]
    states = [p for x in method.learners() for p in x._optimizer.state.values()]
    moments = [s[key] for s in states for key in ("exp_avg", "exp_avg_sq")]
    return total_bytes(own), total_bytes(moments), counter.peak


@pytest.mark.parametrize(
    ("kind", "memory"),
    [
        (TrainConfig, {}),
        (TrainConfig, {"gradient_checkpointing": True, "micro_batch": 5}),
        (TrainConfig, {"parts": 3, "accumulate": True, "micro_batch": 3}),
        (TrainConfig, {"rank": None}),
        (DistillConfig, {"micro_batch": 4}),
        (DistillConfig, {"gradient_checkpointing": True}),
    ],
)
def test_the_most_bytes_are_those_of_real_tensors(kind, memory):
    more = GROUPS if kind is TrainConfig else {}
    config = kind(model="small", method={**METHOD, **more, **memory})
    rehearsed = rehearse(config, SmallGenerator())
    roles, optimizers, peak = really(config)
    assert rehearsed.roles == roles
    assert rehearsed.optimizers == optimizers
    assert rehearsed.copy == pytest.approx(roles + optimizers, rel=0.01)
    assert rehearsed.peak == pytest.approx(peak, rel=0.03)


def test_memory_does_not_grow_with_the_draws_of_a_step():
    few, many = (
        rehearse(
            TrainConfig(
                model="small",
                method={**METHOD, **GROUPS, "accumulate": True, "surrogate_draws": draws},
            ),
            SmallGenerator(),
        )
        for draws in (1, 8)
    )
    learning = "update of the surrogate"
    assert many.phases[learning].flops == pytest.approx(8 * few.phases[learning].flops, rel=0.01)
    assert many.peak == pytest.approx(few.peak, rel=1e-3)
