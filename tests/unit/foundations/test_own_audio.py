from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoFeatureExtractor, AutoModel

from speechverse.audio import load, save
from speechverse.audio.waveform import Waveform
from speechverse.cli.pretrain import command
from speechverse.encoders import load_encoder
from speechverse.encoders.best_rq import BestRqConfig
from speechverse.errors import CorpusError, RecipeError, UserError
from speechverse.foundations.encoder import pretrain_encoder
from speechverse.foundations.features import make_features
from speechverse.foundations.listening import cut, samples_of
from speechverse.foundations.own_audio import own_corpus
from speechverse.foundations.recipe import (
    ConformerShape,
    CtcPhase,
    EncoderData,
    EncoderRecipe,
    PhaseSettings,
    load_recipe,
)
from speechverse.training.state import load_state
from speechverse.types import AudioRef, Seconds, Utterance

RECIPES = Path(__file__).parents[3] / "recipes" / "foundations"
PHASE = PhaseSettings(steps=2, learning_rate=1e-3, warmup_steps=1)


def noise(path: Path, seconds: Seconds, level: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    return Path(save(path, Waveform(rng.normal(0, level, round(seconds * 16_000)).astype(np.float32), 16_000)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        noise(tmp_path / "audio" / f"day-{number % 2}" / f"{number}.flac", 1.0)
    return tmp_path / "audio"


def data(folder: Path, **settings: object) -> EncoderData:
    return EncoderData(**{"audio": folder, "workers": 1, "batch_seconds": 6, "max_seconds": 2.0, **settings})


def recipe(data: EncoderData, **settings: object) -> EncoderRecipe:
    return EncoderRecipe(
        **{
            "name": "micro",
            "shape": ConformerShape(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16),
            "objective": BestRqConfig(num_codebooks=2, codebook_size=8, code_width=4, mask_span=3),
            "data": data,
            "best_rq": PHASE,
            **settings,
        }
    )


def heard(corpus: object) -> set[tuple[str, Seconds]]:
    windows = [window for part in ("train", "dev") for window in corpus.utterances(part)]
    return {(window.id, round(window.duration, 2)) for window in windows}


def test_a_folder_becomes_an_encoder_that_plain_transformers_loads(folder: Path, tmp_path: Path) -> None:
    made = pretrain_encoder(recipe(data(folder)), tmp_path / "run")
    model, extractor = AutoModel.from_pretrained(made), AutoFeatureExtractor.from_pretrained(made)
    samples = load(folder / "day-0" / "0.flac").samples
    states = model(**extractor(samples, sampling_rate=16_000, return_tensors="pt")).last_hidden_state
    encoder = load_encoder(made)
    assert states.shape == (1, 24, 16)
    assert encoder(**dict(encoder.prepare([samples]))).hidden_states.shape[-1] == 16
    card = (made / "README.md").read_text()
    assert "own audio" in card and "transcribes nothing by itself" in card
    assert "dev_code_perplexity" in json.loads((made / "figures.json").read_text())["history"][-1]


def test_the_same_command_goes_on_and_other_audio_is_refused(folder: Path, tmp_path: Path) -> None:
    command("encoder", write_recipe(tmp_path), output=tmp_path / "run", audio=folder)
    command("encoder", write_recipe(tmp_path), output=tmp_path / "run", audio=folder)
    assert load_state(tmp_path / "run" / "best_rq").info["step"] == 2
    moved = folder.rename(tmp_path / "moved")
    command("encoder", write_recipe(tmp_path), output=tmp_path / "run", audio=moved)
    noise(moved / "new.flac", 1.0)
    with pytest.raises(UserError, match=r"begun with other audio \(4 recordings.*5 recordings.*--output"):
        command("encoder", write_recipe(tmp_path), output=tmp_path / "run", audio=moved)
    (tmp_path / "run" / "audio.json").unlink()
    with pytest.raises(UserError, match="another recipe .the audio 4 recordings"):
        command("encoder", write_recipe(tmp_path), output=tmp_path / "run", audio=moved)


def write_recipe(folder: Path) -> Path:
    """With a `ctc` section, which a folder without transcripts does without."""
    path = folder / "recipe.yaml"
    values = recipe(EncoderData(workers=1), ctc=ctc()).model_dump(mode="json")
    path.write_text(json.dumps(values))
    return path


def ctc() -> CtcPhase:
    return CtcPhase(**PHASE.model_dump(), vocab_size=40)


def test_a_recipe_without_any_audio_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing to hear.*--audio FOLDER.*data\.corpus"):
        pretrain_encoder(recipe(EncoderData(workers=1)), tmp_path / "run")


def test_a_long_file_is_cut_into_windows_that_hold_all_of_it(tmp_path: Path) -> None:
    noise(tmp_path / "audio" / "long.flac", 21.0)
    corpus = own_corpus(data(tmp_path / "audio"), tmp_path, with_words=False)
    windows = [*corpus.utterances("train"), *corpus.utterances("dev")]
    assert len(windows) == 11 and len(corpus.utterances("dev")) == 1
    assert all(1.9 < window.duration <= 2.0 for window in windows)
    ends = [round(window.audio.start + window.duration, 3) for window in windows]
    assert [window.audio.start for window in windows[1:]] == pytest.approx(ends[:-1], abs=0.001)
    assert (windows[0].audio.start, ends[-1]) == (0.0, 21.0)


def test_windows_read_together_are_those_read_alone(tmp_path: Path) -> None:
    path = noise(tmp_path / "long.flac", 7.3)
    whole = Utterance("long", AudioRef(path), 7.3)
    refs = [window.of(whole).audio for window in cut(0.0, 7.3, 2.0)]
    for alone, together in zip(map(load, refs), samples_of(refs), strict=True):
        assert np.abs(len(alone.samples) - len(together)) <= 1
        assert np.array_equal(alone.samples[:1000], together[:1000])
    store = make_features([window.of(whole) for window in cut(0.0, 7.3, 2.0)], tmp_path / "features", 1)
    assert sum(store.lengths) == pytest.approx(730, abs=10)


def test_what_cannot_be_used_is_counted_and_the_rest_is_used(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (folder / "broken.mp3").write_bytes(b"no sound at all")
    noise(folder / "short.wav", 0.2)
    noise(folder / "silent.wav", 3.0, level=0.0)
    (folder / "notes.txt").write_text("not audio")
    (folder / ".hidden.wav").write_bytes(b"")
    soundfile.write(folder / "stereo.ogg", np.random.default_rng(0).normal(0, 0.1, (44_100, 2)), 44_100)
    corpus = own_corpus(data(folder), tmp_path, with_words=False)
    assert {name for name, _ in heard(corpus)} == {*(f"day-{n % 2}/{n}.flac" for n in range(4)), "stereo.ogg"}
    said = capsys.readouterr().err
    assert "1 unreadable, 1 shorter than 0.3 s, 2 silent windows" in said and "broken.mp3" in said
    assert heard(own_corpus(data(folder), tmp_path, with_words=False)) == heard(corpus)
    assert not capsys.readouterr().err, "heard once"


def test_too_many_unreadable_files_are_refused(folder: Path, tmp_path: Path) -> None:
    for number in range(2):
        (folder / f"broken-{number}.wav").write_bytes(b"RIFF, but no more")
    with pytest.raises(CorpusError, match=r"2 of 6 recordings.*cannot be read.*broken-0\.wav.*broken-1\.wav"):
        own_corpus(data(folder), tmp_path, with_words=False)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no audio file.*it is empty"),
        ({"a.txt": None, "b.txt": None}, r"holds no audio file.*2 \.txt"),
        ({"a.wav": (3.0, 0.0), "b.wav": (3.0, 0.0)}, r"nothing in .* can be trained on.*silent \(4 windows\)"),
        ({"a.wav": (0.1, 0.1)}, r"nothing in .*1 are shorter than 0\.3 s"),
        ({"a.wav": (1.0, 0.1)}, "too little sound: nothing is left to train on"),
    ],
    ids=["empty", "no audio", "silence", "too short", "one clip"],
)
def test_audio_that_cannot_be_trained_on(tmp_path: Path, files: dict, message: str) -> None:
    folder = tmp_path / "audio"
    folder.mkdir()
    for name, sound in files.items():
        noise(folder / name, *sound) if sound else (folder / name).write_text("x")
    with pytest.raises(UserError, match=message):
        own_corpus(data(folder), tmp_path, with_words=False)


def test_no_folder_and_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist.*--audio FOLDER"):
        own_corpus(data(tmp_path / "none"), tmp_path, with_words=False)
    with pytest.raises(CorpusError, match="does not exist; name a corpus folder or a JSONL"):
        own_corpus(EncoderData(corpus=tmp_path / "none"), tmp_path, with_words=False)


def test_one_of_twenty_files_is_held_out_and_keeps_its_side(tmp_path: Path) -> None:
    for number in range(60):
        noise(tmp_path / "audio" / f"{number}.wav", 0.5)
    corpus = own_corpus(data(tmp_path / "audio"), tmp_path, with_words=False)
    held_out = {window.id for window in corpus.utterances("dev")}
    assert 1 <= len(held_out) <= 8
    assert not held_out & {window.id for window in corpus.utterances("train")}
    (tmp_path / "audio" / next(f"{n}.wav" for n in range(60) if f"{n}.wav" not in held_out)).unlink()
    (tmp_path / "audio.json").unlink()
    again = own_corpus(data(tmp_path / "audio"), tmp_path, with_words=False)
    assert {window.id for window in again.utterances("dev")} == held_out


def write_jsonl(folder: Path, path: Path, texts: bool) -> Path:
    lines = [{"audio": str(file)} | ({"text": "turn on the lamp"} if texts else {}) for file in folder.rglob("*.flac")]
    path.write_text("".join(json.dumps(line) + "\n" for line in sorted(lines, key=str)))
    return path


def test_a_jsonl_with_words_teaches_ctc(folder: Path, tmp_path: Path) -> None:
    noise(folder / "meeting.flac", 5.0)
    jsonl = write_jsonl(folder, tmp_path / "own.jsonl", texts=True)
    own = EncoderData(corpus=jsonl, workers=1, batch_seconds=6, max_seconds=2.0)
    made = pretrain_encoder(recipe(own, ctc=ctc()), tmp_path / "run")
    assert "own audio" in (made / "README.md").read_text()
    assert "dev_wer" in json.loads((made / "figures.json").read_text())["history"][-1]
    clips = own_corpus(own, tmp_path / "run", with_words=True)
    texts = [window.text for part in ("train", "dev") for window in clips.utterances(part)]
    assert texts.count("turn on the lamp") == 4 and texts.count(None) == 3, "no words for parts of a long clip"


def test_ctc_without_words_is_told(folder: Path, tmp_path: Path) -> None:
    own = EncoderData(corpus=write_jsonl(folder, tmp_path / "own.jsonl", texts=False), workers=1)
    with pytest.raises(CorpusError, match="has a `text`, which CTC learns from.*take `ctc` out"):
        pretrain_encoder(recipe(own, ctc=ctc()), tmp_path / "run")
    with pytest.raises(ValueError, match="take ctc out, or give data.corpus"):
        recipe(data(folder), ctc=ctc())
    with pytest.raises(ValueError, match="audio and corpus are both given"):
        EncoderData(audio=folder, corpus=folder)


def test_a_misspelt_key_of_the_data_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text((RECIPES / "best-rq.yaml").read_text().replace("max_seconds:", "max_secnds:"))
    with pytest.raises(RecipeError, match=r"data\.max_seconds"):
        load_recipe(path)


def test_any_number_of_workers_hears_the_same(folder: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
    corpora = [own_corpus(data(folder, workers=n), tmp_path / str(n), with_words=False) for n in (1, 2)]
    assert heard(corpora[0]) == heard(corpora[1])
    assert torch.equal(*(make_features(corpus.utterances("dev"), tmp_path / "f", 1)[0] for corpus in corpora))
