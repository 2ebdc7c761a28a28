#!/bin/sh
# Installs mmdet as `tdmr1 rewards install geneval --extra mmdet` does, and compares with it what the reward
# geneval does: the rules by which masks become objects, on the same random logits; the input; the detector
# `mmdet` and mmdet's own inference, on random weights in the published checkpoint's layout; and the
# attention that a GPU is given. At last the reward scores two photographs by it, in its environment.
#
#     make install
#     sh docs/check_mmdet.sh
#
# Weights are random, so nothing is downloaded but packages: mmdet 3.3.0, mmengine 0.10.7, mmcv-lite 2.1.0
# beside constraints.txt. Prints the largest difference of each, and fails if one is more than it may be.
# Needs pip and 3 GB of disk; WORK=FOLDER keeps the environment for another time. SIDE=800 compares at the
# published size, for an hour on one thread.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
TDMR1=${TDMR1:-$ROOT/.venv/bin/tdmr1}
WORK=${WORK:-$(mktemp -d)}
SIDE=${SIDE:-224}
mkdir -p "$WORK"
cd "$WORK"
export OMP_NUM_THREADS=1 TDMR1_HOME="$WORK/home" PIP_CONSTRAINT="$ROOT/constraints.txt"

if [ ! -d home/environments/geneval ]; then
    "$TDMR1" rewards install geneval --extra mmdet
fi

cat > compare.py <<'PYTHON'
import sys
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import torch

from tdmr1_reward_geneval.coco import LABELS
from tdmr1_reward_geneval.golden_photographs import photograph
from tdmr1_reward_geneval.instances import instances
from tdmr1_reward_geneval.mmcv_operators import do_without_compiled
from tdmr1_reward_geneval.mmdet_detector import CONFIG, MMDetDetector
from tdmr1_reward_geneval.photographs import network_input, resized_size

do_without_compiled()
import mmdet.models
from mmcv.ops import multi_scale_deform_attn as attention
from mmcv.transforms import Compose
from mmdet.apis import inference_detector
from mmdet.datasets import CocoDataset
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

SIDE = int(sys.argv[1])
failed = False


def report(what, difference, allowed=0.0):
    global failed
    print(f"{what}: {difference:.1e}")
    failed |= not difference <= allowed


init_default_scope("mmdet")
shipped = Path(mmdet.__file__).parent / ".mim/configs/mask2former" / f"{CONFIG}.py"
config = Config.fromfile(shipped)
config.model.backbone.init_cfg = None

# 1. Post-processing on random logits.
fusion = config.model.panoptic_fusion_head
head = mmdet.registry.MODELS.build({**fusion, "test_cfg": config.model.test_cfg})
worst, objects = 0.0, 0
for seed in range(40):
    random = np.random.default_rng(seed)
    original = tuple(int(side) for side in random.integers(20, 200, 2))
    resized = resized_size(np.zeros((*original, 3), np.uint8), 128)
    padded = tuple(-(-side // 32) * 32 for side in resized)
    torch.manual_seed(seed)
    classes = 5 * torch.randn(100, 81)
    coarse = 4 * torch.randn(100, 1, 3, 4)
    masks = torch.nn.functional.interpolate(coarse, [side // 4 for side in padded])
    masks = (masks + torch.randn_like(masks))[:, 0]
    # As the head before it does, from a quarter of the input's size.
    larger = torch.nn.functional.interpolate(masks[None], padded, mode="bilinear")
    asked = DetDataSample(metainfo={"img_shape": resized, "ori_shape": original})
    (answer,) = head.predict(classes[None], larger, [asked], rescale=True)
    theirs = answer["ins_results"]
    theirs = theirs[theirs.scores > 0.3]
    theirs = theirs[theirs.scores.argsort(descending=True, stable=True)]
    ours = instances(classes, masks, padded, resized, original, 0.3)
    objects += len(ours)
    if len(ours) != len(theirs):
        sys.exit(f"{len(ours)} objects, and mmdet finds {len(theirs)}")
    for mine, label, score, box, mask in zip(
        ours, theirs.labels, theirs.scores, theirs.bboxes, theirs.masks.numpy()
    ):
        same = mine.index == label and list(mine.box) == box.tolist() and (mine.mask == mask).all()
        worst = max(worst, abs(mine.score - score.item()) if same else np.inf)
report(f"post-processing of transformers' logits, {objects} objects: scores differ by", worst, 1e-6)

# 2. The input: whole levels, as mmdet 2 of the evaluator resizes; mmdet 3 resizes floats.
images = [photograph("cat"), photograph("cup")[:, :200], photograph("cup").repeat(3, 0)]
for to_float, allowed in ((False, 1e-6), (True, 0.02)):
    steps = config.test_dataloader.dataset.pipeline
    load = {"type": "mmdet.LoadImageFromNDArray", "to_float32": to_float}
    resize = {**steps[1], "scale": (int(1333 / 800 * SIDE), SIDE)}
    pipeline = Compose([load, resize, steps[3]])
    preprocess = mmdet.registry.MODELS.build(config.model.data_preprocessor)
    worst = 0.0
    for image in images:
        packed = pipeline({"img": cv2.cvtColor(image, cv2.COLOR_RGB2BGR), "img_id": 0})
        batch = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
        theirs = preprocess(batch, training=False)["inputs"].numpy()
        ours = network_input([image], resized_size(image, SIDE))
        worst = max(worst, np.abs(theirs - ours).max() if theirs.shape == ours.shape else np.inf)
    kind = "float32, as mmdet 3.3 does" if to_float else "whole levels, as GenEval's mmdet 2 does"
    report(f"input, resized in {kind}: differs by", worst, allowed)

# 3. The detector on random weights that see dogs, in the layout of the published checkpoint.
torch.manual_seed(0)
network = mmdet.registry.MODELS.build(config.model).eval()
with torch.no_grad():
    network.panoptic_head.cls_embed.bias[LABELS.index("stop sign")] = 12.0
names = tuple(name.replace(" ", "_") for name in CocoDataset.METAINFO["classes"])
state = OrderedDict(network.state_dict())
meta = {"CLASSES": names, "epoch": 50, "config": "model = dict()"}
torch.save({"state_dict": state, "meta": meta}, "random.pth")
detector = MMDetDetector("./random.pth", input_size=SIDE, batch_size=2, device="cpu")
found = detector.detect_batch(images)
network.cfg = config
load = {"type": "mmdet.LoadImageFromNDArray"}
pipeline = Compose([load, resize, steps[3]])
worst = 0.0
for image, mine in zip(images, found):
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    theirs = inference_detector(network, bgr, pipeline).pred_instances
    theirs = theirs[theirs.scores > 0.3]
    if len(theirs) != len(mine) or not mine:
        sys.exit(f"{len(mine)} objects, and mmdet finds {len(theirs)}")
    order = theirs.scores.argsort(descending=True, stable=True).tolist()
    for one, other in zip(sorted(mine, key=lambda one: -one.confidence), order):
        worst = max(worst, abs(one.confidence - theirs.scores[other].item()))
        shares = np.mean(one.mask != theirs.masks[other].numpy())
        worst = max(worst, shares)
        failed |= one.label != "stop sign"
count = sum(map(len, found))
report(f"{count} objects in batches, and of inference_detector: differ by", worst, 1e-3)

# 4. What the attention is on a GPU.
torch.manual_seed(0)
shapes = torch.tensor([[8, 6], [4, 3]])
value, places = torch.randn(2, 60, 4, 8), torch.rand(2, 5, 4, 2, 3, 2)
weights = torch.rand(2, 5, 4, 2, 3)
routed = attention.MultiScaleDeformableAttnFunction.apply(value, shapes, None, places, weights, 64)
plain = attention.multi_scale_deformable_attn_pytorch(value, shapes, places, weights)
worst = (routed - plain).abs().max().item()
report("the attention that a GPU is given, and that of PyTorch: differ by", worst)
if torch.cuda.is_available():
    there = MMDetDetector("./random.pth", input_size=SIDE, device="cuda").detect_batch(images)
    pairs = [pair for one, other in zip(found, there) for pair in zip(one, other)]
    worst = max(abs(a.confidence - b.confidence) for a, b in pairs)
    report("confidences on CPU and GPU: differ by", worst, 1e-2)
else:
    print("no GPU here: nothing ran on one")
raise SystemExit(failed)
PYTHON
home/environments/geneval/env-*/bin/python -W ignore compare.py "$SIDE"

rm -rf images scores.jsonl
for number in 0 1; do
    mkdir -p "images/0000$number/samples"
done
cp "$ROOT/plugins/tdmr1-reward-geneval/tdmr1_reward_geneval/photographs/cat.jpg" images/00000/samples
cp "$ROOT/plugins/tdmr1-reward-geneval/tdmr1_reward_geneval/photographs/cup.jpg" images/00001/samples
cat > images/00000/metadata.jsonl <<'JSON'
{"prompt": "a stop sign", "tag": "single_object", "include": [{"class": "stop sign", "count": 1}]}
JSON
cat > images/00001/metadata.jsonl <<'JSON'
{"prompt": "a cup", "tag": "single_object", "include": [{"class": "cup", "count": 1}]}
JSON
"$TDMR1" rewards score geneval@env images --reward-timeout 600 --option detector=mmdet \
    --option "mmdet_weights=$WORK/random.pth" --option "input_size=$SIDE"
cut -c1-200 scores.jsonl
grep -q '"value": .*"passed": true' scores.jsonl
grep -q 'expected cup >= 1, found 0' scores.jsonl
