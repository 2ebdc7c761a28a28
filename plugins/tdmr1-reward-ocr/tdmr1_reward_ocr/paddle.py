"""PaddleOCR, whose requirements want an environment of their own."""

from __future__ import annotations

import importlib.util
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import cv2
import yaml  # type: ignore[import-untyped]

from tdmr1_reward_ocr import LOWEST_CONFIDENCE, SHORT_SIDE
from tdmr1_reward_ocr.engine import Engine, EngineError, loading
from tdmr1_reward_ocr.lines import Line

CONFIG, MODEL = "inference.yml", "inference.onnx"
"""Files of a model as PaddleOCR publishes it for ONNX Runtime."""

_PARTS = ("det", "rec")
_DECODE = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
_NORMALIZE = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "order": "hwc"}


class PaddleOcrEngine(Engine):
    """PaddleOCR's pipeline on ONNX Runtime (https://github.com/PaddlePaddle/PaddleOCR, 3.7 or
    later), without its classifiers of a page's and a line's orientation.

    Args:
        short_side, lowest_confidence: see `Engine`.
        threads: of ONNX Runtime, for one image.
        models: a folder with `det` and `rec`, each a model as PaddleOCR publishes it for ONNX
            Runtime; "" takes the two that travel inside RapidOCR's wheel.

    Raises:
        EngineError: PaddleOCR is not installed, or the folder holds something else.
        ValueError: as `Engine`.
    """

    name = "PaddleOCR"
    remedy = "tdmr1 rewards install ocr --extra paddle, and then --reward ocr@env"

    def __init__(
        self,
        short_side: int = SHORT_SIDE,
        threads: int = 1,
        lowest_confidence: float = LOWEST_CONFIDENCE,
        models: str = "",
    ) -> None:
        super().__init__(short_side, lowest_confidence)
        with loading(self.name, self.remedy), tempfile.TemporaryDirectory() as made:
            folder = Path(models).expanduser() if models else _of_rapidocr(Path(made))
            detection, recognition = (_config(folder, part) for part in _PARTS)
            names = [config["Global"]["model_name"] for config in (detection, recognition)]
            # Here, so that a missing or broken package is reported like any other failure.
            import paddleocr

            for logger in ("paddlex", "paddleocr"):  # which model is loaded is no news
                logging.getLogger(logger).setLevel(logging.WARNING)
            self._ocr: Any = paddleocr.PaddleOCR(
                text_detection_model_name=names[0],
                text_detection_model_dir=str(folder / "det"),
                text_recognition_model_name=names[1],
                text_recognition_model_dir=str(folder / "rec"),
                use_doc_orientation_classify=False,
                use_doc_unwarping=False,
                use_textline_orientation=False,
                text_det_limit_type="min",
                text_det_limit_side_len=short_side,
                text_rec_score_thresh=0.0,
                device="cpu",
                engine="onnxruntime",
                engine_config={"intra_op_num_threads": threads, "inter_op_num_threads": 1},
            )
            self.alphabet = frozenset(map(str, recognition["PostProcess"]["character_dict"]))

    def lines(self, image: cv2.typing.MatLike) -> list[Line]:
        (page,) = self._ocr.predict(image)
        return [*map(Line.around, page["rec_texts"], page["rec_scores"], page["rec_polys"])]


def _config(folder: Path, part: str) -> dict[str, Any]:
    """What a model's file says of it."""
    path = folder / part / CONFIG
    for file in (path, folder / part / MODEL):
        if not file.is_file():
            raise EngineError(
                f"models={str(folder)!r}: there is no {file}; `det` and `rec` need {MODEL} and "
                f"{CONFIG} each\ntry: hf download PaddlePaddle/PP-OCRv6_medium_{part}_onnx "
                f"--local-dir {folder / part}"
            )
    # That of C, where it is there, takes a tenth of the time for a dictionary of 18,000.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), loader)
    return found


def _of_rapidocr(folder: Path) -> Path:
    """The models of RapidOCR's wheel, laid out in a folder as PaddleOCR publishes its own."""
    import onnxruntime  # type: ignore[import-untyped]

    wheel = importlib.util.find_spec("rapidocr")
    assert wheel is not None and wheel.origin is not None, "this package requires it"
    shipped = Path(wheel.origin).parent / "models"
    files = {part: shipped / f"PP-OCRv6_{part}_small.onnx" for part in _PARTS}
    session = onnxruntime.InferenceSession(files["rec"], providers=["CPUExecutionProvider"])
    dictionary = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    detection = {
        "Global": {"model_name": "PP-OCRv6_small_det"},
        "PreProcess": {
            "transform_ops": [
                _DECODE,
                {"DetResizeForTest": None},
                {"NormalizeImage": _NORMALIZE},
                {"ToCHWImage": None},
            ]
        },
        "PostProcess": {"name": "DBPostProcess"},
    }
    recognition = {
        "Global": {"model_name": "PP-OCRv6_small_rec"},
        "PreProcess": {
            "transform_ops": [_DECODE, {"RecResizeImg": {"image_shape": [3, 48, 320]}}]
        },
        "PostProcess": {"name": "CTCLabelDecode", "character_dict": dictionary},
    }
    for part, config in (("det", detection), ("rec", recognition)):
        (folder / part).mkdir()
        (folder / part / MODEL).symlink_to(files[part])
        text = json.dumps(config, ensure_ascii=False)  # which is YAML, too
        (folder / part / CONFIG).write_text(text, encoding="utf-8")
    return folder
