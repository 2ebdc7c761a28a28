"""What else the machine does, and how our threads wait beside it."""

from __future__ import annotations

import os

from tdmr1.progress import say

SPINS = "1000"
"""How often a thread looks whether another is done before it gives the processor away: of libgomp,
with which torch computes on Linux. Its own 300,000 are a little faster on an idle machine, and
everything is many times slower with them beside other busy processes."""

WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY")
"""What users set who have thought about how threads wait, for libgomp and for Intel's runtime."""


def wait_politely() -> None:
    """Let threads that wait make room for others, unless the user has said how they shall.

    It has to happen before torch is loaded. Processes that this one starts do so, too.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = SPINS


def tell_load() -> None:
    """One line where more wants to run than there are cores; none where it cannot be told."""
    try:
        load, cores = os.getloadavg()[0], os.cpu_count()
    except (AttributeError, OSError):
        return
    if cores is not None and load > cores:
        remedy = "" if "OMP_NUM_THREADS" in os.environ else ", and with OMP_NUM_THREADS=1 least so"
        say(
            f"this machine is busy, with a load of {load:.1f} on {cores} cores: all takes longer"
            + remedy
        )
