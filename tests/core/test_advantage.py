import math

import pytest
import torch

from tdmr1.core.advantage import (
    Feedback,
    combined_advantage,
    group_advantage,
    groups_without_signal,
    rank_agreement,
)

GROUP = torch.arange(3).repeat_interleave(5)
ALL = torch.ones(15, dtype=torch.bool)


@pytest.fixture
def values():
    return torch.rand(15)


@pytest.mark.parametrize("std", ["batch", "group"])
def test_advantages_sum_to_zero_in_every_group_and_keep_its_order(values, std):
    advantage = group_advantage(values, ALL, GROUP, std).view(3, 5)
    torch.testing.assert_close(advantage.sum(1), torch.zeros(3), atol=1e-5, rtol=0)
    assert torch.equal(advantage.argsort(1), values.view(3, 5).argsort(1))


def test_deviation_is_the_batch_or_the_group(values):
    values[:5] *= 1e3
    centered = values.view(3, 5) - values.view(3, 5).mean(1, keepdim=True)
    by_batch = (centered / (values.std(correction=0) + 1e-4)).clamp(-5, 5).flatten()
    torch.testing.assert_close(group_advantage(values, ALL, GROUP, "batch"), by_batch)
    std = values.view(3, 5).std(1, keepdim=True, correction=0)
    by_group = (centered / (std + 1e-4)).flatten()
    torch.testing.assert_close(group_advantage(values, ALL, GROUP, "group"), by_group)


@pytest.mark.parametrize("std", ["batch", "group"])
@pytest.mark.parametrize("nothing", [0.0, 1e9, float("nan"), float("inf")])
def test_a_sample_without_a_score_takes_no_part(values, std, nothing):
    scored = ALL.clone()
    scored[[0, 7, 10, 11, 12, 13, 14]] = False
    values[~scored] = nothing
    advantage = group_advantage(values, scored, GROUP, std)
    assert (advantage[~scored] == 0).all()
    alone = group_advantage(values[scored], ALL[scored], GROUP[scored], std)
    torch.testing.assert_close(advantage[scored], alone)


@pytest.mark.parametrize("std", ["batch", "group"])
def test_a_constant_group_gets_exact_zeros(values, std):
    values[:5] = 0.1
    advantage = group_advantage(values, ALL, GROUP, std)
    assert (advantage[:5] == 0).all()
    assert groups_without_signal(advantage, GROUP) == pytest.approx(1 / 3)
    assert (group_advantage(torch.full((15,), 0.7), ALL, GROUP, std) == 0).all()


def test_advantages_are_clipped():
    values, group = torch.zeros(200), torch.zeros(200, dtype=torch.int64)
    values[0] = 1
    advantage = group_advantage(values, torch.ones(200, dtype=torch.bool), group)
    assert advantage.max() == 5
    assert (group_advantage(-values, torch.ones(200, dtype=torch.bool), group).min()) == -5


def test_rewards_are_weighted_and_each_masked_on_its_own(values):
    scored = ALL.clone()
    scored[:5] = False
    first = Feedback("first", values, ALL, weight=2.0)
    second = Feedback("second", torch.rand(15), scored, weight=0.5)
    combined = combined_advantage([first, second], GROUP)
    parts = [group_advantage(f.values, f.scored, GROUP) for f in (first, second)]
    torch.testing.assert_close(combined, 2 * parts[0] + 0.5 * parts[1])
    torch.testing.assert_close(combined[:5], 2 * parts[0][:5])


def feedback(*rewards, scored=ALL, **more):
    return [Feedback(str(i), r, scored, **more) for i, r in enumerate(rewards)]


@pytest.mark.parametrize("std", ["batch", "group"])
def test_grpo_normalizes_the_weighted_sum(values, std):
    other = torch.rand(15) * 100
    rewards = [Feedback("a", values, ALL, weight=2.0), Feedback("b", other, ALL, weight=0.5)]
    expected = group_advantage(2 * values + 0.5 * other, ALL, GROUP, std)
    torch.testing.assert_close(combined_advantage(rewards, GROUP, std, "grpo"), expected)


@pytest.mark.parametrize("std", ["batch", "group"])
def test_one_reward_of_weight_1_is_mixed_alike_both_ways(values, std):
    scored = ALL.clone()
    scored[[1, 5, 6, 7, 8, 9]] = False
    both = [
        combined_advantage(feedback(values, scored=scored), GROUP, std, mix)
        for mix in ("gdpo", "grpo")
    ]
    torch.testing.assert_close(*both)


def test_gdpo_hears_a_quiet_reward_beside_a_loud_one_and_grpo_does_not():
    quiet = torch.tensor([0.1, 0.9, 0.5, 0.3, 0.7] * 3)
    loud = torch.tensor([2e4, 1e4, 5e4, 4e4, 3e4] * 3)

    def heard(mix):
        advantage = combined_advantage(feedback(quiet, loud), GROUP, mix=mix)
        return rank_agreement(advantage, quiet, GROUP)

    assert heard("grpo") == rank_agreement(loud, quiet, GROUP)
    assert heard("gdpo") > heard("grpo")


def test_in_a_sum_a_missing_reward_moves_its_sample_neither_up_nor_down(values):
    scored = ALL.clone()
    scored[[2, 10, 11, 12, 13, 14]] = False  # one of the first group, all of the last
    other = torch.rand(15).masked_fill(~scored, float("nan"))
    rewards = [Feedback("a", values, ALL), Feedback("b", other, scored)]
    filled = other.clone()
    filled[2] = other[[0, 1, 3, 4]].mean()
    filled[10:] = other[scored].mean()
    expected = group_advantage(values + filled, ALL, GROUP)
    torch.testing.assert_close(combined_advantage(rewards, GROUP, mix="grpo"), expected)


@pytest.mark.parametrize("mix", ["gdpo", "grpo"])
@pytest.mark.parametrize("std", ["batch", "group"])
@pytest.mark.parametrize("offset", [2.0**27, -(2.0**27), 2.0**40])
def test_a_constant_added_to_a_reward_changes_no_bit(std, mix, offset):
    scored = ALL.clone()
    scored[[2, 10, 11, 12, 13, 14]] = False
    values, other = torch.randint(0, 1024, (2, 15)).double() / 1024
    gated = torch.rand(15) < 0.2

    def advantage(added):
        rewards = [
            Feedback("a", values + added, ALL, 0.3, gated),
            Feedback("b", (other + added).masked_fill(~scored, 0), scored, 0.7, gated),
        ]
        return combined_advantage(rewards, GROUP, std, mix)

    assert advantage(0.0).abs().max() > 0.1
    assert torch.equal(advantage(offset), advantage(0.0))


@pytest.mark.parametrize("mix", ["gdpo", "grpo"])
@pytest.mark.parametrize("std", ["batch", "group"])
def test_so_it_does_where_the_sum_is_rounded_but_for_the_rounding(values, std, mix):
    values = values.double()
    near = combined_advantage(feedback(values + 1e8), GROUP, std, mix)
    advantage = combined_advantage(feedback(values), GROUP, std, mix)
    torch.testing.assert_close(near, advantage, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mix", ["gdpo", "grpo"])
@pytest.mark.parametrize("std", ["batch", "group"])
@pytest.mark.parametrize("size", [1e30, -1e30, 1e100])
def test_scores_of_any_size_are_told_apart(values, std, mix, size):
    values = values.double()
    large = combined_advantage(feedback(size * (1e3 + values)), GROUP, std, mix)
    expected = combined_advantage(feedback(math.copysign(1e6, size) * values), GROUP, std, mix)
    torch.testing.assert_close(large, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mix", ["gdpo", "grpo"])
def test_what_no_reward_scored_gets_no_advantage(values, mix):
    scored = ALL.clone()
    scored[[0, 5, 6, 7, 8, 9]] = False
    values[~scored] = float("nan")
    advantage = combined_advantage(feedback(values, values * 3, scored=scored), GROUP, mix=mix)
    assert (advantage[~scored] == 0).all()
    assert (advantage[scored] != 0).all()


@pytest.mark.parametrize("mix", ["gdpo", "grpo"])
def test_a_gated_sample_is_worth_the_worst_of_its_group(values, mix):
    gated = torch.zeros(15, dtype=torch.bool)
    gated[[1, 2, 5, 6, 7, 8, 9]] = True  # two of the first group, all of the second
    scored = ALL.clone()
    scored[2] = False
    values[~scored] = float("nan")
    lowered = values.clone()
    lowered[1] = values[[0, 1, 3, 4]].min()
    lowered[5:10] = values[5:10].min()
    rewards = feedback(values, values.square(), scored=scored, gated=gated)
    expected = feedback(lowered, lowered.square(), scored=scored)
    advantage = combined_advantage(rewards, GROUP, mix=mix)
    torch.testing.assert_close(advantage, combined_advantage(expected, GROUP, mix=mix))
    assert advantage[1] == advantage[:5].min()
    assert advantage[2] == 0
    assert (advantage[5:10] == 0).all()


def test_rank_agreement_by_hand():
    two = torch.tensor([0, 0, 0, 1, 1, 1])
    truth = torch.tensor([1.0, 2.0, 3.0, 5.0, 5.0, 9.0])
    assert rank_agreement(truth.exp(), truth, two) == 1
    assert rank_agreement(-truth, truth, two) == -1
    # Ranks (1, 2, 3) against (1.5, 1.5, 3): covariance 1.5 / sqrt(2 * 1.5).
    estimate = torch.tensor([0.0, 0.0, 0.0, 1.0, 2.0, 3.0])
    assert rank_agreement(estimate, truth, two).item() == pytest.approx(1.5 / 3**0.5)


def test_rank_agreement_leaves_out_groups_that_rank_nothing():
    group = torch.tensor([0, 0, 1, 1, 2])
    truth = torch.tensor([1.0, 2.0, 3.0, 3.0, 4.0])
    assert rank_agreement(truth, truth, group) == 1
    assert rank_agreement(torch.zeros(5), truth, group).isnan()
