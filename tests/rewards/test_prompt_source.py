import itertools
import math
import random
from collections import Counter
from typing import ClassVar

import pytest

from tdmr1.rewards.prompt_source import PromptSource, draw_prompts, shuffled
from tdmr1.rewards.prompts import PromptLine


class Numbers(PromptSource):
    """Ten small numbers, and a hundred large ones; "+7" asks for what "7" asks for."""

    shares: ClassVar = {"small": 1, "large": 3}

    def prompts(self, tag, rng):
        for number in shuffled(20 if tag == "small" else 100, rng):
            sign = "+" if tag == "small" and number % 2 else ""
            value = number // 2 if tag == "small" else 100 + number
            yield PromptLine(f"{sign}{value}", {"tag": tag})

    def asks(self, prompt):
        return int(prompt.text)


def tags_of(prompts):
    return Counter(prompt.metadata["tag"] for prompt in prompts)


def test_tags_have_their_shares_in_every_stretch():
    found = draw_prompts(Numbers(), 40, seed=0)
    for start in range(0, 40, 4):
        assert tags_of(found[start : start + 4]) == {"small": 1, "large": 3}


def test_a_tag_that_has_no_more_leaves_its_share_to_the_others():
    assert tags_of(draw_prompts(Numbers(), 60, seed=0)) == {"small": 10, "large": 50}


def test_nothing_is_asked_twice_and_all_there_is_is_found():
    found = draw_prompts(Numbers(), 1000, seed=0)
    assert sorted(int(prompt.text) for prompt in found) == [*range(10), *range(100, 200)]


def test_a_seed_says_which_and_more_begin_with_fewer():
    few = draw_prompts(Numbers(), 30, seed=1)
    assert few == draw_prompts(Numbers(), 90, seed=1)[:30]
    assert few != draw_prompts(Numbers(), 30, seed=2)


def test_what_a_known_prompt_asks_is_not_asked_in_whatever_words():
    known = [PromptLine(f"{number:+}", {}) for number in (3, 4, 150)]
    found = {int(prompt.text) for prompt in draw_prompts(Numbers(), 1000, 0, known)}
    assert found == {*range(10), *range(100, 200)} - {3, 4, 150}


def test_a_known_text_is_not_repeated_whatever_it_asks():
    class Blind(Numbers):
        def asks(self, prompt):
            return prompt.text, len(prompt.metadata)

    known = [PromptLine("150", {"a": 1, "b": 2})]
    assert "150" not in {prompt.text for prompt in draw_prompts(Blind(), 1000, 0, known)}


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_shuffled_is_every_number_once(count):
    assert sorted(shuffled(count, random.Random(0))) == [*range(count)]


def test_every_order_is_as_likely_as_every_other():
    rng, draws = random.Random(0), 6000
    orders = Counter(tuple(shuffled(4, rng)) for _ in range(draws))
    assert orders.keys() == set(itertools.permutations(range(4)))
    expected = draws / 24
    assert max(abs(n - expected) for n in orders.values()) < 5 * math.sqrt(expected)


def test_a_few_of_very_many_cost_nothing():
    assert len({*itertools.islice(shuffled(10**30, random.Random(0)), 5)}) == 5
