"""Corpora that lhotse's own recipes read; left to us are splits, texts and labels."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from speechverse.audio import duration_of
from speechverse.corpora.reader import Clip, CorpusReader, Reading, clips_of
from speechverse.data.recordings import windows
from speechverse.seeding import hash_seed
from speechverse.tasks.st import LANGUAGES

MUSAN_WINDOW = 10.0
"""Seconds; MUSAN's recordings last minutes."""
MUSAN_TEST_SHARE = 0.1


def _read_librispeech(reading: Reading) -> Iterator[tuple[str, Clip]]:
    from lhotse.recipes.librispeech import LIBRISPEECH as parts
    from lhotse.recipes.librispeech import prepare_librispeech

    folder = reading.find("LibriSpeech", ".")
    there = [part for part in parts if (folder / part).is_dir()]
    if not there:
        reading.find(*(f"LibriSpeech/{part}" for part in parts))
    for part, manifests in prepare_librispeech(folder, dataset_parts=there).items():
        told = sum(_count_lines(path) for path in (folder / part).rglob("*.trans.txt"))
        reading.miss(told - len(manifests["supervisions"]))
        for clip in clips_of(**manifests):
            split = "train" if part.startswith("train") else part
            yield split, clip | {"text": clip["text"].lower(), "language": "en"}


def _count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


LIBRISPEECH = CorpusReader(
    "librispeech",
    "LibriSpeech/ with train-clean-100, dev-clean, ... (a part that is not there is passed over)",
    "https://www.openslr.org/12, CC BY 4.0",
    _read_librispeech,
    (
        "the three training parts are one split; the others keep their names",
        "texts are in lower case, as the answers that the paper prints are",
    ),
)


def _read_voxpopuli(reading: Reading) -> Iterator[tuple[str, Clip]]:
    from lhotse.recipes.voxpopuli import prepare_voxpopuli

    audio = reading.find("raw_audios/original", "raw_audios/en").resolve()
    table = reading.find("asr_en.tsv.gz", "transcribed_data/en/asr_en.tsv.gz").resolve()
    with TemporaryDirectory() as scratch:
        # The recipe wants the sessions under the language's name, and downloads a table that it
        # does not find among its outputs.
        root = Path(scratch)
        (root / "raw_audios").mkdir()
        (root / "raw_audios" / "en").symlink_to(audio)
        (root / table.name).symlink_to(table)
        manifests = prepare_voxpopuli(root, root, task="asr", lang="en")
        with gzip.open(table, "rt", encoding="utf-8") as lines:
            told = Counter(row["split"] for row in csv.DictReader(lines, delimiter="|"))
        for split, part in manifests.items():
            absent = told[split] - len(part["supervisions"])
            if absent > 0:  # not missed: years are downloaded one by one
                reading.left_out["without sound"] += absent
        read = [(split, clip) for split, part in manifests.items() for clip in clips_of(**part)]
        for _, clip in read:
            clip["audio"] = str(Path(clip["audio"]).resolve())
    for split, clip in read:
        if clip["text"]:
            unknown = clip["speaker"] in ("", "None")
            yield split, clip | ({"speaker": None} if unknown else {})
        else:
            reading.left_out["no transcript"] += 1


VOXPOPULI = CorpusReader(
    "voxpopuli",
    "raw_audios/original/YEAR/*.ogg (English sessions) and asr_en.tsv.gz, as voxpopuli's "
    "download_audios and get_asr_data fetch them",
    "https://github.com/facebookresearch/voxpopuli, CC0",
    _read_voxpopuli,
    (
        "the English part; a clip is a stretch of its session, pauses included; nothing is cut out",
        "the normalised transcript; segments without one are left out",
    ),
)


def _read_fleurs(reading: Reading) -> Iterator[tuple[str, Clip]]:
    from lhotse.recipes.fleurs import prepare_single_fleurs_language

    folder = reading.find("fleurs", ".")
    for audio in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not (folder / "metadata" / audio.name).is_dir():
            continue
        language = audio.name.split("_")[0]
        manifests = prepare_single_fleurs_language(audio, language=audio.name)
        for split, part in manifests.items():
            others = _translations(folder, audio.name, split) if language == "en" else {}
            raw = {told.id: told.custom["raw_text"] for told in part["supervisions"]}
            for clip in clips_of(**part):
                known = others.get(clip["id"].split("_")[0])
                told = {"text": raw[clip["id"]], "language": language, "speaker": None}
                yield split, clip | told | {"translations": known}


def _translations(folder: Path, spoken: str, split: str) -> dict[str, dict[str, str]]:
    """Sentences of the languages that the task `st` knows, by the number they share."""
    found: dict[str, dict[str, str]] = {}
    for table in sorted(folder.glob(f"metadata/*/{split}.tsv")):
        language = table.parent.name.split("_")[0]
        if table.parent.name == spoken or language not in LANGUAGES:
            continue
        with table.open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                found.setdefault(row[0], {})[language] = row[2]
    return found


FLEURS = CorpusReader(
    "fleurs",
    "en_us/{train,dev,test}/*.wav and metadata/en_us/{train,dev,test}.tsv, as lhotse's "
    "download_fleurs writes them, for each language",
    "https://huggingface.co/datasets/google/fleurs, CC BY 4.0",
    _read_fleurs,
    (
        "the text as written, with capitals and stops; its speakers are not named",
        "English clips have the translations of the other languages that are there, by the number"
        " of the sentence",
    ),
)


def _read_musan(reading: Reading) -> Iterator[tuple[str, Clip]]:
    from lhotse.recipes.musan import prepare_musan

    folder = reading.find("musan", ".")
    parts = prepare_musan(folder, use_vocals=False)
    unsung = {told.recording_id for told in parts["music"]["supervisions"]}
    for part, manifests in parts.items():
        for recording in manifests["recordings"]:
            if part == "music" and recording.id not in unsung:
                reading.left_out["music with singing"] += 1
                continue
            path = Path(recording.sources[0].source)
            drawn = hash_seed(0, "musan", recording.id) / 2**64
            silent = {} if part == "speech" else {"text": ""}
            for window in windows(recording.id, path, duration_of(path), MUSAN_WINDOW):
                heard = window.audio.duration
                yield (
                    "test" if drawn < MUSAN_TEST_SHARE else "train",
                    {"id": window.id, "audio": str(path), "start": window.audio.start}
                    | {"duration": heard, "is_speech": part == "speech", "sound": part, **silent},
                )


MUSAN = CorpusReader(
    "musan",
    "musan/{music,noise,speech}/",
    "https://www.openslr.org/17, CC BY 4.0 and public domain, by file",
    _read_musan,
    (
        "for speech or not, in place of the paper's own recordings: windows of at most"
        f" {MUSAN_WINDOW:g} s",
        "music that its ANNOTATIONS say is sung to, or that they do not name, is left out; noise of"
        " crowds without words counts as none",
        f"{MUSAN_TEST_SHARE:.0%} of the recordings, by a hash of their name, are the test",
    ),
)
