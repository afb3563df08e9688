"""Somebody's own sentences, spoken: what is kept, what decides the voice, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speechverse.data import Corpus, render_for_evaluation
from speechverse.errors import CorpusError, UserError
from speechverse.tasks import PromptSet, Task
from speechverse.types import Utterance
from speechverse.world import read_lines, synthesize_corpus
from speechverse.world.voices import speakers

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a JSONL file of these lines."""

    def to_file(*lines: dict[str, Any] | str) -> Path:
        path = tmp_path / "mine.jsonl"
        path.write_text(
            "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        )
        return path

    return to_file


def spoken(path: Path, **how: Any) -> list[Utterance]:
    folder = path.parent / "spoken"
    synthesize_corpus(folder, read_lines(path, **how), num_workers=1)
    return Corpus.open(folder).utterances("train")


def test_text_and_labels_are_kept_as_given_and_the_voice_is_labelled(write: Write) -> None:
    path = write(
        {
            "id": "a-1",
            "text": "Order 2 pizzas, please!",
            "label": "order",
            "slots": {"food": "pizzas"},
            "mine": [1, 2],
        },
        "",
        {"text": "cancel it", "label": "cancel", "slots": [], "nothing": None},
    )
    first, second = spoken(path, renames={"label": "intent"})
    assert (first.id, second.id) == ("a-1", "mine-000003")
    assert first.text == "Order 2 pizzas, please!" and first.language == "en"
    assert first.labels["intent"] == "order" and first.labels["mine"] == [1, 2]
    assert first.labels["num_speakers"] == 1 and first.labels["is_speech"] is True
    assert {"emotion", "sentiment", "accent"} <= set(first.labels)
    assert first.duration > 1.0 and first.speaker in {speaker.name for speaker in speakers("train")}
    with gzip.open(path.parent / "spoken" / "train.jsonl.gz") as manifest:
        assert json.loads(manifest.readline())["supervisions"][0]["custom"]["slots"] == {
            "food": "pizzas"
        }
    corpus = Corpus.open(path.parent / "spoken")
    assert corpus.labels["intent"].names == ("cancel", "order") and corpus.labels[
        "slots"
    ].names == ("food",)
    assert len(corpus.labels["emotion"].names) == 4 and corpus.labels["emotion"].descriptions["sad"]
    assert [e.target for e in render_for_evaluation(corpus, "train", "sf", wording="seen")] == [
        "food = pizzas;",
        "none",
    ]
    assert corpus.description["source"] == "mine.jsonl"


def test_a_line_may_say_how_it_is_spoken(write: Write) -> None:
    path = write(
        {"id": 1, "text": "well well", "emotion": "angry", "accent": "scottish", "voice": "m1"},
        {"id": 2, "text": "well well", "sentiment": "positive"},
        {"id": 3, "text": "Wo ist der nächste Bahnhof?", "language": "de"},
    )
    one, two, three = spoken(path)
    assert (one.labels["emotion"], one.labels["sentiment"], one.labels["accent"]) == (
        "angry",
        "negative",
        "scottish",
    )
    assert one.speaker == "m1" and "voice" not in one.labels
    assert (two.labels["emotion"], two.labels["sentiment"]) == ("happy", "positive")
    assert three.language == "de" and "accent" not in three.labels


def test_lines_go_to_their_split_with_its_voices(write: Write) -> None:
    path = write(
        {"text": "one"}, {"text": "two", "split": "dev"}, {"text": "three", "split": "train"}
    )
    synthesize_corpus(path.parent / "spoken", read_lines(path, split="test"), num_workers=1)
    corpus = Corpus.open(path.parent / "spoken")
    assert {split: [u.text for u in corpus.utterances(split)] for split in corpus.splits} == {
        "train": ["three"],
        "dev": ["two"],
        "test": ["one"],
    }
    assert corpus.utterances("test")[0].speaker in {speaker.name for speaker in speakers("test")}


def test_the_same_lines_are_always_said_the_same_way(write: Write) -> None:
    """That one plan gives the same bytes, whoever makes them and after whatever stop, is tested of
    the world's.
    """
    path = write(*({"text": f"sentence number {number}"} for number in range(9)))
    assert read_lines(path).plan() == read_lines(path).plan()


def test_a_folder_begun_from_another_file_is_refused(tmp_path: Path, write: Write) -> None:
    out = tmp_path / "out"
    synthesize_corpus(out, read_lines(write({"text": "hello"})), num_workers=1)
    with pytest.raises(CorpusError, match="different settings.*lines_sha256"):
        synthesize_corpus(out, read_lines(write({"text": "hello you"})))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"sentence": "hi"}, r"no text to speak; it has sentence \(--text-key"),
        ({"text": " ...\n"}, "nothing to say"),
        ({"text": 3}, "'text' should be a string, not 3"),
        ({"text": "word " * 500}, "2500 characters; 2000 can be spoken"),
        ({"text": "a\u0000b"}, "is no text"),
        ({"text": "hi", "id": "first"}, "'first' occurs twice"),
        ({"text": "hi", "id": "a/b"}, "--rename id=source_id"),
        ({"text": "hi", "split": "devel"}, "unknown split 'devel'; did you mean 'dev'"),
        ({"text": "hi", "language": "xx"}, "unknown language 'xx'"),
        ({"text": "hi", "language": "de", "accent": "british"}, "only English is spoken with"),
        ({"text": "hi", "emotion": "joy"}, "unknown emotion 'joy'.*--rename emotion=other_name"),
        ({"text": "hi", "accent": "irish"}, "unknown accent 'irish'"),
        ({"text": "hi", "sentiment": "meh"}, "unknown sentiment 'meh'"),
        ({"text": "hi", "voice": "m99"}, "unknown voice 'm99'"),
        ({"text": "hi", "slots": 3}, "'slots' should be an object"),
        ({"text": "hi", "num_speakers": 2}, "spoken by one speaker"),
        ({"text": "hi", "speaker": "anna"}, "--rename speaker=other_name"),
        ({"text": "hi", "label": "x", "intent": "y"}, "two keys for 'intent'"),
    ],
)
def test_lines_that_cannot_be_spoken_are_named(
    write: Write, line: dict[str, Any], says: str
) -> None:
    path = write({"text": "good", "id": "first", "label": "x"}, line)
    with pytest.raises(
        CorpusError, match=rf"(?s)1 of 2 lines cannot be spoken; nothing was made.*line 2: .*{says}"
    ):
        read_lines(path, renames={"label": "intent"})


def test_files_and_options_that_cannot_be(tmp_path: Path, write: Write) -> None:
    with pytest.raises(CorpusError, match="is missing"):
        read_lines(tmp_path / "absent.jsonl")
    with pytest.raises(CorpusError, match="line 2: not JSON"):
        read_lines(write({"text": "one"}, "two"))
    with pytest.raises(CorpusError, match="holds no lines to speak"):
        read_lines(write(""))
    path = write({"text": "one", "label": "x"})
    with pytest.raises(UserError, match="no line has 'labl'.*did you mean 'label'"):
        read_lines(path, renames={"labl": "intent"})
    with pytest.raises(UserError, match="2 keys are to be renamed to 'text'"):
        read_lines(path, text_key="text2", renames={"label": "text"})
    with pytest.raises(UserError, match="unknown split 'tset'"):
        read_lines(path, split="tset")
    with pytest.raises(UserError, match="give a --name"):
        read_lines(path, name="a/b")
    with pytest.raises(
        UserError,
        match=(
            r"'Play it' \(.*mine.jsonl line 1\) and 'play_it' \(.*line 2\) of 'intent' read alike"
        ),
    ):
        read_lines(write({"text": "a", "intent": "Play it"}, {"text": "b", "intent": "play_it"}))


def test_many_faults_are_counted_and_the_first_shown(write: Write) -> None:
    with pytest.raises(CorpusError, match=r"(?s)7 of 7 lines.*line 5: .*and 2 more$"):
        read_lines(write(*({"text": ""} for _ in range(7))))


def test_label_sets_give_descriptions_and_bind_the_lines(tmp_path: Path, write: Write) -> None:
    sets = tmp_path / "labels.yaml"
    sets.write_text("intent:\n  order: to have something brought\n  cancel: to take it back\n")
    source = read_lines(write({"text": "a pizza", "intent": "order"}), labels=sets)
    assert source.labels["intent"] == {
        "order": "to have something brought",
        "cancel": "to take it back",
    }
    with pytest.raises(
        CorpusError, match="line 1: unknown intent label 'ordr'; did you mean 'order'"
    ):
        read_lines(write({"text": "a pizza", "intent": "ordr"}), labels=sets)
    sets.write_text("intent: 3\n")
    with pytest.raises(UserError, match="names with descriptions"):
        read_lines(write({"text": "a pizza"}), labels=sets)


def test_an_instruction_set_is_asked_with_its_own_instructions(write: Write) -> None:
    follow = Task(
        name="follow",
        title="Following instructions",
        group="own",
        prompts=PromptSet(seen=("{instruction}",)),
        requires=("instruction", "output"),
        target=lambda utterance: utterance.labels["output"],
        metrics=("bleu",),
    )
    path = write(
        {
            "instruction": "Be polite. Keep {output} out.",
            "input": "close the door",
            "output": "please do",
        }
    )
    (utterance,) = spoken(path, text_key="input")
    assert utterance.text == "close the door" and "input" not in utterance.labels
    (example,) = render_for_evaluation(
        Corpus.open(path.parent / "spoken"), "train", follow, wording="seen"
    )
    assert (example.instruction, example.target) == ("Be polite. Keep {output} out.", "please do")


def test_a_line_may_say_what_sounds_under_it(write: Write) -> None:
    lines = [
        {"text": "well well", "noise": "rain", "snr_db": 6},
        {"text": "well well", "noise": "music"},
    ]
    one, two = spoken(write(*lines))
    assert (one.labels["noise"], one.labels["snr_db"]) == ("rain", 6)
    assert two.labels["noise"] == "music" and 5 <= two.labels["snr_db"] <= 25


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"noise": "thunder"}, "--rename noise=other_name"),
        (
            {"noise": "washing machine"},
            "unknown noise 'washing machine'",
        ),  # only ever in test parts
        ({"noise": "rain", "snr_db": "loud"}, "'snr_db' is the ratio of speech to noise in dB"),
    ],
)
def test_a_noise_that_cannot_be_is_refused(wish: dict[str, Any], said: str, write: Write) -> None:
    with pytest.raises(CorpusError, match=said):
        read_lines(write({"text": "well well", **wish}))
