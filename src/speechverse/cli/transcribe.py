"""`speechverse transcribe`: what is said in recordings of any length, as text or subtitles."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from speechverse.audio.names import is_audio_name
from speechverse.cli.offline import Offline
from speechverse.cli.options import FP32, Device, Model, Precision
from speechverse.cli.printing import stdout_encoding
from speechverse.commas import listed
from speechverse.errors import UserError, first_line
from speechverse.files import json_line

if TYPE_CHECKING:
    from speechverse.answers_file import AnswersFile
    from speechverse.longform.listening import OnError
    from speechverse.longform.transcript import Transcript
    from speechverse.pipeline import SpeechVerse

_SUFFIXES = {"txt": ".txt", "srt": ".srt", "vtt": ".vtt", "json": ".json", "verbose_json": ".json"}
_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))
_JOURNAL = "transcripts.jsonl"
_OPTIONAL = ("decoder", "language", "hints", "precision")

Format = Literal["txt", "srt", "vtt", "json", "verbose_json"]


def command(
    files: Annotated[
        list[Path], typer.Argument(help="Audio files of any length, or folders of them.")
    ],
    format: Annotated[
        Format | None,
        typer.Option(
            help=(
                "Text, subtitles, or JSON; verbose_json has the times of segments. By default what"
                " the name of --output ends in, or txt."
            )
        ),
    ] = None,
    decoder: Annotated[
        Literal["own", "llm"] | None,
        typer.Option(
            help=(
                "Who writes: the decoder that comes with the encoder (a Whisper has one), or the"
                " LLM; by default its own where there is one."
            )
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="What is spoken, for the own decoder: en (the default), de, ..., auto."),
    ] = None,
    hints: Annotated[
        str | None,
        typer.Option(help="Words that may be heard, with commas between, for --decoder llm."),
    ] = None,
    output: Annotated[
        str | None,  # for a Path forgets that it was written NAME/
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help=(
                "A file; for several recordings, or written NAME/, a folder with a file for each."
                " The same command goes on where it was stopped."
            ),
        ),
    ] = None,
    model: Model = "small",
    device: Device = None,
    precision: Precision = "fp32",
    offline: Offline = False,
) -> None:
    """Write down what is said in recordings of any length.

    [bold]Examples[/bold]

      speechverse transcribe meeting.mp3

      speechverse transcribe lecture.m4a --format srt --output lecture.srt

      speechverse transcribe calls/ --format vtt --output transcripts/
    """
    from speechverse.cli.many_clips import clips_in

    if Path("-") in files:
        raise UserError(
            "transcribe reads files: save what is piped first, or `speechverse ask - --task asr`"
        )
    named = [(given, clip) for given in files for clip in clips_in(given)]
    clips = [clip for _, clip in named]
    place = None if output is None else Path(output)
    is_folder = output is not None and output.endswith(_SEPARATORS)
    several = len(clips) > 1 or any(given.is_dir() for given in files) or is_folder
    if several and place is None:
        raise UserError(
            f"{len(clips)} recordings: say into which folder their transcripts go, --output"
            " transcripts/"
        )
    if place is not None and not several:
        _refuse_recording(place, clips[0])
    format = _by_name(format, None if several else place)
    how = {
        "decoder": decoder,
        "language": language,
        "hints": listed(hints),
    }
    from speechverse.audio import extent_of

    if not several:
        extent_of(clips[0])  # a bad file is told before a model is loaded

    def load() -> Any:
        from speechverse.pipeline import SpeechVerse

        return SpeechVerse.from_pretrained(model, device, precision)

    if several:
        assert place is not None
        if not is_folder:
            _refuse_name_of_file(place, len(named))
        identity = {"model": model, "format": format, **how}
        identity["precision"] = None if precision == FP32 else precision
        _transcribe_all(_places(named, place, format), place, identity, how, load)
        return
    from speechverse.files import make_place, write_text

    if place is not None:
        make_place(place)
    [transcript] = _with_progress(load(), clips, how, "raise")
    _note(clips[0], transcript)
    if place is None:
        text = _format(transcript, format, stdout_encoding())
        typer.echo(text, nl=not text.endswith("\n"))
        return
    text = _format(transcript, format)
    write_text(place, text if text.endswith("\n") else f"{text}\n")
    typer.echo(f"written to '{place}' by {transcript.decoder}", err=True)


def _refuse_recording(output: Path, clip: Path) -> None:
    """Refuses to write over what is heard, or over what `-o *.wav` makes of the first of several
    recordings.
    """
    if output.resolve() == clip.resolve():
        raise UserError(f"'{output}' is the recording itself: name another --output")
    if output.is_file() and is_audio_name(output):
        raise UserError(
            f"'{output}' is there and is named as a recording is; it is not written over: name the"
            " transcript, --output NAME.txt, or for several recordings a folder, --output NAME/"
        )


def _refuse_name_of_file(folder: Path, number: int) -> None:
    if folder.suffix in _SUFFIXES.values() and not folder.exists():
        raise UserError(
            f"'{folder}' is named like a file, and {number} transcripts want a folder, with a file"
            " for each: --output NAME/"
        )


def _by_name(format: Format | None, output: Path | None) -> Format:
    """What was asked for, or what the file is named like.

    Raises:
        UserError: If these are two.
    """
    suffix = output.suffix.lower() if output else ""
    named = next((one for one in get_args(Format) if _SUFFIXES[one] == suffix), None)
    if format and named and _SUFFIXES[format] != suffix:
        raise UserError(
            f"'{output}' is named as {named} is, and --format {format} is asked for: name it"
            f" NAME{_SUFFIXES[format]}, or leave --format out"
        )
    return format or named or "txt"


def _places(named: Sequence[tuple[Path, Path]], folder: Path, format: Format) -> dict[Path, Path]:
    """Recording → the file of its transcript, by the folders that it lies in."""
    if folder.exists() and not folder.is_dir():
        raise UserError(
            f"'{folder}' is a file, and a folder is wanted here, with a file for each recording:"
            " --output NAME/"
        )
    places: dict[Path, Path] = {}
    owners: dict[Path, Path] = {}
    for given, clip in named:
        inside = clip.relative_to(given) if given.is_dir() else Path(clip.name)
        place = folder / inside.with_suffix(_SUFFIXES[format])
        if owners.setdefault(place, clip) != clip:
            raise UserError(
                f"'{owners[place]}' and '{clip}' would both be written to '{place}': give them one"
                " after the other, with an --output each"
            )
        places[clip] = place
    return places


def _transcribe_all(
    places: dict[Path, Path], folder: Path, identity: Mapping[str, Any], how: Any, load: Any
) -> None:
    """Writes what is not written yet, each transcript as it is made; exit status 1 if some
    recordings could not be read.
    """
    from speechverse.cli.many_clips import do_all

    def write_all(clips: list[Path], file: AnswersFile, _: int) -> dict[Path, str]:
        failed = {}
        of_others = [clip for clip in clips if not file.held(clip)]
        if others := [places[clip] for clip in of_others if places[clip].exists()]:
            raise UserError(
                f"'{others[0]}'{f' and {len(others) - 1} more' if others[1:] else ''} is there and"
                " no transcript that this command made; nothing is written over: name another"
                " --output, or move it away"
            )
        file.keep_forgotten()  # a run that is stopped still knows which transcripts are its own
        made = _with_progress(load(), clips, how, "skip")
        for clip, transcript in zip(clips, made, strict=True):
            if transcript.error is not None:
                failed[clip] = first_line(Exception(transcript.error))
                file.add([{"clip": str(clip), "error": transcript.error}])
                continue
            _note(clip, transcript)
            _put(transcript, clip, places[clip], file, identity["format"])
        return failed

    do_all(
        list(places),
        folder / _JOURNAL,
        {key: value for key, value in identity.items() if value},
        _OPTIONAL,
        write_all,
        results=f"transcripts in '{folder}'",
        is_whole=lambda clip: places[clip].is_file(),
    )


def _put(
    transcript: Transcript, clip: Path, place: Path, file: AnswersFile, format: Format
) -> None:
    """Notes and writes a transcript, so that one stopped in between is made again and is not taken
    for a user's.
    """
    from speechverse.files import write_text

    text = _format(transcript, format)
    record = {"clip": str(clip), "transcript": transcript.as_dict()}
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_replaced := place.exists():  # noted it is already, and a new note would call it done
        write_text(place, text if text.endswith("\n") else f"{text}\n")
    file.add([record])
    if not is_replaced:
        write_text(place, text if text.endswith("\n") else f"{text}\n")


def _with_progress(
    loaded: SpeechVerse, clips: Sequence[Path], how: Any, on_error: OnError
) -> Iterator[Transcript]:
    """Transcripts in order, with a bar over the seconds of all."""
    from speechverse.terminal import Progress

    with Progress("transcribing, seconds", _seconds(clips)) as shown:
        yield from loaded.transcribe(iter(clips), **how, on_error=on_error, progress=shown.advance)


def _seconds(clips: Sequence[Path]) -> int:
    from speechverse.audio import duration_of

    total = 0.0
    for clip in clips:
        try:
            total += duration_of(clip)
        except UserError:
            continue  # it is told when it is read
    return int(total)


def _note(clip: Path, transcript: Transcript) -> None:
    if not transcript.segments:
        typer.echo(f"note: nobody speaks in '{clip}'", err=True)
    for segment in transcript.cut:
        typer.echo(
            f"note: '{clip}' from {segment.start:.1f} s to {segment.end:.1f} s:"
            f" {transcript.decoder} found no end and was stopped; words may be missing or doubled",
            err=True,
        )


def _format(transcript: Transcript, format: Format, encoding: str = "utf-8") -> str:
    if format == "srt":
        return transcript.srt()
    if format == "vtt":
        return transcript.vtt()
    if format == "txt":
        return transcript.text
    told = {"text": transcript.text} if format == "json" else transcript.as_dict()
    return json_line(told, encoding)
