import torch

from tdmr1.core.generator import Condition


def test_a_condition_is_indexed_and_joined_by_prompt():
    condition = Condition(torch.randn(3, 2, 4), torch.randn(3, 5))
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
    twice = torch.tensor([0, 0, 1, 1, 2, 2])
    assert both.of(twice).copied().mask.sum(1).tolist() == [2, 2, 3, 3, 3, 3]
    longer = Condition.cat([both, Condition(torch.ones(1, 5, 4), torch.ones(1, 0))])
    assert longer.mask.sum(1).tolist() == [2, 3, 3, 5]


def test_samples_share_the_prompts_that_they_have():
    condition = Condition(torch.randn(3, 2, 4), torch.randn(3, 5))
    index = torch.tensor([2, 0, 0, 1, 2])
    shared = condition.of(index)
    assert len(shared) == 5
    for some in (shared[1:4], shared[torch.tensor([1, 2, 3])]):
        assert some.prompts is condition
        assert torch.equal(some.copied().tokens, condition.tokens[[0, 0, 1]])
        assert torch.equal(some.copied().pooled, condition.pooled[[0, 0, 1]])
