"""On a stand-in for PaddleOCR 3.7, which answers as that does; docs/check_ocr.sh runs that."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from tdmr1_reward_ocr.engine import EngineError
from tdmr1_reward_ocr.paddle import PaddleOcrEngine
from tdmr1_reward_ocr.rapid import RapidOcrEngine

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SQUARE = np.array([[2, 0], [9, 0], [9, 9], [2, 9]], np.int16)


class PaddleOCR:
    """Reads its models when it is made, and finds two lines in whatever is not black."""

    made = ()

    def __init__(self, **options):
        self.options, self.models = options, {}
        for part, kind in (("det", "detection"), ("rec", "recognition")):
            folder = Path(options[f"text_{kind}_model_dir"])
            assert (folder / "inference.onnx").read_bytes()
            self.models[part] = yaml.load((folder / "inference.yml").read_text("utf-8"), LOADER)
            assert self.models[part]["Global"]["model_name"] == options[f"text_{kind}_model_name"]
        PaddleOCR.made += (self,)

    def predict(self, image):
        if not isinstance(image, np.ndarray) or image.shape[2:] != (3,):
            raise ValueError("an ndarray of three channels is expected")
        if not image.any():
            return [{"rec_texts": [], "rec_scores": [], "rec_polys": []}]
        texts, scores = ["second", "first", "unsure"], [0.9, 0.8, 0.3]
        return [
            {"rec_texts": texts, "rec_scores": scores, "rec_polys": [SQUARE + 20, SQUARE, SQUARE]}
        ]


@pytest.fixture
def paddleocr(monkeypatch):
    module = ModuleType("paddleocr")
    module.PaddleOCR = PaddleOCR
    monkeypatch.setitem(sys.modules, "paddleocr", module)


@pytest.fixture
def published(tmp_path):
    """Models as PaddleOCR publishes them."""
    configs = {
        "det": {"Global": {"model_name": "PP-OCRv9_det"}},
        "rec": {
            "Global": {"model_name": "PP-OCRv9_rec"},
            "PostProcess": {"name": "CTCLabelDecode", "character_dict": ["a", "Д", "0"]},
        },
    }
    for part, config in configs.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "inference.onnx").write_bytes(b"weights")
        (tmp_path / part / "inference.yml").write_text(json.dumps(config))
    return tmp_path


def test_it_reads_with_the_models_of_rapidocr_which_need_no_network(paddleocr):
    engine = PaddleOcrEngine(threads=2)
    assert engine.read(np.full((200, 200, 3), 255, np.uint8)) == "first second"
    assert engine.read(np.zeros((200, 200, 3), np.uint8)) == ""
    assert engine.alphabet == RapidOcrEngine().alphabet
    options = PaddleOCR.made[-1].options
    assert options["engine"] == "onnxruntime"
    assert options["engine_config"]["intra_op_num_threads"] == 2
    assert not Path(options["text_detection_model_dir"]).exists()  # it was a temporary one


def test_it_reads_with_models_in_a_folder(paddleocr, published):
    engine = PaddleOcrEngine(models=str(published), lowest_confidence=0.85)
    assert engine.read(np.full((200, 200, 3), 255, np.uint8)) == "second"
    assert engine.alphabet == {"a", "Д", "0"}
    assert PaddleOCR.made[-1].options["text_recognition_model_dir"] == str(published / "rec")


def test_a_folder_without_a_model_says_which_file_is_missing_and_what_fetches_it(
    paddleocr, published
):
    (published / "rec" / "inference.yml").unlink()
    with pytest.raises(EngineError) as caught:
        PaddleOcrEngine(models=str(published))
    assert f"there is no {published}/rec/inference.yml" in str(caught.value)
    assert str(caught.value).endswith(f"_rec_onnx --local-dir {published / 'rec'}")


def test_a_damaged_model_is_an_error(paddleocr, published):
    (published / "rec" / "inference.yml").write_text("{")
    with pytest.raises(EngineError, match="PaddleOCR cannot be loaded"):
        PaddleOcrEngine(models=str(published))


def test_without_paddleocr_it_says_where_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "paddleocr", None)
    with pytest.raises(
        EngineError, match="try: tdmr1 rewards install ocr --extra paddle"
    ) as caught:
        PaddleOcrEngine()
    assert "--reward ocr@env" in str(caught.value)
