"""TDM-R1: reinforcement learning of few-step generators on rewards that have no gradient."""

__version__ = "0.1.0"
