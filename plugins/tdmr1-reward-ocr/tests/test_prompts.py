import re
from collections import Counter
from statistics import median

import pytest

from tdmr1.rewards.prompt_source import draw_prompts
from tdmr1.rewards.prompts import PromptLine
from tdmr1_reward_ocr.definition import Definition
from tdmr1_reward_ocr.prompts import LONGEST, OcrPrompts
from tdmr1_reward_ocr.vocabulary import SCENES, SLOTS

SOURCE = OcrPrompts()


@pytest.fixture(scope="module")
def prompts():
    return draw_prompts(SOURCE, 1000, seed=0)


@pytest.fixture(scope="module")
def texts(prompts):
    return [re.findall('"([^"]*)"', prompt.text)[0] for prompt in prompts]


def test_each_quotes_one_text_that_the_reward_reads(prompts, texts):
    for prompt, text in zip(prompts, texts, strict=True):
        assert prompt.text.count('"') == 2
        definition = Definition(targets="all")
        assert definition.targets_of(prompt.text) == [definition.normalise(text)]


def test_no_text_is_asked_for_twice(texts):
    assert len({text.lower().replace(" ", "") for text in texts}) == len(texts) == 1000


def test_texts_are_as_those_of_the_published_set(prompts, texts):
    lengths = [len(text) for text in texts]
    assert min(lengths) >= 2 and max(lengths) <= LONGEST and 12 <= median(lengths) <= 20
    words = Counter(len(text.split()) for text in texts)
    assert 0.8 < sum(words[n] for n in (2, 3, 4)) / 1000 < 0.95
    figures = [any(map(str.isdigit, text)) for text in texts]
    assert 0.2 < sum(figures) / 1000 < 0.26
    assert 25 <= median(len(prompt.text.split()) for prompt in prompts) <= 38
    assert 0.02 < sum(text.isupper() for text in texts) / 1000 < 0.2


def test_tags_say_what_is_quoted(prompts, texts):
    for prompt, text in zip(prompts, texts, strict=True):
        figures, words = any(map(str.isdigit, text)), len(text.split())
        kind = "number" if figures else "word" if words == 1 else "phrase"
        assert prompt.metadata == {"tag": kind}
    assert Counter(prompt.metadata["tag"] for prompt in prompts) == {
        "phrase": 730,
        "number": 230,
        "word": 40,
    }


def test_scenes_vary(prompts):
    without = {re.sub('"[^"]*"', "", prompt.text) for prompt in prompts}
    assert len(without) > 950
    beginnings = Counter(" ".join(prompt.text.split()[:2]) for prompt in prompts)
    assert len(beginnings) >= 10 and max(beginnings.values()) < 250


def test_a_text_of_the_test_is_not_asked_for_in_another_scene(prompts, texts):
    known = [PromptLine(f'a sign that says "{text.upper()}"', {}) for text in texts[:500]]
    found = draw_prompts(SOURCE, 1000, 0, [*known, PromptLine("a red star", {})])
    assert not {*map(SOURCE.asks, found)} & {*map(SOURCE.asks, known)}
    assert len(found) == 1000


def test_there_are_as_many_as_published():
    assert len(draw_prompts(SOURCE, 20_000, seed=1)) == 20_000


def test_every_slot_of_a_pattern_has_words_and_every_word_a_pattern():
    used = {
        slot
        for scene in SCENES
        for patterns in scene.patterns.values()
        for pattern in patterns
        for slot in re.findall(r"{(\w+)}", pattern)
    }
    assert used == SLOTS.keys()
    for scene in SCENES:
        assert scene.patterns.keys() == SOURCE.shares.keys()
    for words in SLOTS.values():
        assert len({*words}) == len(words) > 4
