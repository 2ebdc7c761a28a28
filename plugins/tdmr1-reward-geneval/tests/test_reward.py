import subprocess
import sys

import cv2
import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.fetch import places
from tdmr1.rewards.discovery.info import info
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.places.here import Here
from tdmr1_reward_geneval.coco import COLORS, LABELS
from tdmr1_reward_geneval.detector import Detection, Detector
from tdmr1_reward_geneval.reward import GenEval
from tdmr1_reward_geneval.shapes import ShapesDetector
from tdmr1_reward_geneval.task import MetadataInvalid

CIRCLE = {"class": "circle", "count": 1, "color": "red"}
TWO_STARS = {"class": "star", "count": 2}


def sample(image, include=(CIRCLE,), tag="colors"):
    return Sample(image, "a prompt", {"tag": tag, "include": include, "exclude": []})


def circle(x=30, y=30, color=(220, 40, 40), size=(64, 64)):
    image = np.full((*size, 3), 240, np.uint8)
    cv2.circle(image, (x, y), 10, color, -1, cv2.LINE_AA)
    return image


def test_value_reason_and_verdict():
    right, wrong = GenEval().score([sample(circle()), sample(circle(color=(45, 80, 220)))])
    assert (right.value, right.reason, right.passed) == (1, "as asked", True)
    assert (wrong.value, wrong.passed) == (0.5, False)
    assert wrong.reason == "expected red circle, found blue"
    ((box,),) = right.details.values()
    assert [*right.details] == ["circle"] and box[:4] == pytest.approx([20, 20, 41, 41], abs=1.5)
    assert box[4] > 0.9 and GenEval().score([sample(circle()[:1])])[0].details == {}


def test_abstains_without_include():
    reward = GenEval()
    assert reward.score([Sample(circle(), "a sign", {"tag": "sign", "word": "A"})]) == [None]
    assert reward.score([Sample(circle(), "a sign")]) == [None]
    assert reward.score([Sample(circle(), "a sign", {"tag": None, "include": None})]) == [None]
    assert reward.score([]) == []


def test_malformed_metadata_is_an_error():
    with pytest.raises(MetadataInvalid, match='"a prompt": tag is'):
        GenEval().score([sample(circle(), tag="sign")])


def test_it_judges_prompts_whose_objects_its_detector_knows():
    reward, ask = GenEval(), {"tag": "colors", "include": [CIRCLE]}
    assert reward.judges("a red circle", ask) is True
    assert reward.judges("a sign", {"tag": "sign", "word": "A"}) is False
    assert reward.judges("a sign", {"include": None}) is False
    ask = {"tag": "single_object", "include": [{"class": "bench", "count": 1}]}
    with pytest.raises(MetadataInvalid, match="is 'bench'; expected one of circle, square, tri"):
        GenEval(ShapesDetector()).judges("a photo of a bench", ask)


def named(*labels, color=None):
    clauses = [{"class": label, "count": 1, "color": color} for label in labels]
    return {"tag": "two_object", "include": clauses}


class Photographs(Detector):
    """Knows COCO's classes, and sees a stop sign."""

    labels, colors = LABELS, COLORS

    def __init__(self):
        self.asked = []

    def detect(self, image):
        return [Detection("stop sign", 0.8, (0, 0, 5, 5))]

    def color(self, image, detection):
        return "brown"

    def ready(self, colors):
        self.asked.append(colors)


def test_of_several_detectors_each_prompt_takes_the_first_that_knows_it():
    photographs = Photographs()
    reward = GenEval(ShapesDetector(), photographs)
    samples = [
        Sample(circle(), "a", named("circle", color="red")),
        Sample(circle(), "b", named("stop sign", color="brown")),
        Sample(circle(), "c", {}),
        Sample(circle(), "d", named("circle")),
        Sample(circle(), "e", named("stop sign", color="pink")),
    ]
    assert [reward.judges(s.prompt, s.metadata) for s in samples] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert photographs.asked == [True, True]
    passed = [score and score.passed for score in reward.score(samples)]
    assert passed == [True, True, None, True, False]


@pytest.mark.parametrize(
    ("label", "near"),
    [
        ("stop_sign", "'stop sign'"),
        ("Dog", "'dog'"),
        ("mouse", "'computer mouse'"),
        ("keyboard", "'computer keyboard'"),
        ("trafic lights", "'traffic light'"),
        ("triangel", "'triangle'"),
    ],
)
def test_a_class_that_no_detector_knows_is_told_with_the_nearest(label, near):
    for ask in (GenEval().judges, lambda *given: GenEval().score([Sample(circle(), *given)])):
        with pytest.raises(MetadataInvalid) as error:
            ask("a photo", named(label))
        expected = f"include[0].class is {label!r}; expected one of 84 classes, {near}"
        assert expected in str(error.value)


def test_a_class_like_none_is_told_with_all_of_them():
    with pytest.raises(
        MetadataInvalid, match=r"is 'qqqq'; expected one of circle, .*, toothbrush"
    ):
        GenEval().judges("a photo", named("qqqq"))


@pytest.mark.parametrize("asked", [named("circle", "dog"), named("circle", color="brown")])
def test_what_only_two_detectors_together_know_is_refused(asked):
    with pytest.raises(MetadataInvalid, match="no one detector knows all of"):
        GenEval().judges("a photo", asked)


def test_the_detector_is_an_option():
    photographs = {"detector": "mask2former"}
    with pytest.raises(MetadataInvalid, match="expected one of 80 classes"):
        load(RewardSpec("geneval"), photographs).judges("a photo", named("dogs"))
    for options in ({}, {"detector": "auto"}, {"detector": "shapes"}):
        assert load(RewardSpec("geneval"), options).score([sample(circle())])[0].passed
    with pytest.raises(RewardOptionInvalid, match="'dino'; expected one of auto, shapes, mask2f"):
        load(RewardSpec("geneval"), {"detector": "dino"})


def test_its_options_state_the_size_of_what_the_detector_sees():
    described = info(RewardSpec("geneval"))
    assert {"detector": "auto", "input_size": 800, "dtype": "float32"}.items() <= {
        option.name: option.default for option in described.options
    }.items()
    assert "input_size = 800" in " ".join(described.engines)


def test_what_is_fetched_is_what_its_options_name():
    found = [
        place for _, place in places(info(RewardSpec("geneval")), {"color_weights": "./clip"})
    ]
    assert found == ["facebook/mask2former-swin-small-coco-instance", "./clip"]


def test_flat_shapes_need_nothing_of_the_other_detector():
    code = """if True:
        import sys, numpy as np
        from tdmr1.rewards import Sample
        from tdmr1.rewards.discovery.load import load
        from tdmr1.rewards.discovery.spec import RewardSpec
        reward = load(RewardSpec("geneval"))
        asked = {"tag": "single_object", "include": [{"class": "star", "count": 1}]}
        assert reward.judges("a star", asked)
        assert reward.score([Sample(np.full((64, 64, 3), 240, np.uint8), "a star", asked)])
        heavy = {"torch", "transformers", "scipy", "huggingface_hub", "safetensors"}
        print(sorted(heavy & sys.modules.keys()))
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["[]"]


def test_a_batch_scores_as_one_by_one_in_any_order():
    images = [circle(x, y) for x, y in ((12, 30), (40, 20), (60, 60))]
    samples = [sample(i, include) for i in images for include in ([CIRCLE], [TWO_STARS])]
    reward = GenEval()
    scores = reward.score(samples)
    assert scores == [reward.score([s])[0] for s in samples]
    assert scores[::-1] == reward.score(samples[::-1])


def test_a_shift_of_whole_pixels_changes_nothing():
    scores = GenEval().score([sample(circle(x, y)) for x in range(12, 52, 8) for y in (12, 51)])
    assert len({(score.value, score.reason, score.passed) for score in scores}) == 1


def test_the_input_is_only_read():
    image = circle()
    before = image.copy()
    assert Here(GenEval()).score([sample(image)])[0].passed
    assert (image == before).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (3, 5), (37, 91), (256, 200)])
@pytest.mark.parametrize("color", [(0, 0, 0), (128, 128, 128), (255, 255, 255), (220, 40, 40)])
def test_a_plain_image_of_any_size_shows_nothing(size, color):
    image = np.full((*size, 3), color, np.uint8)
    (score,) = GenEval().score([sample(image)])
    assert (score.value, score.passed) == (0, False)


def test_odd_sizes_and_strided_images():
    assert GenEval().score([sample(circle(size=(51, 83)))])[0].passed
    assert GenEval().score([sample(circle()[::-1, ::-1])])[0].passed


def test_any_detector_will_do():
    class Dogs(Detector):
        labels, colors = ("dog",), ("brown",)

        def detect(self, image):
            return [Detection("dog", 0.8, (0, 0, 5, 5))]

        def color(self, image, detection):
            return "brown"

    dog = {"class": "dog", "count": 1, "color": "brown"}
    assert GenEval(Dogs()).score([sample(circle(), [dog])])[0].passed
    assert GenEval(Dogs()).goldens() == ()
    with pytest.raises(MetadataInvalid, match="class is 'circle'; expected one of dog"):
        GenEval(Dogs()).score([sample(circle())])


def test_it_is_installed_and_loads_opencv_only_on_use():
    assert isinstance(load(RewardSpec("geneval")), GenEval)
    code = "import sys, tdmr1_reward_geneval; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
