"""The command line in this process: what a verb prints and its exit status, without the seconds
that a start takes.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

import pytest

from speechverse.cli import main


class Ran(NamedTuple):
    """What is left of a command: its exit status and what it printed, as of `subprocess.run`."""

    returncode: int
    stdout: str
    stderr: str


def run_here(*arguments: object, **environment: str) -> Ran:
    """Gives the command line these arguments, as `python -m speechverse ...` does."""
    words = ["speechverse", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", words),
        mock.patch.dict(os.environ, {"COLUMNS": "120", **environment}),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    status = ended.value.code
    return Ran(
        status if isinstance(status, int) else int(status is not None),
        out.getvalue(),
        err.getvalue(),
    )


def speechverse(*arguments: object, status: int = 0) -> Ran:
    """The same; fails the test unless the command ends with this status, and
    without a traceback.
    """
    done = run_here(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done
