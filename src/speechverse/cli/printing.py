"""What commands print for programs."""

from __future__ import annotations

import sys
from typing import Any

import typer

from speechverse.files import json_line


def print_json(value: Any) -> None:
    """One line of JSON, which any terminal and pipe can carry."""
    typer.echo(json_line(value, stdout_encoding()))


def stdout_encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "utf-8"  # none is there where it was closed
