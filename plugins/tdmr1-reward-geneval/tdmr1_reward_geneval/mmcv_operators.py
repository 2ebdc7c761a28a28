"""mmcv's operators without their compiled part, which `mmcv-lite` lacks.

`import mmdet` asks for all of them by name, also for those of networks that nobody builds.
Mask2Former calls one, and on a GPU alone: multi-scale deformable attention (Zhu et al. 2021, arXiv
2010.04159), of which mmcv has a second form, in PyTorch.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from tdmr1_reward_geneval.detector import DetectorError

COMPILED = "mmcv._ext"


def do_without_compiled() -> None:
    """Let mmcv be imported where its compiled operators are not; where they are, nothing."""
    if importlib.util.find_spec(COMPILED) is not None:
        return
    sys.modules[COMPILED] = _Absent(COMPILED)
    attention: Any = importlib.import_module("mmcv.ops.multi_scale_deform_attn")
    attention.MultiScaleDeformableAttnFunction = _InPyTorch


class _Absent(ModuleType):
    """Has every operator, none of which works."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)

        def absent(*_: object, **__: object) -> NoReturn:
            raise DetectorError(f"mmcv-lite has no operator {name}, and this network calls it")

        return absent


class _InPyTorch:
    """In the place of the function of autograd that calls the compiled attention."""

    @staticmethod
    def apply(
        value: Any,  # noqa: ANN401
        spatial_shapes: Any,  # noqa: ANN401
        level_start_index: object,
        sampling_locations: Any,  # noqa: ANN401
        attention_weights: Any,  # noqa: ANN401
        im2col_step: object,
    ) -> Any:  # noqa: ANN401
        """What `multi_scale_deformable_attn_pytorch` of mmcv makes of the same."""
        attention: Any = importlib.import_module("mmcv.ops.multi_scale_deform_attn")
        return attention.multi_scale_deformable_attn_pytorch(
            value, spatial_shapes, sampling_locations, attention_weights
        )
