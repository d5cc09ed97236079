"""The most memory a process has had."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak() -> int:
    """Return it in KiB; on Linux ``ru_maxrss`` begins with that of the process which started this one."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
