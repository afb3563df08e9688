"""`speechverse probe`: what the layers of speech encoders let a linear classifier tell."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import Device, Json

if TYPE_CHECKING:
    from speechverse.evaluation.probes import ProbeTable
    from speechverse.evaluation.recognition import Recognition
    from speechverse.types import Utterance


def command(
    encoders: Annotated[
        list[str], typer.Argument(help="Encoders to compare: built-in names, folders, hub names.")
    ],
    corpus: Annotated[
        Path, typer.Option(help="A corpus folder whose splits keep voices and sentences apart.")
    ],
    fit: Annotated[
        str | None, typer.Option(help="The split whose voices are fitted on. By default train.")
    ] = None,
    test_corpus: Annotated[
        Path | None,
        typer.Option(help="A corpus folder to test on instead, such as a frozen test set."),
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="The split tested on. By default test, or dev without it.")
    ] = None,
    read: Annotated[
        list[Path] | None,
        typer.Option(help="More for CTC heads to transcribe: a folder, or a JSONL with `text`."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Clips to fit on, at most, chosen by hash; 0 takes all.")
    ] = 4000,
    device: Device = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSON file to write.")] = Path(
        "probes.json"
    ),
    json: Json = False,
    offline: Offline = False,
) -> None:
    """Probe each layer for emotion, accent, speakers and speech, on unseen voices and sentences.

    An encoder with a CTC head also transcribes the clips tested on: word and character error rates
    by kind of clip.

    [bold]Examples[/bold]

      speechverse probe runs/mine whisper-base --corpus my-world

      speechverse probe whisper-base --corpus my-world --test-corpus test-sets/clean -o probes.json

      speechverse probe whisper-base --corpus my-world --read test-sets/words --read
      read-by-people.jsonl
    """
    from rich.console import Console

    from speechverse.data import take_at_most
    from speechverse.errors import UserError
    from speechverse.evaluation.ledger import record_look
    from speechverse.evaluation.recognition import recognition_table
    from speechverse.files import make_place, write_text

    make_place(output, corpus, *(read or ()), *([test_corpus] if test_corpus else []))
    if corpus.is_file() and (test_corpus is None or corpus.resolve() == test_corpus.resolve()):
        raise UserError(
            f"all clips of '{corpus}' would be fitted on and tested on: name others with"
            " --test-corpus, or a corpus folder, which has splits"
        )
    fitted = _part(corpus, fit, ("train",))
    tested = _part(test_corpus or corpus, test, ("test", "dev"))
    if fitted.manifest_sha256 and fitted.manifest_sha256 == tested.manifest_sha256:
        raise UserError(
            f"the split '{tested.split}' would be fitted on and tested on: name another by --fit or"
            " --test"
        )
    to_read = [*([tested] if tested.words else []), *(_to_read(path) for path in read or ())]
    clips = (list(take_at_most(fitted.utterances, limit or None)), tested.utterances)
    console, about = Console(quiet=json), []
    for encoder in encoders:
        table = _probe(encoder, *clips, device, quiet=json)
        console.print(table.for_terminal())
        if told := record_look({"name": tested.name, **tested.about()}, encoder, encoder):
            typer.echo(told, err=True)
        heard, why_none = _transcribe(encoder, to_read, device, quiet=json)
        if why_none:
            console.print(f"not transcribed: {why_none}", markup=False, highlight=False)
        else:
            console.print(recognition_table(encoder, [(part.name, kinds) for part, kinds in heard]))
        kinds_of = [
            {**part.about(), "kinds": [asdict(kind) for kind in kinds]} for part, kinds in heard
        ]
        about.append({**table.as_dict(), "recognition": kinds_of, "not_transcribed": why_none})
    found = {"fit": fitted.about(), "test": tested.about(), "encoders": about}
    write_text(output, json_format.dumps(found, indent=1) + "\n")
    typer.echo(json_format.dumps(found) if json else f"wrote {output}")


@dataclass(frozen=True)
class _Part:
    """One split of a corpus folder, or a whole JSONL, under the name of its folder or file."""

    name: str
    split: str
    manifest_sha256: str | None
    utterances: list[Utterance]

    @property
    def words(self) -> int:
        """Clips that can be transcribed and compared."""
        return sum(bool(utterance.text) for utterance in self.utterances)

    def about(self) -> dict[str, Any]:
        return {"corpus": self.name, "split": self.split, "manifest_sha256": self.manifest_sha256}


def _part(path: Path, split: str | None, usual: tuple[str, ...]) -> _Part:
    """Without a split the first of the usual ones that is there; of a JSONL all of it.

    Raises:
        UserError: If a split is named of a file, which has none.
    """
    from speechverse.data import Corpus
    from speechverse.errors import UserError

    if path.is_file():
        if split is not None:
            raise UserError(
                f"'{path}' is one file and has no split '{split}': leave the split out, or name a"
                " corpus folder"
            )
        clips = Corpus.from_jsonl(path.stem, {"all": path}).utterances("all")
        return _Part(path.stem, "all", None, clips)
    corpus = Corpus.open(path)
    split = split or next((one for one in usual if one in corpus.splits), usual[-1])
    utterances = corpus.utterances(split)
    manifest = corpus.description["splits"].get(split, {}).get("manifest_sha256")
    return _Part(path.resolve().name, split, manifest, utterances)


def _to_read(path: Path) -> _Part:
    from speechverse.errors import CorpusError

    part = _part(path, None, ("test", "dev"))
    if not part.words:
        raise CorpusError(
            f"--read {path}: none of its clips has a `text`, so nothing heard in them can be judged"
        )
    return part


def _probe(
    name: str, fit: list[Utterance], test: list[Utterance], device: str | None, quiet: bool
) -> ProbeTable:
    from speechverse.device import pick_device
    from speechverse.encoders import load_encoder
    from speechverse.evaluation.probes import probe_encoder
    from speechverse.terminal import Progress

    encoder = load_encoder(name).to(pick_device(device))
    with Progress("listening", len(fit) + len(test), quiet=quiet) as progress:
        return probe_encoder(encoder, fit, test, name=name, progress=progress.advance)


def _transcribe(
    name: str, parts: list[_Part], device: str | None, quiet: bool
) -> tuple[list[tuple[_Part, list[Recognition]]], str]:
    """What the encoder's CTC head makes of each part, or the reason why it has none."""
    from speechverse.device import pick_device
    from speechverse.encoders.ctc import load_ctc
    from speechverse.errors import CheckpointError
    from speechverse.evaluation.recognition import recognition
    from speechverse.terminal import Progress

    try:
        recogniser = load_ctc(name).to(pick_device(device))
    except CheckpointError as error:
        return [], str(error)
    with Progress("transcribing", sum(part.words for part in parts), quiet=quiet) as progress:
        return [
            (part, recognition(recogniser, part.utterances, progress.advance)) for part in parts
        ], ""
