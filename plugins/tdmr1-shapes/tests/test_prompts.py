import numpy as np
import pytest

from tdmr1_shapes import prompts
from tdmr1_shapes.text import tokenize
from tdmr1_shapes.world import COLORS, GENEVAL_TAGS, RELATIONS, TAGS


def test_the_train_and_heldout_prompts_are_disjoint_and_cover_every_tag():
    train, heldout = prompts.split("train"), prompts.split("heldout")
    assert not {p.text for p in train} & {p.text for p in heldout}
    assert {p.tag for p in train} == {p.tag for p in heldout} == set(TAGS)


@pytest.mark.parametrize("tag", TAGS)
def test_twelve_prompts_of_every_tag_are_held_out(tag):
    heldout = [p for p in prompts.split("heldout") if p.tag == tag]
    assert len({p.text for p in heldout}) == len(heldout) >= 12
    tokens = {tuple(tokenize(p.text)) for p in prompts.split("train")}
    assert not any(tuple(tokenize(p.text)) in tokens for p in heldout)


@pytest.mark.parametrize("tag", ["single_object", "two_object", "counting"])
def test_held_out_prompts_that_say_colours_ask_what_those_without_do(tag):
    asked = [p.metadata for p in prompts.every(tag)]
    heldout = [p for p in prompts.split("heldout") if p.tag == tag]
    assert all(p.metadata in asked for p in heldout)
    coloured = [p for p in heldout if COLORS.keys() & p.text.split()]
    assert 0 < len(coloured) < len(heldout)
    assert COLORS.keys() <= {word for p in coloured for word in p.text.split()}


def test_a_split_is_the_same_every_time():
    assert prompts.split("heldout") == prompts.split("heldout")


@pytest.mark.parametrize("name", ["train", "heldout"])
def test_every_count_colour_and_relation_is_in_both_sets(name):
    clauses = [c for p in prompts.split(name) for c in p.metadata.get("include", [])]
    assert {c["count"] for c in clauses} == {1, 2, 3, 4}
    assert {c.get("color") for c in clauses} == {None, *COLORS}
    assert {c["position"][0] for c in clauses if "position" in c} == set(RELATIONS)


@pytest.mark.parametrize("tag", ["two_object", "counting", "position"])
def test_held_out_prompts_are_not_all_about_one_shape(tag):
    said = [p.text.split() for p in prompts.split("heldout") if p.tag == tag]
    subjects = [text[4] for text in said]
    assert max(subjects.count(word) for word in subjects) <= -(-len(said) // 3)


@pytest.mark.parametrize("tag", GENEVAL_TAGS)
def test_geneval_metadata_names_what_the_prompt_says(tag):
    for prompt in prompts.every(tag):
        for clause in prompt.metadata["include"]:
            assert clause["class"] in prompt.text
            assert clause.get("color", "") in prompt.text
            assert clause.get("position", [""])[0] in prompt.text


def test_counting_excludes_one_more():
    prompt = prompts.counting("star", 3)
    assert prompt.text == "a photo of three stars"
    assert prompt.metadata["exclude"] == [{"class": "star", "count": 4}]


def test_sign_words_are_two_to_four_capitals():
    rng = np.random.default_rng(0)
    words = [prompts.random_word(rng) for _ in range(200)]
    assert all(word.isalpha() and word.isupper() for word in words)
    assert {len(word) for word in words} == {2, 3, 4}


def test_a_coloured_caption_asks_the_same_about_things_of_one_colour_each():
    rng = np.random.default_rng(0)
    prompt = prompts.with_colors(prompts.position("star", "left of", "circle"), rng)
    circle, star = prompt.metadata["include"]
    assert prompt.text == (
        f"a photo of {prompts.article(star['color'])} {star['color']} star left of "
        f"{prompts.article(circle['color'])} {circle['color']} circle"
    )
    counted = prompts.with_colors(prompts.counting("star", 3), rng)
    assert counted.text == f"a photo of three {counted.metadata['include'][0]['color']} stars"
    assert prompts.with_colors(prompts.sign("AB"), rng) == prompts.sign("AB")


def test_a_caption_that_says_colours_is_left_alone():
    prompt = prompts.colors("star", "red")
    assert prompts.with_colors(prompt, np.random.default_rng(0)) == prompt
