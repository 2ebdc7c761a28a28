import pytest

from tdmr1_reward_vlm.watch import Watch

VARIED = (["a", "a", "b"], [0.1, 0.2, 0.3])
CONSTANT = (["a", "b", "c"], [0.5, 0.5, 0.5])
BLIND = (["a", "a", "b", "b"], [0.1, 0.1004, 0.7, 0.7])
"""One answer for each prompt, whatever its images."""


@pytest.mark.parametrize("batch", [CONSTANT, BLIND])
def test_the_third_batch_in_a_row_is_seen_and_once(batch):
    watch = Watch()
    assert [watch.sees(*batch) for _ in range(7)] == [False, False, True, *[False] * 4]


def test_an_answer_that_differs_begins_the_count_anew():
    watch = Watch()
    batches = [CONSTANT, BLIND, VARIED, BLIND, CONSTANT, BLIND]
    assert [watch.sees(*batch) for batch in batches] == [False] * 5 + [True]


def test_one_image_and_one_image_a_prompt_show_nothing():
    watch = Watch()
    alone, apart = (["a"], [0.5]), (["a", "b"], [0.5, 0.6])
    assert not any(watch.sees(*batch) for batch in [alone] * 4 + [apart] * 4)
    assert [watch.sees(*batch) for batch in [BLIND, alone, BLIND, alone, BLIND]][-1]
