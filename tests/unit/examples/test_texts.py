"""The examples that make text and questions for training."""

from __future__ import annotations

import random
import runpy
from pathlib import Path

from speechverse.data import Corpus
from speechverse.types import AudioRef, Utterance

TEXTS = Path(__file__).parents[3] / "examples" / "texts"
ENTRY = r"""Gruesome \Grue"some\, a. [Cf. {Grewsome}.]
   1. Frightful; ugly.
      [1913 Webster]

   2. (Zool.) That which makes one's flesh creep; as, a {gruesome}
      tale of the sea.
      [1913 Webster]

            Some gruesome tale of the old and weary sea. --Scott.
      [1913 Webster]
"""


def test_of_a_dictionary_only_what_can_be_read_aloud_is_left() -> None:
    paragraphs = runpy.run_path(str(TEXTS / "dictionary.py"))["paragraphs"]
    assert list(paragraphs(ENTRY)) == [
        "That which makes one's flesh creep; as, a gruesome tale of the sea.",
        "Some gruesome tale of the old and weary sea.",
    ]


def test_what_is_listed_holds_the_answer_once_and_nothing_else_that_is_said() -> None:
    ask = runpy.run_path(str(TEXTS / "listed.py"))["ask"]
    line = {"text": "He held a minority position."}
    question = ask(line, [], ["position", "held", "orchard", "navel", "sodium"])
    assert question["answer"] in ("position", "held", "minority")
    said = [word for word in ("position", "held", "minority") if word in question["instruction"]]
    assert said == [question["answer"]]
    assert ask({"text": "Seven."}, ["one", "seven", "two"], [])["answer"] == "seven"
    assert ask({"text": "Go to it and be at it."}, [], ["orchard"]) is None


def test_a_question_about_two_clips_has_a_place_for_each() -> None:
    ask = runpy.run_path(str(TEXTS / "pairs.py"))["ask"]
    pair = [
        Utterance(id=text, audio=AudioRef(Path("a.wav")), duration=1.0, text=text)
        for text in ("Holy sacrament.", "Send word.")
    ]
    asked = [ask(random.Random(seed), pair) for seed in range(40)]
    assert {kind for _, _, kind in asked} == {"one", "both", "where"}
    assert all(instruction.count("<|audio|>") == 2 for instruction, _, _ in asked)
    for instruction, answer, kind in asked:
        if kind == "where":
            of_first = "holy" in instruction or "sacrament" in instruction
            assert answer == ("the first" if of_first else "the second")


def test_sentences_that_are_said_again_keep_what_they_mean_and_nothing_of_the_voice() -> None:
    sentences = runpy.run_path(str(TEXTS / "said_again.py"))["sentences"]

    def clip(number: int, text: str, **labels: object) -> Utterance:
        labels = {"intent": "play", "emotion": "sad", "stratum": "grammar", **labels}
        return Utterance(str(number), AudioRef(Path("a.wav")), 1.0, text, labels=labels)

    clips = [clip(n, f"play song {n // 2}", keywords=["song"]) for n in range(8)]
    clips += [clip(8, "", is_speech=False), clip(9, "two of us", stratum="two_speakers")]
    made = Corpus("clean", {}, {}, {}, {"test": clips})
    assert sentences(made, "test", 1, 60) == [
        {"text": f"play song {n}", "intent": "play", "keywords": ["song"]} for n in range(4)
    ]
    assert [line["text"] for line in sentences(made, "test", 2, 1)] == ["play song 0"]


def test_words_are_counted_in_lines_that_hold_any_sign(tmp_path: Path) -> None:
    words_of = runpy.run_path(str(TEXTS / "coverage.py"))["words_of"]
    lines = '{"text": "One\u2028two"}\r\n{"text": null}\n\n{"text": "three\x85four"}\n'
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    assert words_of(tmp_path / "a.jsonl") == ["one", "two", "three", "four"]
