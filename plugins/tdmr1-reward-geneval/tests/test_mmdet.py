"""The detector of mmdet as far as it goes without mmdet; docs/check_mmdet.sh goes further."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tdmr1.errors import UserError
from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.fetch import places
from tdmr1.rewards.discovery.info import info
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid, WeightsMissing
from tdmr1.rewards.models.published import check_file
from tdmr1_reward_geneval import CLIP, MASK2FORMER, MMDET
from tdmr1_reward_geneval.coco import LABELS, names_in_place
from tdmr1_reward_geneval.detector import DetectorError
from tdmr1_reward_geneval.mmcv_operators import do_without_compiled
from tdmr1_reward_geneval.mmdet_detector import (
    FETCH,
    PUBLISHED,
    MMDetDetector,
    _read,
    check_names,
)

ASKED = {"tag": "single_object", "include": [{"class": "dog", "count": 1}]}


@pytest.fixture
def packages(monkeypatch):
    """As if all that it needs were there."""
    monkeypatch.setattr(MMDetDetector, "modules", ())


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """The folder in which torch keeps what it downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_the_option_chooses_it_and_without_its_packages_the_error_is_what_installs_them():
    reward = load(RewardSpec("geneval"), {"detector": "mmdet"})
    (detector,) = reward.detectors
    assert isinstance(detector, MMDetDetector) and detector.labels == LABELS
    with pytest.raises(
        DetectorError, match=r"needs mmdet, mmcv, mmengine; try: tdmr1 rewards ins"
    ):
        reward.judges("a photo of a dog", ASKED)


def test_it_computes_in_float32_alone():
    assert load(RewardSpec("geneval"), {"detector": "mask2former", "dtype": "bfloat16"})
    with pytest.raises(RewardOptionInvalid, match="dtype is 'bfloat16'; there are: float32"):
        load(RewardSpec("geneval"), {"detector": "mmdet", "dtype": "bfloat16"})


def test_a_missing_checkpoint_names_the_command_that_fetches_it(packages, kept):
    reward = load(RewardSpec("geneval"), {"detector": "mmdet"})
    with pytest.raises(WeightsMissing) as error:
        reward.judges("a photo of a dog", ASKED)
    told = f"the weights {MMDET} are not on this machine; try: {FETCH}"
    assert str(error.value) == told
    assert reward.reads is None
    (kept / MMDET).write_bytes(b"weights")
    reward = load(RewardSpec("geneval"), {"detector": "mmdet"})
    assert reward.judges("a photo of a dog", ASKED)
    assert reward.reads == (str(kept / MMDET),)


def test_a_damaged_checkpoint_is_told_before_anything_is_imported(packages, kept, monkeypatch):
    monkeypatch.setitem(sys.modules, "mmdet", None)
    (kept / MMDET).write_bytes(b"half of it")
    reward = load(RewardSpec("geneval"), {"detector": "mmdet"})
    image = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(
        UserError, match="is damaged, or another file: its SHA-256 does not begin with"
    ):
        reward.score([Sample(image, "a photo of a dog", ASKED)])


def test_a_file_that_fails_without_a_word_is_told_by_the_kind_of_failure(tmp_path, monkeypatch):
    def fails(*given, **named):
        raise EOFError

    monkeypatch.setattr("torch.load", fails)
    with pytest.raises(DetectorError, match="cannot be read as a checkpoint of mmdet: EOFError"):
        _read(tmp_path / "weights.pth")


def test_only_the_published_file_is_held_to_a_hash(tmp_path):
    for name in ("net-00000000.pth", MMDET):
        (tmp_path / name).write_bytes(b"another")
    check_file(PUBLISHED, tmp_path / "net-00000000.pth", FETCH)
    with pytest.raises(UserError, match="its SHA-256 does not begin with c9d0c4f2; try: "):
        check_file(PUBLISHED, tmp_path / MMDET, FETCH)


def test_a_path_is_taken_as_it_is(packages, kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"detector": "mmdet", "mmdet_weights": "my.pth"}
    with pytest.raises(UserError, match=r"there is no file my\.pth; what can be fetched is mask"):
        load(RewardSpec("geneval"), given).judges("a photo of a dog", ASKED)
    (tmp_path / "my.pth").write_bytes(b"")
    reward = load(RewardSpec("geneval"), given)
    assert reward.judges("a photo of a dog", ASKED) and reward.reads == ("my.pth",)


def test_what_is_fetched_is_what_the_detector_loads():
    described = info(RewardSpec("geneval"))

    def wanted(**options):
        return [place for _, place in places(described, options)]

    assert wanted() == [MASK2FORMER, CLIP]
    assert wanted(detector="mmdet") == [MMDET, CLIP]
    assert wanted(detector="shapes") == []
    assert wanted(detector="mask2former", weights="./mine") == ["./mine", CLIP]


def test_the_classes_of_a_checkpoint_are_coco_s_in_whatever_spelling():
    of_coco = [
        name.split()[-1] if name.startswith(("computer", "tv ")) else name for name in LABELS
    ]
    for names in (LABELS, of_coco, [name.replace(" ", "_").title() for name in of_coco]):
        assert names_in_place(names) == 80
        check_names(names, Path("file.pth"))
    for names in (LABELS[::-1], LABELS[:70], (*LABELS, "banner"), ("dog",) * 80):
        with pytest.raises(DetectorError, match=rf"file\.pth has {len(names)} classes, of which"):
            check_names(names, Path("file.pth"))


MMCV = {
    "__init__.py": "",
    "ops/__init__.py": "from mmcv.ops.multi_scale_deform_attn import attend",
    "ops/multi_scale_deform_attn.py": """
from mmcv import _ext
assert hasattr(_ext, "nms") and hasattr(_ext, "roi_pool_forward")

class MultiScaleDeformableAttnFunction:
    apply = _ext.ms_deform_attn_forward

def multi_scale_deformable_attn_pytorch(value, shapes, places, weights):
    return [value, shapes, places, weights]

def attend(*given):
    return MultiScaleDeformableAttnFunction.apply(*given)
""",
}


@pytest.fixture
def mmcv(tmp_path, monkeypatch):
    """A package laid out as mmcv-lite is."""
    for name, code in MMCV.items():
        file = tmp_path / "mmcv" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "mmcv"
    for name in [name for name in sys.modules if name.partition(".")[0] == "mmcv"]:
        del sys.modules[name]


def test_without_compiled_operators_attention_is_pytorch_s_and_others_say_their_name(mmcv):
    do_without_compiled()
    do_without_compiled()
    import mmcv.ops

    assert mmcv.ops.attend("v", "s", "start", "p", "w", 64) == ["v", "s", "p", "w"]
    with pytest.raises(DetectorError, match="no operator nms, and this network calls it"):
        sys.modules["mmcv._ext"].nms(1, threshold=2)


def test_compiled_operators_that_are_there_are_used(mmcv):
    (mmcv / "_ext.py").write_text(
        "nms = roi_pool_forward = None\ndef ms_deform_attn_forward(*given): return 'compiled'\n"
    )
    do_without_compiled()
    import mmcv.ops

    assert mmcv.ops.attend("v", "s", "start", "p", "w", 64) == "compiled"
