"""Students that their authors published: what their files do not say, and their pages do."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Published:
    """A few-step student on the Hub.

    Attributes:
        base: the pipeline that it adapts.
        weight: the adapter weight that its page asks for.
        shift: the timestep shift s that its page uses; None: that of the base's scheduler.
        file: in its repository.
    """

    base: str
    weight: float
    shift: float | None
    file: str


PUBLISHED = {
    "Luo-Yihong/TDM_sd3_lora": Published(
        "stabilityai/stable-diffusion-3-medium-diffusers",
        weight=0.125,
        shift=6.0,
        file="pytorch_lora_weights.safetensors",
    ),
    "Luo-Yihong/TDM_sd3-5_lora": Published(
        "stabilityai/stable-diffusion-3.5-medium",
        weight=1.0,
        shift=3.0,
        file="tdm_sd3-5_lora.ckpt",
    ),
    "Luo-Yihong/TDM-R1": Published(
        "Tongyi-MAI/Z-Image-Turbo", weight=1.0, shift=None, file="tdmr1_zimage_ema.ckpt"
    ),
}
"""By Hub id; from the READMEs and the configuration of github.com/Luo-Yihong/TDM and TDM-R1."""
