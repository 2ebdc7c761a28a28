#!/bin/sh
# Compares the reward hpsv3 with its authors' package, number by number: on ten odd pictures and as many prompts, with
# the text that they ask, patches of the published size, and a small network.
#
#     make install
#     sh docs/check_hpsv3.sh
#
# Weights are random, so nothing is downloaded but packages: hpsv3 1.0.0 runs in an environment of its own, with
# transformers 4.45.2, torch 2.13.0 and torchvision 0.28.0. What it has for training (trl, deepspeed, ...) is left out.
# Prints the difference of each reward, and fails if one is more than 1e-4, or a token or a patch differs.
# Needs pip and 2 GB of disk; WORK=FOLDER keeps the environment for another time.
set -eu
. "$(dirname "$0")/authors/frame.sh"
environment "torch==2.13.0 transformers==4.45.2 numpy==1.26.4 pillow==12.0.0 setuptools" "torchvision==0.28.0 hpsv3==1.0.0"
[ -f hpsv3-1.0.0-py3-none-any.whl ] || theirs/bin/pip download --quiet --no-deps hpsv3==1.0.0

cat > prepare.py <<'PYTHON'
"""Odd pictures, and a small Qwen2-VL with patches of the published size."""

import json
from pathlib import Path

from odd_pictures import odd_pictures, write
from tdmr1_reward_hpsv3.small import write_small_base

write(odd_pictures({
    "portrait": (640, 427),
    "landscape": (427, 1640),
    "one-pixel-wide": (180, 1),
    "one-pixel-high": (1, 64),
    "one-pixel": (1, 1),
    "of-512": (512, 512),
    "of-768": (768, 768),
}))
file = write_small_base(Path("base")) / "config.json"
config = json.loads(file.read_text())
config["vision_config"] |= {"patch_size": 14, "spatial_patch_size": 14}
file.write_text(json.dumps(config))
PYTHON

cat > theirs.py <<'PYTHON'
import json
import sys
import types
from pathlib import Path

import torch
import torchvision_names

from safetensors.torch import save_file
from transformers import AutoTokenizer, Qwen2VLConfig, Qwen2VLProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor


class Anything(types.ModuleType):
    """Stands for a module of which nothing is used but that it can be imported."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


for name in [
    "matplotlib", "matplotlib.pyplot", "matplotlib.patches", "torch.utils.tensorboard", "pandas", "datasets", "peft",
    "trl", "hpsv3.train", "hpsv3.utils.parser", "hpsv3.utils.training_utils",
]:
    sys.modules[name] = Anything(name)
from hpsv3.inference import HPSv3RewardInferencer
from hpsv3.model.qwen2vl_trainer import Qwen2VLRewardModelBT

# As their create_model_and_processor and HPSv3_7B.yaml do, with a small configuration and in float32.
tokenizer = AutoTokenizer.from_pretrained("base", padding_side="right")
processor = Qwen2VLProcessor(Qwen2VLImageProcessor(), tokenizer, chat_template=tokenizer.chat_template)
tokenizer.add_special_tokens({"additional_special_tokens": ["<|Reward|>"]})
config = Qwen2VLConfig.from_pretrained("base", attn_implementation="sdpa")
config.use_cache = False
model = Qwen2VLRewardModelBT(
    config, output_dim=2, rm_head_type="ranknet",
    special_token_ids=tokenizer.convert_tokens_to_ids(["<|Reward|>"]),
)
model.resize_token_embeddings(len(tokenizer))
model.config.pad_token_id = tokenizer.pad_token_id
torch.manual_seed(0)
for name, weights in model.named_parameters():
    random = torch.randn_like(weights)
    scale = 1.0 if "embed_tokens" in name else weights[0].numel() ** -0.5 if weights.ndim > 1 else 0.1
    weights.data = random * scale + ("norm" in name or "ln_q" in name) * name.endswith("weight")
save_file(model.state_dict(), "HPSv3.safetensors")

inferencer = HPSv3RewardInferencer.__new__(HPSv3RewardInferencer)
inferencer.model, inferencer.processor, inferencer.device = model.eval(), processor, "cpu"
inferencer.use_special_tokens = True
prompts = json.loads(Path("prompts.json").read_text())
files, texts = [f"{name}-read.png" for name in prompts], [*prompts.values()]
batch = inferencer.prepare_batch(files, texts)
with torch.no_grad():
    rewards = inferencer.reward(image_paths=files, prompts=texts)
torch.save({"rewards": rewards[:, 0].contiguous(), "tokens": batch["input_ids"], "patches": batch["pixel_values"]}, "theirs.pt")
PYTHON

cat > ours.py <<'PYTHON'
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tdmr1.rewards import Sample
from tdmr1_reward_hpsv3.patches import as_hpsv3
from tdmr1_reward_hpsv3.reward import Hpsv3

theirs = torch.load("theirs.pt", weights_only=True)
prompts = json.loads(Path("prompts.json").read_text())
images = [np.asarray(Image.open(f"{name}-read.png")) for name in prompts]
wheel = "hpsv3-1.0.0-py3-none-any.whl"
reward = Hpsv3("HPSv3.safetensors", "base", wheel, device="cpu", dtype="float32", batch=4)
patches = [as_hpsv3(image, 14, 2).pixels for image in images]
tokens = reward._chat.turns([len(of) // 4 for of in patches], [*prompts.values()]).tokens
differ = (torch.cat(patches) - theirs["patches"]).abs().max().item()
print(f"patches differ by {differ:.1e}, {int((tokens != theirs['tokens']).sum())} tokens differ")
failed = differ > 0 or not torch.equal(tokens, theirs["tokens"])
scores = reward.score([Sample(*of) for of in zip(images, prompts.values(), strict=True)])
for name, score, wanted in zip(prompts, scores, theirs["rewards"].tolist(), strict=True):
    print(f"{name}: {score.value:.5f} differs by {abs(score.value - wanted):.1e}")
    failed |= not abs(score.value - wanted) <= 1e-4
spread = np.std([score.value for score in scores])
print(f"standard deviation of the rewards: {spread:.3f}")
raise SystemExit(failed or not spread > 0.01)
PYTHON

cat > prompts.json <<'JSON'
{
    "portrait": "a photo of a cat", "landscape": "a sign that says “OPEN”", "one-pixel-wide": "naïve café №5",
    "one-pixel-high": "Tom &amp; Jerry's   house", "one-pixel": "多 文字 test", "of-512": "12345 cats, it's",
    "of-768": "word word word {braces} word", "noise": "cat 🐱! é", "alpha": "Ångström ½ ﬁ", "16-bits": "don’t\n stop"
}
JSON
compare
