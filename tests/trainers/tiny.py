"""A generator of 4x4 pictures whose network is two linear layers. Installed as `tiny`."""

from pathlib import Path

import torch
from torch import nn

from tdmr1.core.generator import Condition, Generator, Prompt


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(3 + 4 + 1, 16), nn.Linear(16, 3)

    def forward(self, x, sigma, condition):
        tokens = x.flatten(2).transpose(1, 2)
        shape = (*tokens.shape[:2], -1)
        given = condition.pooled[:, None].expand(shape)
        level = sigma.reshape(-1, 1, 1).expand(shape[0], shape[1], 1)
        hidden = self.inner(torch.cat([tokens, given, level], -1)).tanh()
        return self.outer(hidden).transpose(1, 2).reshape(x.shape)


class TinyGenerator(Generator):
    name = "tiny"
    latent_shape = (3, 4, 4)
    shift = 3.0
    teacher_steps = 5
    teacher_guidance = 2.0
    lora_targets = ("inner", "outer")

    def __init__(self):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = Network()

    def encode(self, prompts):
        pooled = torch.tensor([[len(p), p.count("r"), p.count("b"), 1] for p in prompts]) / 10
        return Condition(pooled[:, None], pooled)

    def velocity(self, x, sigma, condition):
        return self.network(x, sigma.expand(len(x)), condition)

    def decode(self, latents):
        return latents.sigmoid()

    @classmethod
    def prompts(cls, split):
        tags = ["red", "blue"]
        return [
            Prompt(f"a {tag} {split} {'x' * i}", {"tag": tag}) for i in range(3) for tag in tags
        ]

    def student_folder(self):
        return Path(__file__).parent / "tiny_student"
