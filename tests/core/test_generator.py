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


def test_shorter_prompts_are_padded_to_the_longest_and_masked():
    short, long = Condition(torch.ones(1, 2, 4), torch.ones(1, 0)), torch.ones(2, 3, 4)
    both = Condition.cat([short, Condition(long, torch.ones(2, 0))])
    assert both.mask.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    assert torch.equal(both.tokens[..., 0], both.mask.float())
    assert both.pooled.shape == (3, 0)
    assert torch.equal(both[1:].mask, both.mask[1:])
    assert both.repeat(2).mask.sum(1).tolist() == [2, 2, 3, 3, 3, 3]
    longer = Condition.cat([both, Condition(torch.ones(1, 5, 4), torch.ones(1, 0))])
    assert longer.mask.sum(1).tolist() == [2, 3, 3, 5]
