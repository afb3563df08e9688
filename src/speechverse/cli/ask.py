"""`speechverse ask`: an answer about a clip."""

from __future__ import annotations

import json as json_format
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.offline import Offline
from speechverse.errors import UserError, unknown_name

_SYSTEMS = ("speechverse", "cascade-whisper")

if TYPE_CHECKING:
    from speechverse.audio import Waveform
    from speechverse.types import Answer

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
    instruction: Annotated[str, typer.Argument(help="What to do with it, in words.")],
    then: Annotated[
        list[str] | None,
        typer.Option(
            help="What to ask next about the same clip, behind the answer; may be repeated."
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

      speechverse ask clip.wav "What is said?" --then "How does the speaker feel?"

      speechverse ask order.wav "Write the order as JSON." --json-schema order.json

      arecord -f S16_LE -r 16000 -d 5 | speechverse ask - "What is being said?"
    """
    if system not in _SYSTEMS:
        raise UserError(unknown_name("system to ask", system, _SYSTEMS))
    if scores and choices is None:
        raise UserError("--scores scores choices; name them with --choices a,b,c")
    if then and system != "speechverse":
        raise UserError(
            f"--then continues a conversation, which '{system}' does not hold; leave it out"
        )
    sound = _heard(clip)  # a bad clip is told before the heavy libraries and a model are loaded

    from speechverse.decoding import DecodingOptions
    from speechverse.pipeline import SpeechVerse, constraint_of

    allowed = None if choices is None else choices.split(",")
    schema = None if json_schema is None else _text_of(json_schema)
    constraint_of(allowed, regex, schema)  # told before a model is loaded
    asked: Any = SpeechVerse.from_pretrained(model, device)
    if system == "cascade-whisper":
        asked = _reader(asked)
    options = DecodingOptions(
        max_new_tokens=max_new_tokens, choice_mode="score" if scores else "constrain"
    )
    words = () if hints is None else hints.split(",")
    how: dict[str, Any] = {
        "choices": allowed,
        "options": options,
        "regex": regex,
        "json_schema": schema,
        "hints": words,
    }
    ask = asked.chat(sound).ask if then else partial(asked.ask, sound)
    told = []
    for text in (instruction, *(then or ())):
        answer = ask(text, **how)
        if answer.cut:
            typer.echo(f"note: {_WHY_CUT[answer.ended].format(answer.limit)}", err=True)
        if json:
            told.append(_told(answer, text, clip, model, system))
        else:
            _print(answer)
    if json:
        typer.echo(json_format.dumps(told if then else told[0], ensure_ascii=False))


def _told(answer: Answer, instruction: str, clip: Path, model: str, system: str) -> dict[str, Any]:
    """An answer as JSON tells it."""
    heard = {} if answer.transcript is None else {"system": system, "transcript": answer.transcript}
    scored = {"choice_scores": dict(answer.choice_scores)} if answer.choice_scores else {}
    return {
        "answer": answer.text,
        "ended": answer.ended,
        **heard,
        **scored,
        "clip": str(clip),
        "instruction": instruction,
        "model": model,
    }


def _print(answer: Answer) -> None:
    by_choice = answer.choice_scores or {}
    if answer.transcript is not None:
        typer.echo(f"Whisper's transcript: {answer.transcript}", err=True)
    typer.echo(answer.text)
    for choice, score in sorted(by_choice.items(), key=lambda item: -item[1]):
        typer.echo(f"  {score:8.3f}  {choice}")


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
