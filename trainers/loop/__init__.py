"""The loop and its two stages, from a configuration to a run folder."""
