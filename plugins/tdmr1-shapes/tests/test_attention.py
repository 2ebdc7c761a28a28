"""Attention and pointwise parts, against diffusers' and PyTorch's own."""

import pytest
import torch
from diffusers.models.attention_processor import JointAttnProcessor2_0
from torch.nn import functional

from tdmr1_shapes.attention import attention
from tdmr1_shapes.model import Architecture, Teacher
from tdmr1_shapes.pointwise import gelu, rms_norm


def both(ours, theirs, *inputs):
    """Result and gradients of each."""
    found = []
    for function in (ours, theirs):
        here = [x.detach().clone().requires_grad_() for x in inputs]
        result = function(*here)
        result.backward(torch.linspace(-1, 1, result.numel()).reshape(result.shape).to(result))
        found.append((result, *(x.grad for x in here)))
    return found


def test_gelu_and_norm_are_pytorchs():
    x, weight = torch.randn(4, 3, 8, dtype=torch.float64), torch.rand(8, dtype=torch.float64)
    # Sums of the norm are in float32.
    torch.testing.assert_close(
        *both(
            lambda x: rms_norm(x, weight, 1e-6),
            lambda x: functional.rms_norm(x, (8,), weight, 1e-6),
            x,
        ),
        rtol=1e-6,
        atol=1e-6,
    )
    torch.testing.assert_close(
        *both(gelu, lambda x: functional.gelu(x, approximate="tanh"), 3 * x),
    )


def test_gelu_of_large_numbers_is_finite():
    x = torch.tensor([-1e4, -30.0, 0.0, 1e4], dtype=torch.bfloat16, requires_grad=True)
    y = gelu(x)
    y.sum().backward()
    assert y.tolist() == [0, 0, 0, x[3].item()]
    assert x.grad.tolist() == [0, 0, 0.5, 1]


def test_attention_is_pytorchs():
    query, key, value = torch.randn(3, 2, 3, 24, 16, dtype=torch.float64).unbind()
    true = functional.scaled_dot_product_attention(query, key, value)
    here = [x.bfloat16() for x in (query, key, value)]
    errors = [
        float((f(*here).double() - true).norm() / true.norm())
        for f in (attention, functional.scaled_dot_product_attention)
    ]
    assert errors[0] < 1.5 * errors[1] < 0.02


@pytest.mark.parametrize("autocast", [False, True])
def test_the_network_is_diffusers_own(autocast):
    torch.manual_seed(0)
    ours = Teacher.new(Architecture(width=24, layers=2, heads=2)).network
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    theirs = type(ours).from_config(ours.config)
    theirs.load_state_dict(ours.state_dict())
    assert isinstance(next(iter(theirs.attn_processors.values())), JointAttnProcessor2_0)
    x, tokens = torch.randn(2, 32, 8, 8), torch.randn(2, 8, 24)
    pooled, time = torch.randn(2, 24), torch.tensor([100.0, 900.0])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        results = [
            each(x, tokens, pooled, time, return_dict=False)[0].float() for each in (ours, theirs)
        ]
    error = float((results[0] - results[1]).norm() / results[1].norm())
    assert error < (0.05 if autocast else 1e-5)
