"""The corpus card: what it counts, what it flags, and that its page plays the
corpus's own clips.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from typer.testing import CliRunner

from speechverse.audio import Waveform, save
from speechverse.cli import build_app
from speechverse.corpora.counts import count_field, find_fields
from speechverse.data import Corpus, write_corpus
from speechverse.errors import UserError
from speechverse.types import AudioRef, Utterance
from speechverse.world.card import Card, CardSettings, make_card
from speechverse.world.card.leakage import LeakageCheck

EMOTIONS = ("happy", "sad", "angry", "neutral")
WORDS = ("jazz", "rain", "lamp", "door", "soup", "train", "clock")


def noise(folder: Path, name: str, rng: np.random.Generator, slope: float, seconds: float) -> Path:
    """A noise whose colour is the slope."""
    samples = rng.standard_normal(round(seconds * 16_000))
    coloured = samples if slope <= 0 else np.convolve(samples, np.ones(8) / 3)[: len(samples)]
    return save(folder / f"{name}.wav", Waveform((coloured * 0.03).astype(np.float32)))


def clips(folder: Path, split: str, count: int, leaks: bool = False) -> list[Utterance]:
    """Noises with every label; with `leaks` colour and a word tell half of the emotion, and length
    the speakers.
    """
    rng, made = np.random.default_rng(len(split)), []
    for number in range(count):
        emotion, speakers = EMOTIONS[number % 4], 1 + number // 4 % 2
        slope = float(number % 4 < 2) if leaks else rng.integers(2)
        seconds = (0.3 if speakers == 1 else 0.5) if leaks else rng.uniform(0.3, 0.5)
        path = noise(folder, f"{split} {number}", rng, slope, seconds)
        drawn = rng.choice(WORDS, 3)
        text = " ".join(
            [*drawn, f"{split}{number}", *(["hurrah"] if leaks and emotion == "happy" else [])]
        )
        labels = {
            "emotion": emotion,
            "num_speakers": speakers,
            "slots": [["thing", drawn[0]]],
            "snr_db": round(rng.uniform(5, 25), 1),
            **({"noise": "wind"} if number % 3 == 0 else {}),
        }
        speaker = f"{split}-{number % 7}" + (f"+{split}-x" if speakers == 2 else "")
        made.append(
            Utterance(f"{split}-{number}", AudioRef(path), seconds, text, speaker, "en", labels)
        )
    return made


@pytest.fixture(scope="module")
def corpus_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def make(
        leaks: bool = False, splits: tuple[str, ...] = ("train", "dev"), count: int = 120
    ) -> Path:
        folder = tmp_path_factory.mktemp("corpus")
        write_corpus(
            folder, "noises", {split: clips(folder, split, count, leaks) for split in splits}
        )
        return folder

    return make


@pytest.fixture(scope="module")
def honest(corpus_of: Callable[..., Path]) -> Path:
    return corpus_of()


def verdicts(card: Card) -> dict[tuple[str, str], bool | None]:
    return {(check.label, check.cue): check.passed for check in card.checks}


def test_a_corpus_without_shortcuts_meets_every_limit(honest: Path) -> None:
    card = make_card(Corpus.open(honest))
    passed = verdicts(card)
    assert (
        passed["emotion", "mean log-mels"]
        and passed["num_speakers", "duration"]
        and passed["emotion", "words"]
    )
    assert passed["num_speakers", "mean log-mels"] is None
    assert not card.faults
    for check in card.checks:
        assert check.low <= check.uar <= check.high
        assert check.clips == 120


def test_what_leaks_is_found_and_said(corpus_of: Callable[..., Path]) -> None:
    card = make_card(Corpus.open(corpus_of(leaks=True)))
    duration = next(check for check in card.checks if check.cue == "duration")
    assert duration.uar == 1.0 and duration.passed is False
    assert verdicts(card)["emotion", "words"] is False
    assert any("num_speakers can be guessed from duration" in fault for fault in card.faults)


def test_one_split_is_measured_across_speakers(corpus_of: Callable[..., Path]) -> None:
    card = make_card(Corpus.open(corpus_of(splits=("test",))))
    assert {check.how for check in card.checks} == {"5 groups of speakers, apart"}
    assert all(check.clips <= 120 for check in card.checks)


def test_counts_words_and_bins(honest: Path) -> None:
    card = make_card(Corpus.open(honest), CardSettings(clips=10))
    fields = {field.name: field for field in card.fields}
    assert fields["emotion"].counts["happy"] == {"train": 30, "dev": 30}
    assert fields["noise"].unlabelled == {"train": 80, "dev": 80}
    assert list(fields["snr_db"].counts) == ["5 to 10", "10 to 15", "15 to 20", "20 to 25"]
    assert fields["slots"].counts["thing"]["dev"] == 120
    dev = card.splits["dev"]
    assert (dev.clips, dev.sentences, dev.new_words, dev.speakers) == (120, 120, 120, 8)
    assert all(len(levels) == 10 for levels in card.levels.values())


def test_shared_sentences_and_speakers_are_flagged(tmp_path: Path) -> None:
    train, dev = clips(tmp_path, "train", 8), clips(tmp_path, "dev", 8)
    shared = Utterance(
        "copy", dev[0].audio, dev[0].duration, train[3].text.upper(), "train-2+new", "en", {}
    )
    card = make_card(write_corpus(tmp_path, "leaky", {"train": train, "dev": [*dev, shared]}))
    assert {overlap.what: overlap.shared for overlap in card.overlaps} == {
        "sentences": 1,
        "speakers": 1,
    }
    assert len([fault for fault in card.faults if "should be apart" in fault]) == 2
    assert any("too few" in note for note in card.notes)


def test_clips_that_cannot_be_read_are_flagged_and_not_played(tmp_path: Path) -> None:
    write_corpus(tmp_path, "broken", {"train": clips(tmp_path, "train", 8)})
    (tmp_path / "train 5.wav").write_bytes(b"")
    card = make_card(Corpus.open(tmp_path))
    assert list(card.unreadable) == ["train-5"] and "clips that cannot be read: 1" in card.faults[0]
    assert "train-5" not in [clip.id for clip in card.samples["emotion"]["sad"]]


def test_no_page_has_its_numbers_written_over_a_corpus_or_a_folder(honest: Path) -> None:
    before = (honest / "corpus.json").read_bytes()
    for page in (honest / "corpus.html", honest):
        shown = CliRunner().invoke(build_app(), ["card", str(honest), "--output", str(page)])
        assert isinstance(shown.exception, UserError)
    assert (honest / "corpus.json").read_bytes() == before


def test_the_page_links_clips_that_are_there_and_the_json_has_the_numbers(honest: Path) -> None:
    shown = CliRunner().invoke(build_app(), ["card", str(honest), "--clips", "60"])
    assert shown.exit_code == 0, shown.output
    page, numbers = (
        (honest / "card.html").read_text(),
        json.loads((honest / "card.json").read_text()),
    )
    sources = re.findall(r'<audio controls preload="none" src="([^"]+)"', page)
    assert len(sources) == 3 * (4 + 2 + 4 + 1)
    assert all((honest / unquote(source)).is_file() for source in sources)
    assert numbers["command"] == f"speechverse card {honest} --clips=60 --seed=0"
    assert {check["label"] for check in numbers["leakage"]} == {"emotion", "num_speakers"}
    for heading in (
        "Splits",
        "What can be guessed without listening",
        "Listen",
        "Labels",
        "Lengths and levels",
    ):
        assert f"<h2>{heading}</h2>" in page


def test_the_same_corpus_gives_the_same_numbers(honest: Path) -> None:
    settings = CardSettings(clips=40)
    first, again = (make_card(Corpus.open(honest), settings) for _ in range(2))
    assert first.as_dict() == again.as_dict()
    assert first.samples == again.samples


def test_a_jsonl_with_parts_of_files_and_no_labels_gets_a_page_to_pass_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise(tmp_path, "long one", rng, 0, 2.0)
    lines = [
        {
            "audio": "long one.wav",
            "start": part / 2,
            "duration": 0.5,
            "text": "hear",
            "mood": "calm",
        }
        for part in range(4)
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for options in (["--embed"], []):
        shown = CliRunner().invoke(
            build_app(), ["card", str(tmp_path / "mine.jsonl"), "--json", *options]
        )
        assert shown.exit_code == 0, shown.output
        assert json.loads(shown.stdout)["splits"]["all"]["clips"] == 4
        page = (tmp_path / "mine.card.html").read_text()
        if options:
            sound = base64.b64decode(re.findall(r'src="data:audio/flac;base64,([^"]+)"', page)[0])
            assert sound.startswith(b"fLaC")
        else:
            assert re.search(r'src="long%20one\.wav#t=\d\.\d+,\d\.\d+"', page)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ((0.5, float("inf"), 20.0), {"0.5", "inf", "20.0"}),
        (
            (1700000000.0, 1700000029.0, 1700000059.0),
            {"1700000000 to 1700000010", "1700000020 to 1700000030"},
        ),
    ],
)
def test_numbers_without_end_or_close_together_are_still_told_apart(
    values: tuple, classes: set[str]
) -> None:
    some = [
        Utterance(str(value), AudioRef(Path("a.wav")), 1.0, labels={"measured": value})
        for value in values
    ]
    (field,) = find_fields(some)
    counts = count_field(field, {"test": some})
    assert (
        classes <= set(counts.counts)
        and sum(count["test"] for count in counts.counts.values()) == 3
    )
    assert counts.num_classes == 3


def test_a_page_is_not_written_where_its_numbers_go(honest: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(
        build_app(), ["card", str(honest), "--output", str(tmp_path / "card.json")]
    )
    assert "give it another ending, such as .html" in str(shown.exception)
    assert not list(tmp_path.iterdir())


def test_labels_stand_in_the_table_as_they_are_written(
    corpus_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = corpus_of(splits=("train",), count=8)
    card = make_card(Corpus.open(folder))
    check = LeakageCheck("mood[/x]", "words", 0.9, 0.8, 1.0, 0.5, 0.5, 0.6, 9, "")
    monkeypatch.setattr(
        "speechverse.world.card.make_card", lambda *how: replace(card, checks=[check])
    )
    shown = CliRunner().invoke(build_app(), ["card", str(folder)])
    assert shown.exception is None and "mood[/x]" in shown.stdout and "  fail" in shown.stdout
