"""`speechverse ask`: an answer about a clip."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.offline import Offline
from speechverse.errors import UserError, unknown_name

_SYSTEMS = ("speechverse", "cascade-whisper")

if TYPE_CHECKING:
    from speechverse.audio import Waveform

_WHY_CUT = {
    "length": (
        "the answer is cut: it has all the {} tokens it may have; --max-new-tokens allows more"
    ),
    "positions": (
        "the answer is cut at {} tokens: with it the LLM's positions are used up; use a shorter"
        " clip"
    ),
    "loop": "the answer turned in circles and was ended",
}


def command(
    clip: Annotated[
        Path,
        typer.Argument(help="An audio file: WAV, FLAC, MP3, OGG, M4A, ...; - is standard input."),
    ],
    instruction: Annotated[
        str | None, typer.Argument(help="What to do with it, in words; or give --task.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Ask as a task does, with its labels: a name, asr+kwe, task.yaml, file.py:NAME."
        ),
    ] = None,
    choices: Annotated[
        str | None, typer.Option(help="The answers allowed, with commas between.")
    ] = None,
    hints: Annotated[
        str | None,
        typer.Option(
            help="Words that may be heard, with commas between; for models taught with data.hinted."
        ),
    ] = None,
    regex: Annotated[
        str | None, typer.Option(help="A regular expression that the whole answer matches.")
    ] = None,
    json_schema: Annotated[
        Path | None,
        typer.Option(help="A file with a JSON schema: the answer is JSON of it."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A built-in name, a checkpoint's folder, or a hub name.")
    ] = "small",
    system: Annotated[
        str,
        typer.Option(
            help=(
                "Who answers: speechverse, or cascade-whisper (Whisper's text, read by the model's"
                " own LLM)."
            )
        ),
    ] = "speechverse",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, ...; by default a GPU where there is one.")
    ] = None,
    scores: Annotated[
        bool,
        typer.Option(
            "--scores",
            help="Answer by scoring every choice (mean log-probability a token), and show it.",
        ),
    ] = False,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The most tokens of an answer; by default 8 for each second of audio, and 32.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    offline: Offline = False,
) -> None:
    """Ask about a clip.

    [bold]Examples[/bold]

      speechverse ask clip.wav "What is being said?"

      speechverse ask clip.wav "Which emotion does the voice convey?" --choices
      happy,sad,angry,neutral

      speechverse ask clip.wav --task asr+kwe

      speechverse ask order.wav "Write the order as JSON." --json-schema order.json

      arecord -f S16_LE -r 16000 -d 5 | speechverse ask - "What is being said?"
    """
    if system not in _SYSTEMS:
        raise UserError(unknown_name("system to ask", system, _SYSTEMS))
    instruction, labels = _question(instruction, task)
    allowed = labels if choices is None else choices.split(",")
    if scores and allowed is None:
        raise UserError("--scores scores choices; name them with --choices a,b,c")
    sound = _heard(clip)  # a bad clip is told before the heavy libraries and a model are loaded

    from speechverse.decoding import DecodingOptions
    from speechverse.pipeline import SpeechVerse, constraint_of

    schema = None if json_schema is None else _text_of(json_schema)
    constraint_of(allowed, regex, schema)  # told before a model is loaded
    asked: Any = SpeechVerse.from_pretrained(model, device)
    if system == "cascade-whisper":
        asked = _reader(asked)
    options = DecodingOptions(
        max_new_tokens=max_new_tokens, choice_mode="score" if scores else "constrain"
    )
    words = () if hints is None else hints.split(",")
    answer = asked.ask(
        sound, instruction, allowed, options, regex=regex, json_schema=schema, hints=words
    )
    if answer.cut:
        typer.echo(f"note: {_WHY_CUT[answer.ended].format(answer.limit)}", err=True)
    by_choice = dict(answer.choice_scores or {})
    heard = {} if answer.transcript is None else {"system": system, "transcript": answer.transcript}
    if json:
        scored = {"choice_scores": by_choice} if by_choice else {}
        told = {
            "answer": answer.text,
            "ended": answer.ended,
            **heard,
            **scored,
            "clip": str(clip),
            "instruction": instruction,
            "model": model,
        }
        typer.echo(json_format.dumps(told, ensure_ascii=False))
        return
    if heard:
        typer.echo(f"Whisper's transcript: {answer.transcript}", err=True)
    typer.echo(answer.text)
    for choice, score in sorted(by_choice.items(), key=lambda item: -item[1]):
        typer.echo(f"  {score:8.3f}  {choice}")


def _question(instruction: str | None, task: str | None) -> tuple[str, list[str] | None]:
    """What is asked, in the user's words or a task's, and the task's labels."""
    if (instruction is None) == (task is None):
        raise UserError("say what to do with the clip: an instruction in words, or --task NAME")
    if task is None:
        return instruction or "", None

    from speechverse.tasks import get_task
    from speechverse.tasks.asked import as_question

    asked = as_question(get_task(task))
    return asked.instruction, list(asked.choices) if asked.choices else None


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the JSON schema '{path}' cannot be read: {error}") from error


def _heard(clip: Path) -> Path | Waveform:
    """The clip, tried; what comes out of a pipe (at most 1 GiB) can be read only once."""
    from speechverse.audio import load, load_stream

    if str(clip) == "-":
        if sys.stdin.isatty():
            raise UserError(
                "'-' is standard input, and nothing is piped into it; name a file, or pipe one in"
            )
        return load_stream(sys.stdin.buffer, "standard input")
    waveform = load(clip)
    return clip if clip.is_file() else waveform


def _reader(loaded: Any) -> Any:
    from speechverse.evaluation.cascades import WhisperReader
    from speechverse.evaluation.provenance import find_whisper

    whisper, why_none = find_whisper(loaded.model)
    if whisper is None:
        raise UserError(f"cascade-whisper needs a Whisper with a decoder: {why_none}")
    return WhisperReader(loaded, whisper)
