"""`speechverse card`: a page that says what a corpus holds, and shows its shortcuts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechverse.cli.options import Embed, Json

if TYPE_CHECKING:
    from speechverse.world.card import Card


def command(
    corpus: Annotated[Path, typer.Argument(help="A corpus folder, or a JSONL file.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page; by default beside the corpus."),
    ] = None,
    clips: Annotated[
        int, typer.Option(min=1, help="Clips of each split to listen to, at most.")
    ] = 2000,
    samples: Annotated[int, typer.Option(min=1, help="Playable clips for each class.")] = 3,
    seed: Annotated[int, typer.Option(help="Seeds the choice of clips and the intervals.")] = 0,
    embed: Embed = False,
    json: Json = False,
) -> None:
    """Show what a corpus holds, how its classes sound, and what can be guessed in it without
    listening.

    [bold]Examples[/bold]

      speechverse card my-world

      speechverse card recordings.jsonl -o card.html --embed
    """
    from speechverse.cli.common import open_corpus, progress
    from speechverse.files import make_place
    from speechverse.world.card import CardSettings, make_card, numbers_beside, write_card

    settings = CardSettings(clips, seed, samples, embed)
    page = output or (corpus / "card.html" if corpus.is_dir() else corpus.with_suffix(".card.html"))
    make_place(page, corpus)  # a place and a name that cannot be are refused before the work
    numbers_beside(page)
    with progress(json) as watch:
        card = make_card(open_corpus(corpus, "all"), settings, watch)
    numbers = write_card(card, page, _again(corpus, settings))
    if json:
        typer.echo(numbers.read_text(encoding="utf-8").strip())
        return
    _print(card)
    typer.echo(f"page    {page} ({page.stat().st_size / 1e6:.1f} MB)\nnumbers {numbers}")


def _again(corpus: Path, settings: object) -> str:
    """The command that measures the same again."""
    options = [f"--{name}={getattr(settings, name)}" for name in ("clips", "seed")]
    return shlex.join(["speechverse", "card", str(corpus), *options])


def _print(card: Card) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("label", "guessed from", "UAR", "interval", "limit", "", box=None)
    verdicts = {None: Text(), True: Text("pass"), False: Text("fail", style="bold red")}
    for check in card.checks:
        verdict = verdicts[check.passed]
        limit = "" if check.limit is None else f"<= {check.limit:.2f}"
        interval = f"{check.low:.2f} to {check.high:.2f}"
        table.add_row(check.label, check.cue, f"{check.uar:.2f}", interval, limit, verdict)
    console = Console(markup=False, emoji=False)  # labels are shown as they are written
    if card.checks:
        console.print(table)
    for fault in card.faults:
        console.print(f"not as it should be: {fault}", style="red", highlight=False)
    for note in card.notes:
        console.print(note, style="dim", highlight=False)
