"""Asking a checkpoint, from Python and from the command line, with good sounds and bad ones."""

from __future__ import annotations

import json
import logging
import re
import shutil
from functools import partial

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from microscopic import by_characters, save_conformer, t5
from speechverse import SpeechVerse
from speechverse.audio import Waveform, save
from speechverse.decoding import DecodingOptions
from speechverse.errors import (
    AudioError,
    AudioTooLongError,
    CheckpointError,
    RecipeError,
    UserError,
)
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.tasks import SlotList
from speechverse.types import AudioRef

SHORT = DecodingOptions(max_new_tokens=6)
CHOICES = ["yes", "no", "not at all"]


@pytest.fixture(scope="session")
def model(checkpoint):
    return SpeechVerse.from_pretrained(checkpoint, "cpu")


@pytest.fixture(scope="session")
def noise():
    return (np.random.default_rng(0).standard_normal(12_000) * 0.1).astype(np.float32)


@pytest.fixture(scope="session")
def clip(noise, tmp_path_factory):
    return save(tmp_path_factory.mktemp("clips") / "noise.wav", Waveform(noise))


def run_apart(module, *arguments):
    """What a verb says, standard output and standard error apart."""
    app = typer.Typer()
    app.command()(__import__(f"speechverse.cli.{module}", fromlist=["command"]).command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run(module, *arguments):
    return run_apart(module, *arguments).output


def run_json(module, *arguments):
    return json.loads(run_apart(module, *arguments).stdout)


def test_an_answer_keeps_to_a_regular_expression(model, clip, tmp_path):
    regex = "(yes|no)( (yes|no)){1,2}"
    answer = model.ask(
        clip, "what is said", regex=regex, options=DecodingOptions(max_new_tokens=40)
    )
    assert re.fullmatch(regex, answer.text) and not answer.cut
    with pytest.raises(UserError, match="give one of them"):
        model.ask(clip, "what is said", CHOICES, regex=regex)
    with pytest.raises(UserError, match="cannot be followed as a regular expression"):
        model.ask(clip, "what is said", regex="(yes")
    with pytest.raises(UserError, match="JSON schema cannot be followed"):
        model.ask(clip, "what is said", json_schema={"type": "nothing"})


def test_hints_are_read_behind_the_instruction(model, clip):
    hinted = model.ask(clip, "what is said", hints=["York", "Bath"], options=SHORT)
    assert hinted == model.ask(clip, "what is said\nHints: York, Bath", options=SHORT)
    with pytest.raises(UserError, match="a hint is empty"):
        model.ask(clip, "what is said", hints=[""])


def test_every_way_to_give_a_sound_gives_the_same_answer(model, clip):
    samples = model._load_sound(clip).samples
    sounds = [
        clip,
        str(clip),
        clip.read_bytes(),
        samples,
        (samples, 16_000),
        Waveform(samples),
        AudioRef(clip),
    ]
    answers = model.ask(sounds, "what is said", options=SHORT)
    assert len({answer.text for answer in answers}) == 1
    assert model.ask(clip, "what is said", options=SHORT) == answers[0]


def test_lists_keep_their_order_and_single_things_are_shared(model, clip, noise):
    sounds, questions = [clip, noise[:6000]], ["is it loud", "who speaks here"]
    pairs = model.ask(sounds, questions, CHOICES)
    assert pairs == [
        model.ask(sound, text, CHOICES) for sound, text in zip(sounds, questions, strict=True)
    ]
    assert model.ask(clip, questions, CHOICES) == [
        model.ask(clip, text, CHOICES) for text in questions
    ]
    assert model.ask(sounds, "is it loud", CHOICES)[0] == pairs[0]
    with pytest.raises(UserError, match="2 sounds and 3 instructions"):
        model.ask(sounds, ["a", "b", "c"])
    with pytest.raises(UserError, match="an instruction is a tuple; give text"):
        model.ask(sounds, ("a", "b", "c"))
    for asked, told in (
        ({"regex": 3}, "regex is a int; give a pattern"),
        ({"choices": 5}, "choices are 5; give a list"),
        ({"options": {"num_beams": 2}}, "options are a dict; give DecodingOptions"),
    ):
        with pytest.raises(UserError, match=told):
            model.ask(clip, "what is said", **asked)
    for ask in (model.chat(clip).ask, partial(model.stream, clip)):
        with pytest.raises(UserError, match="an instruction is a list; give text"):
            ask(["what is said"])


def test_choices_bind_the_answer(model, clip):
    assert model.ask(clip, "is it loud", CHOICES).text in CHOICES
    scored = model.ask(clip, "is it loud", CHOICES, DecodingOptions(choice_mode="score"))
    assert scored.text == max(scored.choice_scores, key=scored.choice_scores.get)


@pytest.mark.parametrize("choices", ["yes", [], ["yes", ""], ["yes", "yes "]])
def test_choices_that_are_no_set_are_refused(model, clip, choices):
    with pytest.raises(UserError, match="choices are"):
        model.ask(clip, "is it loud", choices)


def test_audio_over_the_limit_is_refused_with_the_limit_named(model, tmp_path):
    path = save(tmp_path / "long.wav", Waveform(np.ones(16_000 * 3, dtype=np.float32) * 0.1))
    with pytest.raises(
        AudioTooLongError, match=r"long\.wav.* 3\.00 s is longer than the 2 s this model accepts"
    ):
        model.ask(path, "what is said")


def test_silence_is_answered_with_a_warning(model, caplog):
    with caplog.at_level(logging.WARNING):
        assert model.ask(np.zeros(8000, dtype=np.float32), "is it loud", CHOICES).text in CHOICES
    assert "the audio is silent" in caplog.text


def test_bad_files_and_empty_instructions_are_refused(model, clip, tmp_path):
    for name, content in (("empty.wav", b""), ("text.wav", b"not a sound at all")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AudioError, match=name):
            model.ask(tmp_path / name, "what is said")
    with pytest.raises(UserError, match="instruction is empty"):
        model.ask(clip, "  ")


def test_a_device_that_is_not_there_is_refused(checkpoint):
    for device in ("cuda:7", "gpu"):
        with pytest.raises(
            UserError, match=f"no device '{device}' on this machine \\(there are: cpu"
        ):
            SpeechVerse.from_pretrained(checkpoint, device)


def test_the_frozen_parts_may_be_of_half_the_size(checkpoint, model, clip):
    half = SpeechVerse.from_pretrained(checkpoint, "cpu", precision="bf16")
    assert half.model.get_memory_footprint() < 0.7 * model.model.get_memory_footprint()
    choices = ["yes", "no", "not at all"]
    how = {"choices": choices, "choice_mode": "score"}
    fully, halved = (one.ask(clip, "which", **how).choice_probs for one in (model, half))
    assert halved == pytest.approx(fully, abs=0.05)


def test_a_precision_that_is_none_is_refused(checkpoint):
    with pytest.raises(UserError, match="unknown precision 'int8'"):
        SpeechVerse.from_pretrained(checkpoint, "cpu", precision="int8")
    with pytest.raises(RecipeError, match="a T5 model overflows in fp16"):
        SpeechVerse.from_pretrained(checkpoint, "cpu", precision="fp16")


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="missing"):
        SpeechVerse.from_pretrained(tmp_path / "missing")


def test_ask_on_the_command_line(checkpoint, clip):
    plain = run("ask", clip, "is it loud", "--choices", "yes,no", "--model", checkpoint).strip()
    assert plain in ("yes", "no")
    told = json.loads(
        run("ask", clip, "is it loud", "--choices", "yes,no", "--model", checkpoint, "--json")
    )
    assert told["answer"] == plain
    scored = json.loads(
        run("ask", clip, "x", "--choices", "yes,no", "--scores", "--model", checkpoint, "--json")
    )
    assert set(scored["choice_scores"]) == {"yes", "no"}
    assert (
        len(
            run(
                "ask", clip, "x", "--choices", "yes,no", "--scores", "--model", checkpoint
            ).splitlines()
        )
        == 3
    )
    with pytest.raises(UserError, match="--choices"):
        run("ask", clip, "x", "--scores", "--model", checkpoint)
    for free in (("--task", "asr+er"), ("--task", "asr"), ("x", "--regex", "yes|no")):
        with pytest.raises(UserError, match="--scores scores choices"):
            run("ask", clip, *free, "--scores", "--model", checkpoint)


def test_info_on_the_command_line(checkpoint):
    assert "transformers" in run("info")
    told = run_json("info", checkpoint, "--json")
    assert told["model"]["max_audio_seconds"] == 2
    assert told["model"]["parameters"]["downsampler"]["trained"] > 0
    assert told["model"]["CTC head"].startswith("no (")
    shown = run("info", checkpoint)
    for wanted in ("downsampler", "together", "name: tried"):
        assert wanted in shown


def test_info_shows_a_name_as_it_is_written(checkpoint, tmp_path, monkeypatch):
    shutil.copytree(checkpoint, tmp_path / "my[bold]run:bell:")
    monkeypatch.chdir(tmp_path)
    assert "my[bold]run:bell:" in run("info", "my[bold]run:bell:")


def test_evaluate_on_the_command_line(checkpoint, clip, tmp_path):
    lines = [
        {"audio": str(clip), "text": "play jazz", "emotion": "sad"},
        {"audio": str(clip), "text": "stop now"},
    ]
    manifest = tmp_path / "mine.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    common = (
        "evaluate",
        checkpoint,
        "--corpus",
        manifest,
        "--tasks",
        "asr,er",
        "--systems",
        "speechverse,oracle",
    )
    told = run_json(*common, "--output", tmp_path / "out", "--json")
    assert {report["name"] for report in told["tasks"]} == {"asr", "er"}
    assert (tmp_path / "out" / "report.html").is_file()
    assert "report.html" in run(*common, "--output", tmp_path / "out")
    with pytest.raises(UserError, match="there is no corpus"):
        run("evaluate", checkpoint, "--corpus", tmp_path / "none")


@pytest.fixture
def five(clip, tmp_path):
    """Five clips of which the fourth is too short for the encoder."""
    short = save(tmp_path / "short.wav", Waveform(np.full(40, 0.1, dtype=np.float32)))
    return [clip, clip, clip, short, clip]


def test_of_five_clips_the_bad_one_is_named_by_place_and_path(model, five, tmp_path):
    with pytest.raises(AudioError, match=r"number 4 of 5 \(index 3\), .*short\.wav.*too short"):
        model.ask(five, "what is said", options=SHORT)
    with pytest.raises(AudioError, match=r"number 2 of 2 \(index 1\), .*gone\.wav"):
        model.ask([five[0], tmp_path / "gone.wav"], "what is said", options=SHORT)
    with pytest.raises(UserError, match=r"number 2 of 2 \(index 1\).*instruction is empty"):
        model.ask(five[0], ["what is said", " "], options=SHORT)


def test_the_good_clips_are_answered_where_bad_ones_are_skipped(model, five):
    answers = model.ask(five, "what is said", options=SHORT, on_error="skip")
    assert [answer.error is None for answer in answers] == [True, True, True, False, True]
    assert answers[3].text == "" and "too short" in answers[3].error
    assert answers[0] == model.ask(five[0], "what is said", options=SHORT)
    assert (
        "too short" in model.ask([five[3]], "what is said", options=SHORT, on_error="skip")[0].error
    )
    assert "too short" in model.ask(five[3], "what is said", options=SHORT, on_error="skip").error
    with pytest.raises(UserError, match="on_error is 'ignore'; allowed are raise, skip"):
        model.ask(five, "what is said", on_error="ignore")


def test_a_cut_answer_says_so(model, clip, checkpoint):
    answer = model.ask(clip, "what is said", max_new_tokens=1)
    assert (answer.ended, answer.limit, answer.cut) == ("length", 1, True)
    assert not model.ask(clip, "is it loud", CHOICES, max_new_tokens=1).cut
    told = run_apart("ask", clip, "what is said", "--model", checkpoint, "--max-new-tokens", 1)
    assert (
        "note: the answer is cut: it has all the 1 tokens" in told.stderr
        and "note" not in told.stdout
    )
    told = run_apart(
        "ask", clip, "what is said", "--model", checkpoint, "--max-new-tokens", 1, "--json"
    )
    assert json.loads(told.stdout)["ended"] == "length"
    assert (
        run_apart("ask", clip, "is it loud", "--choices", "yes,no", "--model", checkpoint).stderr
        == ""
    )


def test_evaluate_counts_cut_answers_by_task_and_takes_the_limit(checkpoint, clip, tmp_path):
    manifest = tmp_path / "mine.jsonl"
    manifest.write_text(
        json.dumps({"audio": str(clip), "text": "play jazz", "emotion": "sad"}) + "\n"
    )
    common = (
        "evaluate",
        checkpoint,
        "--corpus",
        manifest,
        "--tasks",
        "asr,er",
        "--output",
        tmp_path / "out",
    )
    told = run_json(
        *common, "--systems", "speechverse,cascade,oracle", "--max-new-tokens", 1, "--json"
    )
    assert told["settings"]["decoding"]["max_new_tokens"] == 1
    cut = {
        (s["task"], s["system"]): s["value"] for s in told["scores"] if s["metric"] == "cut_rate"
    }
    assert {cut["asr", system] for system in ("speechverse", "cascade", "oracle")} == {1.0}
    assert {cut["er", system] for system in ("speechverse", "cascade", "oracle")} == {0.0}
    limit = "1 of 1 answers are cut: 1 at the most tokens they may have (--max-new-tokens)"
    assert {f"asr by {system}: {limit}" for system in ("speechverse", "oracle")} < {*told["notes"]}
    # The limit is one on answers, not on the transcript that those of a cascade stand on.
    assert "asr by cascade: 1 of 1 answers are cut: 1 as they turned in circles" in told["notes"]
    records = [
        json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()
    ]
    assert {(r["task"], r["cut"], r["ended"]) for r in records if r["system"] != "cascade"} == {
        ("asr", True, "length"),
        ("er", False, "constraint"),
    }
    assert {(r["task"], r["ended"]) for r in records if r["system"] == "cascade"} == {
        ("asr", "loop"),
        ("er", "constraint"),
    }
    other = *common, "--systems", "speechverse", "--max-new-tokens", 1
    before = (tmp_path / "out" / "answers.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"another evaluation \(other systems\): name another"):
        run(*other)
    assert (tmp_path / "out" / "answers.jsonl").read_bytes() == before
    with pytest.raises(UserError, match="give --choices score too"):
        run(*other, "--overwrite", "--scoring", "prior")
    assert "cut" in run(*other, "--overwrite")
    assert "cut" in run(*other)  # the same again
    assert "cut</td>" in (tmp_path / "out" / "report.html").read_text()


@pytest.fixture(scope="module")
def letters_only(tmp_path_factory):
    """A checkpoint whose LLM knows a few Latin letters and has nothing to fall back on."""
    root = tmp_path_factory.mktemp("letters")
    letters = by_characters(["is it loud", "yes no", "said"])
    torch.manual_seed(0)
    save_conformer(root / "encoder")
    t5(len(letters)).save_pretrained(root / "llm")
    letters.save_pretrained(root / "llm")
    SpeechVerseForConditionalGeneration.from_foundations(
        root / "encoder", root / "llm"
    ).save_pretrained(root / "model")
    return root / "model"


def test_what_the_tokenizer_cannot_spell_is_told(letters_only, clip, caplog, tmp_path):
    model = SpeechVerse.from_pretrained(letters_only, "cpu")
    with pytest.raises(UserError, match="cannot spell 'да' of the choice 'да'"):
        model.ask(clip, "is it loud", ["да", "нет"])
    with pytest.raises(UserError, match="cannot spell 'да' of the choice 'да'"):
        model.ask(clip, "is it loud", SlotList(("said", "да")))
    with caplog.at_level(logging.WARNING):
        model.ask(clip, "Что is said", options=SHORT)
    assert "cannot spell 'Что' of the instruction" in caplog.text
    manifest = tmp_path / "mine.jsonl"
    manifest.write_text(json.dumps({"audio": str(clip), "text": "привет", "id": "hi"}) + "\n")
    common = (
        "--corpus",
        manifest,
        "--tasks",
        "asr",
        "--systems",
        "speechverse",
        "--output",
        tmp_path / "out",
    )
    told = run_json("evaluate", letters_only, *common, "--json")
    wanted = (
        "asr: 1 of 1 true answers hold what the LLM's tokenizer cannot spell, such as 'привет' in"
        " hi/asr"
    )
    assert wanted in told["notes"]
