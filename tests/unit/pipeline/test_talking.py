"""Conversations about a clip, and several clips in one instruction."""

from __future__ import annotations

import json
from threading import Event
from threading import enumerate as enumerate_threads

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from speechverse import Clips, SpeechVerse
from speechverse.audio import Waveform, save
from speechverse.cli import ask as ask_verb
from speechverse.decoding import DecodingOptions
from speechverse.errors import AudioTooLongError, CancelledError, UserError
from speechverse.types import Dialogue, Turn

SHORT = DecodingOptions(max_new_tokens=6)


@pytest.fixture(scope="module")
def model(checkpoint):
    return SpeechVerse.from_pretrained(checkpoint, "cpu")


@pytest.fixture(scope="module")
def noises():
    rng = np.random.default_rng(0)
    return [(rng.standard_normal(n) * 0.1).astype(np.float32) for n in (12_000, 9_000)]


def run(*arguments):
    app = typer.Typer()
    app.command()(ask_verb.command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_conversation_reads_its_turns_and_encodes_the_sound_once(model, noises, monkeypatch):
    calls, prompts = [], []
    encode, make = model.model.encode, type(model.processor).__call__
    monkeypatch.setattr(model.model, "encode", lambda inputs: calls.append(1) or encode(inputs))

    def noting(self, instructions, **given):
        prompts.extend(instructions)
        return make(self, instructions, **given)

    monkeypatch.setattr(type(model.processor), "__call__", noting)
    chat = model.chat(noises[0])
    first = chat.ask("what is said", options=SHORT)
    second = chat.ask("is it loud", ["yes", "no"], hints=["York"])
    third = chat.ask("and how", options=SHORT, regex="(a|b)+")
    assert len(calls) == 1
    turns = [
        Turn("what is said", first.text),
        Turn("is it loud\nHints: York", second.text),
        Turn("and how", third.text),
    ]
    assert chat.turns == turns and second.text in ("yes", "no")
    assert prompts[-3:] == [
        "what is said",
        Dialogue(turns[1].instruction, tuple(turns[:1])),
        Dialogue("and how", tuple(turns[:2])),
    ]


def test_the_first_answer_of_a_conversation_is_that_of_a_single_question(model, noises):
    assert model.chat(noises[0]).ask("what is said", options=SHORT) == model.ask(
        noises[0], "what is said", options=SHORT
    )
    scoring = DecodingOptions(choice_mode="score", choice_scoring="prior")
    chat, choices = model.chat(noises[0]), ["yes", "no"]
    chosen = chat.ask("is it loud", choices, scoring)
    alone = model.ask(noises[0], "is it loud", choices, scoring)
    assert chosen.text == alone.text
    assert chosen.choice_scores == pytest.approx(alone.choice_scores, abs=1e-4)
    assert set(chat.ask("and long", choices, scoring).choice_scores) == {"yes", "no"}


def test_a_conversation_that_no_longer_fits_says_so_and_keeps_its_turns(model, noises, monkeypatch):
    chat = model.chat(noises[0])
    chat.ask("what is said", options=SHORT)
    monkeypatch.setattr(model.processor.config, "llm_max_positions", 60)
    with pytest.raises(AudioTooLongError, match=r"no longer fits.*1 earlier turns.*the 60 this"):
        chat.ask("and how is it said " * 4, options=SHORT)
    with pytest.raises(UserError, match="the instruction is empty"):
        chat.ask(" ")
    assert len(chat.turns) == 1


def test_several_clips_are_one_question_and_a_list_is_several(model, noises):
    first, second = noises
    both = Clips(first, second)
    answer = model.ask(both, "is <|audio|> or <|audio|> loud", options=SHORT)
    turned = model.ask(Clips(second, first), "is <|audio|> or <|audio|> loud", options=SHORT)
    assert [answer, turned] == model.ask(
        [both, Clips(second, first)], "is <|audio|> or <|audio|> loud", options=SHORT
    )
    chat = model.chat(both)
    assert chat.ask("is <|audio|> or <|audio|> loud", options=SHORT) == answer
    chat.ask("and which is long", ["this", "that"])
    scoring = DecodingOptions(choice_mode="score", choice_scoring="prior")
    assert model.ask(both, "<|audio|> <|audio|>", ["yes", "no"], scoring).choice_scores


def test_signs_and_clips_must_agree_and_each_clip_is_limited_as_one_is(model, noises):
    both = Clips(*noises)
    with pytest.raises(UserError, match=r"2 clips, but 0 <\|audio\|> signs"):
        model.ask(both, "what is said")
    with pytest.raises(UserError, match=r"2 clips, but 3 <\|audio\|> signs"):
        model.ask(both, "<|audio|> " * 3)
    with pytest.raises(UserError, match="holds no clip"):
        Clips()
    long = np.tile(noises[0], 3)
    with pytest.raises(AudioTooLongError, match="longer than the 2 s this model"):
        model.ask(Clips(noises[0], long), "<|audio|> and <|audio|>")
    together = model.ask(Clips(noises[0], noises[0], noises[0]), "<|audio|> " * 3, options=SHORT)
    assert together.error is None, "2.25 s in all, but no clip over 2 s"


def test_the_command_line_prints_the_answers_of_a_conversation_in_order(
    model, checkpoint, noises, tmp_path
):
    clip = save(tmp_path / "noise.wav", Waveform(noises[0]))
    asked = (clip, "what", "--then", "is it", "--then", "how")
    asked += ("--model", checkpoint, "--choices", "yes,no")
    chat = model.chat(clip)
    answers = [chat.ask(text, ["yes", "no"]).text for text in ("what", "is it", "how")]
    assert run(*asked).split() == answers
    told = json.loads(run(*asked, "--json"))
    assert [one["answer"] for one in told] == answers
    assert [one["instruction"] for one in told] == ["what", "is it", "how"]
    with pytest.raises(UserError, match="--then goes on with a conversation"):
        run(*asked, "--system", "cascade-whisper")


def test_an_answer_is_cancelled_at_its_next_token(model, noises):
    cancel, steps = Event(), []

    def count(*_):
        steps.append(1)
        if len(steps) == 3:
            cancel.set()  # as another thread would

    hook = model.model.llm.decoder.register_forward_hook(count)
    try:
        with pytest.raises(CancelledError):
            model.ask(noises[0], "Say much.", regex="[a-z]{90}", max_new_tokens=90, cancel=cancel)
        assert len(steps) == 3
        del steps[:]
        with model.chat(noises[0]).stream("Say much.", regex="[a-z]{90}") as pieces:
            next(pieces)
        stopped = len(steps)
        assert stopped < 60
        assert model.ask(noises[0], "Which?", ["a", "b"]).text in ("a", "b")  # it is free again
    finally:
        hook.remove()


def await_worker():
    for thread in enumerate_threads():
        if thread.name == "answering":
            thread.join(30)


def test_a_streamed_turn_is_a_turn_once_it_is_whole(model, noises):
    chat, same = model.chat(noises[0]), model.chat(noises[0])
    first = "".join(chat.stream("What?", options=SHORT))
    assert first == same.ask("What?", options=SHORT).text
    with chat.stream("And?", regex="[a-z]{90}") as pieces:
        next(pieces)
    with chat.stream("And?", regex="[a-z]{9}") as pieces:
        next(pieces)
        await_worker()  # all of it is made by now, but it was not read
    assert [turn.instruction for turn in chat.turns] == ["What?"]
