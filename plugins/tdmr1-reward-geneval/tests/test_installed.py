"""Detectors that other packages bring."""

import sys
import textwrap

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.source import source_of
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1_reward_geneval.task import MetadataInvalid

CODE = """
    from tdmr1_reward_geneval.detector import Detection, Detector

    class Dogs(Detector):
        labels, colors = ("dog",), ("brown",)

        def __init__(self, least: float = 0.5, color: str = "brown"):
            if least > 1:
                raise ValueError("least is at most 1")
            self.least, self.named = least, color

        def detect(self, image):
            return [Detection("dog", self.least, (0, 0, 5, 5))]

        def color(self, image, detection):
            return self.named

    def no_detector():
        return 7
"""
IMAGE = np.zeros((8, 8, 3), np.uint8)
DOG = {"tag": "colors", "include": [{"class": "dog", "count": 1, "color": "brown"}]}


@pytest.fixture
def install(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def install(distribution, **entries):
        modules.append(module := distribution.replace("-", "_"))
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(CODE))
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\n")
        lines = [f"{name} = {module}:{attribute}" for name, attribute in entries.items()]
        text = "\n".join(["[tdmr1.geneval.detectors]", *lines])
        (info / "entry_points.txt").write_text(text)
        return tmp_path / f"{module}.py"

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def geneval(**options):
    return load(RewardSpec("geneval"), {"detector": "dogs", **options})


def test_it_judges_with_options_of_its_own(install):
    install("some-dogs", dogs="Dogs")
    scores = [
        geneval(detector_options=options).score([Sample(IMAGE, "a dog", DOG)])[0].passed
        for options in ({}, {"color": "red"}, {"least": 0.1})
    ]
    assert scores == [True, False, False]
    with pytest.raises(MetadataInvalid, match="is 'cat'; expected one of dog"):
        geneval().judges("a cat", {**DOG, "include": [{"class": "cat", "count": 1}]})


def test_its_code_counts_as_the_reward_s(install):
    file = install("some-dogs", dogs="Dogs")
    spec, options = RewardSpec("geneval"), {"detector": "dogs"}
    before = source_of(spec, geneval(), options)
    assert source_of(spec, geneval(), options) == before and before.complete
    file.write_text(file.read_text().replace("(0, 0, 5, 5)", "(0, 0, 5, 6)"))
    assert source_of(spec, geneval(), options) != before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"detector": "dino"}, "'dino'; expected one of auto, shapes, mask2former, mmdet, dogs"),
        (
            {"detector_options": {"most": 1}},
            "detector 'dogs' has no option 'most'; .* least = 0",
        ),
        ({"detector_options": {"least": "a"}}, "expected a number"),
        ({"detector_options": {"least": 2.0}}, "least is at most 1"),
        ({"detector_options": 3}, "expected a table"),
        (
            {"detector": "shapes", "detector_options": {"least": 0.1}},
            "detector_options are of a detector that another package brings",
        ),
        ({"detector": "seven"}, "is a int; its class must derive from tdmr1_reward_geneval.det"),
        ({"detector": "twice"}, "is brought by .* and .*; uninstall one of them"),
    ],
)
def test_what_cannot_be_is_told(install, options, error):
    install("some-dogs", dogs="Dogs", seven="no_detector", twice="Dogs")
    install("more-dogs", twice="Dogs")
    with pytest.raises(RewardOptionInvalid, match=error):
        geneval(**options)
