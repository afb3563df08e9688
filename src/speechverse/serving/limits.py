"""What the processes that read what strangers send may take, and what they are told."""

from __future__ import annotations

import os
import resource
import sys


def limit(which: int, value: int) -> None:
    """Limits this process: the soft limit alone, so that one of processor time may grow."""
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (value if hard < 0 else min(value, hard), hard))


def environment() -> dict[str, str]:
    """What such a process needs of this one's; keys are none of it."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
