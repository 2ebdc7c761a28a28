"""Rewards without gradients: the contract, the hooks, discovery and scoring. Imports no torch."""

from tdmr1.rewards.contract import (
    CONTRACT_VERSION,
    Golden,
    Image,
    ImageRefused,
    Reward,
    Sample,
    Score,
    Weights,
)
from tdmr1.rewards.hookspecs import hookimpl

__all__ = [
    "CONTRACT_VERSION",
    "Golden",
    "Image",
    "ImageRefused",
    "Reward",
    "Sample",
    "Score",
    "Weights",
    "hookimpl",
]
