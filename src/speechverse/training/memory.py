"""How training on a CPU gets its memory."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1
_AT_ONCE = 64 * 2**20


def keep_freed_memory() -> bool:
    """Lets the C library keep what this process frees, for the next step to use again.

    By default it hands every large block back to the system and asks for it anew, cleared page by
    page, some thousand times a step; that was a fifth of a small encoder's step
    (docs/lab-notes.md). The process stays as large as its largest step.

    Returns:
        Whether the C library could be told; glibc can.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        tell = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    settings = [(_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _AT_ONCE)]
    return all(tell(name, value) == 1 for name, value in settings)
