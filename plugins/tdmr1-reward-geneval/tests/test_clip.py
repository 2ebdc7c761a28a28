"""Colours beside GenEval's rule, computed here again with transformers' own processing."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import CLIPModel, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tdmr1.rewards.models.clip import read_clip
from tdmr1.rewards.models.pixels import as_openai
from tdmr1.rewards.models.small_clip import write_open_clip
from tdmr1_reward_geneval.clip import ColorClassifier, crop
from tdmr1_reward_geneval.coco import COLORS
from tdmr1_reward_geneval.detector import Detection
from tdmr1_reward_geneval.weights import find_clip


def thing(image, box, label="dog", holes=True):
    mask = np.zeros(image.shape[:2], np.bool_)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    if holes:
        mask[y0 + 1 : y1 - 1 : 2, x0 + 1 : x1 - 1 : 2] = False
    return Detection(label, 0.9, tuple(map(float, box)), mask)


def by_the_evaluator(model, tokenizer, objects):
    """Cosines (N, 10) to the colours, as `color_classification` of GenEval's code has them."""
    side = model.config.vision_config.image_size
    process = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    rows = []
    for image, one in objects:
        blank = Pillow.new("RGB", image.shape[1::-1], "#999")
        masked = Pillow.composite(Pillow.fromarray(image), blank, Pillow.fromarray(one.mask))
        texts = [
            text
            for color in COLORS
            for text in (
                f"a photo of a {color} {one.label}",
                f"a photo of a {color}-colored {one.label}",
                f"a photo of a {color} object",
            )
        ]
        tokens = tokenizer(texts, padding="max_length", max_length=77, return_tensors="pt")
        with torch.no_grad():
            seen = model.get_image_features(**process(masked.crop(one.box), return_tensors="pt"))
            told = model.get_text_features(**tokens).pooler_output
        told = (told / told.norm(dim=1, keepdim=True)).reshape(10, 3, -1).mean(dim=1)
        told = told / told.norm(dim=1, keepdim=True)
        rows.append(told @ seen.pooler_output[0] / seen.pooler_output[0].norm())
    return torch.stack(rows)


@pytest.fixture
def objects():
    rng = np.random.default_rng(0)
    objects = []
    for index in range(6):
        image = rng.integers(0, 256, (40, 60, 3), np.uint8)
        image[:] = image // 4 + rng.integers(0, 192, 3).astype(np.uint8)
        x, y = rng.integers(0, 20, 2)
        # The longer side is a multiple: elsewhere transformers' middle is half a pixel off.
        box = (x, y, x + 8 * rng.integers(1, 6), y + 8)
        objects.append((image, thing(image, box, ("dog", "star")[index % 2])))
    return objects


def classifier(folder):
    return ColorClassifier(read_clip(folder, as_openai, "cpu", "float32", 4))


def test_colors_are_those_of_the_evaluator(clip_folder, objects):
    network = CLIPModel.from_pretrained(clip_folder)
    expected = by_the_evaluator(network, CLIPTokenizer.from_pretrained(clip_folder), objects)
    assert torch.allclose(classifier(clip_folder).likeness(objects), expected, atol=1e-5)
    assert expected.std(dim=0).min() > 0.01 and expected.std(dim=1).min() > 0.01
    found = classifier(clip_folder).colors(objects)
    assert found == [COLORS[index] for index in expected.argmax(dim=1)]
    assert len(set(found)) > 1


def test_colors_of_open_clips_layout_are_those_of_transformers(clip_folder, tmp_path, objects):
    folder = write_open_clip(CLIPModel.from_pretrained(clip_folder), tmp_path)
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(clip_folder / file, folder)
    assert find_clip(str(folder)) == folder
    found, expected = (classifier(path).likeness(objects) for path in (folder, clip_folder))
    assert (found - expected).abs().max() < 1e-4
    assert classifier(folder).colors(objects) == classifier(clip_folder).colors(objects)


def test_a_crop_is_grey_where_the_object_is_not():
    image = np.full((20, 30, 3), 200, np.uint8)
    one = thing(image, (4, 5, 10, 11))
    seen = crop(image, one)
    assert seen.shape == (6, 6, 3)
    assert (seen[one.mask[5:11, 4:10]] == 200).all()
    assert (seen[~one.mask[5:11, 4:10]] == 0x99).all()
    assert (image == 200).all()
    assert (crop(image, Detection("dog", 0.9, (4, 5, 10, 11))) == 200).all()
