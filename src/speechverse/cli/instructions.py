"""`speechverse instructions`: what spoken lines are asked, and what the frozen LLM answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import Device
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.instructions import Outcome


def command(
    lines: Annotated[
        Path, typer.Argument(help="JSONL of lines with a `text`, or a corpus folder.")
    ],
    out: Annotated[
        Path, typer.Argument(help="JSONL to write: the lines with a label `instructions`.")
    ],
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many lines, chosen by hash.")
    ] = None,
    each: Annotated[
        int, typer.Option(min=1, max=10, help="Instructions a line, each of another kind.")
    ] = 2,
    read_share: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Share that the LLM answers; a program knows the rest."
        ),
    ] = 0.4,
    model: Annotated[
        str, typer.Option(help="The model whose LLM answers, without its LoRA.")
    ] = "small",
    split: Annotated[str, typer.Option(help="Split of a corpus folder.")] = "train",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="The longest answer.")] = 32,
    seed: Annotated[int, typer.Option(help="The same seed and lines are asked the same.")] = 1,
    device: Device = None,
    offline: Offline = False,
) -> None:
    """Give spoken lines instructions and answers: by the model's own LLM, which reads them, or by a
    program.

    Interrupted, the same command goes on. What comes out is spoken with `synth --from`, or joined
    to a corpus that is spoken already, by text or id: `corpora: {speech: {path: my-speech,
    more_labels: OUT}}` in a recipe.

    [bold]Examples[/bold]

      speechverse instructions sentences.jsonl follow.jsonl --limit 1000

      speechverse instructions my-speech follow.jsonl --each 3 --model runs/my
    """
    from speechverse.data.lines import write_lines
    from speechverse.evaluation.journal import Journal
    from speechverse.files import make_place
    from speechverse.instructions import answer_lines, draw_instructions, draw_lines, labelled
    from speechverse.pipeline import SpeechVerse
    from speechverse.terminal import Progress

    make_place(out)
    if out.resolve() == lines.resolve() or out.resolve().is_relative_to(lines.resolve()):
        raise UserError(f"'{out}' is what is read, or lies in it: name another file to write")
    read = _read(lines, split)
    chosen = draw_lines(read, limit, seed)
    if not chosen:
        raise UserError(f"{lines} holds no sentences of three words or more to ask anything of")
    if short := len(read) - len(draw_lines(read, None, seed)):
        told = "of fewer than three words, spelled ones or digits"
        typer.echo(f"left out: {short:,} lines that nothing can be asked of ({told})", err=True)
    once = {line["text"]: line for line in chosen}.values()
    drawn = [asked for line in once for asked in draw_instructions(line, each, seed, read_share)]
    num_read = sum(asked.answer is None for asked in drawn)
    typer.echo(
        f"{len(chosen):,} lines, {len(drawn):,} instructions; the LLM answers {num_read:,} of them"
    )
    journal = Journal(out.with_name(f"{out.name}.answers"))
    loaded = SpeechVerse.from_pretrained(model, device)
    with Progress("answers", num_read) as progress:
        outcome = answer_lines(loaded, drawn, journal, max_new_tokens, progress.advance)
    written = labelled(chosen, outcome)
    write_lines(out, written)
    typer.echo(_summary(out, written, outcome))


def _read(lines: Path, split: str) -> list[dict[str, Any]]:
    from speechverse.data import Corpus
    from speechverse.data.lines import Lines

    if lines.is_dir():
        spoken = [u for u in Corpus.open(lines).utterances(split) if u.text]
        strata = [{k: v for k, v in u.labels.items() if k == "stratum"} for u in spoken]
        return [{"id": u.id, "text": u.text, **own} for u, own in zip(spoken, strata, strict=True)]
    read = Lines.read(lines)
    read.each(_check)
    if read.faults:
        raise read.refusal("cannot be asked anything")
    return [entry for _, entry in read.objects]


def _check(number: int, entry: dict[str, Any]) -> None:
    if not isinstance(entry.get("text"), str):
        raise ValueError(f"has no 'text'; it has {', '.join(entry) or 'nothing'}")


def _summary(out: Path, written: list[dict[str, Any]], outcome: Outcome) -> str:
    pairs = sum(len(line["instructions"]) for line in written)
    counts = [f"{count:,} {reason}" for reason, count in outcome.dropped.most_common()]
    dropped = ", ".join(counts) or "none"
    return (
        f"{out}: {len(written):,} lines with {pairs:,} instructions\n"
        f"of the LLM's {outcome.num_read:,} answers ({outcome.seconds:,.0f} s) dropped: {dropped}"
    )
