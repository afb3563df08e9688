"""Start-up: the package and its command line against the import that they put off."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.harness import Claim, Repeat, Side, Took, peak_mb

_TELL = "import atexit, sys; atexit.register(lambda: sys.stderr.write(open('/proc/self/status').read()))\n"
_HELP = "sys.argv = ['speechverse', '--help']; from speechverse.cli import main; main()"


def _start(folder: Path, code: str) -> Repeat:
    """A Python that runs `code` and ends, starting the interpreter included."""
    command = [sys.executable, "-c", _TELL + code]

    def repeat() -> Took:
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return Took(time.perf_counter() - began, peak_mb=peak_mb(done.stderr))

    return repeat


_TORCH = Side("import torch", partial(_start, code="import torch"))
CLAIMS = (
    Claim("importing the package", Side("import speechverse", partial(_start, code="import speechverse")), _TORCH, "s"),
    Claim("the command line's help", Side("speechverse --help", partial(_start, code=_HELP)), _TORCH, "s"),
)
