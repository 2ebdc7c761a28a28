"""The detector for photographs, from files on disk to detections."""

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1_reward_geneval.mask2former import Mask2FormerDetector
from tdmr1_reward_geneval.photographs import MEAN, STD, network_input, resized_size
from tdmr1_reward_geneval.reward import GenEval

SIZES = [(48, 64), (100, 33), (48, 64), (1, 1), (96, 128)]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]


@pytest.fixture(scope="module")
def new(detector_folder, clip_folder):
    def make(**options):
        return Mask2FormerDetector(
            str(detector_folder), str(clip_folder), **{"input_size": 64, **options}
        )

    return make


@pytest.fixture(scope="module")
def detector(new):
    return new(batch_size=2)


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((512, 512), (800, 800)),
        ((480, 640), (800, 1067)),
        ((1024, 1024), (800, 800)),
        ((100, 1000), (133, 1333)),
        ((1, 5000), (1, 1333)),
    ],
)
def test_images_are_resized_as_the_published_detector_does(size, seen):
    assert resized_size(np.zeros((*size, 3), np.uint8), 800) == seen


def test_the_input_is_normalised_and_padded_below_and_at_the_right(images):
    image = images[0]
    (seen,) = network_input([image], (48, 64))
    assert seen.shape == (3, 64, 64)
    assert np.allclose(seen[:, :48].transpose(1, 2, 0), (image - MEAN) / STD, atol=1e-5)
    assert (seen[:, 48:] == 0).all()


def test_boxes_hold_masks_of_the_original_size_and_the_best_comes_first(detector, images):
    found = detector.detect_batch(images)
    assert len(found) == len(images)
    for image, detections in zip(images, found, strict=True):
        assert detections
        confidences = [one.confidence for one in detections]
        assert confidences == sorted(confidences, reverse=True) and confidences[-1] > 0.3
        for one in detections:
            assert one.label == "dog" and one.mask.shape == image.shape[:2]
            rows, columns = np.nonzero(one.mask)
            assert one.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_a_batch_finds_what_each_image_shows_alone(detector, images):
    for image, together in zip(images, detector.detect_batch(images), strict=True):
        alone = detector.detect(image)
        assert [one.confidence for one in alone] == pytest.approx(
            [one.confidence for one in together], abs=1e-5
        )
        shares = [np.mean(a.mask == b.mask) for a, b in zip(alone, together, strict=True)]
        assert min(shares) > 0.99
    assert detector.detect_batch([]) == [] == detector.color_batch([])


def test_networks_see_at_most_batch_size_at_once_and_one_size(detector, images, monkeypatch):
    seen = []
    network = detector._network
    forward = type(network).forward
    monkeypatch.setattr(
        type(network),
        "forward",
        lambda self, pixel_values: seen.append(pixel_values.shape) or forward(self, pixel_values),
    )
    detector.detect_batch(images)
    # (48, 64) twice and (96, 128) are all seen as (64, 85).
    assert sorted(shape[0] for shape in seen) == [1, 1, 1, 2]


def test_a_strided_image_will_do(detector, images):
    mirrored = images[1][:, ::-1]
    assert detector.detect(mirrored) == detector.detect(mirrored.copy())


def test_numbers_of_half_the_length(new, images):
    short = new(dtype="bfloat16")
    found = short.detect(images[1])
    assert found and short.color(images[1], found[0]) in short.colors


@pytest.mark.parametrize("name", ["auto", "mask2former"])
def test_the_reward_judges_by_it(name, detector, detector_folder, clip_folder, images):
    folders = {"weights": str(detector_folder), "color_weights": str(clip_folder)}
    reward = load(RewardSpec("geneval"), {"detector": name, "input_size": 64, **folders})
    found = detector.detect(images[0])
    dogs = {"class": "dog", "count": len(found)}
    asked = [
        {"tag": "single_object", "include": [dogs]},
        {"tag": "two_object", "include": [dogs, {"class": "cat", "count": 1}]},
        {"tag": "colors", "include": [{**dogs, "color": "red"}]},
    ]
    samples = [Sample(images[0], "a photo", metadata) for metadata in asked]
    assert [reward.judges(one.prompt, one.metadata) for one in samples] == [True] * 3
    right, lacking, red = reward.score(samples)
    assert (right.value, right.passed, right.reason) == (1, True, "as asked")
    assert (lacking.value, lacking.reason) == (0.5, "expected cat >= 1, found 0")
    share = detector.color_batch([(images[0], one) for one in found]).count("red") / len(found)
    assert red.value == pytest.approx((1 + share) / 2)


def test_golden_photographs_are_judged(new):
    """Whether it tells them apart is for the real weights to say: `tdmr1 rewards check`."""
    reward = GenEval(new(batch_size=4))
    pairs = reward.goldens()
    assert len(pairs) == 3
    for pair in pairs:
        assert reward.judges(pair.prompt, pair.metadata)
        assert pair.good.shape == pair.bad.shape and (pair.good != pair.bad).any()
        scores = reward.score(
            [Sample(image, pair.prompt, pair.metadata) for image in (pair.good, pair.bad)]
        )
        assert [score.passed for score in scores] == [False, False], "the tiny one sees dogs alone"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 16}, "input_size=16; expected at least 32"),
        ({"batch_size": 0}, "batch_size=0; expected at least 1"),
        ({"dtype": "int8"}, "dtype is 'int8'; there are: float32, bfloat16, float16"),
    ],
)
def test_impossible_options(new, options, message):
    with pytest.raises(ValueError, match=message):
        new(**options)


def test_an_unknown_device_is_told(new, images):
    with pytest.raises(ValueError, match="device is 'gpu'; expected auto, cpu, cuda or cuda:N"):
        new(device="gpu").detect(images[0])
