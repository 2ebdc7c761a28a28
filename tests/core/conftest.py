import contextlib
import zlib

import pytest
import torch
from accelerate import Accelerator
from diffusers import SD3Transformer2DModel

from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Condition, Generator
from tdmr1.core.options import TDMOptions, TDMR1Options
from tdmr1.core.roles import Roles
from tdmr1.core.sampler import OdeSampler
from tdmr1.core.share import Share
from tdmr1.core.tdm import TDM
from tdmr1.core.tdmr1 import TDMR1


class TinyGenerator(Generator):
    """Random weights, and conditions that depend on nothing but the prompt's letters."""

    name = "tiny"
    latent_shape = (4, 4, 4)
    shift = 3.0
    teacher_steps = 6
    teacher_guidance = 3.0
    lora_targets = ("to_q", "to_k", "to_v", "to_out.0", "proj_out")

    def __init__(self, width=16, layers=1):
        self.network = SD3Transformer2DModel(
            sample_size=4,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=layers,
            attention_head_dim=width // 2,
            num_attention_heads=2,
            joint_attention_dim=8,
            caption_projection_dim=width,
            pooled_projection_dim=8,
            pos_embed_max_size=2,
        ).eval()

    def encode(self, prompts):
        letters = [torch.Generator().manual_seed(zlib.crc32(p.encode())) for p in prompts]
        both = torch.stack([torch.randn(4, 8, generator=g) for g in letters])
        return Condition(both[:, :3], both[:, 3])

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


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def accelerator():
    return Accelerator(cpu=True)


@pytest.fixture
def new_roles():
    """Roles of rank 4 and alpha 8 on the tiny network, its weights drawn from a seed."""

    def new_roles(seed=0, rank=4, alpha=8.0, targets=None, **size):
        torch.manual_seed(seed)
        return Roles(TinyGenerator(**size), rank, alpha, targets=targets)

    return new_roles


@pytest.fixture
def new_tdm(new_roles, accelerator):
    def new_tdm(seed=0, **options):
        defaults = {"batch": 4, "rank": 4, "alpha": 8.0}
        options = TDMOptions(**{**defaults, **options})
        return TDM(new_roles(seed), options, Draws(seed), accelerator)

    return new_tdm


@pytest.fixture
def new_tdmr1(new_roles, accelerator):
    def new_tdmr1(seed=0, accelerator=accelerator, **options):
        defaults = {"batch": 4, "rank": 4, "alpha": 8.0, "groups": 2, "group_size": 4}
        options = TDMR1Options(**{**defaults, **options})
        roles = new_roles(seed)
        roles.micro_batch = options.micro_batch
        return TDMR1(roles, options, Draws(seed), accelerator)

    return new_tdmr1


@pytest.fixture
def new_rollout():
    """`size` trajectories of a role for each of some prompts."""

    def new_rollout(role, generator, groups=2, size=4, seed=0):
        group = torch.arange(groups).repeat_interleave(size)
        condition = generator.encode([f"prompt {g}" for g in range(groups)]).of(group)
        random = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(group), *generator.latent_shape, generator=random)
        return OdeSampler(4, generator.shift).rollout(role, condition, Share(group), noise)

    return new_rollout


@pytest.fixture
def perturb():
    """Move the parameters of a role somewhere, so that its function differs from the others'."""

    def perturb(role, seed=1, scale=0.3):
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in role.parameters().values():
                parameter += scale * torch.randn(parameter.shape, generator=random)

    return perturb


@pytest.fixture
def rewarded(new_rollout):
    """A rollout of the student, and what gives the mean of its first channel as a reward."""

    def rewarded(algorithm, seed=0):
        rollout = new_rollout(algorithm.student, algorithm.generator, seed=seed)
        values = rollout.latents[:, 0].mean((1, 2))
        feedback = [Feedback("mean", values, torch.ones(8, dtype=torch.bool))]
        return rollout, lambda: feedback

    return rewarded


@pytest.fixture
def moved(new_tdmr1, perturb):
    """An algorithm whose roles all differ."""

    def moved(**options):
        algorithm = new_tdmr1(reference="ema", **options)
        for seed, role in enumerate(algorithm.all_roles()):
            perturb(role, seed)
        return algorithm

    return moved


@pytest.fixture
def changes():
    """Collects, over a block, the names of the roles whose parameters changed."""

    @contextlib.contextmanager
    def changes(roles):
        before = [{k: p.clone() for k, p in role.state_dict().items()} for role in roles]
        changed = set()
        yield changed
        for role, old in zip(roles, before, strict=True):
            if any(not torch.equal(p, old[k]) for k, p in role.state_dict().items()):
                changed.add(role.name)

    return changes
