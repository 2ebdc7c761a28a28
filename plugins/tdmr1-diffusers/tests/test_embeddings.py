import pytest
import torch

from tdmr1.core.generator import Condition
from tdmr1.errors import UserError
from tdmr1_diffusers import embeddings
from tdmr1_diffusers.embeddings import EmbeddingCache, fingerprint


def embedding(value=1.0, dtype=torch.bfloat16):
    return Condition(torch.full((1, 3, 2), value, dtype=dtype), torch.zeros(1, 0, dtype=dtype))


def test_what_was_put_is_got_to_the_bit(tmp_path):
    for folder in (None, tmp_path):
        cache = EmbeddingCache("f", folder)
        assert cache.get("a") is None and "a" not in cache
        cache.put("a", embedding())
        assert "a" in cache
        assert torch.equal(cache.get("a").tokens, embedding().tokens)
    found = EmbeddingCache("f", tmp_path).get("a")
    assert torch.equal(found.tokens, embedding().tokens)
    assert found.tokens.dtype == torch.bfloat16
    assert found.pooled.shape == (1, 0)


def test_other_encoders_have_other_embeddings(tmp_path):
    EmbeddingCache("f", tmp_path).put("a", embedding())
    assert "a" not in EmbeddingCache("g", tmp_path)
    assert "b" not in EmbeddingCache("f", tmp_path)


def test_memory_keeps_the_last_ones(monkeypatch, tmp_path):
    monkeypatch.setattr(embeddings, "KEPT", 2)
    for folder, known in ((None, False), (tmp_path, True)):
        cache = EmbeddingCache("f", folder)
        for prompt in "abc":
            cache.put(prompt, embedding())
            cache.get("a")
        assert "a" in cache and "c" in cache
        assert ("b" in cache) == known


def test_a_damaged_file_says_what_to_delete(tmp_path):
    EmbeddingCache("f", tmp_path).put("a", embedding())
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(UserError, match=rf"damaged .*delete it: rm {path}"):
        EmbeddingCache("f", tmp_path).get("a")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot keep embeddings in .*file"):
        EmbeddingCache("f", tmp_path / "file")


def test_a_fingerprint_is_of_the_content(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name / "text_encoder").mkdir(parents=True)
        (tmp_path / name / "text_encoder" / "weights").write_bytes(bytes(1 << 20))
    first = fingerprint(tmp_path / "one", ["text_encoder"], 256)
    assert first == fingerprint(tmp_path / "other", ["text_encoder"], 256)
    assert first != fingerprint(tmp_path / "one", ["text_encoder"], 128)
    weights = tmp_path / "other" / "text_encoder" / "weights"
    for spoilt in (bytes((1 << 20) - 1) + b"x", bytes((1 << 20) - 1)):
        weights.write_bytes(spoilt)
        assert first != fingerprint(tmp_path / "other", ["text_encoder"], 256)
