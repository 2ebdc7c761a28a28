"""ImageReward beside its equations in plain torch, on its published tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tdmr1.rewards import Sample
from tdmr1.rewards.models.linear_head import LAYERS as HEAD_LAYERS
from tdmr1.rewards.models.pixels import as_openai
from tdmr1.rewards.models.published import read_tokenizer
from tdmr1_reward_imagereward.network import HEAD, TEXT, TEXT_HEADS, VISION, VISION_HEADS
from tdmr1_reward_imagereward.reward import ImageReward
from tdmr1_reward_imagereward.small import (
    LAYERS,
    PATCH,
    SIDE,
    small_tensors,
    write_small_imagereward,
)


class Reference:
    """Of `small_tensors`, in float64; one picture and one prompt at a time, so without padding."""

    def __init__(self, tensors):
        self.tensors = {name: tensor.double() for name, tensor in tensors.items()}

    def rating(self, pixels, tokens):
        """Of pixels (3, S, S) and the numbers of tokens, a float."""
        rated = self.bert(tokens, self.vit(pixels.double()))[0]
        for layer in HEAD_LAYERS:
            rated = self.linear(f"{HEAD}{layer}", rated)
        return rated.item()

    def vit(self, pixels):
        kernel, bias = (self.tensors[f"{VISION}patch_embed.proj.{k}"] for k in ("weight", "bias"))
        patches = F.conv2d(pixels[None], kernel, bias, stride=PATCH)[0].flatten(1).T
        x = torch.cat([self.tensors[f"{VISION}cls_token"][0], patches])
        x = x + self.tensors[f"{VISION}pos_embed"][0]
        for block in (f"{VISION}blocks.{number}" for number in range(LAYERS)):
            qkv = self.linear(f"{block}.attn.qkv", self.norm(f"{block}.norm1", x, 1e-6))
            x = x + self.linear(f"{block}.attn.proj", attend(*qkv.chunk(3, -1), VISION_HEADS))
            inner = self.linear(f"{block}.mlp.fc1", self.norm(f"{block}.norm2", x, 1e-6))
            x = x + self.linear(f"{block}.mlp.fc2", F.gelu(inner))
        return self.norm(f"{VISION}norm", x, 1e-6)

    def bert(self, tokens, seen):
        words = self.tensors[f"{TEXT}embeddings.word_embeddings.weight"][tokens]
        places = self.tensors[f"{TEXT}embeddings.position_embeddings.weight"][: len(tokens)]
        x = self.norm(f"{TEXT}embeddings.LayerNorm", words + places, 1e-12)
        for layer in (f"{TEXT}encoder.layer.{number}" for number in range(LAYERS)):
            for kind, source in (("attention", None), ("crossattention", seen)):
                attention, to = f"{layer}.{kind}", x if source is None else source
                query = self.linear(f"{attention}.self.query", x)
                key, value = (self.linear(f"{attention}.self.{k}", to) for k in ("key", "value"))
                out = self.linear(
                    f"{attention}.output.dense", attend(query, key, value, TEXT_HEADS)
                )
                x = self.norm(f"{attention}.output.LayerNorm", x + out, 1e-12)
            inner = F.gelu(self.linear(f"{layer}.intermediate.dense", x))
            out = self.linear(f"{layer}.output.dense", inner)
            x = self.norm(f"{layer}.output.LayerNorm", x + out, 1e-12)
        return x

    def linear(self, name, x):
        return F.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def norm(self, name, x, eps):
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


def attend(query, key, value, heads):
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(0, 1) for x in (query, key, value))
    shares = (query @ key.mT / query.shape[-1] ** 0.5).softmax(dim=-1)
    return (shares @ value).transpose(0, 1).flatten(1)


def test_the_reward_is_what_the_published_equations_say(tmp_path):
    """Of padded batches in float32, beside one prompt at a time, without padding, in float64."""
    random = np.random.default_rng(0)
    shapes = [(20, 20, 3), (64, 1, 3), (30, 41, 3), (9, 50, 3)]
    images = [random.integers(0, 256, shape, np.uint8) for shape in shapes]
    prompts = ["a cat", "a dog on a mat", "a sign, with a word?", "x" * 200]
    published = write_small_imagereward(tmp_path)
    reference, tokenizer = Reference(small_tensors()), read_tokenizer(Path(published["tokenizer"]))
    wanted = []
    for image, prompt in zip(images, prompts, strict=True):
        tokens = tokenizer(prompt, truncation=True, max_length=35)["input_ids"]
        rating = reference.rating(as_openai(image, SIDE), tokens)
        wanted.append((rating - 0.16717362830052426) / 1.0333394966054072)
    samples = [Sample(image, prompt) for image, prompt in zip(images, prompts, strict=True)]
    reward = ImageReward(**published, device="cpu", batch=3)
    found = [score.value for score in reward.score(samples)]
    assert found == pytest.approx(wanted, abs=1e-4)
    assert np.std(found) > 0.05
