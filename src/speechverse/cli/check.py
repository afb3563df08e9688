"""`speechverse check`: whether a corpus is fit to be used."""

from __future__ import annotations

import json as json_format
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechverse.cli.options import Embed, Json
from speechverse.commas import listed
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.corpora.check import Check

_ALLOWED = ("speakers", "sentences", "sounds")


def command(
    manifests: Annotated[
        list[Path], typer.Argument(help="A corpus folder, or JSONL files, one a split.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page; by default beside the first manifest."),
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Clips of each split to listen to; all by default.")
    ] = None,
    allow: Annotated[
        str, typer.Option(help="What splits may share: speakers, sentences, sounds.")
    ] = "",
    embed: Embed = False,
    json: Json = False,
) -> None:
    """Look a corpus over: lengths, rates, silence, clipping, duplicates, labels, what splits share.

    The exit status is 2 where clips cannot be read, or splits share what keeps them from being
    measured on.

    [bold]Examples[/bold]

      speechverse check corpora/librispeech --clips 500

      speechverse check train.jsonl test.jsonl --allow sentences
    """
    from speechverse.cli.common import open_corpus, progress
    from speechverse.corpora.check import check_corpus
    from speechverse.corpora.check_page import write_page
    from speechverse.files import make_place

    allowed = listed(allow)
    if unknown := [name for name in allowed if name not in _ALLOWED]:
        raise UserError(f"--allow {unknown[0]}: splits may share {', '.join(_ALLOWED)}")
    first = manifests[0]
    beside = first / "check.html" if first.is_dir() else first.with_suffix(".check.html")
    make_place(output or beside, *manifests)
    splits = _splits_of(manifests)
    with progress(json) as watch:
        opened = [open_corpus(path, splits[path], faulty_too=True) for path in manifests]
        check = check_corpus(opened, clips, allowed, watch)
    page = write_page(check, opened, output or beside, embed)
    if json:
        typer.echo(json_format.dumps(check.as_dict() | {"page": str(page)}))
    else:
        _print(check)
        typer.echo(f"page    {page}")
    if check.faults:
        raise typer.Exit(2)


def _splits_of(manifests: Sequence[Path]) -> dict[Path, str]:
    """What each file's split is called: the file, and its folder too where two are called alike."""
    stems = Counter(path.stem for path in manifests)
    named = {
        path: path.stem if stems[path.stem] == 1 else f"{path.resolve().parent.name}-{path.stem}"
        for path in manifests
    }
    files = [path for path in manifests if not path.is_dir()]
    if len({named[path] for path in files}) < len(files):
        raise UserError(
            "of these manifests some have one name and lie in folders of one name, so their splits"
            " could not be told apart: rename them"
        )
    return named


def _print(check: Check) -> None:
    from rich.console import Console
    from rich.table import Table

    from speechverse.corpora.check import SHOWN

    heads = ("split", "clips", "hours", "speakers", "sentences", "shortest", "median", "longest")
    table = Table(*heads, box=None)
    for split, sizes in check.splits.items():
        numbers = (sizes.clips, sizes.hours, sizes.speakers, sizes.sentences)
        seconds = (sizes.shortest, sizes.median, sizes.longest)
        table.add_row(
            split,
            *(f"{number:,}" for number in numbers),
            *(f"{number:.1f} s" for number in seconds),
        )
    labels = Table("label", "values", "most frequent", "without", box=None)
    for field in check.fields:
        most = ", ".join(
            f"{name} {sum(by.values()):,}" for name, by in list(field.counts.items())[:4]
        )
        labels.add_row(
            field.name, f"{field.num_classes:,}", most, f"{sum(field.unlabelled.values()):,}"
        )
    console = Console(markup=False, emoji=False)  # labels and names are shown as they are written
    console.print(table)
    if check.fields:
        console.print(labels)
    if check.unreadable:
        unreadable = Table("cannot be read", "why", box=None)
        for clip, reason in list(check.unreadable.items())[:SHOWN]:
            unreadable.add_row(clip, reason)
        if (more := len(check.unreadable) - SHOWN) > 0:
            unreadable.add_row(f"and {more:,} more", "the page and --json name all")
        console.print(unreadable)
    for note in check.notes:
        console.print(note, style="yellow", highlight=False)
    for fault in check.faults:
        console.print(f"not fit: {fault}", style="red", highlight=False)
    if not check.faults:
        console.print(check.praise, style="green", highlight=False)
