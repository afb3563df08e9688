"""`speechverse prepare`: a public corpus, or data in another format, as a corpus folder."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import Device, Json
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.corpora.prepare import Prepared


def command(
    name: Annotated[
        str | None, typer.Argument(help="Which corpus, or file.py:NAME; without it, all are told.")
    ] = None,
    source: Annotated[
        Path | None, typer.Argument(help="Where you unpacked it; nothing is downloaded.")
    ] = None,
    output: Annotated[
        Path | None, typer.Argument(help="The corpus folder to write; audio stays where it is.")
    ] = None,
    keywords: Annotated[
        str | None,
        typer.Option(
            help="A model that labels texts with keywords; the paper's is"
            " Voicelab/vlt5-base-keywords. Interrupted, the same command goes on."
        ),
    ] = None,
    device: Device = None,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Write a public corpus as a corpus folder, with the paper's splits, filters and labels.

    [bold]Examples[/bold]

      speechverse prepare

      speechverse prepare librispeech downloads/LibriSpeech corpora/librispeech

      speechverse prepare csv my-table.csv corpora/mine
    """
    from speechverse.corpora import CORPORA

    if device is not None and not keywords:
        raise UserError("--device is where --keywords are chosen; leave it out")
    if name is None:
        if json:
            raise UserError("--json tells what was prepared: name a corpus, SOURCE and OUTPUT")
        _tell_all()
        return
    reader = CORPORA[name]
    if source is None or output is None:
        raise UserError(
            f"speechverse prepare {name} SOURCE OUTPUT: SOURCE holds {reader.source}"
            f" ({reader.home}), OUTPUT is the folder to write"
        )
    from speechverse.cli.common import progress
    from speechverse.corpora.keywords import Keywords
    from speechverse.corpora.prepare import prepare

    asked = Keywords(keywords, device) if keywords else None
    with progress(json) as watch:
        prepared = prepare(reader, source, output, asked, watch)
    if json:
        typer.echo(json_format.dumps({"output": str(output), **prepared.as_dict()}))
    else:
        _tell(prepared, output)


def _tell_all() -> None:
    from rich.console import Console
    from rich.table import Table

    from speechverse.corpora import CORPORA

    table = Table("name", "SOURCE holds", "where to get it", box=None)
    for name, reader in CORPORA.items():
        table.add_row(name, reader.source, reader.home)
    Console().print(table)


def _tell(prepared: Prepared, output: Path) -> None:
    corpus = prepared.corpus
    for split, about in corpus.description["splits"].items():
        typer.echo(f"{split}: {about['num_utterances']:,} clips, {about['hours']:.2f} h")
    for field, names in corpus.labels.items():
        typer.echo(f"{field}: {len(names.descriptions)} names")
    for reason, count in prepared.left_out.items():
        typer.echo(f"left out: {count:,} {reason}")
    typer.echo(f"corpus  {output} (`speechverse check {output}` looks it over)")
