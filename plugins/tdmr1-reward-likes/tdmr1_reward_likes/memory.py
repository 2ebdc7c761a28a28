"""The memory: what people would say of a picture that nobody voted on.

A Gaussian process classifier: C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for
Machine Learning" (2006), chapter 3, by Laplace's approximation. That is logistic regression with a
ridge over the features of the picture, those of the prompt and all products of the two, which are
never written out. Unlike it, it knows where it has seen nothing: a probability has a deviation.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np

from tdmr1_reward_likes.calibration import temperature_of
from tdmr1_reward_likes.features import Blocks, Floats

AMPLITUDES = (1.0, 4.0, 16.0, 64.0, 256.0)
"""Prior variances of a logit among which the votes choose."""
STEPS, ENOUGH = 100, 1e-6
"""Of Newton's method at most; of the log posterior, what another step has to gain."""
_NODES, _MASSES = np.polynomial.hermite_e.hermegauss(21)
_MASSES = _MASSES / _MASSES.sum()
"""Of Gauss's quadrature over a standard normal variable."""


@dataclasses.dataclass(frozen=True)
class Belief:
    """What is believed of M pictures.

    Attributes:
        liked: probability of a like, (M,) in (0, 1).
        doubt: its standard deviation, (M,) in [0, 0.5]: how far other votes could move it.
    """

    liked: Floats
    doubt: Floats


@dataclasses.dataclass(frozen=True)
class Prior:
    """What is believed before any vote.

    Attributes:
        amplitude: variance of a logit, about, per kind of feature.
        prompts: whether the prompt matters.
    """

    amplitude: float
    prompts: bool

    def kernel(self, images: Floats, prompts: Floats) -> Floats:
        """Covariance of logits from the similarities of pictures and of prompts: a (1 + k_i), or
        a (1 + k_i) (1 + k_p) / 2, a constant, both and their products."""
        both = (1 + images) * (1 + prompts) / 2 if self.prompts else 1 + images
        return self.amplitude * both


PRIORS = tuple(Prior(*each) for each in itertools.product(AMPLITUDES, (False, True)))


class Memory:
    """What N pictures with votes say of others.

    Args:
        images: features of the pictures, N >= 1.
        prompts: features (N, P) of their prompts, rows of length 1.
        likes: votes for each, (N,); `votes` counts those against it, too.
        votes: of each, (N,), at least 1.
        prior: by default the one that explains the votes best.

    Attributes:
        prior: as given, or as chosen.
        temperature: by which logits are divided, chosen on what is said of each picture by the
            votes of all others.
    """

    def __init__(
        self,
        images: Blocks,
        prompts: Floats,
        likes: Floats,
        votes: Floats,
        prior: Prior | None = None,
    ) -> None:
        self._centres = [block.mean(axis=0) for block in images]
        self._lengths = [
            math.sqrt(np.square(block - centre).sum(axis=1).mean()) or 1.0
            for block, centre in zip(images, self._centres, strict=True)
        ]
        self._images, self._prompts = self._placed(images), prompts
        similar = self._images @ self._images.T, prompts @ prompts.T
        fits = {
            each: Posterior(each.kernel(*similar), likes, votes)
            for each in (PRIORS if prior is None else (prior,))
        }
        self.prior = max(fits, key=lambda each: fits[each].evidence)
        self._posterior = fits[self.prior]
        self.temperature = 1.0
        apart = self._posterior.left_out()
        self.temperature = temperature_of(
            lambda temperature: expected(*apart, temperature).liked, likes, votes
        )

    def recall(self, images: Blocks, prompts: Floats) -> Belief:
        """What is believed of M pictures, from their features and those of their prompts."""
        placed = self._placed(images)
        kernel = self.prior.kernel(placed @ self._images.T, prompts @ self._prompts.T)
        own = self.prior.kernel(np.square(placed).sum(axis=1), np.square(prompts).sum(axis=1))
        return expected(*self._posterior.predict(kernel, own), self.temperature)

    def _placed(self, images: Blocks) -> Floats:
        """Features (N, D) around 0, whose squares add up to 1 on average, each block to as much
        as the others."""
        around = zip(images, self._centres, self._lengths, strict=True)
        parts = [(block - centre) / length for block, centre, length in around]
        return np.concatenate(parts, axis=1).astype(np.float64) / math.sqrt(len(parts))


class Posterior:
    """Laplace's approximation to the logits f of N pictures: normal, around the likeliest.

    Args:
        kernel: K (N, N), their prior covariance.
        likes, votes: of each, (N,).

    Attributes:
        evidence: log probability of the votes, of all f (Eq. 3.32).
    """

    def __init__(self, kernel: Floats, likes: Floats, votes: Floats) -> None:
        a, f = np.zeros(len(likes)), np.zeros(len(likes))
        best = _log_posterior(kernel, a, likes, votes)
        for _ in range(STEPS):
            root, slope, b_matrix = _curvature(kernel, f, likes, votes)
            b = root**2 * f + slope
            towards = b - root * np.linalg.solve(b_matrix, root * (kernel @ b)) - a
            length, gained, there = 1.0, -math.inf, a
            while gained < 0 and length > 1e-4:  # a whole step may go too far
                there = a + length * towards
                reached = _log_posterior(kernel, there, likes, votes)
                length, gained = length / 2, reached - best
            if gained <= 0:
                break
            a, f, best = there, kernel @ there, reached
            if gained < ENOUGH:
                break
        root, self._slope, b_matrix = _curvature(kernel, f, likes, votes)
        self.evidence = float(best - np.linalg.slogdet(b_matrix)[1] / 2)
        self._kernel, self._f, self._root, self._b_matrix = kernel, f, root, b_matrix
        self._precision: Floats | None = None

    def predict(self, kernel: Floats, own: Floats) -> tuple[Floats, Floats]:
        """Mean and variance (M,) of the logits of other pictures (Eq. 3.21 and 3.24).

        Args:
            kernel: (M, N), their prior covariances with the N.
            own: (M,), their prior variances.
        """
        lost = np.einsum("mn,mn->m", kernel @ self._gain(), kernel)
        return kernel @ self._slope, np.maximum(own - lost, 0)

    def left_out(self) -> tuple[Floats, Floats]:
        """Mean and variance (N,) of each logit as the votes of all other pictures have it: the
        cavity of Laplace's approximation (Vehtari et al., "Bayesian leave-one-out cross-validation
        approximations for Gaussian latent variable models", 2016, arXiv 1412.7461, section 3.2).
        """
        own = np.diag(self._kernel)
        variance = self.predict(self._kernel, own)[1]
        # At most the prior's, which rounding could exceed.
        without = np.minimum(variance / np.maximum(1 - self._root**2 * variance, 1e-9), own)
        return self._f - without * self._slope, without

    def _gain(self) -> Floats:
        """(K + 1 / W)^-1 (N, N), by which votes narrow the prior."""
        if self._precision is None:
            self._precision = self._root[:, None] * np.linalg.inv(self._b_matrix) * self._root
        return self._precision


def expected(mean: Floats, variance: Floats, temperature: float) -> Belief:
    """Mean and deviation of the probability whose logit is normal, divided by a temperature."""
    spread = np.sqrt(variance)[:, None] * _NODES
    liked = _sigmoid((mean[:, None] + spread) / temperature)
    first, second = liked @ _MASSES, np.square(liked) @ _MASSES
    return Belief(first, np.sqrt(np.maximum(second - first**2, 0)))


def _curvature(
    kernel: Floats, f: Floats, likes: Floats, votes: Floats
) -> tuple[Floats, Floats, Floats]:
    """Of binomial counts at logits f: root of W, minus the second derivative of the log
    likelihood; its first one; and B = 1 + W^1/2 K W^1/2."""
    share = _sigmoid(f)
    root = np.sqrt(votes * share * (1 - share))
    return root, likes - votes * share, np.eye(len(f)) + root[:, None] * kernel * root


def _log_posterior(kernel: Floats, a: Floats, likes: Floats, votes: Floats) -> float:
    """At f = K a, up to a constant (Eq. 3.12)."""
    f = kernel @ a
    unlikely = likes @ np.logaddexp(0, -f) + (votes - likes) @ np.logaddexp(0, f)
    return -float(a @ f / 2 + unlikely)


def _sigmoid(f: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -f))
