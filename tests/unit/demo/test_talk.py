"""What the page asks and shows, without a browser."""

from __future__ import annotations

import io
from threading import Event, Thread

import numpy as np
import pytest

from speechverse.audio import Waveform, save
from speechverse.errors import AudioError, UserError

pytest.importorskip("gradio", reason="the page needs the extra 'demo'")
from speechverse.demo import views
from speechverse.demo.spectrogram import spectrogram
from speechverse.demo.talk import Said, Talker, Turn, Wish
from speechverse.longform.transcript import Segment
from speechverse.serving.engine import Engine, passed_on


@pytest.fixture
def talker(model):
    engine = Engine(max_batch=1)
    engine.start()
    yield Talker(model, engine)
    engine.close()


def test_an_answer_grows_to_what_ask_gives(talker, model, clip):
    grown = [talk.turns[-1].said[0].text for talk in talker.ask(Wish(str(clip), "What is said?"))]
    assert grown[-1] == model.ask(clip, "What is said?").text
    assert all(longer.startswith(text) for text, longer in zip(grown, grown[1:-1], strict=False))


def test_choices_come_with_their_shares_and_the_next_question_stands_behind(talker, clip):
    [*_, first] = talker.ask(Wish(str(clip), "Which?", "yes, no"))
    shares = first.turns[0].said[0].answer.choice_probs
    assert set(shares) == {"yes", "no"} and sum(shares.values()) == pytest.approx(1)
    [*_, second] = talker.ask(Wish(str(clip), "Why?", "a, b", picking="constrain"), first)
    assert [turn.instruction for turn in second.turns] == ["Which?", "Why?"]
    assert [turn.instruction for turn in second.chat.turns] == ["Which?", "Why?"]
    assert second.turns[1].said[0].text in ("a", "b")
    [*_, anew] = talker.ask(Wish(str(clip), "And?", "a, b"))
    assert len(anew.turns) == 1


def test_what_was_stopped_is_not_shown_as_if_the_model_had_read_it(talker, clip):
    [*_, first] = talker.ask(Wish(str(clip), "First?", "a, b", picking="constrain"))
    asking = talker.ask(Wish(str(clip), "Second?"), first)
    stopped = next(asking)
    asking.close()
    [*_, third] = talker.ask(Wish(str(clip), "Third?", "a, b", picking="constrain"), stopped)
    assert [turn.instruction for turn in third.turns] == ["First?", "Third?"]
    assert [turn.instruction for turn in third.chat.turns] == ["First?", "Third?"]


def test_a_recording_longer_than_the_model_hears_is_answered_in_parts(talker, tmp_path):
    noise = np.random.default_rng(1).standard_normal(3 * 16_000).astype(np.float32) * 0.1
    save(tmp_path / "long.wav", Waveform(noise))
    wish = Wish(str(tmp_path / "long.wav"), "Which?", "yes, no")
    [*_, talk] = talker.ask(wish)
    assert len(talk.turns[0].said[0].parts) >= 2
    with pytest.raises(UserError, match="as a new question"):
        list(talker.ask(wish, talk))


def test_a_cascade_that_cannot_be_had_spoils_no_answer(talker, clip, monkeypatch):
    from speechverse.evaluation import cascades

    monkeypatch.setattr(cascades, "find_whisper", lambda model: (None, "there is none"))
    [*_, talk] = talker.ask(Wish(str(clip), "Which?", "yes, no", beside=True))
    own, cascade = talk.turns[0].said
    assert own.text in ("yes", "no") and "there is none" in cascade.error


def test_what_is_asked_and_written_waits_for_who_else_uses_the_model(talker, clip):
    busy, go = Event(), Event()

    def hold():
        busy.set()
        assert go.wait(20)
        yield

    holding = Thread(target=list, args=[passed_on(talker.engine, hold())])
    holding.start()
    assert busy.wait(20)
    told = []
    ask = talker.ask(Wish(str(clip), "Which?", "yes, no"))
    waiting = [
        Thread(target=lambda: told.extend(ask)),
        Thread(target=lambda: told.extend(talker.write(str(clip), "llm"))),
    ]
    for thread in waiting:
        thread.start()
        thread.join(0.2)
    assert [thread.is_alive() for thread in waiting] == [True, True] and len(told) == 1
    go.set()
    for thread in (holding, *waiting):
        thread.join(30)
    assert len(told) > 1


@pytest.mark.parametrize(
    ("clip_named", "instruction", "told"),
    [(False, "Which?", "there is no clip"), (True, " ", "empty"), (True, None, "empty")],
)
def test_what_is_missing_is_said(talker, clip, clip_named, instruction, told):
    with pytest.raises(UserError, match=told):
        list(talker.ask(Wish(str(clip) if clip_named else None, instruction)))


def test_text_is_shown_as_text():
    shown = views.show_turns([Turn("<b>", [Said("<i>", "<script>")])])
    shown += views.show_error(UserError("<img>"))
    assert not any(sign in shown for sign in ("<b>", "<i>", "<script>", "<img>"))


def test_a_transcript_grows_beside_its_player_which_goes_on_playing():
    segments = [Segment(0.0, 1.0, "one"), Segment(1.5, 2.0, "two")]
    grown = [views.show_transcript(segments[:count], done=count == 2) for count in range(3)]
    assert not any("<audio" in shown for shown in grown)
    assert ["sv-doing" in shown for shown in grown] == [True, True, False]
    assert "2 segments" in grown[2]
    assert 'src="clip&#34;.wav"' in views.show_player('clip".wav')


def test_digital_silence_is_an_empty_picture(tmp_path):
    from PIL import Image

    save(tmp_path / "silence.wav", Waveform(np.zeros(8000, np.float32)))
    png, _ = spectrogram(tmp_path / "silence.wav")
    assert not np.asarray(Image.open(io.BytesIO(png)))[..., 3].any()


@pytest.mark.parametrize("samples", [10, 700, 40_000, 16_000 * 40])
def test_a_spectrogram_is_small_however_long_the_sound_is(tmp_path, samples):
    from PIL import Image

    tone = np.sin(2 * np.pi * 1000 * np.arange(samples) / 16_000).astype(np.float32)
    save(tmp_path / "tone.wav", Waveform(tone))
    png, seconds = spectrogram(tmp_path / "tone.wav")
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert seconds == pytest.approx(samples / 16_000)
    assert picture.shape[0] == 96 and 1 <= picture.shape[1] <= 1000
    if samples > 10_000:  # the tone is one line, at its height among mel rows
        assert picture[..., 3].mean(axis=1).argmax() == pytest.approx(62, abs=3)


def test_a_file_that_is_no_audio_has_no_picture(tmp_path):
    (tmp_path / "notes.wav").write_text("no sound")
    with pytest.raises(AudioError, match="not audio"):
        views.show_clip(str(tmp_path / "notes.wav"), 30)
