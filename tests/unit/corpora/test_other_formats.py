"""Data in others' formats, and keywords of transcripts: what is written is what was there."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from sounds import sound, text

from microscopic import byte_level, t5
from speechverse.audio import load
from speechverse.corpora import CORPORA, formats, keywords
from speechverse.corpora.keywords import Keywords
from speechverse.corpora.prepare import prepare
from speechverse.corpora.reader import Reading
from speechverse.data import Corpus
from speechverse.errors import CorpusError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def prepared(name: str, source: Path, output: Path, asked: Keywords | None = None) -> Corpus:
    prepare(CORPORA[name], source, output, asked)
    return Corpus.open(output)


def test_a_table_s_cells_are_what_their_columns_hold(tmp_path: Path):
    for name in ("a.wav", "b.wav"):
        sound(tmp_path / "mine" / name)
    head = "audio,text,start,duration,is_speech,slots,split"
    slots = '"[[""room"", ""hall""]]"'
    lines = (f'a.wav,"Light, hall.",0.1,0.2,yes,{slots},train', "b.wav,Hum,,,no,,test")
    text(tmp_path / "mine" / "all.csv", head, *lines)
    corpus = prepared("csv", tmp_path / "mine", tmp_path / "out")
    (clip,) = corpus.utterances("train")
    assert (clip.text, clip.audio.start, clip.duration) == ("Light, hall.", 0.1, 0.2)
    assert clip.labels == {"is_speech": True, "slots": [["room", "hall"]]}
    assert corpus.utterances("test")[0].labels == {"is_speech": False}
    text(tmp_path / "mine" / "all.csv", head, ",One,,,,,")
    with pytest.raises(CorpusError, match="line 2 names no audio"):
        prepared("csv", tmp_path / "mine", tmp_path / "wrong")
    for cells, told in (
        ("a.wav,One,soon,,,,", "line 2: 'start' is 'soon'"),
        ("a.wav,One,nan,,,,", "line 2: 'start' is 'nan': write a number"),
        ("a.wav,One,,,maybe,,", "line 2: 'is_speech' is 'maybe': write true or false"),
    ):
        text(tmp_path / "mine" / "all.csv", head, cells)
        with pytest.raises(CorpusError, match=told):
            prepared("csv", tmp_path / "mine", tmp_path / "wrong")
    text(tmp_path / "mine" / "all.csv", "audio,text,text", "a.wav,One,Two")
    with pytest.raises(CorpusError, match="two columns 'text'"):
        prepared("csv", tmp_path / "mine", tmp_path / "wrong")


def test_splits_get_plain_names_before_any_sound_is_read(tmp_path: Path):
    sound(tmp_path / "a.wav")
    for name in ("Train.clean.100", "Test"):
        text(tmp_path / f"{name}.csv", "audio,text", "a.wav,One")
    assert prepared("csv", tmp_path, tmp_path / "out").splits == ("test", "train-clean-100")
    text(tmp_path / "test.csv", "audio,text", "a.wav,One")
    with pytest.raises(CorpusError, match="names hardly differ: Test, Train.clean.100, test"):
        prepared("csv", tmp_path, tmp_path / "other")


def test_kaldi_s_segments_are_stretches_of_their_recordings(tmp_path: Path):
    folder = tmp_path / "data" / "train"
    long = sound(tmp_path / "long.wav", seconds=1)
    text(folder / "wav.scp", f"rec1 {long}")
    text(folder / "segments", "utt1 rec1 0.0 0.4", "utt2 rec1 0.5 0.9")
    text(folder / "text", "utt1 hello there", "utt2 yes")
    text(folder / "utt2spk", "utt1 ann", "utt2 bob")
    clips = prepared("kaldi", tmp_path / "data", tmp_path / "out").utterances("train")
    assert [(clip.id, clip.text, clip.speaker, clip.audio.start) for clip in clips] == [
        ("utt1", "hello there", "ann", 0.0),
        ("utt2", "yes", "bob", 0.5),
    ]
    assert {clip.audio.path for clip in clips} == {long}
    assert [round(clip.duration, 3) for clip in clips] == [0.4, 0.4]


def test_one_segment_of_a_recording_is_a_clip_as_long_as_itself(tmp_path: Path):
    folder = tmp_path / "data" / "train"
    text(folder / "wav.scp", f"rec1 {sound(tmp_path / 'long.wav', seconds=1)}")
    text(folder / "segments", "utt1 rec1 0.5 0.9")
    text(folder / "text", "utt1 yes")
    with pytest.raises(CorpusError, match="no utt2spk"):
        prepared("kaldi", tmp_path / "data", tmp_path / "out")
    text(folder / "utt2spk", "utt1 ann")
    text(folder / "utt2lang", "utt1 English")
    (clip,) = prepared("kaldi", tmp_path / "data", tmp_path / "out").utterances("train")
    assert (clip.audio.start, round(clip.duration, 3), clip.text) == (0.5, 0.4, "yes")
    assert clip.language == "en"


def test_paths_are_found_from_where_the_command_is_given(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sound(tmp_path / "wavs" / "u0.wav")
    folder = tmp_path / "data" / "train"
    text(folder / "wav.scp", "utt1 wavs/u0.wav")
    text(folder / "text", "utt1 yes")
    text(folder / "utt2spk", "utt1 ann")
    (clip,) = prepared("kaldi", tmp_path / "data", tmp_path / "out").utterances("train")
    assert clip.audio.path == tmp_path / "wavs" / "u0.wav"


def test_rows_of_a_data_set_are_told_apart_whatever_their_columns_say(tmp_path: Path):
    row = {"audio": {"bytes": None, "path": str(sound(tmp_path / "a.wav"))}, "id": 1675}
    made = formats._of_row({**row, "accent": "", "text": ""}, "test-3", Reading(tmp_path, tmp_path))
    assert made == {"id": "test-3", "source_id": "1675", "audio": row["audio"]["path"]}


def test_sound_of_clips_whose_names_are_alike_is_kept_apart(tmp_path: Path):
    from lhotse import CutSet, MonoCut, Recording

    stereo = Recording.from_file(sound(tmp_path / "stereo.wav", channels=2))
    cuts = [
        MonoCut(name, 0.0, 0.4, place, [], recording=stereo)
        for place, name in ((0, "a/b"), (1, "a_b"))
    ]
    CutSet.from_cuts(cuts).to_file(tmp_path / "theirs.jsonl.gz")
    first, second = prepared("cuts", tmp_path / "theirs.jsonl.gz", tmp_path / "out").utterances(
        "train"
    )
    assert not np.array_equal(load(first.audio).samples, load(second.audio).samples)


def test_recordings_are_refused_where_cuts_are_wanted(tmp_path: Path):
    from lhotse import Recording, RecordingSet

    one = Recording.from_file(sound(tmp_path / "a.wav"))
    RecordingSet.from_recordings([one]).to_file(tmp_path / "recordings.jsonl.gz")
    with pytest.raises(CorpusError, match="no cuts"):
        prepared("cuts", tmp_path / "recordings.jsonl.gz", tmp_path / "out")


@pytest.mark.parametrize("name", ["cuts", "shar"])
def test_every_file_of_cuts_is_a_split_of_its_own(name: str, tmp_path: Path):
    from lhotse import CutSet, MonoCut, Recording

    for split in ("train", "dev"):
        recording = Recording.from_file(sound(tmp_path / f"{split}.wav"))
        cuts = CutSet.from_cuts([MonoCut(f"{split}-1", 0.0, 0.4, 0, recording=recording)])
        place = tmp_path / "theirs" / split / "en"
        place.mkdir(parents=True)
        if name == "cuts":
            cuts.to_file(tmp_path / "theirs" / f"cuts.{split}.jsonl.gz")
        else:
            cuts.to_shar(place, {"recording": "wav"})
    splits = prepared(name, tmp_path / "theirs", tmp_path / "out").splits
    assert set(splits) == ({"cuts-train", "cuts-dev"} if name == "cuts" else {"train-en", "dev-en"})


@pytest.mark.parametrize("name", ["cuts", "shar"])
def test_what_lhotse_wrote_is_read_with_its_labels(name: str, tmp_path: Path):
    from lhotse import CutSet, MonoCut, Recording, SupervisionSegment

    cuts = []
    for number, channels in enumerate((1, 2)):
        path = sound(tmp_path / f"{number}.wav", channels=channels)
        recording = Recording.from_file(path)
        told = SupervisionSegment(
            f"said{number}", recording.id, 0.0, recording.duration, text="yes", speaker="ann"
        )
        told.custom = {"emotion": "happy"}
        cuts.append(MonoCut(f"cut{number}", 0.0, 0.4, 0, [told], recording=recording))
    source = tmp_path / "theirs"
    (source / "train").mkdir(parents=True)
    if name == "cuts":
        CutSet.from_cuts(cuts).to_file(source / "train.jsonl.gz")
    else:
        CutSet.from_cuts(cuts).to_shar(source / "train", {"recording": "wav"})
    clips = prepared(name, source, tmp_path / "out").utterances("train")
    assert [(clip.id, clip.text, clip.speaker) for clip in clips] == [
        ("said0", "yes", "ann"),
        ("said1", "yes", "ann"),
    ]
    assert all(clip.labels == {"emotion": "happy"} and clip.duration == 0.4 for clip in clips)
    here = [clip.audio.path.is_relative_to(tmp_path / "out") for clip in clips]
    assert here == ([False, True] if name == "cuts" else [True, True])  # only what lay in no file


@pytest.mark.filterwarnings("ignore")  # what its pickling tells of
def test_hugging_face_s_columns_become_text_speaker_and_labels(tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    path = sound(tmp_path / "a.wav")
    rows = {
        "audio": [
            {"path": "a.wav", "bytes": path.read_bytes()},
            {"path": str(path), "bytes": None},
            None,
        ],
        "sentence": ["yes", "no", "gone"],
        "transcription": ["YES", "NO", "GONE"],
        "speaker_id": [7, 8, 9],
        "emotion": [1, -1, 0],
    }
    text_of = datasets.Value("string")
    features = datasets.Features(
        {
            "audio": {"path": text_of, "bytes": datasets.Value("binary")},
            "sentence": text_of,
            "transcription": text_of,
            "speaker_id": datasets.Value("int64"),
            "emotion": datasets.ClassLabel(names=["sad", "happy"]),
        }
    )
    part = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"test": part}).save_to_disk(tmp_path / "theirs")
    corpus = prepared("huggingface", tmp_path / "theirs", tmp_path / "out")
    told = [(clip.text, clip.speaker, clip.labels) for clip in corpus.utterances("test")]
    assert told == [
        ("yes", "7", {"transcription": "YES", "emotion": "happy"}),
        ("no", "8", {"transcription": "NO"}),
    ]
    assert corpus.description["left_out"] == {"without sound": 1}


def write_texts(folder: Path) -> Path:
    sound(folder / "a.wav")
    said = (("The hall light.", ""), ("Some jazz.", ""), ("Own words.", '["own"]'))
    folder.joinpath("train.csv").write_text("audio,text,keywords\n")
    with folder.joinpath("train.csv").open("a", newline="") as file:
        csv.writer(file).writerows(("a.wav", *line) for line in said)
    return folder


def test_keywords_are_asked_once_for_a_text_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, output = write_texts(tmp_path / "mine"), tmp_path / "out"
    told: list[str] = []

    def load(name: str, device: str | None) -> keywords.Ask:
        def ask(texts: Sequence[str]) -> list[str]:
            told.extend(texts)
            return [f"{said.split()[-1]}, it, it" for said in texts]

        return ask

    monkeypatch.setattr(keywords, "load_model", load)
    corpus = prepared("csv", source, output, Keywords("a-model"))
    found = {clip.text: clip.labels["keywords"] for clip in corpus.utterances("train")}
    assert found == {
        "The hall light.": ["light.", "it"],
        "Some jazz.": ["jazz.", "it"],
        "Own words.": ["own"],
    }
    kept = output / "keywords.jsonl"
    whole = kept.read_text()
    kept.write_text(whole[:-9])  # as kill -9 may leave it
    del told[:]
    prepared("csv", source, output, Keywords("a-model"))
    assert len(told) == 1
    with pytest.raises(CorpusError, match="keywords by a-model, not by other"):
        prepared("csv", source, output, Keywords("other"))


def test_a_sequence_to_sequence_model_of_a_folder_answers_every_text(tmp_path: Path):
    torch.manual_seed(0)
    pieces = byte_level(["Keywords: the hall light"], ["<pad>", "</s>"])
    t5(len(pieces)).save_pretrained(tmp_path / "t5")
    pieces.save_pretrained(tmp_path / "t5")
    ask = keywords.load_model(str(tmp_path / "t5"), "cpu")
    assert len(ask(["the hall light", "the light"])) == 2
