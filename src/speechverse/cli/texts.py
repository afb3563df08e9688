"""`speechverse texts`: lines of an open vocabulary to be spoken, without any model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[
        Path, typer.Argument(help="JSONL file to write, for `speechverse synth --from`.")
    ],
    train: Annotated[int, typer.Option(min=0, help="Lines to train on.")] = 1000,
    dev: Annotated[
        int, typer.Option(min=0, help="Lines to validate on: sentences of their own.")
    ] = 0,
    test: Annotated[int, typer.Option(min=0, help="Lines to test on: sentences of their own.")] = 0,
    wordnet: Annotated[
        Path | None,
        typer.Option(help="Folder of WordNet's files; by default where Debian and npm put them."),
    ] = None,
    prose: Annotated[
        list[Path] | None,
        typer.Option(help="Text file, or folder of *.txt: passages of it (to 50 words)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and sources give the same lines.")] = 1,
    not_in: Annotated[
        list[Path] | None, typer.Option(help="JSONL whose texts are not to come again.")
    ] = None,
) -> None:
    """Write lines to be spoken: WordNet's sentences, the world's requests, words, digits; or
    passages of prose.

    [bold]Examples[/bold]

      speechverse texts sentences.jsonl --train 5000 --seed 1

      speechverse texts more.jsonl --train 2000 --test 200 --not-in sentences.jsonl --wordnet
      /usr/share/wordnet

      speechverse texts read.jsonl --train 5000 --prose my-book.txt

      speechverse synth my-speech --from sentences.jsonl --engine hibari
    """
    from speechverse.data.lines import Lines, write_lines
    from speechverse.errors import UserError
    from speechverse.files import make_place
    from speechverse.world.language import Part
    from speechverse.world.texts.lines import draw_lines
    from speechverse.world.texts.prose import draw_passages
    from speechverse.world.texts.wordnet import read_wordnet

    if prose and wordnet is not None:
        raise UserError("lines are of --prose or of --wordnet; write two files, one of each")
    make_place(out, *(prose or ()), *(not_in or ()))
    without = set()
    for path in not_in or ():
        before = Lines.read(path)
        if before.faults:
            raise before.refusal("cannot be read")
        without |= {str(entry.get("text")) for _, entry in before.objects}
    sizes: dict[Part, int] = {"train": train, "dev": dev, "test": test}
    if prose:
        lines = draw_passages(prose, sizes, seed, without)
    else:
        lines = draw_lines(read_wordnet(wordnet), sizes, seed, without=without)
    write_lines(out, lines)
    counts = Counter(line["stratum"] for line in lines)
    words = {word.strip(".,?!").lower() for line in lines for word in line["text"].split()}
    typer.echo(f"{out}: {len(lines)} lines, {len(words)} different words")
    typer.echo(", ".join(f"{kind} {count}" for kind, count in counts.most_common()))
