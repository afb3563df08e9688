"""`--offline`, for every verb that may fetch something."""

from __future__ import annotations

from typing import Annotated

import typer


def _obey(wanted: bool) -> bool:
    if wanted:
        from speechverse.pretrained import go_offline

        go_offline()
    return wanted


Offline = Annotated[
    bool,
    typer.Option(
        "--offline", help="Fetch nothing: what is not on this machine is refused.", callback=_obey
    ),
]
"""Obeyed as soon as the command line is read, before any library that reads the environment is
loaded.
"""
