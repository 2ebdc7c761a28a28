import torch

from tdmr1.core.generator import Condition


def test_a_condition_is_indexed_repeated_and_joined_by_prompt():
    condition = Condition(torch.randn(3, 2, 4), torch.randn(3, 5))
    repeated = condition.repeat(2)
    assert len(repeated.tokens) == len(repeated.pooled) == 6
    for i in range(6):
        assert torch.equal(repeated.tokens[i], condition.tokens[i // 2])
        assert torch.equal(repeated.pooled[i], condition.pooled[i // 2])
    index = torch.tensor([2, 0])
    joined = Condition.cat([condition[index], condition[1:2]])
    assert torch.equal(joined.tokens, condition.tokens[[2, 0, 1]])
    assert torch.equal(joined.pooled, condition.pooled[[2, 0, 1]])
