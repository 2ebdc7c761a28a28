import pytest
import torch

from tdmr1.rewards.models.linear_head import LAYERS, NAMES, linear_head

WIDTHS = (8, 6, 5, 4, 3, 1)


@pytest.fixture
def tensors():
    random = torch.Generator().manual_seed(0)
    found = {}
    for layer, before, after in zip(LAYERS, WIDTHS[:-1], WIDTHS[1:], strict=True):
        found[f"{layer}.weight"] = torch.randn(after, before, generator=random)
        found[f"{layer}.bias"] = torch.randn(after, generator=random)
    return found


def test_it_is_linear(tensors):
    head, one, other = linear_head(tensors, 8), torch.randn(8), torch.randn(8)
    zero, *values = head(torch.stack([torch.zeros(8), one, other, one + 2 * other]))
    torch.testing.assert_close(values[2] - zero, values[0] - zero + 2 * (values[1] - zero))


def test_another_head_is_told(tensors):
    assert tensors.keys() == NAMES
    with pytest.raises(ValueError, match="do not lead from 9 numbers to one"):
        linear_head(tensors, 9)
    tensors["4.weight"] = torch.ones(4, 7)
    with pytest.raises(ValueError, match="do not lead from 8 numbers to one"):
        linear_head(tensors, 8)
    del tensors["7.bias"]
    with pytest.raises(KeyError, match=r"7\.bias"):
        linear_head(tensors, 8)
