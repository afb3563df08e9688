"""`speechverse ask`: an answer about a clip, or about each clip of a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.asking import SYSTEMS, Asked
from speechverse.cli.offline import Offline
from speechverse.cli.options import Device, Model, Precision
from speechverse.cli.printing import print_json
from speechverse.commas import listed
from speechverse.errors import UserError, unknown_name

if TYPE_CHECKING:
    from speechverse.audio import Waveform
    from speechverse.tasks import TaskQuestion
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
_DRAWS = "Drawing answers"
_OUT = "What is printed"


def command(
    clip: Annotated[
        Path,
        typer.Argument(
            help=(
                "An audio file: WAV, FLAC, MP3, OGG, M4A, ...; a folder of them, with --output; -"
                " is standard input."
            )
        ),
    ],
    instruction: Annotated[
        str | None, typer.Argument(help="What to do with it, in words; or give --task.")
    ] = None,
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
    task: Annotated[
        str | None,
        typer.Option(
            help="Ask a task's own question and read its answer: asr, asr+kwe, a.py:NAME, a.yaml"
        ),
    ] = None,
    model: Model = "small",
    system: Annotated[
        str,
        typer.Option(
            help=(
                "Who answers: speechverse, or cascade-whisper (Whisper's text, read by the model's"
                " own LLM)."
            )
        ),
    ] = "speechverse",
    language: Annotated[
        str | None,
        typer.Option(help="What is spoken, for cascade-whisper: en (the default), de, ..., auto."),
    ] = None,
    device: Device = None,
    precision: Precision = "fp32",
    scores: Annotated[
        bool,
        typer.Option(
            "--scores",
            help=(
                "Answer by scoring every choice (mean log-probability a token), and show it, with"
                " the share it has among all."
            ),
        ),
    ] = False,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The most tokens of an answer; by default 8 for each second of audio, and 32.",
        ),
    ] = None,
    beams: Annotated[int | None, typer.Option(min=1, help="Beams; 1 is greedy.")] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="Text that a free answer ends before; may be given several times."),
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1, a free answer repeats itself less.")
    ] = None,
    no_repeat_ngram_size: Annotated[
        int | None, typer.Option(min=1, help="No run of so many tokens comes twice.")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Draw tokens; lower is nearer to the likeliest answer.", rich_help_panel=_DRAWS
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            help="Draw among the likeliest that have this share together.", rich_help_panel=_DRAWS
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="Draw among so many of the likeliest.", rich_help_panel=_DRAWS),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="The same draws again; by default anew.", rich_help_panel=_DRAWS),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Print the answer as it comes.", rich_help_panel=_OUT),
    ] = False,
    logprobs: Annotated[
        bool,
        typer.Option("--logprobs", help="Show each token's log-probability.", rich_help_panel=_OUT),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help=(
                "Write answers to this file, a JSON line each; the same command goes on where it"
                " was stopped."
            ),
            rich_help_panel=_OUT,
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print the answer as JSON.", rich_help_panel=_OUT),
    ] = False,
    offline: Offline = False,
) -> None:
    """Ask about a clip, or about every clip of a folder.

    [bold]Examples[/bold]

      speechverse ask clip.wav "What is being said?"

      speechverse ask clip.wav "Which emotion does the voice convey?" --choices
      happy,sad,angry,neutral

      speechverse ask clip.wav "What is said?" --then "How does the speaker feel?"

      speechverse ask order.wav "Write the order as JSON." --json-schema order.json

      speechverse ask clip.wav --task asr+kwe

      speechverse ask calls/ "What does the caller want?" --output answers.jsonl

      arecord -f S16_LE -r 16000 -d 5 | speechverse ask - "What is being said?"
    """
    if system not in SYSTEMS:
        raise UserError(unknown_name("system to ask", system, SYSTEMS))
    if language and system == SYSTEMS[0]:
        raise UserError("--language is told to Whisper: give --system cascade-whisper, too")
    if stream and (output or json or scores or system != SYSTEMS[0]):
        raise UserError(
            "--stream prints the model's answer as it comes: leave out --output, --json, --scores"
            " and --system"
        )
    if clip.is_dir() and output is None:
        raise UserError(f"'{clip}' is a folder: say where its answers go, --output answers.jsonl")
    if output and (system != SYSTEMS[0] or str(clip) == "-"):
        raise UserError(
            "--output keeps the model's own answers about files: leave out --system, and name a"
            " file or folder instead of -"
        )
    if then and (task or stream or output or system != SYSTEMS[0]):
        raise UserError(
            "--then goes on with a conversation in words: leave out --task, --stream, --output and"
            " --system"
        )
    # A bad clip is told before the heavy libraries and a model are loaded.
    sound = clip if clip.is_dir() else _try_clip(clip)

    from speechverse.decoding import DecodingOptions

    decoding: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "num_beams": beams,
        "stop": stop or None,
        "repetition_penalty": repetition_penalty,
        "no_repeat_ngram_size": no_repeat_ngram_size,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "seed": seed,
        "choice_mode": "score" if scores else None,
    }
    allowed = None if choices is None else listed(choices)
    question = _of_task(task, instruction, allowed)
    asked = Asked(
        question.instruction if question else instruction or "",
        model,
        DecodingOptions(**{name: value for name, value in decoding.items() if value is not None}),
        question,
        allowed,
        regex,
        None if json_schema is None else _text_of(json_schema),
        listed(hints),
        system,
        logprobs,
        precision,
        language,
    )
    asked.check()

    def load() -> Any:
        from speechverse.pipeline import SpeechVerse

        loaded = SpeechVerse.from_pretrained(model, device, precision)
        if system == SYSTEMS[0]:
            return loaded
        from speechverse.evaluation.cascades import WhisperReader

        return WhisperReader.of(loaded, language or "en")

    if output is not None:
        from speechverse.cli.ask_folder import ask_folder

        ask_folder(asked, clip, output, load, json=json)
    elif then:
        _converse(asked, then, load().chat(sound), clip, json)
    else:
        _answer(asked, load(), sound, clip, json, stream)


def _answer(asked: Asked, answering: Any, sound: Any, clip: Path, json: bool, stream: bool) -> None:
    from speechverse.cli.ask_whole import ask_whole, is_too_long, parts_of

    if is_too_long(asked, answering, sound):  # its answer begins when all of it was heard
        made = ask_whole(asked, answering, sound, clip, quiet=json)
        _show(asked, made.answer, clip, json, parts=parts_of(made))
    elif stream:
        _stream(asked, sound, answering)
    else:
        _show(asked, asked.of(answering, sound), clip, json)


def _of_task(
    name: str | None, instruction: str | None, choices: Sequence[str] | None
) -> TaskQuestion | None:
    if (name is None) == (instruction is None):
        raise UserError("give an instruction in words, or the --task whose own is asked")
    if name is None:
        return None
    from speechverse.tasks import TaskQuestion

    return TaskQuestion.of(name, choices)


def _stream(asked: Asked, sound: Any, answering: Any) -> None:
    with asked.streamed(answering, sound) as pieces:
        try:
            for piece in pieces:
                typer.echo(piece, nl=False)
        finally:
            typer.echo()  # also behind half an answer, where Ctrl-C stops it
    assert pieces.answer is not None
    _note(pieces.answer)
    _show_tokens(pieces.answer)


def _converse(asked: Asked, then: list[str], chat: Any, clip: Path, json: bool) -> None:
    """Each answer as it comes; as JSON all of them at the end."""
    told = []
    for instruction in (asked.instruction, *then):
        turn = replace(asked, instruction=instruction)
        answer = turn.next_in(chat)
        if json:
            told.append(_as_json(turn, answer, clip))
        else:
            _show(turn, answer, clip, json=False)
    if json:
        print_json(told)


def _as_json(asked: Asked, answer: Answer, clip: Path) -> dict[str, Any]:
    return {**asked.record(answer), "clip": str(clip), **asked.identity()}


def _note(answer: Answer) -> None:
    if answer.cut:
        typer.echo(f"note: {_WHY_CUT[answer.ended].format(answer.limit)}", err=True)
    elif not answer.text.strip() and answer.ended == "end" and answer.transcript is None:
        told = "note: the answer is empty: the model hears nobody; `--system cascade-whisper` asks"
        typer.echo(f"{told} Whisper's own transcript instead", err=True)


def _show(asked: Asked, answer: Answer, clip: Path, json: bool, **more: Any) -> None:
    """Prints an answer; `more` goes with it as JSON."""
    _note(answer)
    if json:
        told = {**_as_json(asked, answer, clip), **more}
        print_json(told)
        return
    if answer.transcript is not None:
        typer.echo(f"Whisper's transcript: {answer.transcript}", err=True)
    typer.echo(answer.text if asked.task is None else _read(asked, answer))
    shares = answer.choice_probs
    for choice, score in sorted((answer.choice_scores or {}).items(), key=lambda item: -item[1]):
        typer.echo(f"  {score:8.3f}  {shares[choice]:6.1%}  {choice}")
    _show_tokens(answer)


def _show_tokens(answer: Answer) -> None:
    for token in answer.logprobs or ():
        typer.echo(f"  {token.log_prob:8.3f}  {token.text!r}")


def _read(asked: Asked, answer: Answer) -> str:
    """A task's answer as it was read; as it was written where it cannot be read."""
    parsed = asked.parsed(answer)
    if parsed is None:
        assert asked.task is not None
        typer.echo(
            f"note: this cannot be read as an answer to task '{asked.task.task.name}'", err=True
        )
        return answer.text
    if isinstance(parsed, dict):
        return "\n".join(f"{name}: {_format(one)}" for name, one in parsed.items())
    return _format(parsed)


def _format(parsed: Any) -> str:
    if parsed is None:
        return "(cannot be read)"
    if isinstance(parsed, list):
        parts = [" = ".join(map(str, one)) if isinstance(one, list) else str(one) for one in parsed]
        return ", ".join(parts) or "none"
    return str(parsed)


def _text_of(path: Path) -> str:
    from speechverse.files import read_text

    try:
        return read_text(path)
    except OSError as error:
        raise UserError(f"the JSON schema '{path}' cannot be read: {error}") from error
    except ValueError as error:
        raise UserError(f"the JSON schema '{path}' {error}") from error


def _try_clip(clip: Path) -> Path | Waveform:
    """The clip, tried; what comes out of a pipe (at most 1 GiB) can be read only once."""
    from speechverse.audio import load, load_blocks, load_stream

    if str(clip) == "-":
        if sys.stdin is None or sys.stdin.isatty():  # closed, or a terminal
            raise UserError(
                "'-' is standard input, and nothing is piped into it; name a file, or pipe one in"
            )
        return load_stream(sys.stdin.buffer, "standard input")
    if not clip.is_file():
        return load(clip)
    for _ in load_blocks(clip):
        pass  # all of it, in memory that does not grow with its length
    return clip
