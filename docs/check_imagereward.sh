#!/bin/sh
# Compares the reward imagereward with its authors' package, number by number: on eleven odd pictures and as many
# prompts, in the network's published sizes.
#
#     make install
#     sh docs/check_imagereward.sh
#
# Weights are random, so nothing is downloaded but packages: image-reward 1.5 runs in an environment of its own, with
# transformers 4.55.4, huggingface_hub 0.34.4, timm 0.6.13, setuptools 69.5.1, torch 2.13.0 and torchvision 0.28.0.
# Prints the difference of each reward, and fails if one is more than 1e-4, or a token differs.
# Needs pip, 7 GB of memory and 4 GB of disk, and some minutes; WORK=FOLDER keeps the environment for another time.
set -eu
. "$(dirname "$0")/authors/frame.sh"
environment "torch==2.13.0 transformers==4.55.4 huggingface_hub==0.34.4 numpy==2.3.5 pillow==12.0.0" \
    "torchvision==0.28.0 timm==0.6.13 fairscale==0.4.13 setuptools==69.5.1 image-reward==1.5"

cat > prepare.py <<'PYTHON'
from odd_pictures import odd_pictures, write

write(odd_pictures({
    "portrait": (640, 427),
    "landscape": (427, 640),
    "one-pixel-wide": (300, 1),
    "one-pixel-high": (1, 64),
    "one-pixel": (1, 1),
    "of-the-size": (224, 224),
    "three-too-high": (227, 224),
    "tiny": (5, 7),
}))
PYTHON

cat > theirs.py <<'PYTHON'
import importlib
import json
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import torch
import torchvision_names
from transformers import BertTokenizer, BertTokenizerFast

# Their modules alone: the rest of the package wants packages that nothing here needs.
(place,) = find_spec("ImageReward").submodule_search_locations
for name in ("", ".models", ".models.BLIP"):
    package = types.ModuleType(f"ImageReward{name}")
    package.__path__ = [place + name.replace(".", "/")]
    sys.modules[package.__name__] = package
pretrain = importlib.import_module("ImageReward.models.BLIP.blip_pretrain")
ImageReward = importlib.import_module("ImageReward.ImageReward").ImageReward

prompts = json.loads(Path("prompts.json").read_text())
# As many words as BERT has, its marks at their places; letters, so that whatever is read differs.
special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
letters = sorted({char for prompt in prompts.values() for char in prompt.lower() if not char.isspace()})
words = iter([f"{mark}{char}" for char in letters for mark in ("", "##")] + ["cat", "##ing", "sign"])
tokens = [special.get(i) or (next(words, None) if i > 998 else None) or f"[unused{i}]" for i in range(30522)]
Path("tokenizer").mkdir(exist_ok=True)
Path("tokenizer/vocab.txt").write_text("\n".join(tokens) + "\n")
BertTokenizerFast("tokenizer/vocab.txt").save_pretrained("tokenizer")


def init_tokenizer():
    """Theirs, of a folder instead of the Hub."""
    tokenizer = BertTokenizer("tokenizer/vocab.txt")
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    tokenizer.add_special_tokens({"additional_special_tokens": ["[ENC]"]})
    return tokenizer


pretrain.init_tokenizer = init_tokenizer
# What BERT's configuration has for the network; published as med_config.json.
bert = {
    "add_cross_attention": True, "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 768, "intermediate_size": 3072, "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0,
    "type_vocab_size": 2, "vocab_size": 30524, "encoder_width": 768,
}
Path("med_config.json").write_text(json.dumps(bert))
model = ImageReward(med_config="med_config.json").eval()
torch.manual_seed(0)
for name, weights in model.named_parameters():
    random = torch.randn_like(weights)
    scale = weights[0].numel() ** -0.5 if weights.ndim > 1 else 0.1
    weights.data = random * scale + ("norm" in name.lower() and name.endswith("weight"))
torch.save(model.state_dict(), "ImageReward.pt")

found = {}
with torch.no_grad():
    for name, prompt in prompts.items():
        read = model.blip.tokenizer(prompt, padding="max_length", truncation=True, max_length=35)
        found[name] = {
            "tokens": read.input_ids,
            "read": model.score(prompt, f"{name}-read.png"),
            "file": model.score(prompt, f"{name}.png"),
        }
Path("theirs.json").write_text(json.dumps(found))
PYTHON

cat > ours.py <<'PYTHON'
import json
from pathlib import Path

import numpy as np
from PIL import Image

from tdmr1.rewards import Sample
from tdmr1_reward_imagereward.reward import TOKENS, ImageReward

reward = ImageReward("ImageReward.pt", "tokenizer", device="cpu", batch=4)
prompts = json.loads(Path("prompts.json").read_text())
theirs = json.loads(Path("theirs.json").read_text())
images = [np.asarray(Image.open(f"{name}-read.png")) for name in prompts]
scores = reward.score([Sample(*of) for of in zip(images, prompts.values(), strict=True)])
failed = False
for (name, prompt), score in zip(prompts.items(), scores, strict=True):
    tokens = reward._tokenizer(prompt, padding="max_length", truncation=True, max_length=TOKENS)
    differ = sum(a != b for a, b in zip(tokens["input_ids"], theirs[name]["tokens"], strict=True))
    difference = abs(score.value - theirs[name]["read"])
    of_file = abs(theirs[name]["file"] - theirs[name]["read"])
    print(
        f"{name}: {score.value:.4f} differs by {difference:.1e}, {differ} of its tokens differ; "
        f"theirs of the file itself differs by {of_file:.1e}"
    )
    failed |= differ > 0 or not difference <= 1e-4
spread = np.std([score.value for score in scores])
print(f"standard deviation of the rewards: {spread:.2f}")
raise SystemExit(failed or not spread > 0.01)
PYTHON

cat > prompts.json <<'JSON'
{
    "portrait": "a photo of a cat", "landscape": "a sign that says “OPEN”", "one-pixel-wide": "naïve café №5",
    "one-pixel-high": "Tom &amp; Jerry's   house", "one-pixel": "多 文字 test", "of-the-size": "12345 cats, it's",
    "three-too-high": "word word word word word word word word word word word word word word word word word word",
    "tiny": "a\tb\nc", "noise": "cat 🐱! é", "alpha": "Ångström ½ ﬁ [ENC] [SEP]", "16-bits": "CAT's don’t"
}
JSON
compare
