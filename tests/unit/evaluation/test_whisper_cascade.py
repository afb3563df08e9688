"""Whisper as a system: its own text, read by the model's LLM as it was, or as it
was tuned to read.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from microscopic import byte_level, save_conformer, save_whisper, t5
from speechverse.audio import load
from speechverse.cli import ask
from speechverse.decoding import DecodingOptions
from speechverse.encoders.whisper_text import load_whisper
from speechverse.errors import CheckpointError, UserError
from speechverse.evaluation import (
    EvaluationSettings,
    Parts,
    evaluate,
    load_answers,
    load_results,
    provenance,
)
from speechverse.evaluation.cascades import WhisperCascade, WhisperReader
from speechverse.evaluation.provenance import find_whisper
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.pipeline import SpeechVerse
from speechverse.types import Answer, Example

SENTENCES = ("play some jazz", "turn the light off", "what is the time", "call my mother now")
READERS = (
    *("cascade-whisper", "cascade-whisper-tuned"),
    *("oracle", "oracle-tuned"),
    *("cascade", "cascade-tuned"),
)
SETTINGS = EvaluationSettings(
    tasks=("asr", "ic", "er"),
    systems=READERS,
    num_resamples=20,
    decoding=DecodingOptions(max_new_tokens=8),
)


def build(root: Path, encoder: Path) -> SpeechVerseForConditionalGeneration:
    return SpeechVerseForConditionalGeneration.from_foundations(
        encoder, root / "llm", lora={"rank": 2}, max_audio_seconds=2.0
    ).eval()


def stirred(
    model: SpeechVerseForConditionalGeneration, seed: int
) -> SpeechVerseForConditionalGeneration:
    """With adapters that do something: fresh ones are an identity."""
    torch.manual_seed(seed)
    for parameter in model.trainable_parts()["lora"]:
        torch.nn.init.normal_(parameter.data, std=3.0)
    return model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parts")
    torch.manual_seed(1)
    pieces = byte_level(SENTENCES, ["<pad>", "</s>", "<start>"])
    save_whisper(root / "whisper", pieces, init_std=0.6)
    t5(len(pieces)).save_pretrained(root / "llm")
    pieces.save_pretrained(root / "llm")
    stirred(build(root, root / "whisper"), 7).save_pretrained(root / "reader")
    return root


@pytest.fixture(scope="module")
def model(root: Path) -> SpeechVerseForConditionalGeneration:
    return stirred(build(root, root / "whisper"), 5)


def answered(folder: Path) -> dict[tuple[str, str], list]:
    by_cell: dict[tuple[str, str], list] = {}
    for record in load_answers(folder):
        by_cell.setdefault((record.system, record.task), []).append(record)
    return by_cell


@pytest.fixture(scope="module")
def cells(root, model, corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    whisper, _ = find_whisper(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(
        *(model, model.processor(), corpus, SETTINGS),
        output=folder,
        features=folder / "features",
        whisper=whisper,
        reader_lora=root / "reader" / "lora",
    )
    after = model.state_dict()
    assert before.keys() == after.keys() and all(
        torch.equal(tensor, after[name]) for name, tensor in before.items()
    )
    return answered(folder), folder


def test_whoever_asks_a_cascade_tells_what_is_spoken(model) -> None:
    asked = SpeechVerse(model)
    assert WhisperReader.of(asked).whisper.language == "en"
    assert WhisperReader.of(asked, "auto").whisper.language is None
    with pytest.raises(UserError, match="unknown language of Whisper 'xx'"):
        WhisperReader.of(asked, "xx")


def test_transcripts_are_whispers_own_text_and_are_made_once(root, model, corpus, cells) -> None:
    by_cell, _ = cells
    clips = [utterance for utterance in corpus.utterances("test") if utterance.text]
    expected = load_whisper(root / "whisper").transcribe(
        [load(clip.audio).samples for clip in clips]
    )
    assert [record.answer for record in by_cell["cascade-whisper", "asr"]] == expected
    for system in READERS[:2]:
        assert [record.transcript for record in by_cell[system, "er"]][:4] == expected


def test_the_tuned_cascade_reads_the_models_own_transcript_as_the_plain_one_does(cells) -> None:
    plain, tuned = (
        [record.transcript for record in cells[0][system, "ic"]] for system in READERS[4:]
    )
    assert plain == tuned and len(plain) == 4


def test_whisper_writes_in_the_language_that_a_line_names_and_says_why_it_ends(
    root, model, corpus, monkeypatch
) -> None:
    whisper = load_whisper(root / "whisper")
    whisper.model.generation_config.lang_to_id = {"<|en|>": 1, "<|de|>": 2}

    def write(waveforms: list) -> list[Answer]:
        ended = "length" if whisper.language == "de" else "end"
        return [Answer(str(whisper.language), ended=ended) for _ in waveforms]

    monkeypatch.setattr(whisper, "_answers", write)
    parts = Parts(model, model.processor(), DecodingOptions(), whisper=whisper)
    codes = ("de-CH", None, "xx", "en_GB", "de")
    examples = [
        Example(clip.id, replace(clip, language=code), "asr", "What is said?", "", "")
        for clip, code in zip(corpus.utterances("test"), codes, strict=False)
    ]
    made = WhisperCascade(parts).answer(examples)
    assert [answer.text for answer in made] == ["de", "en", "None", "en", "de"]
    assert [answer.ended for answer in made] == ["length", "end", "end", "end", "length"]


def test_where_nothing_is_said_whispers_own_text_counts_and_not_what_an_llm_makes_of_it(
    model, corpus, monkeypatch
) -> None:
    parts = Parts(model, model.processor(), DecodingOptions())
    monkeypatch.setattr(WhisperCascade, "_write", lambda self, some: [Answer("") for _ in some])
    clip = corpus.utterances("test")[0]
    [made] = WhisperCascade(parts).answer([Example("0", clip, "silence", "Write it down.", "", "")])
    assert made.text == ""


def test_the_tuned_reader_is_another_and_the_plain_one_stands_beside_it(cells) -> None:
    by_cell, folder = cells
    assert not [note for note in load_results(folder).notes if "not measured" in note]
    for plain, tuned in (READERS[:2], READERS[2:4], READERS[4:]):
        pairs = [
            (one.answer, other.answer)
            for task in ("asr", "ic", "er")
            for one, other in zip(by_cell[plain, task], by_cell[tuned, task], strict=True)
        ]
        assert any(one != other for one, other in pairs)


def test_without_an_adapter_for_reading_the_tuned_ones_are_not_measured(model, corpus) -> None:
    settings = replace(
        SETTINGS, tasks=("ic",), systems=("cascade-whisper-tuned", "oracle-tuned", "oracle")
    )
    notes = evaluate(
        model, model.processor(), corpus, settings, whisper=find_whisper(model)[0]
    ).notes
    assert [note.split(":")[0] for note in notes if "--cascade-lora" in note] == [
        "ic by cascade-whisper-tuned",
        "ic by oracle-tuned",
    ]


@pytest.mark.parametrize(
    ("folder", "message"), [("llm", "holds no LoRA"), ("other", "does not fit this LLM")]
)
def test_an_adapter_that_does_not_fit_is_refused_and_leaves_the_model_as_it_was(
    root, model, corpus, folder, message
) -> None:
    if folder == "other":
        tokenizer = byte_level(SENTENCES, ["<pad>", "</s>", "<start>"])
        tokenizer.save_pretrained(root / "larger")
        t5(len(tokenizer), d_model=24).save_pretrained(root / "larger")
        other = SpeechVerseForConditionalGeneration.from_foundations(
            root / "whisper", root / "larger", lora={"rank": 2}
        )
        other.save_pretrained(root / "other")
    settings = replace(SETTINGS, tasks=("ic",), systems=("oracle-tuned",))
    place = root / "llm" if folder == "llm" else root / "other" / "lora"
    with pytest.raises(CheckpointError, match=message):
        evaluate(model, model.processor(), corpus, settings, reader_lora=place)
    assert set(model.llm.peft_config) == {"default"}


def test_a_model_on_another_encoder_takes_the_known_part_and_hears_anew(
    root, corpus, tmp_path, monkeypatch
) -> None:
    save_conformer(tmp_path / "conformer")
    model = build(root, tmp_path / "conformer")
    monkeypatch.setattr(provenance, "KNOWN_WHISPER", str(root / "whisper"))
    whisper, why_none = find_whisper(model)
    assert whisper is not None and why_none == ""
    settings = replace(SETTINGS, tasks=("asr",), systems=("cascade-whisper",))
    evaluate(
        *(model, model.processor(), corpus, settings),
        output=tmp_path,
        features=tmp_path / "f",
        whisper=whisper,
    )
    clips = [
        load(utterance.audio).samples for utterance in corpus.utterances("test") if utterance.text
    ]
    assert [r.answer for r in answered(tmp_path)["cascade-whisper", "asr"]] == whisper.transcribe(
        clips
    )


def test_where_no_whisper_can_be_had_the_reason_names_both(root, tmp_path, monkeypatch) -> None:
    save_conformer(tmp_path / "conformer")
    monkeypatch.setattr(provenance, "KNOWN_WHISPER", str(tmp_path / "nowhere"))
    whisper, why_none = find_whisper(build(root, tmp_path / "conformer"))
    assert whisper is None and "no Whisper with a decoder" in why_none and "nowhere" in why_none


def test_clips_too_long_for_whisper_cost_the_row_and_are_told(root, corpus, tmp_path) -> None:
    save_conformer(tmp_path / "conformer")
    model = build(root, tmp_path / "conformer")
    whisper = load_whisper(root / "whisper")
    whisper.encoder.front_end.max_seconds = 0.5
    settings = replace(SETTINGS, tasks=("asr",), systems=("cascade-whisper", "oracle"))
    notes = evaluate(model, model.processor(), corpus, settings, whisper=whisper).notes
    assert (
        "asr by cascade-whisper: not measured: 4 of 4 clips are longer than Whisper's 0.5 s"
        in notes
    )


def test_one_flag_asks_the_cascade_and_shows_the_transcript_it_read(
    root, model, corpus, tmp_path
) -> None:
    model.save_pretrained(tmp_path / "model")
    clip = corpus.utterances("test")[0].audio.path
    [expected] = load_whisper(root / "whisper").transcribe([load(clip).samples])
    app = typer.Typer()
    app.command()(ask.command)
    asked = [str(clip), "is it loud", "--choices", "yes,no", "--model", str(tmp_path / "model")]
    result = CliRunner().invoke(
        app, [*asked, "--system", "cascade-whisper", "--json"], catch_exceptions=False
    )
    told = json.loads(result.stdout)
    assert told["transcript"] == expected and told["answer"] in ("yes", "no")
    hinted = CliRunner().invoke(
        app,
        [*asked, "--system", "cascade-whisper", "--hints", "York", "--json"],
        catch_exceptions=False,
    )
    told = json.loads(hinted.stdout)
    assert told["hints"] == ["York"] and told["answer"] in ("yes", "no")
    with pytest.raises(UserError, match="did you mean 'cascade-whisper'"):
        CliRunner().invoke(app, [*asked, "--system", "cascade-wisper"], catch_exceptions=False)
