"""Spoken orders and questions to assistants: SLURP, and Fluent Speech Commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from speechverse.corpora.reader import Clip, CorpusReader, Reading
from speechverse.corpora.tables import read_table
from speechverse.data.lines import Lines

NUM_SEEN_INTENTS = 10
"""The paper's: the most frequent in the training data, of which it prints no list; the others are
unseen.
"""

SEEN_SLOTS = frozenset({"date", "place_name", "person", "time"})
"""All that the paper's prompt for slots lists (table 10). It calls its four the most frequent, but
`event_name` is more so than `person` in the published data.
"""

Subset = Literal["seen", "unseen", "all"]

_FILES = {"train": ("train", "train_synthetic"), "dev": ("devel",), "test": ("test",)}


def _read(subset: Subset, reading: Reading) -> Iterator[tuple[str, Clip]]:
    lines = {split: _lines(reading, names) for split, names in _FILES.items()}
    voices = _voices(reading)
    # Not of what machines said, which is there or not.
    intents = seen_intents([entry for entry in lines["train"] if not entry["synthetic"]])
    for split, entries in lines.items():
        if subset == "unseen" and split == "train":
            continue
        for entry in entries:
            labels = _labels(entry, subset, intents)
            if subset == "unseen" and not labels:
                reading.left_out["clips without an unseen intent or slot"] += len(
                    entry["recordings"]
                )
                continue
            for recording in entry["recordings"]:
                name = recording["file"]
                folder = "slurp_synth" if entry["synthetic"] else "slurp_real"
                yield (
                    split,
                    {
                        "id": Path(name).stem,
                        "audio": str(reading.source / "audio" / folder / name),
                        "text": entry["sentence"],
                        "speaker": voices.get(name),
                        "language": "en",
                        **labels,
                    },
                )


def _lines(reading: Reading, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The sentences of a split; what was spoken by machines only where its sound is there."""
    found = []
    for name in names:
        read = Lines.read(reading.find(f"dataset/slurp/{name}.jsonl"))
        if read.faults:
            raise read.refusal("are no sentences of SLURP")
        synthetic = name.endswith("synthetic")
        if synthetic and not (reading.source / "audio/slurp_synth").is_dir():
            reading.left_out["synthetic sentences, as audio/slurp_synth is not there"] += read.total
            continue
        found += [entry | {"synthetic": synthetic} for _, entry in read.objects]
    return found


def _voices(reading: Reading) -> dict[str, str]:
    """Who recorded each file; synthetic ones are nobody's."""
    import json

    known = json.loads(reading.find("dataset/slurp/metadata.json").read_text(encoding="utf-8"))
    return {
        name: told["usrid"]
        for sentence in known.values()
        for name, told in sentence["recordings"].items()
    }


def intent_of(entry: Mapping[str, Any]) -> str:
    """Scenario and action, as SLURP's own evaluation takes it: its field `intent` holds the action
    alone in some hundred lines.
    """
    return f"{entry['scenario']}_{entry['action']}"


def seen_intents(training: list[dict[str, Any]]) -> set[str]:
    """The intents that most recordings of the training data have."""
    counts = Counter[str]()
    for entry in training:
        counts[intent_of(entry)] += len(entry["recordings"])
    return set(sorted(counts, key=lambda name: (-counts[name], name))[:NUM_SEEN_INTENTS])


def _labels(entry: Mapping[str, Any], subset: Subset, intents: set[str]) -> dict[str, Any]:
    """What the subset's corpus says of a sentence: slots only where all of them belong to it."""
    words = [token["surface"] for token in entry["tokens"]]
    pairs = [
        [entity["type"], " ".join(words[place] for place in entity["span"])]
        for entity in entry["entities"]
    ]
    kept_slots = bool(pairs) and all(_belongs(name, SEEN_SLOTS, subset) for name, _ in pairs)
    labels: dict[str, Any] = {}
    if _belongs(intent_of(entry), intents, subset):
        labels["intent"] = intent_of(entry)
    if kept_slots or subset == "all":
        labels["slots"] = pairs
    return labels


def _belongs(name: str, seen: Container[str], subset: Subset) -> bool:
    return subset == "all" or (name in seen) == (subset == "seen")


def _descriptions() -> Mapping[str, Mapping[str, str]]:
    from speechverse.yaml_files import read_yaml

    return read_yaml(Path(__file__).with_name("slurp.yaml"))


_SOURCE = (
    "the repository (dataset/slurp/*.jsonl, metadata.json) with audio/slurp_real and, for training,"
    " audio/slurp_synth, as its scripts/download_audio.sh puts them"
)
_HOME = "https://github.com/pswietojanski/slurp, text CC BY 4.0, sound CC BY-NC 4.0"
_ALL = (
    "every recording is taken, headset and far microphone, synthetic ones in train",
    "the intent is scenario and action; the field `intent` lacks the scenario in some lines",
)


def _reader(name: str, subset: Subset, *choices: str) -> CorpusReader:
    read = partial(_read, subset)
    return CorpusReader(name, _SOURCE, _HOME, read, (*choices, *_ALL), _descriptions)


SLURP = _reader(
    "slurp",
    "seen",
    f"seen are the {NUM_SEEN_INTENTS} intents that most training recordings have, as the paper"
    " says, which prints no list",
    f"seen slots are {', '.join(sorted(SEEN_SLOTS))}: all that the paper's prompt lists (table 10)",
    "a clip of another intent has none, and a clip that has another slot, or none at all, has no"
    " slots: they serve for speech recognition",
)
SLURP_UNSEEN = _reader(
    "slurp_unseen",
    "unseen",
    "dev and test alone: clips of the intents, or with nothing but slots, that `slurp` leaves out",
)
SLURP_ALL = _reader("slurp_all", "all", "every intent and every slot")


def _read_commands(reading: Reading) -> Iterator[tuple[str, Clip]]:
    columns = ("path", "speakerId", "transcription", "action", "object", "location")
    for split, name in (("train", "train"), ("dev", "valid"), ("test", "test")):
        for row in read_table(reading.find(f"data/{name}_data.csv"), columns):
            parts = [row[part] for part in ("action", "object", "location")]
            yield (
                split,
                {
                    "id": Path(row["path"]).stem,
                    "audio": str(reading.source / row["path"]),
                    "text": row["transcription"],
                    "speaker": row["speakerId"],
                    "language": "en",
                    "intent": "_".join(part.replace(" ", "_") for part in parts if part != "none"),
                },
            )


FLUENT_SPEECH_COMMANDS = CorpusReader(
    "fluent_speech_commands",
    "wavs/ and data/{train,valid,test}_data.csv",
    "https://fluent.ai/fluent-speech-commands-a-dataset-for-spoken-language-understanding-research,"
    " own licence, for research",
    _read_commands,
    (
        "the intent is action, object and location in one name, without `none`",
        "its splits keep speakers apart, and share sentences by design",
    ),
)
