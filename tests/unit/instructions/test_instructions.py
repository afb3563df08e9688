"""What lines are asked, what a program answers, which of an LLM's answers are learnt, and the
command.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from speechverse.cli import build_app
from speechverse.instructions import Asked, draw_instructions, draw_lines, kinds
from speechverse.instructions import made as making
from speechverse.instructions.known import KNOWN, known_answer
from speechverse.instructions.usable import usable
from speechverse.types import Answer

TEXT = "The canary didn't escape from its cage."
LINES = [
    {"text": TEXT, "stratum": "wordnet"},
    {
        "text": "Remind me of the oven in six hours, please.",
        "stratum": "grammar",
        "intent": "set_timer",
    },
    {"text": "A very large red fish of warm seas.", "stratum": "gloss"},
    {"text": "Seven.", "stratum": "digit"},
    {"text": "S, T, A, R, B, O, A, R, D.", "stratum": "spelling"},
]


def test_the_list_is_varied_and_each_known_kind_has_its_program() -> None:
    wordings = [
        wording for of in kinds().values() for kind in of.values() for wording in kind.wordings
    ]
    assert len(set(wordings)) == len(wordings) >= 60
    assert sum(map(len, kinds().values())) >= 15
    assert set(kinds()["known"]) == set(KNOWN)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("first_word", "The"),
        ("last_word", "cage"),
        ("second_word", "canary"),
        ("first_words", "The canary didn't"),
        ("num_words", "Seven"),
        ("letters_last", "Four"),
        ("capitals", "THE CANARY DIDN'T ESCAPE FROM ITS CAGE."),
        ("lower_case", "the canary didn't escape from its cage"),
        ("spelled_first", "t-h-e"),
        ("spelled_last", "c-a-g-e"),
        ("is_question", "Statement"),
        ("longest_word", None),
        ("shortest_word", None),
        ("quoted", f'"{TEXT}"'),
        ("comma_list", "the, canary, didn't, escape, from, its, cage"),
        ("snake_case", "the_canary_didn't_escape_from_its_cage"),
        ("twice", f"{TEXT} {TEXT}"),
        ("backwards", "cage its from escape didn't canary the"),
    ],
)
def test_what_a_program_knows(kind: str, answer: str | None) -> None:
    assert known_answer(kind, TEXT) == answer


def test_a_tie_or_a_long_text_has_no_answer_rather_than_a_wrong_one() -> None:
    assert known_answer("longest_word", "A bird sings") == "sings"
    assert known_answer("shortest_word", "A bird sings") == "A"
    assert known_answer("longest_word", "My mother-in-law photographed it") == "photographed"
    assert known_answer("longest_word", "A well-kept pleasant garden") is None
    assert known_answer("is_question", 'He asked: "Why?"') == "Question"
    assert known_answer("is_question", "where are you going") is None
    long = " ".join(["word"] * 16)
    assert all(
        known_answer(kind, long) is None
        for kind in ("num_words", "backwards", "twice", "comma_list", "snake_case")
    )


def test_what_is_drawn_depends_on_seed_and_text_alone() -> None:
    drawn = draw_instructions(LINES[0], 6, 1, 0.5)
    assert drawn == draw_instructions(LINES[0], 6, 1, 0.5) != draw_instructions(LINES[0], 6, 2, 0.5)
    assert len({asked.kind for asked in drawn}) == 6
    assert [asked.answer is None for asked in drawn] == [
        asked.kind in kinds()["read"] for asked in drawn
    ]


def test_words_digits_and_spelling_are_not_asked_and_fragments_and_questions_not_by_the_llm() -> (
    None
):
    assert draw_lines(LINES, None, 1) == LINES[:3]
    assert [
        line for line in draw_lines(LINES, 2, 1) if line in draw_lines(LINES, 1, 1)
    ] == draw_lines(LINES, 1, 1)
    for line in (LINES[2], {"text": "Does the canary ever leave its cage?"}):
        assert all(asked.answer for asked in draw_instructions(line, 10, 1, 1.0))
    assert len(draw_instructions(LINES[0], 100, 1, 1.0)) > len(kinds()["read"]), (
        "then the program's"
    )


@pytest.mark.parametrize(
    ("kind", "text", "ended", "learnt", "why"),
    [
        (
            "formal",
            "The canary remained in its cage. It is a",
            "length",
            "The canary remained in its cage.",
            "",
        ),
        (
            "formal",
            "The canary kept to its cage.\n\nThat is it.",
            "end",
            "The canary kept to its cage.",
            "",
        ),
        ("formal", "The canary remained in the", "length", "", "cut before a sentence was whole"),
        ("formal", "the canary the canary", "loop", "", "turned in circles"),
        ("formal", "A cage, a cage, a cage, a cage, a cage.", "end", "", "repeats itself"),
        ("formal", "The original sentence is about a cage.", "end", "", "talks about the task"),
        ("formal", "The canary didn't escape from its cage!", "end", "", "repeats the line"),
        ("formal", "The canary is fond of swimming.", "end", "", "speaks of something else"),
        (
            "formal",
            "The canary didn't leave its cage for the royal gardens.",
            "end",
            "",
            "makes things up",
        ),
        (
            "summary",
            "The canary didn't escape from its cage.",
            "end",
            "The canary didn't escape from its cage.",
            "",
        ),
        ("summary", "I like to swim in the sea.", "end", "", "speaks of something else"),
        ("summary", "...", "end", "", "empty"),
    ],
)
def test_only_a_whole_sentence_that_speaks_of_the_line_is_learnt(
    kind, text, ended, learnt, why
) -> None:
    assert usable(Asked(TEXT, kind, "Do it."), Answer(text, ended=ended)) == (learnt, why)


@pytest.fixture
def run(tmp_path: Path, checkpoint: Path):
    def made(source: Path, *options: str) -> Any:
        arguments = [
            "instructions",
            str(source),
            str(tmp_path / "out.jsonl"),
            "--model",
            str(checkpoint),
            *options,
        ]
        return CliRunner().invoke(
            build_app(), [*arguments, "--device", "cpu"], catch_exceptions=False
        )

    return made


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return tmp_path / "lines.jsonl"


def test_the_command_labels_lines_and_says_what_was_dropped(run, lines, tmp_path) -> None:
    result = run(lines, "--max-new-tokens", "4", "--each", "10", "--read-share", "0.5")
    assert (
        "3 lines, 30 instructions; the LLM answers " in result.output
        and "dropped: " in result.output
    )
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["text"] for line in written] == [line["text"] for line in LINES[:3]]
    assert written[1]["intent"] == "set_timer", "labels are kept"
    for line in written:
        for pair in line["instructions"]:
            assert pair["answer"] == known_answer(pair["kind"], line["text"]), (
                "what a random LLM says is not learnt"
            )


def test_a_line_too_long_for_the_llm_is_left_out_and_counted(run, tmp_path, monkeypatch) -> None:
    from speechverse import SpeechVerse

    load, long = SpeechVerse.from_pretrained, {"text": "The canary sang of the sea. " * 20}

    def with_little_room(*how: Any) -> SpeechVerse:
        loaded = load(*how)
        loaded.processor.config.llm_max_positions = 400
        return loaded

    monkeypatch.setattr(SpeechVerse, "from_pretrained", with_little_room)
    source = tmp_path / "long.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in [*LINES[1:3], long]))
    result = run(source, "--max-new-tokens", "4", "--each", "1", "--read-share", "1.0")
    assert result.exit_code == 0 and "1 too long for the LLM" in result.output
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["text"] for line in written] == [LINES[2]["text"]]


def test_two_runs_do_not_write_to_one_file(run, lines, tmp_path) -> None:
    from filelock import FileLock

    from speechverse.errors import UserError

    with (
        FileLock(tmp_path / ".out.jsonl.lock"),
        pytest.raises(UserError, match=r"another run is writing to '.*out\.jsonl'"),
    ):
        run(lines)
    assert not (tmp_path / "out.jsonl").exists()


def test_where_no_answer_is_learnt_what_was_written_before_stays(run, tmp_path) -> None:
    from speechverse.errors import UserError

    source, out = tmp_path / "read.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(LINES[1]) + "\n")
    out.write_text("of an earlier run\n")
    with pytest.raises(UserError, match=r"is not written; of the LLM's 1 answers dropped: 1 \w"):
        run(source, "--max-new-tokens", "4", "--each", "1", "--read-share", "1.0")
    assert out.read_text() == "of an earlier run\n"


def test_what_is_read_is_not_written_over_and_short_lines_are_counted(
    run, lines, checkpoint, tmp_path
) -> None:
    before = lines.read_bytes()
    for out in (lines, tmp_path / "." / "lines.jsonl"):
        arguments = ["instructions", str(lines), str(out), "--model", str(checkpoint)]
        refused = CliRunner().invoke(build_app(), arguments)
        assert "is what is read" in str(refused.exception)
    assert lines.read_bytes() == before
    told = run(lines, "--read-share", "0").output
    assert f"left out: {len(LINES) - 3} lines that nothing can be asked of" in told


def test_what_was_answered_is_not_answered_again_and_gives_the_same(
    run, lines, tmp_path, monkeypatch
) -> None:
    given = ["--max-new-tokens", "4", "--read-share", "1.0"]
    run(lines, *given)
    first = (tmp_path / "out.jsonl").read_bytes()
    monkeypatch.setattr(making, "answer_questions", lambda *_: pytest.fail("asked again"))
    run(lines, *given)
    assert (tmp_path / "out.jsonl").read_bytes() == first


def test_a_corpus_folder_gives_lines_by_id_that_are_joined_to_it(run, tmp_path) -> None:
    from speechverse.audio import Waveform, save
    from speechverse.data import Mixture, MixtureItem, write_corpus
    from speechverse.types import AudioRef, Utterance

    sound = save(tmp_path / "spoken" / "a.wav", Waveform(np.full(16_000, 0.1, np.float32)))
    spoken = write_corpus(
        tmp_path / "spoken", "spoken", {"train": [Utterance("a", AudioRef(sound), 1.0, TEXT)]}
    )
    run(tmp_path / "spoken", "--read-share", "0")
    [line] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (line["id"], line["text"], len(line["instructions"])) == ("a", TEXT, 2)
    mixture = Mixture([MixtureItem(spoken.with_labels(tmp_path / "out.jsonl"), "follow")])
    asked = [mixture.example(draw) for number in (0, 1) for draw in mixture.draws(number)]
    assert {(e.instruction, e.target) for e in asked} == {
        (p["instruction"], p["answer"]) for p in line["instructions"]
    }


def test_lines_that_are_none_are_refused(run, tmp_path) -> None:
    from speechverse.errors import CorpusError, UserError

    (tmp_path / "wrong.jsonl").write_text('{"sentence": "No text here."}\n')
    with pytest.raises(CorpusError, match="line 1: has no 'text'; it has sentence"):
        run(tmp_path / "wrong.jsonl")
    (tmp_path / "short.jsonl").write_text('{"text": "Seven."}\n')
    with pytest.raises(UserError, match="no sentences of three words"):
        run(tmp_path / "short.jsonl")
