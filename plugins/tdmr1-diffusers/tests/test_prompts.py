from types import SimpleNamespace

import pytest
import torch

from tdmr1.core.generator import Condition
from tdmr1_diffusers.embeddings import EmbeddingCache
from tdmr1_diffusers.prompts import PromptEncoder

GPU = torch.device("cuda")


class Part:
    """A text encoder that only knows where it is."""

    device = "cpu"

    def to(self, device):
        self.device = device.type


@pytest.fixture
def log():
    return {"read": 0, "encoded": [], "devices": [], "part": Part()}


@pytest.fixture
def new_encoder(log):
    """Its embeddings are the letters."""

    def new_encoder(placement="offload", folder=None):
        def read():
            log["read"] += 1
            return SimpleNamespace(
                components={"text_encoder": log["part"], "text_encoder_3": None, "vae": "no part"}
            )

        def embed(encoders, prompt, device):
            log["encoded"].append(prompt)
            log["devices"].append((log["part"].device, device.type))
            tokens = torch.tensor([[[float(ord(c))] for c in f"{prompt}."]])
            return Condition(tokens, tokens.new_zeros(1, 0))

        encoder = PromptEncoder(read, embed, placement, EmbeddingCache("of the test", folder))
        encoder.to(GPU)
        return encoder

    return new_encoder


def test_each_prompt_is_encoded_once(new_encoder, log):
    encoder = new_encoder()
    first = encoder(["a", "bc", "a"])
    again = encoder(["bc", "d"])
    assert log["encoded"] == ["a", "bc", "d"]
    assert log["read"] == 1
    assert first.tokens[:, :, 0].tolist() == [[97, 46, 0], [98, 99, 46], [97, 46, 0]]
    assert first.mask.sum(1).tolist() == [2, 3, 2]
    assert torch.equal(again.tokens[0], first.tokens[1])


@pytest.mark.parametrize(("placement", "between"), [("offload", "cpu"), ("keep", "cuda")])
def test_encoders_are_on_the_device_while_they_work(new_encoder, log, placement, between):
    encoder = new_encoder(placement)
    for prompt in "ab":
        encoder([prompt])
        assert log["part"].device == between
    assert log["devices"] == [("cuda", "cuda")] * 2
    assert log["read"] == 1


def test_freed_encoders_are_read_once_for_all_that_is_expected(new_encoder, log, tmp_path):
    encoder = new_encoder("free", tmp_path)
    encoder.expect(["a", "b"])
    assert log["encoded"] == ["", "a", "b"]
    encoder(["b", "a", ""])
    encoder.expect(["a"])
    assert log["read"] == 1
    encoder(["new"])
    assert log["read"] == 2


def test_what_is_kept_on_disk_is_not_encoded_by_another_run(new_encoder, log, tmp_path):
    first = new_encoder(folder=tmp_path)(["a", "bc"])
    again = new_encoder(folder=tmp_path)(["a", "bc"])
    assert log["encoded"] == ["a", "bc"]
    assert torch.equal(first.tokens, again.tokens)


def test_others_need_not_expect_anything(new_encoder, log):
    new_encoder().expect(["a"])
    assert log["read"] == 0
