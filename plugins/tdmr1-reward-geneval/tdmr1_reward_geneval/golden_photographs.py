"""Golden images: two photographs, each beside one that shows something else or elsewhere.

`cat.jpg` is by Stefan van der Walt and `cup.jpg` by Rachel Michetti, both CC0; they are `chelsea`
and `coffee` of scikit-image 0.26.0, made smaller.
"""

from __future__ import annotations

import importlib.resources

import numpy as np
from PIL import Image as Pillow

from tdmr1.rewards import Golden, Image


def photograph(name: str) -> Image:
    """RGB, uint8 (213, 320, 3)."""
    file = importlib.resources.files("tdmr1_reward_geneval") / "photographs" / f"{name}.jpg"
    with file.open("rb") as opened:
        return np.asarray(Pillow.open(opened).convert("RGB"))


def goldens() -> list[Golden]:
    """A pair for each of the two things, and one for their places."""
    cat, cup = photograph("cat"), photograph("cup")
    return [
        *(
            Golden(
                f"a photo of a {label}",
                good=good,
                bad=bad,
                metadata={"tag": "single_object", "include": [{"class": label, "count": 1}]},
            )
            for label, good, bad in (("cat", cat, cup), ("cup", cup, cat))
        ),
        Golden(
            "a photo of a cup right of a cat",
            good=np.hstack([cat, cup]),
            bad=np.hstack([cup, cat]),
            metadata={
                "tag": "position",
                "include": [
                    {"class": "cat", "count": 1},
                    {"class": "cup", "count": 1, "position": ["right of", 0]},
                ],
            },
        ),
    ]
