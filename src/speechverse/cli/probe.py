"""`speechverse probe`: what the layers of speech encoders let a linear classifier tell."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from speechverse.evaluation.probes import ProbeTable
    from speechverse.types import Utterance


def command(
    encoders: Annotated[
        list[str], typer.Argument(help="Encoders: built-in names, folders or hub names; several are compared.")
    ],
    corpus: Annotated[Path, typer.Option(help="A corpus folder whose splits keep voices and sentences apart.")],
    fit: Annotated[str, typer.Option(help="The split whose voices are fitted on.")] = "train",
    test: Annotated[str | None, typer.Option(help="The split tested on. By default test, or dev without it.")] = None,
    digits: Annotated[
        Path | None, typer.Option(help="A JSONL of people saying digits (`audio`, `text`, `speaker`), such as FSDD's.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Clips to fit on, at most; 0 takes all.")] = 4000,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; by default a GPU where there is one.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSON file to write.")] = Path("probes.json"),
    json: Annotated[bool, typer.Option("--json", help="Print the JSON instead of tables, and no progress.")] = False,
) -> None:
    """Probe each layer for emotion, accent, speakers, speech and words, on unseen voices and sentences.

    [bold]Examples[/bold]

      speechverse probe runs/encoder/encoder-best-rq runs/encoder/encoder --corpus my-world

      speechverse probe tiny-encoder --corpus my-world --digits fsdd.jsonl -o probes.json
    """
    from rich.console import Console

    from speechverse.data import Corpus
    from speechverse.evaluation.probes import digit_clips
    from speechverse.files import write_text

    opened = Corpus.open(corpus)
    test = test or ("test" if "test" in opened.splits else "dev")
    seen, unseen = opened.utterances(fit), opened.utterances(test)
    people = digit_clips(Corpus.from_jsonl("digits", {"all": digits}).utterances("all")) if digits else []
    tables = []
    for encoder in encoders:
        tables.append(_probe(encoder, seen[: limit or None], unseen, people, device, quiet=json))
        if not json:
            Console().print(tables[-1].for_terminal())
    found = {"corpus": opened.name, "fit": fit, "test": test, "encoders": [table.as_dict() for table in tables]}
    write_text(output, json_format.dumps(found, indent=1) + "\n")
    typer.echo(json_format.dumps(found) if json else f"wrote {output}")


def _probe(
    name: str, fit: list[Utterance], test: list[Utterance], digits: list[Utterance], device: str | None, quiet: bool
) -> ProbeTable:
    from speechverse.encoders import load_encoder
    from speechverse.evaluation.probes import probe_encoder
    from speechverse.pipeline import pick_device
    from speechverse.training.logs import Progress

    encoder = load_encoder(name).to(pick_device(device))
    if quiet:
        return probe_encoder(encoder, fit, test, digits=digits, name=name)
    with Progress("listening", len(fit) + len(test) + len(digits)) as progress:
        return probe_encoder(encoder, fit, test, digits=digits, name=name, done=progress.advance)
