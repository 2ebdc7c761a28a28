"""The `mmdet` detector: GenEval's own network and weights, in mmdet 3.3.

Mask2Former (Cheng et al. 2022, arXiv 2112.01527) on Swin-S as `evaluate_images.py` of GenEval
downloads it. Wheels alone will do: mmcv-lite has all of mmcv but its compiled operators, none of
which this network needs (`mmcv_operators`).
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tdmr1.rewards import Image, Weights
from tdmr1.rewards.models.devices import device_of, dtype_of
from tdmr1.rewards.models.published import check_file, find_weights
from tdmr1_reward_geneval import MMDET
from tdmr1_reward_geneval.coco import LABELS, SAME_NAMES, names_in_place
from tdmr1_reward_geneval.detector import Detection, DetectorError
from tdmr1_reward_geneval.photographs import PhotographDetector, network_input
from tdmr1_reward_geneval.verdict import THRESHOLD

CONFIG = "mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco"
PUBLISHED = Weights(
    MMDET,
    "Apache-2.0 (of the code)",
    275,
    f"https://download.openmmlab.com/mmdetection/v3.0/mask2former/{CONFIG}/{MMDET}",
    option="mmdet_weights",
    sha256="c9d0c4f2",  # all that is published of it
    when=("detector=mmdet",),
)
FETCH = "tdmr1 rewards fetch geneval --option detector=mmdet"


class MMDetDetector(PhotographDetector):
    """By mmdet.

    Args:
        weights: the file of a checkpoint, or the name of the published one, which is looked for
            where torch keeps what it downloads.
        others: see `PhotographDetector`.
    """

    published = MMDET
    dtypes = ("float32",)  # its Swin adds biases in it, whatever the others are

    modules = ("torch", "transformers", "mmdet", "mmcv", "mmengine")
    remedy = "tdmr1 rewards install geneval --extra mmdet, and then --reward geneval@env"

    @property
    def reads(self) -> tuple[str, ...]:
        with contextlib.suppress(Exception):  # `ready` says why
            return (str(self._find(self._weights)),)
        return ()

    def _find(self, weights: str) -> Path:
        return find_weights(PUBLISHED, weights, FETCH)

    def _detect(self, images: Sequence[Image], size: tuple[int, int]) -> list[list[Detection]]:
        network = self._network
        import torch
        from mmdet.structures import DetDataSample

        weight = next(network.parameters())
        pixels = torch.from_numpy(network_input(images, size))
        asked = [
            DetDataSample(
                metainfo={
                    "img_shape": size,
                    "ori_shape": image.shape[:2],
                    "batch_input_shape": tuple(pixels.shape[2:]),
                }
            )
            for image in images
        ]
        with torch.no_grad():
            answers = network.predict(pixels.to(weight.device, weight.dtype), asked)
        return [self._detections(answer.pred_instances) for answer in answers]

    def _detections(self, found: Any) -> list[Detection]:  # noqa: ANN401
        """In mmdet's order."""
        found = found[found.scores > THRESHOLD].cpu()
        rows = zip(found.labels, found.scores, found.bboxes, found.masks.numpy(), strict=True)
        return [
            Detection(self.labels[label], score.item(), tuple(box.tolist()), mask)
            for label, score, box, mask in rows
        ]

    @functools.cached_property
    def _network(self) -> Any:  # noqa: ANN401
        file = self._place()
        check_file(PUBLISHED, file, FETCH)
        from tdmr1_reward_geneval.mmcv_operators import do_without_compiled

        do_without_compiled()
        # How mmdet calls torch, and the same for every image.
        warnings.filterwarnings("ignore", "torch.meshgrid: in an upcoming release", UserWarning)
        import mmdet.models
        from mmengine.config import Config
        from mmengine.registry import init_default_scope

        shipped = Path(mmdet.__file__).parent / ".mim" / "configs" / "mask2former"
        config = Config.fromfile(shipped / f"{CONFIG}.py").model
        config.backbone.init_cfg = None  # ImageNet's weights, which training begins with
        init_default_scope("mmdet")
        network = mmdet.registry.MODELS.build(config)
        _load(network, file)
        return network.to(device_of(self._device), dtype_of(self._dtype)).eval()


def _load(network: Any, file: Path) -> None:  # noqa: ANN401
    """Weights of a checkpoint into a network, all of them."""
    state, names = _read(file)
    check_names(names, file)
    told = network.load_state_dict(state, strict=False)
    missing = sorted({*told.missing_keys} & {name for name, _ in network.named_parameters()})
    if missing:
        raise DetectorError(
            f"{file} is no Mask2Former on Swin-S for COCO's instances: it lacks {len(missing)} "
            f"weights, {missing[0]} for one; try: {FETCH}"
        )


def _read(file: Path) -> tuple[Mapping[str, Any], Sequence[str]]:
    """The weights of a checkpoint, and the names of its classes; nothing in it is run."""
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        trained = content.get("meta", {})
        trained = trained.get("dataset_meta", trained)
        return content["state_dict"], trained.get("classes", trained.get("CLASSES", LABELS))
    except Exception as error:  # of a file that may be anything: always the same way out
        lines = str(error).splitlines() or [type(error).__name__]  # torch's are many
        told = next((line.strip() for line in lines if "Unpickler" in line), lines[0])
        raise DetectorError(
            f"{file} cannot be read as a checkpoint of mmdet: {told}\n"
            "of one that mmengine wrote in a training, which holds objects, save the weights "
            "alone: torch.save({'state_dict': checkpoint['state_dict']}, FILE)"
        ) from error


def check_names(names: Sequence[str], file: Path) -> None:
    """That the classes of a checkpoint are COCO's, `stop_sign` for "stop sign".

    Raises:
        DetectorError: they are others.
    """
    same = names_in_place(names)
    if len(names) != len(LABELS) or same < SAME_NAMES:
        raise DetectorError(
            f"{file} has {len(names)} classes, of which {same} stand where COCO has them; "
            f"expected a Mask2Former for COCO's 80 instances, as {MMDET}"
        )
