"""Tokenizer files from a small vocabulary, in the formats of CLIP, T5 and Qwen."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerBase, T5Tokenizer

WORDS = ("a", "and", "blue", "cat", "dog", "of", "photo", "red", "sign", "star", "three", "two")

QWEN_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
    "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}"
)
"""The turns of a chat as Qwen3 marks them."""


def write_clip_tokenizer(folder: Path, pad: str) -> int:
    """vocab.json, merges.txt and two configurations, as in SD3; the number of tokens.

    Args:
        folder: where to.
        pad: the padding token; CLIP-L and CLIP-G have different ones.
    """
    vocab, merges = _byte_pairs(list(WORDS), end="</w>")
    start, end = "<|startoftext|>", "<|endoftext|>"
    # The end token has the highest id: there CLIP takes its pooled vector from.
    vocab += [start, end]
    specials = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": pad}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **specials}
    _write_byte_pairs(folder, vocab, merges)
    _write_json(folder / "tokenizer_config.json", config)
    _write_json(folder / "special_tokens_map.json", specials)
    return len(vocab)


def write_qwen_tokenizer(folder: Path) -> int:
    """vocab.json, merges.txt and a configuration with a chat template; the number of tokens."""
    vocab, merges = _byte_pairs([f"Ġ{word}" for word in WORDS], end="")
    end, _, turn_end = QWEN_SPECIALS
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "model_max_length": 131072,
        "chat_template": CHAT_TEMPLATE,
        "eos_token": turn_end,
        "pad_token": end,
        "additional_special_tokens": list(QWEN_SPECIALS),
    }
    _write_byte_pairs(folder, [*vocab, *QWEN_SPECIALS], merges)
    _write_json(folder / "tokenizer_config.json", config)
    return len(vocab) + len(QWEN_SPECIALS)


def t5_tokenizer() -> PreTrainedTokenizerBase:
    """A unigram tokenizer; rare words fall into letters."""
    scores = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    scores += [(f"▁{word}", -3.0) for word in WORDS]
    known = {token for token, _ in scores}
    scores += [(c, -6.0) for c in string.printable if not c.isspace() and c not in known]
    return T5Tokenizer(vocab=scores, model_max_length=512)


def _byte_pairs(words: list[str], end: str) -> tuple[list[str], list[tuple[str, str]]]:
    """A byte-level vocabulary in which every word is one token, and its merges in order."""
    alphabet = sorted(ByteLevel.alphabet())
    vocab = alphabet + [char + end for char in alphabet if end]
    merges: list[tuple[str, str]] = []
    for word in words:
        left, *rest = [*word[:-1], word[-1] + end]
        for right in rest:
            if (left, right) not in merges:
                merges.append((left, right))
            left += right
            if left not in vocab:
                vocab.append(left)
    return vocab, merges


def _write_byte_pairs(folder: Path, vocab: list[str], merges: list[tuple[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "vocab.json", {token: index for index, token in enumerate(vocab)})
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
