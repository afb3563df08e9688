"""The corpora that the example of real people writes and measures on."""

from __future__ import annotations

import json
import re
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechverse.data import Corpus, render_for_evaluation
from speechverse.tasks import get_task

EXAMPLES = Path(__file__).parents[3] / "examples"
CORPORA = runpy.run_path(str(EXAMPLES / "people" / "corpora.py"))
TASKS = EXAMPLES / "people" / "tasks.py"
SIZES = {"c1": 5, "c2": 4, "c3": 3, "c4": 2, "c5": 1, "c6": 1}


def clip(name: str, **about: Any) -> dict[str, Any]:
    return {"id": name, "audio": f"{name}.wav", "duration": 1.0, "dataset": "made", **about}


def written(folder: Path, lines: list[dict[str, Any]]) -> Corpus:
    """A corpus of these lines, each with half a second of sound."""
    for line in lines:
        soundfile.write(folder / Path(line["audio"]).name, np.full(8000, 0.1, np.float32), 16_000)
    CORPORA["write_jsonl"](folder / "test.jsonl", lines)
    return Corpus.from_jsonl("made", {"test": folder / "test.jsonl"})


def test_clips_of_a_manifest_are_found_from_anywhere(tmp_path: Path):
    lines = [clip("a"), clip("b", dataset="other"), clip("c", dataset="third")]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = CORPORA["read_clips"](tmp_path, "made", "third")
    assert [line["audio"] for line in found] == [str(tmp_path / "a.wav"), str(tmp_path / "c.wav")]


def test_signs_that_end_lines_elsewhere_may_stand_in_a_text(tmp_path: Path):
    lines = [clip("a", text="one\u2028two\x85three ä"), clip("b", text="four")]
    told = "\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (tmp_path / "manifest.jsonl").write_text(told + "\r\n", encoding="utf-8")
    found = CORPORA["read_clips"](tmp_path, "made")
    assert [line["text"] for line in found] == [line["text"] for line in lines]


def test_answers_with_such_signs_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(EXAMPLES / "people")
    read = runpy.run_path(str(EXAMPLES / "people" / "measure.py"))["read_answers"]
    rows = [{"system": "own", "task": task, "answer": "one\u2028two"} for task in ("asr", "st")]
    told = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "answers.jsonl").write_text(told, encoding="utf-8")
    assert read(tmp_path, "own", "st") == rows[1:]


def test_sentences_are_those_of_the_readers_asked_for():
    clips = [clip(f"{who}", speaker=who, text="a sentence") for who in ("1688", "2033", "367")]
    clips.append(
        {name: value for name, value in clip("untold", speaker="2033").items() if name != "text"}
    )
    found = CORPORA["reading_lines"](clips, ("2033", "367"))
    assert [(line["id"], line["text"]) for line in found] == [
        ("2033", "a sentence"),
        ("367", "a sentence"),
    ]


def test_every_speaker_of_the_digits_is_left_out_once(tmp_path: Path):
    clips = [
        clip(f"{who}{n}", speaker=who, text="one")
        for who in ("ann", "bob", "cid")
        for n in range(2)
    ]
    folders = {
        folder.name: folder
        for folder in CORPORA["write_rotations"](CORPORA["digit_lines"](clips), tmp_path)
    }
    assert list(folders) == ["ann", "bob", "cid"]
    for who, folder in folders.items():
        train, test = (
            [json.loads(x) for x in (folder / f"{s}.jsonl").read_text().splitlines()]
            for s in ("train", "test")
        )
        assert {line["speaker"] for line in test} == {who}
        assert {line["speaker"] for line in train} == set(folders) - {who}
        assert len(train) + len(test) == len(clips)


def test_digits_are_written_as_people_write_and_keep_their_language():
    lines = CORPORA["digit_lines"](
        [clip("a", speaker="ann", text="seven", language="en"), clip("b", speaker="bo", text="six")]
    )
    assert [(line["text"], line.get("language")) for line in lines] == [
        ("Seven.", "en"),
        ("Six.", None),
    ]


def test_digits_are_asked_with_ten_choices(tmp_path: Path):
    corpus = written(
        tmp_path, [{"audio": "a.wav", "text": "Seven."}, {"audio": "b.wav", "text": "zero"}]
    )
    for name in ("DIGIT", "DIGIT_LISTED"):
        examples = render_for_evaluation(
            corpus, "test", get_task(f"{TASKS}:{name}"), wording="seen"
        )
        assert [example.reference for example in examples] == ["seven", "zero"]
        assert all(len(example.choices or ()) == 10 for example in examples)


def test_orders_keep_their_slots_under_names_of_small_letters(tmp_path: Path):
    slots = {"coffeeDrink": "iced mocha", "size": "large"}
    corpus = written(tmp_path, CORPORA["order_lines"]([clip("a", voice_cluster="c1", slots=slots)]))
    (example,) = render_for_evaluation(corpus, "test", "sf", wording="seen")
    assert example.reference == (("coffee_drink", "iced mocha"), ("size", "large"))
    assert example.utterance.speaker == "c1"


def test_no_voice_is_in_two_folds_and_the_folds_are_even():
    lines = [
        {"id": f"{who}-{n}", "speaker": who} for who, size in SIZES.items() for n in range(size)
    ]
    folds = CORPORA["speaker_folds"](lines, 4)
    assert [len(fold) for fold in sorted(folds, key=len)] == [3, 4, 4, 5]
    assert sorted(line["id"] for fold in folds for line in fold) == sorted(
        line["id"] for line in lines
    )
    voices = [voice for fold in folds for voice in {line["speaker"] for line in fold}]
    assert len(voices) == len(set(voices))
    assert CORPORA["speaker_folds"](lines, 4) == folds


def test_more_folds_than_voices_are_refused():
    with pytest.raises(ValueError, match="1 speakers cannot be kept apart in 2 folds"):
        CORPORA["speaker_folds"]([{"speaker": "c1"}], 2)


def test_a_rare_label_is_dealt_to_as_many_folds_as_it_has_speakers():
    accents = ["indian"] * 12 + ["american"] * 4 + ["chinese"] * 2
    lines = [
        {"speaker": f"s{n}", "accent": accent} for n, accent in enumerate(accents) for _ in range(2)
    ]
    folds = CORPORA["speaker_folds"](lines, 4, label="accent")
    counts = [Counter(line["accent"] for line in fold) for fold in folds]
    assert [count["indian"] for count in counts] == [6] * 4 and [
        count["american"] for count in counts
    ] == [2] * 4
    assert sorted(count["chinese"] for count in counts) == [0, 0, 2, 2]


def test_meetings_that_share_somebody_stay_together():
    windows = [("a", 1), ("a b", 2), ("c d b", 3), ("e f g h", 4), ("e", 1)]
    clips = [
        clip(f"m{n}", speakers=who.split(), label=how_many)
        for n, (who, how_many) in enumerate(windows)
    ]
    lines = CORPORA["meeting_lines"](clips)
    assert [line["speaker"] for line in lines] == ["a", "a", "a", "e", "e"]
    said = ["one speaker", "two speakers", *["three or more speakers"] * 2, "one speaker"]
    assert [line["class"] for line in lines] == said


def test_each_wake_phrase_is_asked_for_once_rightly_and_once_wrongly(tmp_path: Path):
    phrases = ("computer", "jarvis", "view glass")
    clips = [clip(f"{p[:4]}{n}", text=p, voice_cluster="c1") for p in phrases for n in range(4)]
    corpus = written(tmp_path, CORPORA["wake_lines"](clips))
    examples = render_for_evaluation(
        corpus, "test", get_task(f"{TASKS}:WAKE_PHRASE"), wording="seen"
    )
    assert Counter(example.reference for example in examples) == {"yes": 12, "no": 12}
    for example in examples:
        keyword = example.utterance.labels["keyword"]
        assert [p for p in phrases if re.search(rf"\b{p}\b", example.instruction)] == [keyword]
        assert (keyword == example.utterance.text) == (example.reference == "yes")
    wrong = Counter(e.utterance.labels["keyword"] for e in examples if e.reference == "no")
    assert wrong == dict.fromkeys(phrases, 4)


def test_as_much_speech_as_other_sounds_from_each_data_set_in_turn(tmp_path: Path):
    sounds = [clip(f"n{n}", label="non-speech") for n in range(5)] + [clip("s", label="speech")]
    spoken = [clip(f"{name}{n}", dataset=name) for name in ("read", "told") for n in range(5)]
    spoken += [clip("long", dataset="told", duration=9.0)]
    lines = CORPORA["speech_lines"](sounds, spoken)
    assert Counter(line["is_speech"] for line in lines) == {True: 5, False: 5}
    assert Counter(line["source"] for line in lines[len(sounds) :]) == {"read": 2, "told": 2}
    assert all(line["id"] != "long" for line in lines)
    assert len(render_for_evaluation(written(tmp_path, lines), "test", "sns", wording="seen")) == 10


def test_every_order_as_json_is_of_the_menus_schema_and_read_back(tmp_path: Path):
    slots = [
        {"coffeeDrink": "mocha", "milkAmount": "a bit of soy milk", "numberOfShots": "single shot"},
        {"size": "sixteen ounce", "coffeeDrink": "house coffee"},
        {"coffeeDrink": "latte"},
    ]
    clips = [
        clip(f"o{n}", voice_cluster="c1", slots=said, text="an order")
        for n, said in enumerate(slots)
    ]
    corpus = written(tmp_path, CORPORA["order_lines"](clips))
    task = get_task(f"{TASKS}:ORDER_JSON")
    pattern = task.constraint_for(None).regex
    examples = render_for_evaluation(corpus, "test", task, wording="seen")
    for example, said in zip(examples, slots, strict=True):
        assert re.fullmatch(pattern, example.target)
        assert len(task.parse(example.target)) == len(said)
    assert not re.fullmatch(pattern, "{}") and not re.fullmatch(pattern, '{"coffee_drink": "tea"}')
    assert get_task(f"{TASKS}:ORDER_FREE").constraint_for(None) is None


def test_names_of_a_set_of_its_own_are_no_unreadable_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(EXAMPLES / "people")
    scored = runpy.run_path(str(EXAMPLES / "people" / "measure.py"))["_scored"]
    told = [("indian", "indian"), ("other", "chinese"), ("other", "other"), ("indian", "chinese")]
    rows = [{"reference": true, "answer": said, "language": "en"} for true, said in told]
    [(metric, found)] = scored("accents", get_task("ac"), rows)
    assert metric == "uar" and found.value == pytest.approx(0.5)
