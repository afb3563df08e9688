"""Data in others' formats: tables, Kaldi, lhotse's cuts and Shar, Hugging Face's datasets."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from speechverse.corpora.reader import Clip, CorpusReader, Reading
from speechverse.corpora.tables import Row, read_table
from speechverse.data.jsonl import OWN_KEYS
from speechverse.errors import CorpusError, needs_extra
from speechverse.files import atomic_write, disk_full_as_error
from speechverse.seeding import fingerprint
from speechverse.tasks.st import LANGUAGES

_TRAIN = "train"
_NUMBERS = ("start", "duration", "num_speakers")
_CODES = {"English": "en", **{name: code for code, name in LANGUAGES.items()}}
"""lhotse's recipes write languages by name."""
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _read_csv(reading: Reading) -> Iterator[tuple[str, Clip]]:
    source = reading.source
    tables = [source] if source.is_file() else sorted(source.glob("*.[ct]sv"))
    if not tables:
        reading.find("*.csv", "*.tsv")
    for table in tables:
        stem = _TRAIN if source.is_file() else table.stem
        for number, row in enumerate(read_table(table, ("audio",), quoted=True), start=2):
            clip = _typed({name: cell for name, cell in row.items() if cell != ""}, table, number)
            if "audio" not in clip:
                raise CorpusError(f"'{table}' line {number} names no audio")
            clip["audio"] = str(table.parent / clip["audio"])
            yield clip.pop("split", stem), {"id": f"{table.stem}-{number}"} | clip


def _typed(row: Row, table: Path, number: int) -> Clip:
    """Cells as what their column holds: numbers, truth, and JSON where one begins like it."""
    clip: Clip = dict(row)
    try:
        for name, cell in row.items():
            if name in _NUMBERS:
                clip[name] = int(cell) if name == "num_speakers" else float(cell)
                if not math.isfinite(clip[name]):
                    raise ValueError("write a number")
            elif name == "is_speech":
                if cell.lower() not in _TRUTH:
                    raise ValueError("write true or false")
                clip[name] = _TRUTH[cell.lower()]
            elif name not in OWN_KEYS and cell[:1] in "[{":
                clip[name] = json.loads(cell)
    except ValueError as error:
        raise CorpusError(f"'{table}' line {number}: '{name}' is {cell!r}: {error}") from None
    return clip


CSV = CorpusReader(
    "csv",
    "a table (.csv, .tsv), or a folder of them, one a split, whose columns have the names of JSONL"
    " keys: audio, text, speaker, ... (docs/data.md)",
    "your own",
    _read_csv,
    ("a column `split` says where a line goes, else the file's name; of one file alone, train",),
)


def _read_kaldi(reading: Reading) -> Iterator[tuple[str, Clip]]:
    from lhotse import CutSet
    from lhotse.kaldi import load_kaldi_data_dir

    folders = sorted(path.parent for path in reading.source.glob("*/wav.scp"))
    if (reading.source / "wav.scp").exists():
        folders = [reading.source]
    if not folders:
        reading.find("wav.scp", "*/wav.scp")
    for folder in folders:
        split = _TRAIN if folder == reading.source else folder.name
        if not (folder / "utt2spk").exists():  # lhotse then passes over the text, too
            raise CorpusError(
                f"'{folder}' has no utt2spk: write one, of the clips' own names at least"
            )
        # The rate is not used: our own manifest is written from the files themselves.
        recordings, supervisions, _ = load_kaldi_data_dir(folder, 16_000)
        yield from _clips(CutSet.from_manifests(recordings, supervisions), split, reading)


KALDI = CorpusReader(
    "kaldi",
    "wav.scp with files in it, text, utt2spk, segments; or one such folder for each split",
    "your own",
    _read_kaldi,
)


def _read_cuts(reading: Reading) -> Iterator[tuple[str, Clip]]:
    from lhotse import CutSet

    source = reading.source
    files = [source] if source.is_file() else sorted(source.glob("*.jsonl*"))
    if not files:
        reading.find("*.jsonl.gz", "*.jsonl")
    for file in files:
        split = _TRAIN if source.is_file() else re.sub(r"\.jsonl.*", "", file.name)
        yield from _clips(CutSet.from_file(file), split, reading)


CUTS = CorpusReader(
    "cuts", "a CutSet of lhotse (.jsonl, .jsonl.gz), or a folder of them", "your own", _read_cuts
)


def _read_shar(reading: Reading) -> Iterator[tuple[str, Clip]]:
    from lhotse import CutSet

    folders = sorted({path.parent for path in reading.source.rglob("cuts.*.jsonl*")})
    if not folders:
        reading.find("cuts.000000.jsonl.gz")
    for folder in folders:
        split = "-".join(folder.relative_to(reading.source).parts) or _TRAIN
        yield from _clips(CutSet.from_shar(in_dir=folder), split, reading)


SHAR = CorpusReader(
    "shar", "cuts.*.jsonl.gz and recording.*.tar of lhotse's Shar", "your own", _read_shar
)


def _clips(cuts: Iterable[Any], split: str, reading: Reading) -> Iterator[tuple[str, Clip]]:
    """One clip for each supervision, as long as that is; of a cut without any, all of it."""
    from lhotse.cut import Cut

    for cut in cuts:
        if not isinstance(cut, Cut):
            raise CorpusError(
                f"'{reading.source}' holds {type(cut).__name__}s, which are no cuts: join"
                " recordings and supervisions by `lhotse cut simple`"
            )
        if not cut.supervisions:
            yield split, {"id": cut.id} | _sound(cut, cut.id, reading)
            continue
        for part in cut.trim_to_supervisions(keep_overlapping=False):
            (told,) = part.supervisions
            language = _CODES.get(told.language, told.language)
            own = {"text": told.text, "speaker": told.speaker, "language": language}
            yield (
                split,
                {"id": told.id} | own | (told.custom or {}) | _sound(part, told.id, reading),
            )


def _sound(cut: Any, name: str, reading: Reading) -> Clip:
    """Where a cut's sound lies; what is no stretch of a mono file is written anew."""
    from lhotse import MonoCut

    source = cut.recording.sources[0] if isinstance(cut, MonoCut) and cut.recording else None
    plain = source is not None and source.type == "file" and not cut.recording.transforms
    if source is not None and plain and cut.recording.num_channels == 1:
        path = Path(source.source)
        beside = reading.source if reading.source.is_dir() else reading.source.parent
        audio = str((path if path.exists() else beside / path).absolute())
        whole = cut.start == 0 and abs(cut.duration - cut.recording.duration) < 1e-3
        return {"audio": audio} | ({} if whole else {"start": cut.start, "duration": cut.duration})
    mono = cut.to_mono(mono_downmix=True) if cut.num_channels > 1 else cut
    path = _place(reading, name, ".flac")
    with disk_full_as_error(path), atomic_write(path) as aside:
        mono.save_audio(aside, format="flac")
    return {"audio": str(path)}


def _place(reading: Reading, name: str, suffix: str) -> Path:
    """A file for a clip's sound below the corpus folder; no two names have the same."""
    plain = re.sub(r"[^a-z0-9_.@-]", "_", name)
    unique = plain if plain == name else f"{plain}-{fingerprint(name)[:8]}"
    path = reading.output / "audio" / (unique + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


_RENAMED = {"sentence": "text", "transcription": "text", "speaker_id": "speaker"}


def _read_huggingface(reading: Reading) -> Iterator[tuple[str, Clip]]:
    with needs_extra("a folder of Hugging Face's datasets", "datasets"):
        from datasets import Audio, ClassLabel, DatasetDict, load_dataset, load_from_disk
        from datasets.exceptions import DatasetGenerationError
    saved = any((reading.source / name).exists() for name in ("dataset_dict.json", "state.json"))
    try:
        found = load_from_disk(reading.source) if saved else load_dataset(str(reading.source))
    except DatasetGenerationError as error:  # which names no reason itself
        raise CorpusError(
            f"'{reading.source}' cannot be read: {error.__cause__ or error}"
        ) from error
    parts = found if isinstance(found, DatasetDict) else {_TRAIN: found}
    for split, part in parts.items():
        if "audio" not in part.column_names:
            raise CorpusError(
                f"'{reading.source}' has no column 'audio', only {', '.join(part.column_names)}"
            )
        part = part.cast_column("audio", Audio(decode=False))
        named = {name: of for name, of in part.features.items() if isinstance(of, ClassLabel)}
        for number, row in enumerate(part):
            if row["audio"] is None:
                reading.left_out["without sound"] += 1
                continue
            classes = {name: _class(of, row[name]) for name, of in named.items()}
            yield str(split), _of_row(row | classes, f"{split}-{number}", reading)


def _class(names: Any, number: int | None) -> str | None:
    """A class's name; -1 stands for one that is not told."""
    return None if number is None or number < 0 else str(names.int2str(number))


def _of_row(row: Mapping[str, Any], name: str, reading: Reading) -> Clip:
    held, path = row["audio"]["bytes"], Path(row["audio"]["path"] or "")
    if held is not None:
        path = _place(reading, name, path.suffix or ".wav")
        with disk_full_as_error(path), atomic_write(path) as aside:
            aside.write_bytes(held)
    # Columns without a value are none; ids need not tell rows apart, as those of sentences do not.
    clip = {key: value for key, value in row.items() if key != "audio" and value != ""}
    if (theirs_own := clip.pop("id", None)) is not None:
        clip.setdefault("source_id", str(theirs_own))
    for theirs, ours in _RENAMED.items():
        if theirs in clip and ours not in clip:
            clip[ours] = clip.pop(theirs)
    if clip.get("speaker") is not None:
        clip["speaker"] = str(clip["speaker"])
    return {**clip, "id": name, "audio": str(path)}


HUGGINGFACE = CorpusReader(
    "huggingface",
    "a folder of the library datasets: of save_to_disk, or one that load_dataset takes",
    "your own",
    _read_huggingface,
    (
        "the column `audio` is the sound, `sentence` or `transcription` the text, `speaker_id` the"
        " speaker, where no column has that name itself; the others are labels by their names, of"
        " numbered classes the classes' names",
        "clips are named by split and row; a column `id` is kept as `source_id`",
        "sound that lies in the tables themselves is written below the corpus folder",
        "a folder of sound files and metadata (`audiofolder`) is read by it with torchcodec"
        " and ffmpeg, where they are there",
    ),
)
