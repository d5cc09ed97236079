"""How much work something is, told by what it does: seconds are of the machine and of what else it does."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final


def lines_of(work: Callable[[], object]) -> int:
    """Return how many calls and lines of Python a piece of work takes in this thread; the same on any machine."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event in ("call", "line")
        return trace

    before, collects = sys.gettrace(), gc.isenabled()
    gc.collect()
    gc.disable()  # what is thrown away may have code that is run then
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return count


PEAK: Final = '''
import resource, sys

def peak():
    """The most memory this process has had, in KiB; on Linux ru_maxrss begins with that of the parent."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
'''
"""Code for a process of its own whose memory is looked at."""
