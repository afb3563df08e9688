"""MSP-Podcast: emotions of people in podcasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from speechverse.corpora.reader import Clip, CorpusReader, Reading
from speechverse.corpora.tables import read_table

EMOTIONS = {"N": "neutral", "H": "happy", "S": "sad", "A": "angry"}
NEGATIVE_BELOW, POSITIVE_ABOVE = 3.0, 5.0
"""Valence, of 1 to 7; the paper gives 3 and 5, and not which side they are on."""
SPLITS = {
    **{"Train": "train", "Development": "dev", "Test1": "test", "Test2": "test2"},
    "Validation": "dev",  # in older releases
}
_TABLES = ("Labels/labels_consensus.csv", "Labels/labels_concensus.csv")  # older ones misspell it

_COLUMNS = ("FileName", "EmoClass", "EmoVal", "SpkrID", "Split_Set")


def sentiment_of(valence: float) -> str:
    """Positive, negative or neutral."""
    if valence < NEGATIVE_BELOW:
        return "negative"
    return "positive" if valence > POSITIVE_ABOVE else "neutral"


def _read(reading: Reading) -> Iterator[tuple[str, Clip]]:
    audio = reading.find("Audios", "Audio")
    for row in read_table(reading.find(*_TABLES), _COLUMNS):
        if row["Split_Set"] not in SPLITS:
            reading.left_out[f"split {row['Split_Set']}"] += 1
            continue
        name = Path(row["FileName"]).stem
        transcript = reading.source / "Transcripts" / f"{name}.txt"
        said = transcript.read_text(encoding="utf-8").strip() if transcript.is_file() else None
        yield (
            SPLITS[row["Split_Set"]],
            {
                "id": name,
                "audio": str(audio / row["FileName"]),
                "text": said or None,
                "speaker": None if row["SpkrID"] == "Unknown" else row["SpkrID"],
                "language": "en",
                "emotion": EMOTIONS.get(row["EmoClass"]),
                "sentiment": sentiment_of(float(row["EmoVal"])),
                "valence": float(row["EmoVal"]),
            },
        )


MSP_PODCAST = CorpusReader(
    "msp_podcast",
    "Audios/*.wav, Labels/labels_consensus.csv and Transcripts/*.txt",
    "https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html (the paper's release "
    "is 1.11), academic licence on request",
    _read,
    (
        "emotions are the paper's four; clips of others, or without agreement, have none and serve"
        " for sentiment and speech recognition",
        f"sentiment by valence: under {NEGATIVE_BELOW:g} negative, over {POSITIVE_ABOVE:g}"
        " positive, neutral between and on both",
        "Test1 is `test`, which the paper measures on; Test2 is `test2`; the others are left out",
    ),
)
