"""`speechverse card`: a page that says what a corpus holds, and shows its shortcuts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechverse.cli.options import Json

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
    seed: Annotated[int, typer.Option(help="Of the choice of clips and of the intervals.")] = 0,
    embed: Annotated[
        bool, typer.Option("--embed", help="Put the sound into the page, to be passed on alone.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a corpus holds, how its classes sound, and what can be guessed in it without
    listening.

    [bold]Examples[/bold]

      speechverse card my-world

      speechverse card recordings.jsonl -o card.html --embed
    """
    from speechverse.cli.evaluate import open_corpus, progress
    from speechverse.world.card import CardSettings, make_card, numbers_beside, write_card

    settings = CardSettings(clips, seed, samples, embed)
    page = output or (corpus / "card.html" if corpus.is_dir() else corpus.with_suffix(".card.html"))
    numbers_beside(page)  # a name that cannot be is told before the work
    with progress(json) as watch:
        card = make_card(open_corpus(corpus, "all"), settings, watch)
    numbers = write_card(card, page, _again(corpus, settings))
    if json:
        typer.echo(numbers.read_text(encoding="utf-8").strip())
        return
    _tell(card)
    typer.echo(f"page    {page} ({page.stat().st_size / 1e6:.1f} MB)\nnumbers {numbers}")


def _again(corpus: Path, settings: object) -> str:
    """The command that measures the same again."""
    options = [f"--{name}={getattr(settings, name)}" for name in ("clips", "seed")]
    return shlex.join(["speechverse", "card", str(corpus), *options])


def _tell(card: Card) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "guessed", "from", "score", "interval", "limit", "", box=None, title_justify="left"
    )
    for c in card.ceilings:
        verdict = {None: "", True: "met", False: "[bold red]broken[/bold red]"}[c.met]
        limit = "" if c.limit is None else f"<= {c.limit:.2f}"
        table.add_row(
            c.label, c.shortcut, f"{c.value:.2f}", f"{c.low:.2f} to {c.high:.2f}", limit, verdict
        )
    console = Console()
    if card.ceilings:
        console.print(table)
    for fault in card.faults:
        console.print(f"not as it should be: {fault}", style="red", markup=False, highlight=False)
    for note in card.notes:
        console.print(note, style="dim", markup=False, highlight=False)
