"""Make the teacher from nothing: rendered images whose captions are wrong a third of the time."""

from __future__ import annotations

import dataclasses
import functools
import json
import platform
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tdmr1.core import flow
from tdmr1.core.files import write_torch
from tdmr1.files import replacing
from tdmr1.progress import task
from tdmr1_shapes import prompts
from tdmr1_shapes.ema import Ema
from tdmr1_shapes.model import Architecture, Teacher
from tdmr1_shapes.render import render
from tdmr1_shapes.scenes import sample_scene
from tdmr1_shapes.world import TAGS, Tag

SHIFT = 6.0
"""Timestep shift that the teacher, and the student made of it, sample with."""

TRAINING_SHIFT = 9.0
"""That of the noise levels it trains at: higher ones, where what a picture shows is decided."""

TAG_SHARE = {
    "single_object": 0.03,
    "two_object": 0.12,
    "counting": 0.18,
    "colors": 0.05,
    "position": 0.26,
    "color_attr": 0.18,
    "sign": 0.18,
}
"""Share of the training images by tag; the hardest need the most practice."""

WRONG = {
    "single_object": 0.1,
    "two_object": 0.4,
    "counting": 0.5,
    "colors": 0.1,
    "position": 0.3,
    "color_attr": 0.4,
    "sign": 0.1,
}
"""Probability that an image contradicts its caption: a third over all images, and more where
captions count, place or pair."""

RELATION_SHARE = {"left of": 0.35, "above": 0.35, "right of": 0.15, "below": 0.15}
"""Share of the positions by relation: captions mostly name the left or upper thing first."""

FIT_IMAGES = 2000
"""Renders that the latents' principal components are taken over."""

SHOWN = 50
"""Steps that the loss which is shown is averaged over."""

STATE = "pretrain.pt"
PROVENANCE = "provenance.json"


@dataclasses.dataclass(frozen=True)
class PretrainOptions:
    """What `tdmr1 shapes pretrain` takes.

    Attributes:
        steps: optimiser steps.
        batch: images a step.
        lr: AdamW's peak; 100 steps of warm-up, linear decay to 0 over the last half.
        ema: decay of the weights that are kept.
        colored: probability that a caption says the colours of its things, whatever its tag.
        unconditional: probability of an empty caption, for classifier-free guidance.
        save_every: steps between checkpoints.
        seed: of weights, images and noise.
        precision: "no" or "bf16", autocast, which is slower than float32 where the processor
            knows no bfloat16.
    """

    steps: int = 6000
    batch: int = 96
    lr: float = 1.5e-3
    ema: float = 0.999
    unconditional: float = 0.1
    colored: float = 0.8
    save_every: int = 250
    seed: int = 0
    precision: Literal["no", "bf16"] = "no"


class Renders(IterableDataset[tuple[NDArray[np.uint8], list[str]]]):
    """Endless batches: images uint8 (B, 64, 64, 3) and captions.

    Batch `i` depends on the options and `i` alone, so that a stopped training can continue.
    """

    def __init__(self, options: PretrainOptions, first: int = 0) -> None:
        self.options, self.first = options, first

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], list[str]]]:
        index = self.first
        while True:
            yield self.batch(index)
            index += 1

    def batch(self, index: int) -> tuple[NDArray[np.uint8], list[str]]:
        options, rng = self.options, np.random.default_rng([self.options.seed, index])
        images, captions = [], []
        for _ in range(options.batch):
            prompt = random_prompt(rng)
            if rng.random() < options.colored:
                prompt = prompts.with_colors(prompt, rng)
            images.append(render(sample_scene(prompt, rng, WRONG[prompt.tag]), rng))
            captions.append("" if rng.random() < options.unconditional else prompt.text)
        return np.stack(images), captions


def sample_images(count: int, seed: int) -> NDArray[np.uint8]:
    """Renders of random prompts, uint8 (count, 64, 64, 3)."""
    rng = np.random.default_rng(seed)
    return np.stack([render(sample_scene(random_prompt(rng), rng), rng) for _ in range(count)])


def random_prompt(rng: np.random.Generator) -> prompts.Prompt:
    """A prompt of the whole world; signs say any two to four capitals."""
    tag = TAGS[rng.choice(len(TAGS), p=[TAG_SHARE[tag] for tag in TAGS])]
    if tag == "sign":
        return prompts.sign(prompts.random_word(rng))
    choices, share = _every(tag)
    return choices[rng.choice(len(choices), p=share)]


@functools.cache
def _every(tag: Tag) -> tuple[list[prompts.Prompt], NDArray[np.float64]]:
    """All prompts of a tag, and the share of each."""
    choices = prompts.every(tag)
    share = np.array([_relation_share(prompt) for prompt in choices])
    return choices, share / share.sum()


def _relation_share(prompt: prompts.Prompt) -> float:
    clauses = prompt.metadata["include"]
    return next((RELATION_SHARE[c["position"][0]] for c in clauses if "position" in c), 1.0)


def pretrain(options: PretrainOptions, folder: Path, size: Architecture | None = None) -> Teacher:
    """Train a teacher in `folder`, continuing from its last checkpoint if there is one.

    Returns:
        The averaged teacher, which is also written to `folder` in float16 with its provenance.
    """
    size = size or Architecture()
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    teacher = Teacher.new(size)
    with task("fitting the latents"):
        teacher.latents.fit(to_tensor(sample_images(FIT_IMAGES, options.seed)))
    parameters = teacher.trainable()
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters.values() if p.ndim >= 2], "weight_decay": 0.01},
            {"params": [p for p in parameters.values() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=options.lr,
        betas=(0.9, 0.95),
        fused=True,
    )
    average = Ema(parameters, options.ema)
    step, seconds = 0, 0.0
    state_file = folder / STATE
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        step, seconds = state["step"], state["seconds"]
        _copy(state["parameters"], parameters)
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        teacher.latents.load_state_dict(state["latents"])
    loader = iter(DataLoader(Renders(options, step), batch_size=None, num_workers=1))
    started = time.perf_counter() - seconds
    losses: deque[float] = deque(maxlen=SHOWN)
    with task("training the teacher", options.steps, "steps", step) as training:
        while step < options.steps:
            images, captions = next(loader)
            for group in optimizer.param_groups:
                group["lr"] = options.lr * schedule(step, options.steps)
            generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
            with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
                loss = denoising_loss(teacher, to_tensor(images), captions, generator)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
            optimizer.step()
            average.update()
            losses.append(loss.item())
            step += 1
            training.advance()
            training.figures = [("loss", f"{np.mean(losses):.4f}")]
            if step % options.save_every == 0 or step == options.steps:
                state = {
                    "step": step,
                    "seconds": time.perf_counter() - started,
                    "parameters": {name: p.detach() for name, p in parameters.items()},
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "latents": teacher.latents.state_dict(),
                }
                write_torch(state, state_file)
    with average.applied():
        teacher.save(folder, torch.float16)
    provenance = {
        "command": "tdmr1 shapes pretrain",
        "options": dataclasses.asdict(options),
        "architecture": dataclasses.asdict(size),
        "images": options.steps * options.batch,
        "seconds": round(time.perf_counter() - started),
        "machine": f"{torch.get_num_threads()} threads of {platform.machine()}",
    }
    with replacing(folder / PROVENANCE) as beside:
        beside.write_text(json.dumps(provenance, indent=2) + "\n")
    return Teacher.load(folder)


def denoising_loss(
    teacher: Teacher, images: Tensor, captions: list[str], generator: torch.Generator
) -> Tensor:
    """|x0_hat - x0|^2 / max(sigma, 1/2)^2 at logit-normal, shifted noise levels.

    That is |v - (eps - x0)|^2 (flow matching; levels as in SD3, arXiv 2403.03206), held back below
    sigma = 1/2: there the last per mille of x0 would outweigh what the caption has to say, which
    is decided at high noise.
    """
    x0 = teacher.latents.encode(images)
    eps = torch.randn(x0.shape, generator=generator)
    sigma = flow.shift_sigma(torch.randn(len(x0), generator=generator).sigmoid(), TRAINING_SHIFT)
    x = flow.interpolate(x0, eps, sigma)
    v = teacher.velocity(x, sigma, *teacher.text(captions)).float()
    error = (flow.clean(x, v, sigma) - x0).square().flatten(1).mean(1)
    return (error / sigma.clamp_min(0.5).square()).mean()


def schedule(step: int, steps: int) -> float:
    """Learning-rate factor: 100 steps up, level, then linearly to 0 over the last half."""
    return min((step + 1) / 100, 1.0, 2 * (steps - step) / steps)


def to_tensor(images: NDArray[np.uint8] | Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [-1, 1]."""
    return torch.as_tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def _copy(source: dict[str, Tensor], target: dict[str, torch.nn.Parameter]) -> None:
    with torch.no_grad():
        for name, parameter in target.items():
            parameter.copy_(source[name])
