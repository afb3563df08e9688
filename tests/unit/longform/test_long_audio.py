"""Sounds longer than a model hears: cut, written down, asked about as a whole."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from microscopic import save_letters_checkpoint
from speechverse import SpeechVerse
from speechverse.answers_file import AnswersFile
from speechverse.audio import Waveform, load, load_blocks, save
from speechverse.cli import transcribe
from speechverse.errors import AudioError, CheckpointError, UserError
from speechverse.longform import cutting, whole
from speechverse.longform.cutting import cut_at_pauses, tile
from speechverse.longform.transcript import Segment, Transcript
from speechverse.longform.voice import VoiceMeter
from speechverse.types import SAMPLING_RATE, Answer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = save_letters_checkpoint(tmp_path_factory.mktemp("parts"), max_audio_seconds=2.0)
    return SpeechVerse.from_pretrained(folder, "cpu")


@pytest.fixture
def loud_is_voice(monkeypatch):
    """Stands in for the voice detector, which hears no speech in noise."""

    class Meter:
        def __call__(self, windows):
            return (np.abs(windows).max(axis=1) > 0.01).astype(np.float32)

    monkeypatch.setattr(cutting, "VoiceMeter", Meter)


def sound(*parts):
    """Noise of so many seconds, or silence where they are negative."""
    draw = np.random.default_rng(0)
    return np.concatenate(
        [
            draw.standard_normal(int(abs(part) * SAMPLING_RATE)).astype(np.float32)
            * (0.1 if part > 0 else 0)
            for part in parts
        ]
    )


def test_a_voice_is_heard_as_the_package_itself_hears_it():
    draw = np.random.default_rng(0)
    windows = (draw.standard_normal((40, 512)) * np.linspace(0, 0.3, 40)[:, None]).astype("float32")
    meter, threads = VoiceMeter(), torch.get_num_threads()
    mine = np.concatenate([meter(windows[:7]), meter(windows[7:])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from silero_vad import load_silero_vad

        theirs = load_silero_vad()
        torch.set_num_threads(threads)  # importing it sets one for the whole process
        told = [theirs(torch.from_numpy(window), SAMPLING_RATE).item() for window in windows]
    np.testing.assert_allclose(mine, told, atol=1e-4)


def test_stretches_hold_every_word_once_and_are_cut_in_pauses(loud_is_voice):
    whole = sound(-1, 3, -0.3, 3, -4, 1, -0.1, 9, -1)
    stretches = list(cut_at_pauses(np.array_split(whole, 7), longest=5))
    assert all(stretch.end - stretch.start <= 5 for stretch in stretches)
    covered = np.zeros(len(whole), int)
    for stretch in stretches:
        begin = round(stretch.start * SAMPLING_RATE)
        assert np.array_equal(whole[begin : begin + len(stretch.samples)], stretch.samples)
        covered[begin : begin + len(stretch.samples)] += 1
    assert covered.max() == 1
    assert (covered[whole != 0] == 1).all()
    assert stretches[0].end == pytest.approx(4.15, abs=0.3)  # in the pause of 0.3 s


def test_stretches_shorter_than_what_is_kept_around_speech_are_no_longer_than_asked(loud_is_voice):
    stretches = list(cut_at_pauses([sound(-1, 3, -1)], longest=0.2))
    assert stretches and all(stretch.end - stretch.start <= 0.2 for stretch in stretches)


def test_parts_of_a_whole_leave_nothing_out(loud_is_voice):
    whole = sound(-1, 3, -4, 1)
    assert np.array_equal(np.concatenate([part.samples for part in tile([whole], 2)]), whole)
    assert list(cut_at_pauses([sound(-3)], 2)) == []


@pytest.mark.parametrize("samples", [32_000, 32_000 - 1, 61 * 512 + 1, 62 * 512])
def test_a_sound_of_just_the_longest_length_is_one_part(loud_is_voice, samples):
    whole = sound(3)
    [only] = tile([whole[:samples]], 2)
    assert len(only.samples) == samples
    first, last = tile([whole[:32_001]], 2)
    assert len(first.samples) + len(last.samples) == 32_001 and len(last.samples) > 2_000


def test_a_voice_without_pauses_is_cut_where_it_is_least_likely(monkeypatch):
    class Meter:
        def __call__(self, windows):
            return np.abs(windows).max(axis=1)

    monkeypatch.setattr(cutting, "VoiceMeter", Meter)
    likely = np.full(600, 0.9, np.float32)
    likely[100:104] = 0.4  # a breath, shorter than what smooths
    first, *_ = cut_at_pauses([np.repeat(likely, 512)], longest=5)
    assert abs(len(first.samples) / 512 - 102) <= 4


def test_blocks_joined_are_the_sound_that_is_loaded(tmp_path):
    samples = np.sin(np.arange(44_100) / 30).astype(np.float32) * 0.5
    path = tmp_path / "tone.wav"
    import soundfile

    soundfile.write(path, samples, 44_100)
    joined = np.concatenate(list(load_blocks(path)))
    np.testing.assert_allclose(joined, load(path).samples, atol=1e-4)
    cut_off = tmp_path / "cut.wav"
    cut_off.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(AudioError, match="cut off"):
        list(load_blocks(cut_off))


def test_subtitles_have_times_and_short_lines():
    long = Segment(3599.5, 3609.5, "word " * 40)
    made = Transcript((Segment(0.25, 1.5, "a < b"), long), 3610.0, "the LLM")
    assert made.srt().startswith("1\n00:00:00,250 --> 00:00:01,500\na < b\n\n2\n00:59:59,500 --> ")
    assert "01:00:09,500\n" in made.srt()
    assert made.vtt().startswith("WEBVTT\n\n00:00:00.250 --> 00:00:01.500\na &lt; b\n\n")
    assert max(map(len, made.srt().splitlines())) <= 42
    assert " ".join(made.srt().split()).count("word") == 40


def test_the_llm_writes_a_long_sound_stretch_by_stretch(model, loud_is_voice):
    whole = sound(1, -3, 1, -3, 1)
    seconds = []
    made = model.transcribe(whole, decoder="llm", progress=seconds.append)
    assert len(made.segments) == 3 and made.decoder == "the LLM"
    assert made.duration == pytest.approx(9) and sum(seconds) == 9
    assert list(model.segments(whole, decoder="llm")) == list(made.segments)
    assert model.transcribe([whole, whole[:16_000]]) == list(
        model.transcribe(iter([whole, whole[:16_000]]))
    )
    with pytest.raises(CheckpointError):
        model.transcribe(whole, decoder="own")
    with pytest.raises(UserError, match="leave it out"):
        model.transcribe(whole, language="de")


def test_what_is_written_is_given_before_a_later_sound_ends_all(model, loud_is_voice):
    made = model.transcribe(iter([sound(1), sound(0.5), b"", sound(1)]), decoder="llm")
    assert [next(made).duration, next(made).duration] == pytest.approx([1, 0.5])
    with pytest.raises(AudioError, match="sound number 3: the 0 bytes given is empty"):
        next(made)


@pytest.mark.parametrize(
    ("how", "told"),
    [({"decoder": "LLM"}, "unknown decoder 'LLM'"), ({"on_error": "Skip"}, "of on_error 'Skip'")],
)
def test_a_misspelt_way_is_none(model, how, told):
    with pytest.raises(UserError, match=told):
        model.transcribe(sound(1), **{"decoder": "llm", **how})


def test_sounds_are_opened_as_their_transcripts_are_asked_for(model, loud_is_voice):
    opened = []

    def sounds():
        for number in range(100):
            opened.append(number)
            yield sound(0.5)

    made = model.transcribe(sounds(), decoder="llm")
    next(made)
    made.close()
    assert len(opened) < 20


def test_an_answer_about_the_whole_is_made_of_its_parts(model, loud_is_voice):
    made = model.ask_whole(sound(1, -1, 1, -1, 1), "is it loud", ["yes", "no"])
    assert len(made.parts) > 2 and {part.text for part in made.parts} <= {"yes", "no"}
    assert made.answer.text in ("yes", "no")
    asked = (sound(1), "is it loud", ["yes", "no"])
    assert model.ask_whole(*asked, choice_mode="score").answer == (
        model.ask(*asked, choice_mode="score")
    )


def test_the_whole_is_answered_from_what_is_answered_about_each_part(model, monkeypatch):
    heard, read = [], []

    def about_parts(self, sounds, instruction, choices=None, **how):
        heard.append(how.get("hints"))
        return [Answer("yes")] * len(sounds)

    def about_the_whole(model, processor, questions, options):
        read.extend(questions)
        return [Answer("no")] * len(questions)

    monkeypatch.setattr(type(model), "ask", about_parts)
    monkeypatch.setattr(whole, "answer_questions", about_the_whole)
    made = model.ask_whole(sound(5), "is it loud", ["yes", "no"], hints=["York"])
    assert made.answer.text == "no" and len(made.parts) > 2
    [question] = read
    assert question.transcript.splitlines() == [
        f"Part {number}: yes" for number in range(1, len(made.parts) + 1)
    ]
    assert "is it loud" in question.instruction and question.constraint is not None
    assert heard and all(list(hints) == ["York"] for hints in heard)


def test_who_writes_is_asked_in_the_language_and_with_the_hints_given(
    model, loud_is_voice, monkeypatch
):
    seen = []

    def ask(self, clips, instruction, **how):
        seen.append((instruction, list(how.get("hints", ()))))
        return [Answer("geschrieben")] * len(clips)

    monkeypatch.setattr(type(model), "ask", ask)
    for language, name in (("de", "German"), ("fr", "French")):
        [told] = model.translate([sound(1)], language)
        assert told.text == "geschrieben" and name in seen[-1][0]
    [told] = model.transcribe([sound(1)], decoder="llm", hints=["York"])
    assert told.text == "geschrieben" and seen[-1][1] == ["York"]


def test_a_task_s_own_labels_are_shared_out(model):
    shares = model.classify(sound(1), task="sns")
    assert set(shares) == {"speech", "non-speech"} and sum(shares.values()) == pytest.approx(1)


def test_labels_have_shares_and_a_schema_has_values(model, monkeypatch):
    shares = model.classify(sound(1), ["yes", "no"])
    assert sum(shares.values()) == pytest.approx(1) and set(shares) == {"yes", "no"}
    for again in model.classify(iter([sound(1)] * 2), ["yes", "no"]):
        assert again == pytest.approx(shares, abs=1e-4)
    schema = {"type": "object", "properties": {"loud": {"type": "boolean"}}, "required": ["loud"]}
    assert model.extract(sound(1), schema, max_new_tokens=40)["loud"] in (True, False)
    assert model.extract(sound(1), json.dumps(schema), max_new_tokens=40)["loud"] in (True, False)
    with pytest.raises(UserError, match="name the labels"):
        model.classify(sound(1))
    for ask, about in ((model.classify, ["yes", "no"]), (model.extract, schema)):
        with pytest.raises(UserError, match="cannot: use ask"):
            ask([sound(1)], about, on_error="skip")
        assert ask([sound(1)], about, on_error="raise", max_new_tokens=40)
    with pytest.raises(UserError, match="shares are scores"):
        model.classify(sound(1), ["yes", "no"], choice_mode="free")
    with pytest.raises(UserError, match="has no labels to choose among"):
        model.classify(sound(1), ["room"], task="sf")
    with pytest.raises(UserError, match="language to translate into"):
        model.translate(sound(1), "xx")
    monkeypatch.setattr(type(model), "_ask_in_batches", lambda *_, **__: [Answer("yes")])
    with pytest.raises(UserError, match="the answer is no JSON"):  # which is free to be none
        model.extract(sound(1), schema, choice_mode="free")


@pytest.fixture
def run(model, loud_is_voice, monkeypatch):
    """`speechverse transcribe` by the model at hand."""
    monkeypatch.setattr(SpeechVerse, "from_pretrained", lambda *_: model)
    monkeypatch.setattr(
        "speechverse.evaluation.provenance.checkpoint_fingerprint", lambda _: "f" * 64
    )
    app = typer.Typer()
    app.command()(transcribe.command)

    def made(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return made


def test_a_folder_is_written_once_and_gone_on_with(run, tmp_path, monkeypatch):
    calls, out = tmp_path / "calls", tmp_path / "out"
    for name in ("a.wav", "deep/b.wav"):
        save(calls / name, Waveform(sound(1, -3, 1)))
    (calls / "broken.wav").write_bytes(b"no sound")
    first = run(calls, "--format", "srt", "--output", out)
    assert first.exit_code == 1 and "broken.wav" in first.stderr
    assert sorted(path.name for path in out.rglob("*.srt")) == ["a.srt", "b.srt"]
    assert (out / "deep" / "b.srt").read_text().startswith("1\n00:00:00,000 -->")
    once_more = run(calls, "--format", "srt", "--output", out)
    assert once_more.exit_code == 1 and "broken.wav" in once_more.stderr
    (calls / "broken.wav").unlink()
    again = run(calls, "--format", "srt", "--output", out)
    assert again.exit_code == 0 and "found 2 of 2 transcripts" in again.stderr
    other = run(calls, "--format", "vtt", "--output", out)
    assert isinstance(other.exception, UserError) and "another question" in str(other.exception)
    told = run(calls / "a.wav", "--format", "verbose_json")
    assert len(json.loads(told.stdout)["segments"]) == 2
    assert isinstance(run(calls).exception, UserError)
    run(calls / "a.wav", "--output", out / "new" / "a.txt")
    assert (out / "new" / "a.txt").read_text()
    monkeypatch.setattr(SpeechVerse, "from_pretrained", None)  # it is refused before any work
    refused = run(calls / "a.wav", calls / "deep", "--output", tmp_path / "all.txt")
    assert isinstance(refused.exception, UserError) and "like a file" in str(refused.exception)
    assert not (tmp_path / "all.txt").exists()
    refused = run(calls / "a.wav", "--output", out)
    assert isinstance(refused.exception, UserError) and "is a folder" in str(refused.exception)
    refused = run(calls / "a.wav", "--output", calls / "a.wav")
    assert "is the recording itself" in str(refused.exception)
    refused = run(calls / "a.wav", "--format", "vtt", "--output", out / "new" / "a.srt")
    assert "is named as srt is" in str(refused.exception)


def test_nothing_of_a_users_is_written_over_and_another_recording_is_written_anew(run, tmp_path):
    calls = tmp_path / "calls"
    for name in ("a.wav", "b.wav"):
        save(calls / name, Waveform(sound(1, -3, 1)))
    (calls / "b.txt").write_text("typed by hand")
    refused = run(calls, "--output", calls)
    assert "b.txt' is there and no transcript that this command made" in str(refused.exception)
    assert (calls / "b.txt").read_text() == "typed by hand" and not (calls / "a.txt").exists()
    (calls / "b.txt").unlink()
    assert run(calls, "--output", calls).exit_code == 0
    (calls / "a.txt").write_text("mended by hand")
    (calls / "b.txt").unlink()
    again = run(calls, "--output", calls)
    assert "found 1 of 2 transcripts" in again.stderr and (calls / "b.txt").exists()
    assert (calls / "a.txt").read_text() == "mended by hand"
    save(calls / "a.wav", Waveform(sound(2)))
    (calls / "a.txt").unlink()
    again = run(calls, "--output", calls)
    assert "found 1 of 2 transcripts" in again.stderr
    lines = (calls / "transcripts.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["clip"][-5:] for line in lines) == ["a.wav", "b.wav"]
    run(calls / "a.wav", "--output", tmp_path / "one.srt")
    assert (tmp_path / "one.srt").read_text().startswith("1\n00:00:00,000 -->")


@pytest.fixture
def transcribed(run, tmp_path):
    """Two recordings, and the folder of their transcripts."""
    calls, out = tmp_path / "calls", tmp_path / "out"
    for name in ("a.wav", "b.wav"):
        save(calls / name, Waveform(sound(1)))
    assert run(calls, "--output", out).exit_code == 0
    return calls, out


def clips_of(out):
    lines = (out / "transcripts.jsonl").read_text().splitlines()
    return sorted(json.loads(line)["clip"][-5:] for line in lines)


def change(out, *clips):
    """Recordings of another time, and transcripts by which those made anew are told."""
    for clip in clips:
        os.utime(clip, ns=(0, clip.stat().st_mtime_ns - 10**9))
        (out / f"{clip.stem}.txt").write_text("of the old recording")


def test_a_changed_recording_is_transcribed_anew_in_place_of_the_old(run, transcribed):
    calls, out = transcribed
    change(out, calls / "a.wav")
    again = run(calls, "--output", out)
    assert again.exit_code == 0 and "found 1 of 2 transcripts" in again.stderr
    assert (out / "a.txt").read_text() != "of the old recording"
    assert clips_of(out) == ["a.wav", "b.wav"]


def test_a_refused_run_leaves_the_journal_as_it_was(run, transcribed):
    calls, out = transcribed
    before = (out / "transcripts.jsonl").read_bytes()
    change(out, calls / "a.wav")
    save(calls / "c.wav", Waveform(sound(1)))
    (out / "c.txt").write_text("typed by hand")
    refused = run(calls, "--output", out)
    assert "c.txt' is there and no transcript that this" in str(refused.exception)
    assert (out / "transcripts.jsonl").read_bytes() == before
    assert (out / "a.txt").read_text() == "of the old recording"
    (out / "c.txt").unlink()
    assert run(calls, "--output", out).exit_code == 0
    assert clips_of(out) == ["a.wav", "b.wav", "c.wav"]


@pytest.mark.parametrize("broken", [False, True])
def test_changed_recordings_are_gone_on_with(run, transcribed, model, monkeypatch, broken):
    calls, out = transcribed
    whole, first = calls / "a.wav", model.transcribe
    change(out, whole, calls / "b.wav")

    def stopped(clips, **how):
        yield next(iter(first(clips, **how)))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        whole.write_bytes(b"no sound") if broken else patched.setattr(model, "transcribe", stopped)
        assert run(calls, "--output", out).exit_code in (1, 130)
    if broken:
        save(whole, Waveform(sound(2)))
    again = run(calls, "--output", out)
    assert again.exit_code == 0 and "found 1 of 2 transcripts" in again.stderr
    assert "of the old recording" not in (out / "a.txt").read_text() + (out / "b.txt").read_text()
    assert clips_of(out) == ["a.wav", "b.wav"]


def test_a_transcript_stopped_while_it_is_replaced_is_not_taken_for_done(
    run, transcribed, monkeypatch
):
    calls, out = transcribed
    change(out, calls / "a.wav")
    add = AnswersFile.add

    def add_and_stop(file, records):
        add(file, records)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(AnswersFile, "add", add_and_stop)
        assert run(calls, "--output", out).exit_code == 130
    assert run(calls, "--output", out).exit_code == 0
    assert (out / "a.txt").read_text() != "of the old recording"


def test_what_is_named_with_a_slash_is_a_folder(run, tmp_path):
    clip = save(tmp_path / "a.wav", Waveform(sound(1)))
    assert run(clip, "--output", f"{tmp_path}/tr/").exit_code == 0
    assert (tmp_path / "tr" / "a.txt").is_file()
    assert run(clip, "--output", f"{tmp_path}/tr.txt/", "--format", "srt").exit_code == 0
    assert (tmp_path / "tr.txt" / "a.srt").is_file()
    refused = run(clip, "--output", f"{tmp_path}/tr/a.txt/")
    assert "a.txt' is a file, and a folder is wanted" in str(refused.exception)


def test_a_transcript_is_not_written_over_another_recording(run, tmp_path):
    one, other = (save(tmp_path / name, Waveform(sound(1))) for name in ("a.wav", "b.WAV"))
    before = other.read_bytes()
    refused = run("-o", other, one)
    assert isinstance(refused.exception, UserError) and other.read_bytes() == before
    assert "b.WAV' is there and is named as a recording is" in str(refused.exception)


def test_a_text_that_found_no_end_is_said_to_be_cut(model, loud_is_voice, monkeypatch):
    monkeypatch.setattr(
        model, "ask", lambda clips, *_, **__: [Answer("so so so", ended="loop") for _ in clips]
    )
    [segment] = model.transcribe(sound(1), decoder="llm").cut
    assert segment.text == "so so so"
