"""Common Voice, and CoVoST 2, whose clips are Common Voice's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from speechverse.corpora.reader import Clip, CorpusReader, Reading
from speechverse.corpora.tables import Row, read_table

ACCENTS = {
    **{"us": "American", "United States English": "American"},
    **{"indian": "Indian", "India and South Asia (India, Pakistan, Sri Lanka)": "Indian"},
    **{"australia": "Australian", "Australian English": "Australian"},
    **{"canada": "Canadian", "Canadian English": "Canadian"},
    **{"england": "British", "England English": "British"},
}
"""The paper's five, by what releases to 8 write and by what later ones do."""

TRANSLATED = ("de", "ca")
"""The paper's languages of CoVoST 2."""

_COLUMNS = ("client_id", "path", "sentence")


def _read_common_voice(reading: Reading) -> Iterator[tuple[str, Clip]]:
    folder = reading.find("en", ".")
    tables = {name: _rows(reading, name) for name in ("dev", "test", "validated")}
    empty = {row["path"] for rows in tables.values() for row in rows if not _plain(row["sentence"])}
    reading.left_out.update("an empty sentence" for _ in empty)
    speakers, sentences = set[str](), set[str]()
    for split in ("dev", "test"):
        for row in tables[split]:
            speakers.add(row["client_id"])
            sentences.add(_plain(row["sentence"]))
            if row["path"] not in empty:
                yield split, _clip(row, folder)
    passed = empty | {row["path"] for split in ("dev", "test") for row in tables[split]}
    for row in tables["validated"]:
        if row["path"] in passed:
            continue
        if row["client_id"] in speakers:
            reading.left_out["a speaker of dev or test"] += 1
        elif _plain(row["sentence"]) in sentences:
            reading.left_out["a sentence of dev or test"] += 1
        else:
            yield "train", _clip(row, folder)


def _rows(reading: Reading, name: str) -> list[Row]:
    return read_table(reading.find(f"en/{name}.tsv", f"{name}.tsv"), _COLUMNS)


def _sentence(cell: str) -> str:
    """What was to be read, of a cell that may be quoted as in CSV, with strokes before signs."""
    text = cell.replace("\\", "").strip()
    inner = text[1:-1].replace('""', "")
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in inner:
        text = text[1:-1].replace('""', '"').strip()
    return text


def _plain(sentence: str) -> str:
    return "".join(sign for sign in sentence.lower() if sign.isalnum())


def _clip(row: Row, folder: Path) -> Clip:
    accent = row.get("accents", row.get("accent", ""))
    return {
        "id": Path(row["path"]).stem,
        "audio": str(folder / "clips" / row["path"]),
        "text": _sentence(row["sentence"]),
        "speaker": row["client_id"],
        "language": "en",
        "accent": ACCENTS.get(accent),
    }


COMMON_VOICE = CorpusReader(
    "common_voice",
    "en/clips/*.mp3 and en/{dev,test,validated}.tsv",
    "https://commonvoice.mozilla.org/datasets (the paper's release is 5.1), CC0",
    _read_common_voice,
    (
        "train is what is validated without the speakers and sentences of dev and test: the paper's"
        " 1.1 M clips are more than train.tsv holds",
        "quotation marks around a whole sentence, and strokes before signs, are its tables' and not"
        " the sentence's; sentences of signs alone are left out",
        "accents are five, as the paper's: British is `england` alone; a clip of another accent, or"
        " of several, has no accent",
    ),
)


def _read_covost2(reading: Reading) -> Iterator[tuple[str, Clip]]:
    folder = reading.find("en", ".")
    said = {row["path"]: row for row in _rows(reading, "validated")}
    translations: dict[tuple[str, str], dict[str, str]] = {}
    for language in TRANSLATED:
        name = f"covost_v2.en_{language}.tsv"
        for row in read_table(reading.find(name, f"en/{name}"), ("path", "translation", "split")):
            # As the corpus's get_covost_splits.py: its own additions count in training alone.
            split = "train" if row["split"] == "train_covost" else row["split"]
            if split not in ("train", "dev", "test"):
                reading.left_out[f"split {row['split']}"] += 1
            elif row["path"] not in said:
                reading.left_out["not validated"] += 1
            else:
                found = translations.setdefault((split, row["path"]), {})
                found[language] = row["translation"].replace("\\", "")
    for (split, path), known in translations.items():
        yield split, _clip(said[path], folder) | {"accent": None, "translations": known}


COVOST2 = CorpusReader(
    "covost2",
    "Common Voice 4 as en/clips and en/validated.tsv, beside it covost_v2.en_de.tsv and"
    " covost_v2.en_ca.tsv",
    "https://github.com/facebookresearch/covost, CC BY-NC 4.0",
    _read_covost2,
    (
        "German and Catalan, as in the paper; both translations of a clip stand in one line",
        "its test has clips that are in the training split of common_voice: measure translation on"
        " europarl_st, or train without one of them",
    ),
)
