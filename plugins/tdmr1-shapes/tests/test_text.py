import pytest
import torch

from tdmr1_shapes import prompts
from tdmr1_shapes.text import LENGTH, TextEncoder, UnknownWord, tokenize
from tdmr1_shapes.world import TAGS


@pytest.mark.parametrize("tag", TAGS)
def test_every_prompt_has_tokens_of_its_own(tag):
    choices = [prompt.text for prompt in prompts.every(tag)]
    tokens = [tuple(tokenize(text)) for text in choices]
    assert len(set(tokens)) == len(choices)
    assert {len(ids) for ids in tokens} == {LENGTH}


def test_plural_and_singular_are_one_word():
    assert tokenize("star") == tokenize("stars")


@pytest.mark.parametrize("pair", ["“”", "„“", "«»", "「」"])
def test_quotation_marks_are_those_of_any_keyboard(pair):
    assert tokenize(f"a sign that says {pair[0]}AB{pair[1]}") == tokenize('a sign that says "AB"')


def test_an_unknown_word_is_named_beside_the_known_ones():
    with pytest.raises(UnknownWord, match=r"'elephant'.*circle"):
        tokenize("a photo of an elephant")
    with pytest.raises(UnknownWord, match="takes 7"):
        tokenize('a sign that says "ABCDEFGH"')


def test_embeddings_depend_on_the_order_of_words():
    encoder = TextEncoder(width=16, heads=2)
    with torch.no_grad():
        tokens, pooled = encoder(["red circle blue square", "blue circle red square", ""])
    assert tokens.shape == (3, LENGTH, 16) and pooled.shape == (3, 16)
    assert (tokens[0] - tokens[1]).abs().max() > 1e-3
