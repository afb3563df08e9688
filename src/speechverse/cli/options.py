"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechverse import types

Device = Annotated[
    str | None, typer.Option(help="cpu, cuda:1, ...; by default a GPU where there is one.")
]
Precision = Annotated[
    types.Precision,
    typer.Option(
        help=(
            "Of the encoder and the LLM: bf16 and fp16 take half the memory, and less time where"
            " the device has units for them; answers may differ by a word."
        )
    ),
]
FP32 = "fp32"
"""The precision of figures, which no file of answers names."""
_A_MODEL = "A built-in name, a checkpoint's folder, or a hub name."
Model = Annotated[str, typer.Option(help=_A_MODEL)]
ModelArgument = Annotated[str, typer.Argument(help=_A_MODEL)]
Embed = Annotated[
    bool, typer.Option("--embed", help="Put the sound into the page, to be passed on alone.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and no progress.")]
RunFolder = Annotated[
    Path | None, typer.Option("--output", "-o", help="The run's folder; by default runs/<name>.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Begin again where the folder holds a run.")
]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts to listen at for this machine alone."""
