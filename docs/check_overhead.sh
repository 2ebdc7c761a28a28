#!/bin/sh
# How much longer rewards take than the networks in them: geneval's mask2former with colours, pickscore, and ocr, on
# pictures of 512 x 512 pixels, with networks of the published sizes.
#
#     make install
#     sh docs/check_overhead.sh               # IMAGES=96; fewer for a slow machine
#     sh docs/check_overhead.sh pickscore     # or geneval, ocr: those alone
#
# Weights are random, so nothing is downloaded; in each picture the detector sees four dogs, and two are asked for in a
# colour. On a CPU, seconds are those of its one thread, so that other work does not count; on a GPU those of the clock.
# Prints images per second, of the reward and of its networks alone, and fails where the first takes more than 1.15 times
# as long. Needs 9 GB of memory.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}
WORK=${WORK:-$(mktemp -d)}
mkdir -p "$WORK"
cd "$WORK"
export OMP_NUM_THREADS=1 IMAGES="${IMAGES:-96}"

cat > overhead.py <<'PYTHON'
import os
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image, ImageDraw, ImageFont
from transformers import CLIPConfig, CLIPModel, Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from tdmr1.rewards import Sample
from tdmr1.rewards.models.small_clip import write_small_tokenizer
from tdmr1_reward_geneval.coco import LABELS
from tdmr1_reward_geneval.mask2former import Mask2FormerDetector
from tdmr1_reward_geneval.reward import GenEval
from tdmr1_reward_ocr.reward import Ocr
from tdmr1_reward_preference.pickscore import PickScore

IMAGES, SIDE, ALLOWED = int(os.environ["IMAGES"]), 512, 1.15
torch.set_num_threads(1)
device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = "bfloat16" if device == "cuda" else "float32"
where = torch.cuda.get_device_name() if device == "cuda" else "one thread of a CPU"
random = np.random.default_rng(0)
inside = 0.0
failed = False


def now(of_all=False):
    """Seconds, of this thread or of all; on a GPU when it has done what it was asked."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if of_all else time.thread_time()


def timed(call):
    def wrapped(*given, **named):
        global inside
        began = now()
        answer = call(*given, **named)
        inside += now() - began
        return answer

    return wrapped


def made(kind, config):
    """A network with random weights, without the minutes that its own initialisation takes."""
    with torch.device("meta"):
        network = kind(config)
    network = network.to_empty(device="cpu").eval()
    for name, weights in [*network.named_parameters(), *network.named_buffers()]:
        if weights.is_floating_point():
            weights.data.uniform_(-0.03, 0.03)
        elif "relative" not in name:
            weights.data.copy_(torch.arange(weights.numel()).reshape(weights.shape))
    return network


def clip(folder, width, layers, heads, embedding, patch, text_width, text_layers, text_heads):
    """In the layout of transformers, with a small tokenizer."""
    words = {"intermediate_size": 4 * text_width, "num_hidden_layers": text_layers, "num_attention_heads": text_heads}
    seen = {"intermediate_size": 4 * width, "num_hidden_layers": layers, "num_attention_heads": heads}
    config = CLIPConfig(
        text_config={"hidden_size": text_width, **words, "projection_dim": embedding},
        vision_config={"hidden_size": width, **seen, "patch_size": patch, "projection_dim": embedding},
        projection_dim=embedding,
    )
    made(CLIPModel, config).save_pretrained(folder)
    write_small_tokenizer(Path(folder))
    return folder


def mask2former(folder):
    swin = SwinConfig(
        embed_dim=96, depths=[2, 2, 18, 2], num_heads=[3, 6, 12, 24], window_size=7,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(backbone_config=swin, id2label=dict(enumerate(LABELS)))
    torch.manual_seed(0)
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    return folder


def report(name, reward, samples, images=IMAGES):
    """Scores once to begin with, as that loads weights, and then again."""
    global inside, failed
    reward.score(samples[:1])
    inside, began = 0.0, now(of_all=True)
    scores = reward.score(samples)
    whole = now(of_all=True) - began
    assert len(scores) == images and all(score is not None for score in scores)
    ratio = whole / inside
    print(
        f"{name}: {images / whole:.3g} images a second, its networks alone {images / inside:.3g}: "
        f"{ratio:.3f} times as long ({images} images, {where}, {dtype})",
        flush=True,
    )
    failed |= ratio > ALLOWED


def pictures(draw):
    font = ImageFont.load_default(60)
    found = []
    for _ in range(IMAGES):
        coarse = random.integers(0, 256, (16, 16, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        if draw:
            picture = Image.new("RGB", (SIDE, SIDE), "white")
            ImageDraw.Draw(picture).text((60, 200), "GRAND OPENING", "black", font=font)
        found.append(np.asarray(picture))
    return found


def geneval():
    if not Path("mask2former").exists():
        mask2former("mask2former")
        clip("clip-l", 1024, 24, 16, 768, 14, 768, 12, 12)
    detector = Mask2FormerDetector("mask2former", "clip-l", device=device, dtype=dtype)
    network, classifier = detector._network, detector._classifier

    def four_dogs(module, given, logits):
        logits = torch.zeros_like(logits)
        logits[..., -1] = 20.0
        logits[:, :4, LABELS.index("dog")] = 40.0
        return logits

    network.class_predictor.register_forward_hook(four_dogs)
    network.forward = timed(network.forward)
    of_clip = classifier._clip
    of_clip.network.vision_model.forward = timed(of_clip.network.vision_model.forward)
    of_clip.network.text_model.forward = timed(of_clip.network.text_model.forward)
    asked = {"tag": "colors", "include": [{"class": "dog", "count": 2, "color": "red"}]}
    report("geneval", GenEval(detector), [Sample(i, "a photo of two red dogs", asked) for i in pictures(False)])


def pickscore():
    if not Path("clip-h").exists():
        clip("clip-h", 1280, 32, 16, 1024, 14, 1024, 24, 16)
    reward = PickScore("clip-h", device=device, dtype=dtype)
    network = reward.clip.network
    network.vision_model.forward = timed(network.vision_model.forward)
    network.text_model.forward = timed(network.text_model.forward)
    report("pickscore", reward, [Sample(i, f"a cat {n}") for n, i in enumerate(pictures(False))])


def ocr():
    onnxruntime.InferenceSession.run = timed(onnxruntime.InferenceSession.run)
    report("ocr", Ocr(), [Sample(i, 'a sign that says "GRAND OPENING"') for i in pictures(True)])


for chosen in sys.argv[1:] or ["ocr", "geneval", "pickscore"]:
    {"geneval": geneval, "pickscore": pickscore, "ocr": ocr}[chosen]()
raise SystemExit(failed)
PYTHON
"$PYTHON" -W ignore overhead.py "$@"
