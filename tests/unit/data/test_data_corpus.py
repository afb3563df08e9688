from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace

import pytest
import soundfile
from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment
from noise_corpus import in_memory, utterances, write_audio

from speechverse.data import Corpus, write_corpus
from speechverse.data.manifest import read_manifest
from speechverse.errors import CorpusError
from speechverse.types import SAMPLING_RATE, AudioRef, Utterance


@pytest.fixture
def jsonl(tmp_path):
    """Writes lines to a JSONL file beside four seconds of sound."""
    soundfile.write(tmp_path / "a.wav", [0.1, -0.1] * (2 * SAMPLING_RATE), SAMPLING_RATE)

    def write(*lines, name="train.jsonl"):
        path = tmp_path / name
        path.write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        )
        return path

    return write


def test_a_corpus_folder_gives_back_what_was_written(tmp_path):
    made = write_audio(utterances(tmp_path, 6))
    made[0] = Utterance(
        "part", AudioRef(made[0].audio.path, 0.25, 0.5), 0.5, "", None, None, {"is_speech": False}
    )
    corpus = write_corpus(
        tmp_path, "world", {"train": made}, extra={"seed": 3, "counts": {"rooms": 2}}
    )
    assert Corpus.open(tmp_path).utterances("train") == made == corpus.utterances("train")
    assert (
        corpus.description["seed"] == 3
        and corpus.description["splits"]["train"]["num_utterances"] == 6
    )
    assert corpus.labels["slots"].names == ("room",) and "intent_3" in corpus.labels["intent"].names


def test_a_corpus_folder_can_be_moved_and_its_hash_does_not_change(corpus, tmp_path):
    again = write_corpus(
        tmp_path / "world", "world", {s: corpus.utterances(s) for s in corpus.splits}
    )
    assert again.description["splits"] == corpus.description["splits"]
    shutil.move(tmp_path / "world", tmp_path / "moved")
    moved = Corpus.open(tmp_path / "moved").utterances("train")
    assert (
        moved[0].audio.path == tmp_path / "moved" / "audio" / "u0.wav"
        and moved[0].audio.path.exists()
    )


def test_lhotse_reads_what_is_written(corpus, tmp_path):
    from lhotse import CutSet

    cut = next(iter(CutSet.from_file(tmp_path / "world" / "train.jsonl.gz")))
    assert (cut.supervisions[0].text, cut.supervisions[0].intent) == (
        corpus.utterances("train")[0].text,
        "intent_0",
    )


def test_broken_corpus_folders_are_refused(corpus, tmp_path):
    folder = tmp_path / "world"
    with pytest.raises(CorpusError, match="did you mean 'test'"):
        corpus.utterances("tset")
    manifest = folder / "test.jsonl.gz"
    lines = gzip.decompress(manifest.read_bytes())
    manifest.write_bytes(gzip.compress(lines.replace(b"kitchen", b"chicken")))
    with pytest.raises(CorpusError, match="is not what its corpus.json says"):
        Corpus.open(folder).utterances("test")
    manifest.write_bytes(gzip.compress(lines)[:-20])
    with pytest.raises(CorpusError, match="cannot be read"):
        Corpus.open(folder).utterances("test")
    (folder / "audio" / "u3.wav").unlink()
    with pytest.raises(CorpusError, match=r"line 4: the audio file .*u3.wav is missing"):
        Corpus.open(folder).utterances("train")
    (folder / "corpus.json").unlink()
    with pytest.raises(CorpusError, match="was not finished"):
        Corpus.open(folder)


def test_an_id_used_twice_is_refused_and_leaves_no_corpus(corpus, tmp_path):
    twice = corpus.utterances("train")[:1] * 2
    with pytest.raises(CorpusError, match="'u0' occurs twice"):
        write_corpus(tmp_path / "twice", "world", {"train": twice})
    with pytest.raises(CorpusError):
        Corpus.open(tmp_path / "twice")
    write_corpus(tmp_path / "twice", "world", {"train": twice[:1]})
    for wrong in ({"train": twice}, {"Train": twice[:1]}):
        with pytest.raises(CorpusError):
            write_corpus(tmp_path / "twice", "world", wrong)
    assert len(Corpus.open(tmp_path / "twice").utterances("train")) == 1  # what was there stays


def test_jsonl_lines_become_utterances(jsonl, tmp_path):
    path = jsonl(
        {
            "audio": "a.wav",
            "text": "hello\u2028there",
            "slots": {"room": "kitchen"},
            "speaker": "ann",
            "mood": 7,
        },
        "",
        {"audio": "a.wav", "start": 1, "duration": 0.5, "intent": "greet", "accent": None},
        {"audio": "a.wav", "start": 3},
        {"audio": "a.wav", "start": 3, "text": "twice"},
    )
    corpus = Corpus.from_jsonl("mine", {"train": path})
    first, second, third, fourth = corpus.utterances("train")
    assert first == Utterance(
        "a",
        AudioRef(tmp_path / "a.wav"),
        4.0,
        "hello\u2028there",
        "ann",
        None,
        {"slots": [["room", "kitchen"]], "mood": 7},
    )
    assert second.audio == AudioRef(tmp_path / "a.wav", 1.0, 0.5) and second.labels == {
        "intent": "greet"
    }
    assert (third.id, third.duration, fourth.id) == ("a@3", 1.0, "a@3#2")
    assert corpus.labels["intent"].names == ("greet",) and corpus.splits == ("train",)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{nonsense", "not JSON"),
        ("[1]", "should be one JSON object"),
        ({"text": "hi"}, "has no 'audio'"),
        ({"audio": "b.wav"}, "b.wav is missing"),
        ({"audio": "a.wav", "start": "now"}, "'start' should be seconds"),
        ({"audio": "a.wav", "start": 3, "duration": 2}, "do not fit the 4.00 s"),
        ({"audio": "a.wav", "slots": ["room"]}, "'slots' should be an object"),
        ({"audio": "a.wav", "hints": "jazz"}, "'hints' should be a list of strings"),
        ({"audio": "a.wav", "num_speakers": "two"}, "'num_speakers' should be a whole number"),
        ({"audio": "a.wav", "text": 5}, "'text' should be a str"),
        ({"audio": "a.wav", "id": "x"}, "the id 'x' occurs twice"),
        ({"audio": "a.wav", "id": True}, "'id' should be a name or a whole number"),
        ({"audio": "a.wav", "id": ""}, "'id' should be a name or a whole number"),
        ({"audio": "n" * 300 + ".wav"}, "cannot be opened"),
        ({"audio": "a.wav", "intent": "?!"}, "'intent' should be a string with a letter or digit"),
        ({"audio": "a.wav", "slots": [["", "kitchen"]]}, "each name with a letter or digit"),
        ('{"audio": "a.wav", "text": "one", "text": "two"}', "has the key 'text' twice"),
        ('{"audio": "a.wav", "slots": {"room": "a", "room": "b"}}', "has the key 'room' twice"),
        ('{"audio": "a.wav", "text": "\\ud83d"}', "holds half a character"),
        ("[" * 100_000, "nested too deeply"),
        ({"audio": "a.wav", "intent": "gret"}, "unknown intent label 'gret'; did you mean 'greet'"),
        (
            {"audio": "a.wav", "rating": 3},
            "'rating' has a set of names and should be one of them, not 3",
        ),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_number(jsonl, line, complaint):
    path = jsonl({"audio": "a.wav", "id": "x"}, line)
    with pytest.raises(CorpusError, match=f"train.jsonl line 2: .*{complaint}"):
        Corpus.from_jsonl("mine", {"train": path}, {"intent": ["greet"], "rating": ["1", "3"]})


NO_NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "-1",
    '"1"',
    "true",
    "1e999",
    "1" + "0" * 400,
    "[1]",
    "{}",
)


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("key", ["start", "duration", "num_speakers"])
def test_what_is_no_number_is_refused_with_its_line_in_every_field_of_numbers(jsonl, key, value):
    path = jsonl({"audio": "a.wav"}, f'{{"audio": "a.wav", "{key}": {value}}}')
    with pytest.raises(CorpusError, match="train.jsonl line 2: "):
        Corpus.from_jsonl("mine", {"train": path})


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_no_label_of_one_s_own_may_be_what_json_has_no_number_for(jsonl, value):
    path = jsonl({"audio": "a.wav"}, f'{{"audio": "a.wav", "loudness": {value}}}')
    with pytest.raises(CorpusError, match="train.jsonl line 2: .* number"):
        Corpus.from_jsonl("mine", {"train": path})


def test_all_wrong_lines_are_told_at_once(jsonl):
    wrong = [{"audio": "a.wav", "start": -number} for number in range(1, 8)]
    with pytest.raises(CorpusError) as told:
        Corpus.from_jsonl("mine", {"train": jsonl({"audio": "a.wav"}, *wrong, "{oops")})
    assert "train.jsonl: 8 of 9 lines are wrong" in str(told.value)
    assert "line 2: 'start' should be" in str(told.value) and "and 3 more" in str(told.value)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (gzip.compress(b'{"audio": "a.wav"}', mtime=0), "is compressed with gzip: unpack it first"),
        ('{"audio": "a.wav"}'.encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (
            '{"audio": "a.wav"}'.encode("utf-16-le"),
            "is no text, or UTF-16 or UTF-32 without a mark",
        ),
        (
            '\n{"audio": "a.wav", "text": "schön"}'.encode("latin-1"),
            "is not UTF-8: byte 0xf6 in line 2",
        ),
        (b'[{"audio": "a.wav"},\n {"audio": "b.wav"}]', "is a JSON array, not lines"),
        (b'{\n "audio": "a.wav"\n}', "is one JSON object over many lines"),
        (b"audio,text\na.wav,hello\n", "looks like a CSV table .it begins 'audio,text'."),
        (b"", "holds no utterances"),
    ],
)
def test_a_file_that_is_no_json_lines_says_what_it_is(tmp_path, content, cause):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=f"mine.jsonl {cause}"):
        Corpus.from_jsonl("mine", {"train": path})


def test_a_byte_order_mark_before_utf_8_is_no_fault(jsonl, tmp_path):
    path = jsonl({"audio": "a.wav"})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(Corpus.from_jsonl("mine", {"train": path}).utterances("train")) == 1


def test_labels_that_read_alike_are_named_with_the_lines_that_use_them(jsonl):
    path = jsonl(*({"audio": "a.wav", "intent": name} for name in ("Play it", "stop", "play_it")))
    with pytest.raises(
        CorpusError,
        match=r"'Play it' \(.*train.jsonl line 1\) and 'play_it' \(.*line 3\) of 'intent'",
    ):
        Corpus.from_jsonl("mine", {"train": path})
    with pytest.raises(
        CorpusError,
        match="the labels given for corpus 'mine': labels 'A b' and 'a-b' of 'intent' read",
    ):
        Corpus.from_jsonl("mine", {"train": path}, {"intent": ["A b", "a-b"]})


def test_a_folder_s_labels_that_read_alike_name_their_file(corpus, tmp_path):
    about = tmp_path / "world" / "corpus.json"
    about.write_text(
        json.dumps(json.loads(about.read_text()) | {"labels": {"intent": ["a b", "A b"]}})
    )
    with pytest.raises(CorpusError, match="world/corpus.json: labels 'a b' and 'A b'"):
        Corpus.open(tmp_path / "world")


def test_a_cut_that_is_no_stretch_of_time_is_refused(jsonl, tmp_path):
    for key in ("start", "duration"):
        line = json.dumps(lhotse_cut([0]).to_dict() | {key: float("nan")})
        with pytest.raises(CorpusError, match="line 1: .*NaN is no number"):
            next(read_manifest(jsonl(line), tmp_path))
    with pytest.raises(CorpusError, match="line 1: .*no stretch of audio"):
        next(read_manifest(jsonl(lhotse_cut([0]).to_dict() | {"duration": 0.0}), tmp_path))


def test_made_up_ids_avoid_each_other_and_those_given(jsonl):
    path = jsonl(
        {"audio": "a.wav", "id": "a#2"}, *[{"audio": "a.wav"}] * 3, {"audio": "a.wav", "id": "mine"}
    )
    utterances = Corpus.from_jsonl("mine", {"train": path}).utterances("train")
    assert [utterance.id for utterance in utterances] == ["a#2", "a", "a#3", "a#4", "mine"]
    later = jsonl(
        {"audio": "a.wav"},
        {"audio": "a.wav"},
        {"audio": "a.wav", "id": "a#2"},
        {"audio": "a.wav", "id": "a"},
    )
    utterances = Corpus.from_jsonl("mine", {"train": later}).utterances("train")
    assert [utterance.id for utterance in utterances] == ["a#3", "a#4", "a#2", "a"]


def test_cuts_beside_a_description_without_hashes_are_read(corpus, tmp_path):
    folder = tmp_path / "world"
    written = write_corpus(folder, "world", {"train": corpus.utterances("train")})
    description = json.loads((folder / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps({**description, "splits": {"train": {}}}))
    assert Corpus.open(folder).utterances("train") == written.utterances("train")


def test_bad_clips_are_counted_up_to_their_share(jsonl, tmp_path, caplog):
    (tmp_path / "bad.wav").write_text("this is no sound")
    good = [{"audio": "a.wav", "start": start / 100} for start in range(120)]
    corpus = Corpus.from_jsonl("mine", {"train": jsonl(*good, {"audio": "bad.wav"})})
    assert len(corpus.utterances("train")) == 120 and list(corpus.skipped["train"]) == ["bad"]
    assert "1 of 121 clips cannot be used" in caplog.text
    bad = [{"audio": "bad.wav", "id": str(number)} for number in range(3)]
    with pytest.raises(
        CorpusError, match=r"3 of 123 clips cannot be used .* more than 1.0% are refused"
    ):
        Corpus.from_jsonl("mine", {"train": jsonl(*good, *bad)})
    with pytest.raises(CorpusError, match="more than 0.0%"):
        Corpus.from_jsonl("mine", {"train": jsonl(*good, bad[0])}, max_bad_share=0)


def test_a_test_set_takes_its_training_split_from_another_corpus(corpus):
    bare = Corpus("bare", corpus.labels, _sources={"test": corpus.utterances("test")})
    both = bare.trained_on(corpus)
    assert both.name == "bare" and set(both.splits) == {"test", "train"}
    assert both.utterances("train") == corpus.utterances("train")
    with pytest.raises(
        CorpusError, match="corpus 'bare' has no split 'train' to fit on, only test"
    ):
        corpus.trained_on(bare)


def test_own_classes_are_gathered_and_must_be_names(jsonl, tmp_path):
    path = jsonl(
        {"audio": "a.wav", "class": "bored"}, {"audio": "a.wav", "start": 1.0, "class": "keen"}
    )
    assert Corpus.from_jsonl("own", {"train": path}).labels["class"].names == ("bored", "keen")
    path = jsonl({"audio": "a.wav", "class": 3})
    with pytest.raises(
        CorpusError, match="'class' should be a string with a letter or digit, not 3"
    ):
        Corpus.from_jsonl("own", {"train": path})


def test_the_validation_split_is_stable_and_may_keep_speakers_together(tmp_path):
    made = utterances(tmp_path, 200)
    corpus = in_memory(made).with_validation(0.2, seed=1)
    held_out = {utterance.id for utterance in corpus.utterances("validation")}
    assert 20 < len(held_out) < 60 and len(corpus.utterances("train")) == 200 - len(held_out)
    fewer = in_memory(made[:100]).with_validation(0.2, seed=1)
    assert {u.id for u in fewer.utterances("validation")} == held_out & {u.id for u in made[:100]}
    by_speaker = in_memory(made).with_validation(0.3, by="speaker")
    assert not {u.speaker for u in by_speaker.utterances("train")} & {
        u.speaker for u in by_speaker.utterances("validation")
    }
    together = [replace(u, speaker=f"{u.speaker}+{u.speaker}x") for u in made[:100]]
    alone = [replace(u, speaker=f"{u.speaker}x") for u in made[100:]]
    pairs = in_memory([*together, *alone]).with_validation(0.3, by="speaker")
    sides = [
        {name for clip in pairs.utterances(split) for name in clip.speakers}
        for split in ("train", "validation")
    ]
    assert not sides[0] & sides[1]
    unnamed = [replace(u, speaker=None) for u in made]
    with pytest.raises(CorpusError, match="no utterance has a speaker"):
        in_memory(unnamed).with_validation(0.3, by="speaker")
    with pytest.raises(CorpusError, match="has a split 'validation' already"):
        corpus.with_validation(0.2)
    with pytest.raises(CorpusError, match="leaves nothing on one side"):
        in_memory(made).with_validation(1.0)


def test_a_clip_in_two_lines_is_on_one_side(tmp_path):
    made = utterances(tmp_path, 60)
    again = [replace(u, id=f"again-{u.id}", text=None) for u in made]
    corpus = in_memory([*made, *again]).with_validation(0.2)
    learned, held = (
        {u.audio for u in corpus.utterances(split)} for split in ("train", "validation")
    )
    assert held and not learned & held
    alone = in_memory(made).with_validation(0.2)
    assert {u.audio for u in alone.utterances("validation")} == held, "it keeps its side"


def lhotse_cut(*channels: list[int], labels: dict | None = None) -> MonoCut:
    """A cut of a recording with one source for each list of channels."""
    sources = [AudioSource("file", numbers, "a.wav") for numbers in channels]
    recording = Recording("r", sources, SAMPLING_RATE, 4 * SAMPLING_RATE, 4.0)
    told = SupervisionSegment("s", "r", 0.0, 4.0, custom=labels)
    return MonoCut("mine", 0.0, 4.0, channels[0][0], supervisions=[told], recording=recording)


@pytest.mark.parametrize(
    ("cut", "complaint"),
    [
        (lhotse_cut([0, 1]), "2 channels, cut from channel 0 .cut 'mine'.*save_audios"),
        (lhotse_cut([0], [1]), "2 sources .cut 'mine'.*save_audios"),
        (
            lhotse_cut([0]).perturb_speed(1.1),
            "transforms, which would not be applied .cut 'mine_sp1.1'.*save_audios",
        ),
        (
            lhotse_cut([0], labels={"num_speakers": "two"}),
            "'num_speakers' should be a whole number",
        ),
    ],
)
def test_lhotse_cuts_that_would_be_misheard_are_refused(jsonl, tmp_path, cut, complaint):
    with pytest.raises(CorpusError, match=f"line 1: .*{complaint}"):
        next(read_manifest(jsonl(cut.to_dict()), tmp_path))


def test_labels_of_lhotse_cuts_are_brought_into_one_form(jsonl, tmp_path):
    path = jsonl(lhotse_cut([0], labels={"slots": {"room": "kitchen"}, "intent": None}).to_dict())
    assert next(read_manifest(path, tmp_path)).labels == {"slots": [["room", "kitchen"]]}
