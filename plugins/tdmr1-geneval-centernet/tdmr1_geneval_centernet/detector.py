"""CenterNet (Zhou et al. 2019, arXiv 1904.07850) as a detector of the reward `geneval`."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards import Golden, Image
from tdmr1_reward_geneval.coco import COLORS, LABELS
from tdmr1_reward_geneval.detector import Box, Detection, Detector, DetectorError
from tdmr1_reward_geneval.golden_photographs import photograph

if TYPE_CHECKING:
    from tdmr1_geneval_centernet.tensorflow_js import Graph

SIDE = 512
"""Of the input, in pixels; images are stretched to it."""

STRIDE = 4
"""Pixels of the input to one of the output."""

SAME = 0.5
"""Two boxes of one class are one object where their intersection has more of their union."""

MOST = 100
"""Peaks that are looked at."""

RGB = np.array(
    (
        *((200, 30, 30), (240, 130, 30), (235, 210, 40), (50, 150, 60), (45, 80, 200)),
        *((120, 50, 160), (240, 150, 180), (110, 70, 40), (25, 25, 25), (245, 245, 245)),
    ),
    np.uint8,
)
"""What stands for each of `COLORS`: a rule of thumb, where GenEval asks CLIP."""


class CenterNet(Detector):
    """Finds COCO's 80 classes; for demonstrations, not for figures.

    Args:
        model: the file `centernet.json`, beside which `centernet.bin` lies.
        least: confidence in [0, 1]; what has less is left out.

    Raises:
        ValueError: `least` is out of range.
    """

    labels = LABELS
    colors = COLORS

    def __init__(self, model: str = "package/models/centernet.json", least: float = 0.2) -> None:
        if not 0 <= least <= 1:
            raise ValueError(f"least is {least}; expected 0 to 1")
        self._model, self._least = Path(model).expanduser(), least

    @property
    def reads(self) -> tuple[str, ...]:
        files = (self._model, self._model.with_suffix(".bin"))
        return tuple(str(file.absolute()) for file in files if file.is_file())

    def ready(self, colors: bool) -> None:
        if importlib.util.find_spec("torch") is None:
            raise DetectorError("detector centernet needs torch; try: pip install torch")
        if len(self.reads) < 2:
            raise DetectorError(
                f"there is no {self._model} with its centernet.bin; try: npm pack "
                "@vladmandic/human@3.3.6 && tar xzf vladmandic-human-3.3.6.tgz package/models\n"
                'and name the file: detector_options={"model": "package/models/centernet.json"}'
            )

    def detect(self, image: Image) -> list[Detection]:
        import torch
        import torch.nn.functional as F

        height, width = image.shape[:2]
        whole = np.ascontiguousarray(image)
        seen = cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        pixels = torch.from_numpy(seen.transpose(2, 0, 1)[None])
        heat, edges = self._graph.run(pixels, ["tower_0/keypoints", "tower_0/wh"])
        peaks = heat * (F.max_pool2d(heat, 3, 1, 1) == heat)
        best, places = peaks.flatten().topk(MOST)
        found: list[Detection] = []
        for confidence, place in zip(best.tolist(), places.tolist(), strict=True):
            if confidence <= self._least:
                break
            label, y, x = np.unravel_index(place, heat.shape[1:])
            edge = edges[0, :, y, x].tolist()
            box = (
                _within(x * STRIDE - edge[0], width),
                _within(y * STRIDE - edge[1], height),
                _within(x * STRIDE + edge[2], width),
                _within(y * STRIDE + edge[3], height),
            )
            name = LABELS[label]
            if not any(one.label == name and _overlap(one.box, box) > SAME for one in found):
                found.append(Detection(name, confidence, box))
        return found

    def color(self, image: Image, detection: Detection) -> str:
        """The nearest to the median of the middle of its box, in CIE L*a*b*."""
        x0, y0, x1, y1 = detection.box
        across, down = (x1 - x0) / 4, (y1 - y0) / 4
        rows = slice(int(y0 + down), int(y1 - down) + 1)
        inside = image[rows, int(x0 + across) : int(x1 - across) + 1].reshape(-1, 3)
        median = np.median(inside, axis=0).astype(np.uint8)
        distances = np.linalg.norm(_lab(RGB) - _lab(median[None]), axis=1)
        name: str = COLORS[int(distances.argmin())]
        return name

    def goldens(self) -> list[Golden]:
        """A cup, and no cup."""
        asked = {"tag": "single_object", "include": [{"class": "cup", "count": 1}]}
        return [Golden("a photo of a cup", photograph("cup"), photograph("cat"), asked)]

    @functools.cached_property
    def _graph(self) -> Graph:
        self.ready(colors=False)
        from tdmr1_geneval_centernet.tensorflow_js import Graph

        try:
            return Graph(self._model)
        except (OSError, ValueError, KeyError, TypeError) as error:  # of whatever lies there
            raise DetectorError(f"{self._model} cannot be read: {error}") from error


def _within(at: float, side: int) -> float:
    """A coordinate of the input as one of the image, which has `side` pixels there."""
    return min(max(at * side / SIDE, 0.0), float(side))


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    inside = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inside / max(sum(areas) - inside, 1e-9)


def _lab(rgb: NDArray[np.uint8]) -> Any:  # noqa: ANN401
    """(N, 3), float32."""
    return cv2.cvtColor(rgb[None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0]
