"""`speechverse instructions`: what spoken lines are asked, and what the frozen LLM answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import Device
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.instructions import Asked, Outcome


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
    from speechverse.files import locked, make_place
    from speechverse.instructions import draw_instructions, draw_lines

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
    busy = UserError(f"another run is writing to '{out}' now; wait for it, or name another OUT")
    with locked(out.with_name(f".{out.name}.lock"), busy):
        outcome = _answered(out, drawn, num_read, max_new_tokens, model, device)
        _write(out, chosen, outcome)


def _answered(
    out: Path, drawn: list[Asked], num_read: int, limit: int, model: str, device: Device
) -> Outcome:
    """What came of the instructions, the LLM's answers kept beside what is written."""
    from speechverse.evaluation.journal import Journal
    from speechverse.instructions import answer_lines
    from speechverse.pipeline import SpeechVerse
    from speechverse.terminal import Progress

    journal = Journal(out.with_name(f"{out.name}.answers"))
    loaded = SpeechVerse.from_pretrained(model, device)
    with Progress("answers", num_read) as progress:
        return answer_lines(loaded, drawn, journal, limit, progress.advance)


def _write(out: Path, lines: Sequence[Mapping[str, Any]], outcome: Outcome) -> None:
    """Writes the lines that have an answer and says what was dropped.

    Raises:
        UserError: If none has one; what an earlier run wrote is left as it was.
    """
    from speechverse.data.lines import write_lines
    from speechverse.instructions import labelled

    written = labelled(lines, outcome)
    if not written:
        raise UserError(
            f"no line has an answer that can be learnt, and '{out}' is not written; of the LLM's"
            f" {outcome.num_read:,} answers dropped: {_dropped(outcome)}. Give more or other lines,"
            " longer answers (--max-new-tokens) or a --model whose LLM reads better"
        )
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
    return (
        f"{out}: {len(written):,} lines with {pairs:,} instructions\n"
        f"of the LLM's {outcome.num_read:,} answers ({outcome.seconds:,.0f} s) dropped:"
        f" {_dropped(outcome)}"
    )


def _dropped(outcome: Outcome) -> str:
    counts = [f"{count:,} {reason}" for reason, count in outcome.dropped.most_common()]
    return ", ".join(counts) or "none"
