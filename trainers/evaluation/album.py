"""What is kept of a generator's pictures to compare it with others: features and counts."""

from __future__ import annotations

import dataclasses
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdmr1.core.generator import Generator, Prompt
from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.rewards.models.features import Features
from tdmr1.rewards.sharpness import sharpness
from tdmr1.trainers.evaluation import variety
from tdmr1.trainers.evaluation.compare import chroma, dark, edge_density, saturated
from tdmr1.trainers.writing import writing

FREQUENCIES, MEANS = "frequencies/", "means/"


@dataclasses.dataclass(frozen=True, eq=False)
class Album:
    """N pictures, without their pixels.

    Attributes:
        features: float32 (N, D).
        frequencies: attribute that prompts leave free -> (N, V), as in `generator.Traits`.
        means: quantity -> (N,): `sharpness`, `chroma`, `edge_density`, `dark`, `saturated`, and
            those of the generator's traits.
    """

    features: NDArray[np.float32]
    frequencies: Mapping[str, NDArray[np.float64]]
    means: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        images: NDArray[np.uint8],
        prompts: Sequence[Prompt],
        generator: Generator,
        features: Features,
    ) -> Album:
        """Of pictures (N, H, W, 3) that were made for N prompts."""
        traits = generator.free_traits(images, prompts)
        looks = {
            "sharpness": np.array([sharpness(image) for image in images]),
            "chroma": np.array([chroma(image).mean() for image in images]),
            "edge_density": np.array([edge_density(image) for image in images]),
            "dark": np.array([dark(image) for image in images]),
            "saturated": np.array([saturated(image) for image in images]),
        }
        return cls(features(images), traits.frequencies, {**looks, **traits.means})

    @classmethod
    def cat(cls, parts: Sequence[Album]) -> Album:
        """The pictures of all parts, which are of one generator."""
        first = parts[0]
        return cls(
            np.concatenate([part.features for part in parts]),
            {k: np.concatenate([p.frequencies[k] for p in parts]) for k in first.frequencies},
            {k: np.concatenate([p.means[k] for p in parts]) for k in first.means},
        )

    def take(self, indices: Sequence[int]) -> Album:
        """The pictures at some indices, in their order."""
        return Album(
            self.features[[*indices]],
            {name: values[[*indices]] for name, values in self.frequencies.items()},
            {name: values[[*indices]] for name, values in self.means.items()},
        )

    def write(self, path: Path) -> None:
        """As an npz file, atomically.

        Raises:
            UserError: it cannot be written, e.g. because the disk is full.
        """
        arrays: dict[str, NDArray[np.floating]] = {"features": self.features}
        arrays |= {FREQUENCIES + name: values for name, values in self.frequencies.items()}
        arrays |= {MEANS + name: values for name, values in self.means.items()}
        with writing(path), replacing(path) as beside, beside.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path) -> Album:
        """What `write` wrote.

        Raises:
            UserError: it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            features = arrays.pop("features")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path} is damaged: {error}\nremove it; a run makes it again"
            ) from error

        def under(prefix: str) -> dict[str, NDArray[np.float64]]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        return cls(features, under(FREQUENCIES), under(MEANS))


def figures(album: Album, teacher: Album, group: NDArray[np.int64]) -> dict[str, float]:
    """How varied pictures are, and what they look like.

    Args:
        album: of a generator; the teacher's own gives what the others are measured by.
        teacher: of the same prompts and noise.
        group: (N,), the prompt of each picture.

    Returns:
        Of every free attribute `ATTRIBUTE/entropy` and, from the teacher's, `ATTRIBUTE/tv`;
        `diversity`, `vendi`, `precision` and `recall` in the features, all as in `variety`; the
        mean of every quantity. What cannot be told (a single sample of each prompt, nothing
        counted) is left out.
    """
    found: dict[str, float] = {}
    for name, mine in album.frequencies.items():
        counted, theirs = mine.sum(axis=0), teacher.frequencies[name].sum(axis=0)
        found[f"{name}/entropy"] = variety.entropy(counted)
        found[f"{name}/tv"] = variety.total_variation(counted, theirs)
    found["diversity"] = variety.diversity(album.features, group)
    # From the teacher's mean: pictures have a background in common, embeddings a cone.
    found["vendi"] = variety.vendi_score(album.features - teacher.features.mean(axis=0))
    pair = variety.precision_recall(album.features, teacher.features)
    found["precision"], found["recall"] = pair
    found |= {name: _mean(values) for name, values in album.means.items()}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
