"""`speechverse synth`: a corpus of the spoken world or of one's own sentences, or a clip."""

from __future__ import annotations

import json as json_format
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.options import Json
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.world import Source, SynthReport, SynthSpec

_CLIP_ONLY = ("voice", "accent", "emotion", "output")
_SIZES = ("train", "dev", "test")
_LINES_ONLY = ("text_key", "rename", "split", "labels")
_CORPUS_ONLY = (*_SIZES, "name", "workers", "test_set", "lines", *_LINES_ONLY)
_SHOWN = {"out": "the folder", "lines": "--from"}


def command(
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Argument(help="Folder for the corpus: new, empty, or begun with the same options."),
    ] = None,
    train: Annotated[int, typer.Option(min=0, help="Clips to train on.")] = 3000,
    dev: Annotated[
        int, typer.Option(min=0, help="Clips to validate on: sentences and voices of their own.")
    ] = 300,
    test: Annotated[
        int, typer.Option(min=0, help="Clips to test on: sentences and voices of their own.")
    ] = 0,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same bytes, with any number of workers.")
    ] = 1,
    name: Annotated[
        str | None, typer.Option(help="The corpus's name: 'world', or that of the file.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; all cores by default.")
    ] = None,
    test_set: Annotated[
        str | None,
        typer.Option(help="A frozen test set, its hash checked: clean, noisy, words or unseen."),
    ] = None,
    lines: Annotated[
        Path | None,
        typer.Option("--from", help="Speak your own sentences: JSONL with 'text' and any labels."),
    ] = None,
    text_key: Annotated[str, typer.Option(help="The key of the text in these lines.")] = "text",
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="THEIRS=OURS", help="A key of the lines and its name in the corpus."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, dev or test, for lines that do not say it by 'split'.")
    ] = "train",
    labels: Annotated[
        Path | None,
        typer.Option(help="YAML of the labels that the lines may use: field, name: description."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Whose voices: espeak, kokoro or hibari (extra 'voices').")
    ] = "espeak",
    text: Annotated[
        str | None, typer.Option(help="Speak this one text instead of making a corpus.")
    ] = None,
    voice: Annotated[
        str | None,
        typer.Option(help="Who speaks the text: f3, m1-low, Annie-high, ...; kokoro's bm_george."),
    ] = None,
    accent: Annotated[
        str | None,
        typer.Option(help="espeak's: american, british, scottish, caribbean or received."),
    ] = None,
    emotion: Annotated[
        str | None, typer.Option(help="happy, sad, angry or neutral; espeak's voices alone.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The text's clip: .flac or .wav.")
    ] = Path("clip.wav"),
    json: Json = False,
) -> None:
    """Make speech with labels for all tasks, offline (needs the extra 'synth').

    [bold]Examples[/bold]

      speechverse synth my-world --train 3000 --dev 300 --seed 1

      speechverse synth test-speech --test-set clean

      speechverse synth my-speech --from sentences.jsonl --rename label=intent

      speechverse synth my-speech --from sentences.jsonl --engine kokoro

      speechverse synth --text "play some jazz in the kitchen" --voice m1 --emotion sad -o clip.wav

      speechverse synth --text "Play some jazz in the kitchen." --engine kokoro --voice bm_george -o
      clip.wav
    """
    given = {
        key
        for key in context.params
        if getattr(context.get_parameter_source(key), "name", "") == "COMMANDLINE"
    }
    if text is not None:
        _refuse(
            given & {*_CORPUS_ONLY, "out"}, "says how to make a corpus, but --text makes one clip"
        )
        if "output" not in given and output.exists():
            raise UserError(
                f"'{output}' is there already: --output {output} writes over it, or name another"
                " file"
            )
        how = {"voice": voice, "accent": accent, "emotion": emotion}
        _speak(text, how, seed, engine, output, json)
        return
    _refuse(given & set(_CLIP_ONLY), "says how to speak a --text, but no --text is given")
    if out is None:
        raise UserError(
            "name a folder for the corpus (speechverse synth my-world), or give a text to speak"
            ' (--text "...")'
        )
    if test_set is not None:
        fixed = {*_SIZES, *_LINES_ONLY, "seed", "name", "lines"}
        _refuse(given & fixed, "cannot be chosen: a frozen test set is what it is")
    if lines is not None:
        _refuse(
            given & {*_SIZES},
            "says how much of the spoken world to make, but --from gives the sentences",
        )
        options: dict[str, Any] = {"name": name, "seed": seed, "split": split, "text_key": text_key}
        options |= {"renames": _parse_renames(rename or []), "labels": labels, "engine": engine}
        make_corpus(out, _read(lines, options, quiet=json), workers, as_json=json)
        return
    _refuse(
        given & {"engine"},
        "says whose voices speak, but the spoken world is spoken by espeak: give --from or --text",
    )
    _refuse(
        given & {*_LINES_ONLY},
        "says how to read sentences, but none are given: --from sentences.jsonl",
    )
    from speechverse.world import SynthSpec, test_set_spec

    if test_set is not None:
        make_corpus(out, test_set_spec(test_set), workers, test_set=True, as_json=json)
    else:
        spec = SynthSpec(name or "world", train, dev, test, seed)
        make_corpus(out, spec, workers, as_json=json)


def _refuse(options: set[str], why: str) -> None:
    if options:
        names = {option: "--" + option.replace("_", "-") for option in options} | _SHOWN
        raise UserError(f"{', '.join(names[option] for option in sorted(options))} {why}")


def _parse_renames(rename: list[str]) -> dict[str, str]:
    renames: dict[str, str] = {}
    for pair in rename:
        theirs, equals, ours = (part.strip() for part in pair.partition("="))
        if not (theirs and equals and ours):
            raise UserError(
                f"--rename {pair}: write the key of your lines, '=' and its new name (label=intent)"
            )
        if theirs in renames:
            raise UserError(
                f"--rename {pair}: '{theirs}' is renamed to '{renames[theirs]}' already"
            )
        renames[theirs] = ours
    return renames


def _read(lines: Path, options: dict[str, Any], quiet: bool) -> Source:
    from speechverse.world import read_lines

    source = read_lines(lines, **options)
    if not quiet:
        kept = ", ".join(source.about["labels_kept"]) or "none"
        typer.echo(f"{lines}: {source.num_clips} lines to speak; labels kept: {kept}")
    return source


def _speak(
    text: str, how: dict[str, str | None], seed: int, engine: str, output: Path, as_json: bool
) -> None:
    from speechverse.audio import save
    from speechverse.world import speak
    from speechverse.world.speaking import choose_voice

    waveform = speak(text, **how, seed=seed, engine=engine)
    path = save(output, waveform)
    if not as_json:
        typer.echo(f"{path}: {waveform.duration:.2f} s")
        return
    result = {"audio": str(path), "seconds": round(waveform.duration, 3), "text": text}
    typer.echo(json_format.dumps(result | {"engine": engine, **choose_voice(engine, **how)}))


def make_corpus(
    out: Path,
    spec: SynthSpec | Source,
    workers: int | None = None,
    test_set: bool = False,
    as_json: bool = False,
) -> None:
    """Makes a corpus with progress and says what was made; with `test_set` its hash is checked."""
    from speechverse.world import verify_test_set

    try:
        report = _synthesize(out, spec, workers, quiet=as_json)
    except KeyboardInterrupt:
        again = shlex.join(sys.argv[1:])
        typer.echo(
            f"interrupted: what is finished stays in '{out}'; go on with: speechverse {again}",
            err=True,
        )
        raise typer.Exit(130) from None
    found = verify_test_set(out) if test_set else None
    if as_json:
        checked = {"test_set_sha256": found} if found else {}
        typer.echo(json_format.dumps(_as_dict(report) | checked))
        return
    typer.echo(
        f"{report.folder}: {report.num_clips} clips, {report.audio_seconds / 3600:.2f} h"
        f" ({report.num_reused} were there already)"
    )
    if report.made_seconds:
        typer.echo(
            f"{report.made_seconds:.0f} s of audio in {report.wall_seconds:.1f} s:"
            f" {report.speed:.0f} s a second"
        )
    if found:
        typer.echo(f"this is the frozen test set '{spec.name}' ({found[:12]})")


def _synthesize(
    out: Path, spec: SynthSpec | Source, workers: int | None, quiet: bool
) -> SynthReport:
    from speechverse.terminal import Progress
    from speechverse.world import SynthSpec, synthesize_corpus

    total = sum(spec.sizes.values()) if isinstance(spec, SynthSpec) else spec.num_clips
    with Progress("speaking", total, quiet=quiet) as progress:
        return synthesize_corpus(out, spec, workers, progress.advance)


def _as_dict(report: SynthReport) -> dict[str, Any]:
    return {
        "folder": str(report.folder),
        "clips": report.num_clips,
        "reused": report.num_reused,
        "audio_seconds": round(report.audio_seconds, 2),
        "made_seconds": round(report.made_seconds, 2),
        "wall_seconds": round(report.wall_seconds, 2),
        "audio_seconds_per_second": round(report.speed, 1),
    }
