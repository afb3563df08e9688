"""Start-up: the package and its command line against the import that they put off."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.harness import Claim, Repeat, Side, fresh_python

_HELP = "sys.argv = ['speechverse', '--help']; from speechverse.cli import main; main()"


def _start(folder: Path, code: str) -> Repeat:
    return fresh_python(code)


_TORCH = Side("import torch", partial(_start, code="import torch"))
CLAIMS = (
    Claim(
        "importing the package",
        Side("import speechverse", partial(_start, code="import speechverse")),
        _TORCH,
        "s",
    ),
    Claim(
        "the command line's help",
        Side("speechverse --help", partial(_start, code=_HELP)),
        _TORCH,
        "s",
    ),
)
