"""The memory that this process holds, as its operating system tells it."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident() -> int | None:
    """Bytes held now; None where the system does not tell."""
    return _status("VmRSS")


def most_resident() -> int | None:
    """The most bytes held so far; None where the system does not tell.

    Linux has two such figures. That of getrusage is inherited from the process that has started
    this one, so that of /proc, the process's own, is read.
    """
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM")


def _status(key: str) -> int | None:
    if not STATUS.exists():
        return None
    found = re.search(rf"^{key}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
