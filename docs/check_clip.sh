#!/bin/sh
# Compares what the rewards of CLIP do here with what the authors' packages do, number by number: on eleven
# odd pictures, as prepared by torchvision (which the package clip uses), open_clip, hpsv2, and transformers'
# processor on Pillow (which PickScore's authors use); scores of those pictures by `pickscore` itself, beside its
# authors' lines with transformers' model and processor; the network of a checkpoint in open_clip's layout; the
# tokens of prompts; GenEval's colours, by the rule of its evaluator; and a feature space of a model that open_clip
# knows, whose weights lie in a cache of the Hub.
#
#     make install
#     sh docs/check_clip.sh
#
# Weights are small and random, so nothing is downloaded but packages: open_clip_torch 3.3.0, hpsv2 1.2.0,
# torchvision 0.28.0, torch 2.13.0 for CPUs, transformers 5.23.0. Prints the largest difference of each, and
# fails if a picture differs at all, an embedding by more than 1e-5, a score of `pickscore` or a colour's cosine by
# more than 1e-4, or a token.
# Needs pip and 2 GB of disk; WORK=FOLDER keeps the environment for another time.
set -eu
. "$(dirname "$0")/authors/frame.sh"
environment "torch==2.13.0 transformers==5.23.0 ftfy==6.3.1 numpy pillow pluggy pydantic rich typer regex setuptools" \
    "torchvision==0.28.0 open_clip_torch==3.3.0 hpsv2==1.2.0 timm pyyaml"
theirs/bin/pip install --quiet --no-deps --no-build-isolation --force-reinstall \
    "$ROOT" "$ROOT/plugins/tdmr1-reward-geneval" "$ROOT/plugins/tdmr1-reward-preference"

cat > compare.py <<'PYTHON'
import html
import importlib
import json
import os
import sys
import tempfile
import types
from importlib.util import find_spec
from pathlib import Path

import ftfy
import numpy as np
import torch
import torchvision_names
from PIL import Image
from safetensors.torch import save_file

import open_clip
from odd_pictures import odd_pictures, random, smooth
from open_clip.model import CLIP
from torchvision import transforms as T
from transformers import CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tdmr1.rewards import Sample
from tdmr1.rewards.models.clip import read_clip
from tdmr1.rewards.models.features import open_features
from tdmr1.rewards.offline.pictures import read_rgb
from tdmr1.rewards.models.open_clip_layout import CONFIG, FILES, VIT_H, read_checkpoint
from tdmr1.rewards.models.pixels import MEAN, STD, as_hpsv2, as_openai, as_transformers
from tdmr1.rewards.models.published import read_tokenizer
from tdmr1.rewards.models.small_clip import EMBEDDING, HEADS, LAYERS, PATCH, SIDE, WIDTH
from tdmr1.rewards.models.small_clip import write_small_clip, write_small_tokenizer
from tdmr1_reward_preference.pickscore import PickScore
from tdmr1_reward_geneval.clip import COLORS, ColorClassifier
from tdmr1_reward_geneval.detector import Detection

folder = Path(tempfile.mkdtemp())
failed = False


def report(what, difference, allowed=0.0):
    global failed
    print(f"{what}: differs by {difference:.1e}")
    failed |= not difference <= allowed


def of_file(image):
    Image.fromarray(image).save(folder / "image.png")
    return read_rgb(folder / "image.png")


pictures = odd_pictures({
    "portrait": (640, 427),
    "landscape": (427, 640),
    "one pixel wide": (300, 1),
    "one pixel high": (1, 64),
    "one pixel": (1, 1),
    "of the size": (224, 224),
    "three too high": (227, 224),
    "tiny": (5, 7),
})
pictures |= {name: of_file(pictures[name]) for name in ("alpha", "16-bits")}

# The module alone: the rest of hpsv2 wants packages that nothing here needs.
package = types.ModuleType("theirs")
package.__path__ = [f"{find_spec('hpsv2').submodule_search_locations[0]}/src/open_clip"]
sys.modules["theirs"] = package
of_hpsv2 = importlib.import_module("theirs.transform").image_transform
ways = {
    "clip": (
        as_openai,
        T.Compose([
            T.Resize(224, interpolation=T.InterpolationMode.BICUBIC),
            T.CenterCrop(224),
            T.ToTensor(),
            T.Normalize(MEAN, STD),
        ]),
    ),
    "open_clip": (as_openai, open_clip.image_transform(224, is_train=False, mean=MEAN, std=STD)),
    "hpsv2": (as_hpsv2, of_hpsv2(224, is_train=False, resize_longest_max=True)),
    "transformers": (as_transformers, lambda image: pixels_of(CLIPImageProcessorPil(), image)),
}


def pixels_of(processor, image):
    return processor(images=image, return_tensors="pt").pixel_values[0]


for way, (ours, theirs) in ways.items():
    for name, picture in pictures.items():
        difference = (ours(picture, 224) - theirs(Image.fromarray(picture))).abs().max().item()
        report(f"{way}, {name} {picture.shape[:2]}", difference)

words = len(json.loads((write_small_tokenizer(folder / "small") / "vocab.json").read_text()))
common = {"layers": LAYERS, "width": WIDTH, "mlp_ratio": 2.0}
vision = {"image_size": SIDE, "patch_size": PATCH, "head_width": WIDTH // HEADS, **common}
text = {"context_length": 77, "vocab_size": words, "heads": HEADS, **common}


def random_clip(quick_gelu):
    torch.manual_seed(0)
    network = CLIP(EMBEDDING, vision, text, quick_gelu=quick_gelu).eval()
    for weights in network.parameters():
        if weights.ndim > 1:
            weights.data = torch.randn_like(weights) / 5
    return network


network = random_clip(quick_gelu=False)
torch.save({"state_dict": network.state_dict()}, folder / "checkpoint.pt")
ours = read_checkpoint(folder / "checkpoint.pt", VIT_H)
pixels = torch.randn(3, 3, SIDE, SIDE)


def tokenised(prompts):
    tokenizer = read_tokenizer(folder / "small")
    return tokenizer(prompts, padding="max_length", max_length=77, return_tensors="pt")


tokens = tokenised(["a cat", "two dogs on a mat", ""])
unit = torch.nn.functional.normalize
with torch.no_grad():
    seen = unit(ours.visual_projection(ours.vision_model(pixels).pooler_output))
    report("picture's embedding", (seen - unit(network.encode_image(pixels))).abs().max(), 1e-5)
    read = unit(ours.text_projection(ours.text_model(**tokens).pooler_output))
    zeros = tokens.input_ids * tokens.attention_mask  # open_clip pads with zeros
    report("prompt's embedding", (read - unit(network.encode_text(zeros))).abs().max(), 1e-5)

# As the card of PickScore_v1 has it, on a small model in the layout of its folder.
small = write_small_clip(folder / "pickscore", "gelu")
network = CLIPModel.from_pretrained(small).eval()
processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SIDE)
tokenizer = read_tokenizer(small)
reward = PickScore(str(small), device="cpu")
for name, picture in pictures.items():
    prompt = f"a photo: {name}"
    found = reward.score([Sample(picture, prompt)])[0].value
    texts = tokenizer([prompt], padding=True, truncation=True, max_length=77, return_tensors="pt")
    with torch.no_grad():
        seen = pixels_of(processor, Image.fromarray(picture))[None]
        seen = unit(network.get_image_features(pixel_values=seen).pooler_output)
        read = unit(network.get_text_features(**texts).pooler_output)
        wanted = (network.logit_scale.exp() * (read @ seen.T)).item()
    report(f"pickscore of {name}", abs(found - wanted), 1e-4)

# A folder in open_clip's layout, as one of ViT-L-14-quickgelu lies on the Hub.
network = random_clip(quick_gelu=True)
config = {"embed_dim": EMBEDDING, "vision_cfg": vision, "text_cfg": text, "quick_gelu": True}
small = write_small_tokenizer(folder / "openai")
(small / CONFIG).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": STD}}))
save_file(network.state_dict(), small / FILES[0])
classifier = ColorClassifier(read_clip(small, as_openai, "cpu", "float32", 16))
transform = open_clip.image_transform(SIDE, is_train=False, mean=MEAN, std=STD)
for label in ("dog", "stop sign"):
    # `color_classification` and `ImageCrops` of GenEval's evaluate_images.py, with open_clip.
    columns = []
    for color in COLORS:
        texts = tokenised([
            f"a photo of a {color} {label}",
            f"a photo of a {color}-colored {label}",
            f"a photo of a {color} object",
        ])
        with torch.no_grad():
            read = network.encode_text(texts.input_ids * texts.attention_mask)
        columns.append(unit(unit(read, dim=-1).mean(dim=0), dim=0))
    for _ in range(5):
        picture = smooth(60, 90)
        x, y, width, height = random.integers(1, 30, 4)
        mask = np.zeros(picture.shape[:2], bool)
        mask[y : y + height, x : x + width] = random.random((height, width)) < 0.8
        box = (float(x), float(y), float(x + width), float(y + height))
        whole = Image.fromarray(picture)
        blank = Image.new("RGB", whole.size, color="#999")
        crop = Image.composite(whole, blank, Image.fromarray(mask)).crop(box)
        with torch.no_grad():
            seen = unit(network.encode_image(transform(crop)[None]), dim=-1)
        found = classifier.likeness([(picture, Detection(label, 0.9, box, mask))])
        difference = (found - seen @ torch.stack(columns, dim=1)).abs().max().item()
        report(f"colours of a {label}, box {width} x {height}", difference, 1e-4)

name, tag = "ViT-B-32", "laion2b_s34b_b79k"
hub = open_clip.get_pretrained_cfg(name, tag)["hf_hub"].strip("/").replace("/", "--")
place = Path(os.environ["HF_HUB_CACHE"]) / f"models--{hub}"
snapshot = place / "snapshots" / ("a" * 40)
for made in (place / "refs", snapshot):
    made.mkdir(parents=True, exist_ok=True)
(place / "refs/main").write_text("a" * 40)
weights = open_clip.create_model(name).state_dict()
save_file({key: of.contiguous() for key, of in weights.items()}, snapshot / "open_clip_model.safetensors")
pair = np.stack([smooth(300, 200), smooth(300, 200)])
ours = open_features(f"open_clip:{name}:{tag}", "cpu", "eval_features")(pair)
network, _, transform = open_clip.create_model_and_transforms(name, pretrained=tag)
with torch.no_grad():
    seen = network.eval().encode_image(torch.stack([transform(Image.fromarray(one)) for one in pair]))
report(f"features of {name}, {tag}", np.abs(ours - unit(seen, dim=-1).numpy()).max(), 1e-6)

theirs = open_clip.tokenizer.SimpleTokenizer()
marks = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
vocabulary = {marks.get(token, token): number for token, number in theirs.encoder.items()}
merges = [" ".join(pair) for pair, _ in sorted(theirs.bpe_ranks.items(), key=lambda of: of[1])]
write_small_tokenizer(folder / "full")
(folder / "full/vocab.json").write_text(json.dumps(vocabulary))
(folder / "full/merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
tokenizer = read_tokenizer(folder / "full")
for prompt in [
    "a photo of a cat", "a sign that says “OPEN”", "Tom &amp; Jerry's   house", "naïve café №5",
    "多 文字 test", "12345 cats, it's", "word " * 100, "a\tb\nc", "e\u0301clair", "don’t", "cat 🐱!",
    "Ångström ½ ﬁ",
]:
    # As tdmr1_reward_preference.hpsv2 does.
    cleaned = " ".join(html.unescape(html.unescape(ftfy.fix_text(prompt))).split())
    ours = tokenizer([cleaned], padding="max_length", truncation=True, max_length=77)
    ids = np.array(ours["input_ids"]) * np.array(ours["attention_mask"])
    differ = (open_clip.tokenize([prompt]).numpy() != ids).sum()
    report(f"tokens of {prompt[:24]!r}", float(differ))
raise SystemExit(failed)
PYTHON
HF_HUB_OFFLINE=1 HF_HUB_CACHE="$WORK/hub" theirs/bin/python compare.py
