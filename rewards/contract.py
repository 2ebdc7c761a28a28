"""What a reward author sees: a `Sample` goes in, a `Score` or an abstention comes out.

A reward is a black box. It has no gradient, it may be slow, and it may have no opinion about a
sample. Every sample therefore ends in one of three outcomes, which are never mixed up:

- **score**: a finite number, `Score(0.75, reason="expected circle = 4, found 3")`;
- **abstain**: `None`, "this prompt is not mine"; such a sample is masked out of its group;
- **error**: an exception. It is counted and reported, and never becomes a zero.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # `tdmr1 rewards list` reads this module, and must start fast
    import numpy as np
    from numpy.typing import NDArray

CONTRACT_VERSION = 1
"""Raised when a plugin written for an older contract would no longer work; an attribute that older
plugins do without raises nothing. Whoever scores elsewhere has to know it all the same: it is
refused where it does not.

A package says which one it was written for by a keyword in its pyproject, `tdmr1-contract-1`, so
that it can be told without importing it.
"""

Image: TypeAlias = "NDArray[np.uint8]"
"""One RGB image, uint8 (height, width, 3) in [0, 255]."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One generated image with the prompt it was generated for.

    Attributes:
        image: RGB, uint8 (height, width, 3) in [0, 255]; read-only for the reward.
        prompt: the text that the generator saw.
        metadata: the other keys of the prompt's line in the prompt file, e.g. GenEval's `tag`,
            `include` and `exclude`, without those that are null; empty when there are none.
            Read-only at any depth, as other rewards see it, too; a deep copy is not.
        group: for whoever passes batches on, not for a reward, which sees None: samples of one
            batch with the same number are a group, made for one prompt. In a batch for a grouped
            reward they stand together.
        iteration: for a reward that asks people: the iteration of the training that drew it, from
            0 on; None in an evaluation, which never waits for anybody.
    """

    image: Image
    prompt: str
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    group: int | None = None
    iteration: int | None = None


@dataclasses.dataclass(frozen=True)
class Score:
    """A reward's opinion of one sample.

    Attributes:
        value: finite, inside the reward's `range`.
        reason: why, in a few words for a person, e.g. "expected circle >= 3, found 2".
        passed: the verdict where the reward has one beside its graded value (GenEval's "correct").
        details: what JSON holds, of what was seen, for the files of an evaluation; a few kilobytes
            at most, and nobody trains on it.
    """

    value: float
    reason: str = ""
    passed: bool | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass(frozen=True)
class Weights:
    """Learnt weights that a reward loads, for the user who has to trust and to download them.

    Attributes:
        name: as its publisher calls it, e.g. "laion/CLIP-ViT-H-14-laion2B-s32B-b79K".
        licence: SPDX identifier where there is one.
        megabytes: of the download; 0 where the weights travel inside a wheel.
        source: where they come from: a URL, or the wheel's name; with `sha256` the file's address.
        option: of the reward, whose value says where they are: a path, or of the Hugging Face Hub
            ORG/NAME or ORG/NAME/FILE; "" where none does, and `name` is that of the Hub.
        files: of a model of the Hub, those that are needed; "*" matches as in a shell. One without
            "*" beside others is of models that have it; of "a|b" the first that there is. All
            where there are none.
        sha256: of a single file outside the Hub, its SHA-256, or the first digits, 8 at least. Its
            `name` is the file's, and the option has it where the published one is meant.
        when: values of options with which they are loaded, "OPTION=VALUE", where "*" matches as in
            a shell; one of them has to hold. Always where there are none.
    """

    name: str
    licence: str
    megabytes: float
    source: str
    option: str = ""
    files: tuple[str, ...] = ()
    sha256: str = ""
    when: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Golden:
    """One prompt with a picture that fits it and one that does not; a reward tells them apart.

    And, of a reward that judges by the prompt's words, one picture with a prompt that it does not
    fit.

    Attributes:
        prompt: of both pictures.
        good: scores better than `bad`.
        bad: scores worse.
        metadata: of both, as in `Sample`.
        others: of a grouped reward, the further pictures of the group that both belong to.
        wrong: a prompt for which `good` scores worse than for `prompt`, with the same metadata;
            "" for none, and of a grouped reward.
    """

    prompt: str
    good: Image
    bad: Image
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    others: Sequence[Image] = ()
    wrong: str = ""


class ImageRefused(ValueError):
    """`Reward.score` raises it for an image that it cannot judge as it is, e.g. a tiny one.

    An error like any other to a run; to the conformance kit an answer. Its text names the image's
    size, or whatever else it is, and what would be accepted.
    """


class Reward(abc.ABC):
    """A black-box reward.

    Subclasses override `score` and state the class attributes: on the class, where they can be
    read before any weights are there. Load weights in `__init__`: a reward is constructed only by
    the run that selects it. Options are the parameters of the registered factory that have
    defaults, which JSON can hold.

    Attributes:
        name: the name on the command line, `--reward NAME`.
        summary: one line.
        range: the smallest and the largest value that `score` can return.
        higher_is_better: whether training should raise the value, or lower it.
        repeatable: whether the same samples always get the same scores.
        grouped: whether a sample's outcome depends on the other samples of its prompt. `score`
            then gets one whole group at a time, and nothing else.
        asks: whether it asks people, who may answer later or never: that it abstains then says
            nothing of the prompt, and a training does not have to begin with an opinion.
        needs: what it looks for in a sample, and abstains without, e.g. "metadata `include`".
        engines: the models and libraries that judge, e.g. "PP-OCRv6 on ONNX Runtime".
        weights: what it loads.
        reads: paths of the files and folders that its scores depend on beside its code, from the
            folder of its file or package on; () for none, None where it does not say. What its
            package ships need not be named. Scores of one without a package are kept only if it
            says. Where options decide, it is set on the object.
    """

    name: str
    summary: str
    range: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool = True
    repeatable: bool = True
    grouped: bool = False
    asks: bool = False
    needs: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    weights: tuple[Weights, ...] = ()
    reads: tuple[str, ...] | None = None

    @abc.abstractmethod
    def score(self, samples: Sequence[Sample]) -> Sequence[Score | float | None]:
        """Score a batch.

        Args:
            samples: any number, also none; images may differ in size. Of a grouped reward, the
                samples of one group; it may have one alone, for which None is an answer.

        Returns:
            One outcome per sample, in the same order: a `Score`, a plain number, or None to
            abstain; or an array or a tensor of N numbers.

        Raises:
            ImageRefused: an image is not one that it can judge.
            Exception: anything else that keeps it from judging; never return a number instead.
        """

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether it has an opinion about images of a prompt.

        Override it where prompt and metadata tell. A run asks about all of its prompts before it
        loads anything else, so that no model is downloaded for prompts that cannot be judged.

        Args:
            prompt, metadata: as in `Sample`.

        Returns:
            False where it abstains on every image of the prompt, else True, the default.

        Raises:
            Exception: it would fail on every image of it, e.g. as the metadata names what the
                reward does not know.
        """
        return True

    def goldens(self) -> Sequence[Golden]:
        """Pictures that show whether the reward works, for `tdmr1 rewards check` and the tests.

        Returns:
            A few pairs that it must tell apart, small enough to travel in its wheel; none where it
            has none.
        """
        return ()

    def figures(self) -> Mapping[str, float]:
        """What it says of itself beside its scores, such as how many people have answered.

        Asked after each batch. A training logs them with its metrics, `figures/NAME/FIGURE`.

        Returns:
            Name -> finite number; none by default, and none of what is not known yet.
        """
        return {}
