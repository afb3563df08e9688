"""Public corpora, each from a small copy in the layout that it is downloaded in."""

from __future__ import annotations

import gzip
import json
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sounds import sound, table, text

from speechverse.corpora import CORPORA
from speechverse.corpora.msp_podcast import sentiment_of
from speechverse.corpora.prepare import prepare
from speechverse.data import Corpus
from speechverse.errors import CorpusError
from speechverse.types import Utterance

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def prepared(name: str, source: Path) -> Corpus:
    """The corpus as it is read again from what was written."""
    output = source.parent / f"{name}-prepared"
    prepare(CORPORA[name], source, output)
    return Corpus.open(output)


def heard(clips: Iterable[Utterance]) -> dict[str, tuple[str, float, float, str | None]]:
    """What both we and lhotse tell of a clip: file, where it begins, how long it is, its text."""
    return {
        clip.id: (clip.audio.path.name, clip.audio.start, round(clip.duration, 2), clip.text)
        for clip in clips
    }


def by_lhotse(manifests: Mapping[str, Any]) -> dict[str, tuple[str, float, float, str | None]]:
    files = {one.id: one.sources[0].source for one in manifests["recordings"]}
    return {
        str(told.id): (
            *(Path(files[told.recording_id]).name, told.start),
            *(round(told.duration, 2), told.text),
        )
        for told in manifests["supervisions"]
    }


def by_id(corpus: Corpus, split: str) -> dict[str, Utterance]:
    return {clip.id: clip for clip in corpus.utterances(split)}


def test_librispeech_is_what_lhotse_reads_in_lower_case(tmp_path: Path):
    # https://www.openslr.org/12, README.TXT: PART/READER/CHAPTER/READER-CHAPTER.trans.txt
    from lhotse.recipes.librispeech import prepare_librispeech

    source = tmp_path / "LibriSpeech"
    for part, reader in (
        ("train-clean-100", "19"),
        ("train-other-500", "20"),
        ("test-clean", "21"),
    ):
        folder = source / part / reader / "1"
        text(
            folder / f"{reader}-1.trans.txt",
            *(f"{reader}-1-0000 HELLO THERE", f"{reader}-1-0001 YES"),
            *([f"{reader}-1-0002 GONE"] if reader == "20" else []),
        )
        for number in ("0000", "0001"):
            sound(folder / f"{reader}-1-{number}.flac")
    corpus = prepared("librispeech", source)
    assert set(corpus.splits) == {"train", "test-clean"}
    assert corpus.description["left_out"] == {"without sound": 1}
    theirs = prepare_librispeech(source, normalize_text="lower")
    assert heard(corpus.utterances("test-clean")) == by_lhotse(theirs["test-clean"])
    trained = by_lhotse(theirs["train-clean-100"]) | by_lhotse(theirs["train-other-500"])
    assert heard(corpus.utterances("train")) == trained
    assert by_id(corpus, "train")["19-1-0000"].speaker == "19"
    (source / "test-clean" / "21" / "1" / "21-1-0001.flac").unlink()
    with pytest.raises(CorpusError, match="2 of 7 clips are without sound; more than 1%"):
        prepared("librispeech", source)
    assert by_id(corpus, "train")["19-1-0000"].text == "hello there"


def test_voxpopuli_is_what_lhotse_reads_of_the_sessions(tmp_path: Path):
    # https://github.com/facebookresearch/voxpopuli, get_asr_data.py: raw_audios/original/YEAR/
    # SESSION_original.ogg and asr_en.tsv.gz, with '|' between its cells
    from lhotse.recipes.voxpopuli import prepare_voxpopuli

    source = tmp_path / "voxpopuli"
    session = "20120101-0900-PLENARY-1"
    sound(source / "raw_audios/original/2012" / f"{session}_original.ogg", seconds=3)
    rows = (
        "id_|session_id|start_time|end_time|original_text|normed_text|speaker_id|gender|split",
        f"a|{session}|0.5|1.5|Mr President.|mr president|7|male|train",
        f"b|{session}|1.5|2.0|Thanks.|thanks|8|female|test",
        f"c|{session}|2.0|2.5|||8|female|test",
        f"d|{session}|2.5|2.9|Yes.|yes|None|None|dev",
        "e|20120102-0900-PLENARY-1|0.5|1.5|Gone.|gone|9|female|train",
    )
    with gzip.open(source / "asr_en.tsv.gz", "wt") as out:
        out.write("".join(row + "\n" for row in rows))
    corpus = prepared("voxpopuli", source)
    assert corpus.description["left_out"] == {"no transcript": 1, "without sound": 1}
    clip = corpus.utterances("train")[0]
    assert (clip.text, clip.speaker, clip.language) == ("mr president", "7", "en")
    assert corpus.utterances("dev")[0].speaker is None
    (source / "raw_audios/en").symlink_to(source / "raw_audios/original")  # where lhotse looks
    theirs = prepare_voxpopuli(source, source)
    for split in ("train", "test"):
        said = {name: told for name, told in by_lhotse(theirs[split]).items() if told[3]}
        assert heard(corpus.utterances(split)) == said


COMMON_VOICE_5 = (
    *("client_id", "path", "sentence", "up_votes", "down_votes"),
    *("age", "gender", "accent", "locale", "segment"),
)


def common_voice_row(client: str, path: str, sentence: str, accent: str = "") -> tuple[str, ...]:
    return (client, path, sentence, "2", "0", "", "", accent, "en", "")


def test_common_voice_trains_on_what_is_validated_and_not_measured_on(tmp_path: Path):
    # https://github.com/common-voice/cv-dataset: en/clips/*.mp3 and en/*.tsv; columns of 5.1
    source = tmp_path / "cv-corpus-5.1-2020-06-22"
    tested = common_voice_row("t", "common_voice_en_1.mp3", "Say it.", "england")
    rows = [
        tested,
        common_voice_row("t", "common_voice_en_2.mp3", "Another voice of the test."),
        common_voice_row("a", "common_voice_en_3.mp3", 'say "it"'),
        common_voice_row("a", "common_voice_en_4.mp3", 'He said "no.', "us"),
        common_voice_row("b", "common_voice_en_5.mp3", "A Scot.", "scotland"),
    ]
    for row in rows:
        sound(source / "en/clips" / row[1])
    table(source / "en/validated.tsv", COMMON_VOICE_5, *rows)
    table(source / "en/test.tsv", COMMON_VOICE_5, tested)
    table(source / "en/dev.tsv", COMMON_VOICE_5)
    corpus = prepared("common_voice", source)
    trained = by_id(corpus, "train")
    assert {clip.text for clip in trained.values()} == {'He said "no.', "A Scot."}
    assert corpus.description["left_out"] == {
        "a speaker of dev or test": 1,
        "a sentence of dev or test": 1,
    }
    assert trained["common_voice_en_4"].labels == {"accent": "American"}
    assert "accent" not in trained["common_voice_en_5"].labels
    assert [clip.labels["accent"] for clip in corpus.utterances("test")] == ["British"]


def test_common_voice_s_sentences_are_without_the_quotes_of_its_tables(tmp_path: Path):
    # https://github.com/common-voice/CorporaCreator/issues/108: sentences of cv-corpus-5, one of
    # them an empty string in quotes; strokes: get_covost_splits.py, escapechar
    said = ('"""Good-bye,"" said the boy."', '"The end."', '""', '"A" or "B"', "It\\'s me.")
    rows = [common_voice_row("a", f"{place}.mp3", cell) for place, cell in enumerate(said)]
    for row in rows:
        sound(tmp_path / "en/clips" / row[1])
    table(tmp_path / "en/validated.tsv", COMMON_VOICE_5, *rows)
    table(tmp_path / "en/dev.tsv", COMMON_VOICE_5)
    table(tmp_path / "en/test.tsv", COMMON_VOICE_5)
    corpus = prepared("common_voice", tmp_path)
    assert [clip.text for clip in corpus.utterances("train")] == [
        '"Good-bye," said the boy.',
        "The end.",
        '"A" or "B"',
        "It's me.",
    ]
    assert corpus.description["left_out"] == {"an empty sentence": 1}


def test_a_later_common_voice_is_what_lhotse_reads(tmp_path: Path):
    # lhotse's recipe wants the columns of later releases: accents, variant
    from lhotse.recipes.commonvoice import _parse_utterance

    columns = (*COMMON_VOICE_5[:7], "accents", "variant", "locale", "segment")
    rows = [
        ("a", "one.mp3", "One.", "2", "0", "", "", "Canadian English", "", "en", ""),
        ("b", "two.mp3", "Two.", "2", "0", "", "", "", "", "en", ""),
    ]
    source = tmp_path / "cv"
    for row in rows:
        sound(source / "en/clips" / row[1])
    table(source / "en/validated.tsv", columns, *rows)
    table(source / "en/test.tsv", columns, rows[1])
    table(source / "en/dev.tsv", columns)
    corpus = prepared("common_voice", source)
    ours = {**by_id(corpus, "train"), **by_id(corpus, "test")}
    assert ours["one"].labels == {"accent": "Canadian"}
    for row in rows:
        read = _parse_utterance(source / "en", "en", dict(zip(columns, row, strict=True)))
        assert read is not None
        recording, told = read
        clip = ours[told.id]
        assert (clip.text, clip.speaker, clip.audio.path) == (
            *(told.text, told.speaker),
            Path(recording.sources[0].source),
        )
        assert clip.duration == pytest.approx(told.duration, abs=0.05)


def test_covost2_gives_a_clip_both_translations_and_the_corpus_s_own_splits(tmp_path: Path):
    # https://github.com/facebookresearch/covost, get_covost_splits.py
    source = tmp_path / "covost"
    rows = [common_voice_row("a", f"c{number}.mp3", f"Say {number}.") for number in range(4)]
    for row in rows:
        sound(source / "en/clips" / row[1])
    table(source / "en/validated.tsv", COMMON_VOICE_5, *rows[:3])
    splits = ("train", "train_covost", "test", "train")
    for language in ("de", "ca"):
        told = [
            (f"c{number}.mp3", f"{language} {number}", split) for number, split in enumerate(splits)
        ]
        columns = ("path", "translation", "split")
        table(source / f"covost_v2.en_{language}.tsv", columns, *told)
    corpus = prepared("covost2", source)
    assert list(by_id(corpus, "train")) == ["c0", "c1"]
    clip = corpus.utterances("test")[0]
    assert (clip.id, clip.text) == ("c2", "Say 2.")
    assert clip.labels == {"translations": {"de": "de 2", "ca": "ca 2"}}
    assert corpus.description["left_out"] == {"not validated": 2}


def slurp_line(number: int, words: str, intent: str, *entities: tuple[str, int]) -> str:
    return json.dumps(
        {
            "slurp_id": number,
            "sentence": words,
            "intent": intent.split("_")[-1]
            if number % 4 == 3
            else intent,  # so in some of its lines
            "scenario": intent.split("_")[0],
            "action": intent.split("_")[1],
            "tokens": [{"surface": word, "id": place} for place, word in enumerate(words.split())],
            "entities": [{"span": [place], "type": name} for name, place in entities],
            "recordings": [
                {"file": f"audio-{number}.flac"},
                {"file": f"audio-{number}-headset.flac"},
            ],
        }
    )


@pytest.fixture
def slurp(tmp_path: Path) -> Path:
    """Eleven intents and six slots; of the slots, `event_name` is the most frequent."""
    # https://github.com/pswietojanski/slurp, README: dataset/slurp/*.jsonl, audio/slurp_real
    source, numbers = tmp_path / "slurp", iter(range(1000))
    common = [f"task_{letter}" for letter in "abcdefghij"]
    slots = ["date", "place_name", "person", "time", "event_name", "event_name"]
    train = [
        slurp_line(next(numbers), "do it today", intent, (slots[turn % 6], 2))
        for turn, intent in enumerate([*common, *common])
    ]
    train += [slurp_line(next(numbers), "make coffee", "iot_coffee", ("coffee_type", 1))]
    test = [
        slurp_line(next(numbers), "at nine", "task_a", ("time", 1)),
        slurp_line(
            next(numbers), "black coffee at nine", "iot_coffee", ("coffee_type", 0), ("time", 3)
        ),
        slurp_line(next(numbers), "black coffee", "iot_coffee", ("coffee_type", 0)),
        slurp_line(next(numbers), "do it", "task_b"),
    ]
    folder = source / "dataset/slurp"
    for name, lines in {"train": train, "devel": test[:1], "test": test}.items():
        text(folder / f"{name}.jsonl", *lines)
    text(folder / "train_synthetic.jsonl", slurp_line(900, "wake me", "task_a"))
    known = {}
    for number in range(next(numbers)):
        for name in (f"audio-{number}.flac", f"audio-{number}-headset.flac"):
            sound(source / "audio/slurp_real" / name, seconds=0.1)
            known[name] = {"usrid": f"FE-{number % 3}"}
    text(folder / "metadata.json", json.dumps({"1": {"recordings": known}}))
    return source


def test_slurp_keeps_the_paper_s_ten_intents_and_four_slots(slurp: Path, tmp_path: Path):
    # the development sentence is said in the test too: the ids are those of the files
    text(slurp / "dataset/slurp/devel.jsonl")
    corpus = prepared("slurp", slurp)
    assert len(corpus.labels["intent"].descriptions) == 10
    assert set(corpus.labels["slots"].descriptions) == {"date", "place_name", "person", "time"}
    assert "clock" in corpus.labels["slots"].descriptions["time"]
    labels = {clip.text: dict(clip.labels) for clip in corpus.utterances("test")}
    assert labels == {
        "at nine": {"intent": "task_a", "slots": [["time", "nine"]]},
        "black coffee at nine": {},
        "black coffee": {},
        "do it": {"intent": "task_b"},
    }
    assert corpus.utterances("test")[0].speaker == "FE-0"
    assert sum(corpus.description["left_out"].values()) == 1  # synthetic sentences without sound


def test_slurp_unseen_is_what_slurp_leaves_out(slurp: Path, tmp_path: Path):
    text(slurp / "dataset/slurp/devel.jsonl")
    corpus = prepared("slurp_unseen", slurp)
    assert corpus.splits == ("test",)
    assert set(corpus.labels["intent"].descriptions) == {"iot_coffee"}
    labels = {clip.text: dict(clip.labels) for clip in corpus.utterances("test")}
    assert labels == {
        "black coffee at nine": {"intent": "iot_coffee"},
        "black coffee": {"intent": "iot_coffee", "slots": [["coffee_type", "black"]]},
    }
    everything = prepared("slurp_all", slurp)
    assert len(everything.labels["intent"].descriptions) == 11


def europarl_part(folder: Path, language: str, split: str, *segments: tuple[str, ...]) -> None:
    """Segments are speech, start, end, text, translation."""
    part = folder / language / split
    speeches = dict.fromkeys(row[0] for row in segments)
    text(part / "speeches.lst", *speeches)
    text(part / "speakers.lst", *(f"MEP_{speech[-1]}" for speech in speeches))
    text(part / "segments.lst", *(" ".join(row[:3]) for row in segments))
    text(part / "segments.en", *(row[3] for row in segments))
    text(part / f"segments.{language}", *(row[4] for row in segments))


def test_europarl_st_joins_directions_and_keeps_tested_speeches_apart(tmp_path: Path):
    # https://www.mllp.upv.es/europarl-st, README: en/audios, en/XX/SPLIT/{segments,speeches}.*
    folder = tmp_path / "v1.1/en"
    for name in ("en.1", "en.2"):
        sound(folder / "audios" / f"{name}.m4a", seconds=3)
    for language in ("de", "fr", "ro"):
        said = ("en.1", "0.00", "1.00", "Thank\u2028you.", f"{language} thanks")
        also = ("en.2", "0.50", "1.50", "No.", f"{language} no")
        tests = language == "fr"
        europarl_part(folder, language, "train", said, *([] if tests else [also]))
        europarl_part(folder, language, "test", *([also] if tests else []))
        europarl_part(folder, language, "dev")
    corpus = prepared("europarl_st", tmp_path)
    (clip,) = corpus.utterances("train")
    assert (clip.text, clip.speaker, clip.duration) == ("Thank\u2028you.", "MEP_1", 1.0)
    assert clip.labels == {
        "translations": {"de": "de thanks", "fr": "fr thanks", "ro": "ro thanks"}
    }
    assert [clip.text for clip in corpus.utterances("test")] == ["No."]
    assert corpus.description["left_out"] == {"a speech that is in test too": 2}
    text(folder / "ro/test/speakers.lst", "MEP_1", "MEP_2")
    with pytest.raises(CorpusError, match="speeches.lst, speakers.lst have unlike many lines"):
        prepare(CORPORA["europarl_st"], tmp_path, tmp_path / "out")


def test_msp_podcast_has_four_emotions_and_sentiment_by_valence(tmp_path: Path):
    # the release's readme.txt: Audios/, Labels/labels_consensus.csv, Transcripts/
    rows = [
        ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set"),
        ("MSP-PODCAST_0001_0001.wav", "H", "4.0", "5.2", "4.0", "12", "Male", "Train"),
        ("MSP-PODCAST_0001_0002.wav", "X", "4.0", "3.0", "4.0", "Unknown", "Male", "Test1"),
        ("MSP-PODCAST_0001_0003.wav", "A", "4.0", "2.9", "4.0", "13", "Male", "Test3"),
    ]
    table(tmp_path / "msp/Labels/labels_consensus.csv", *rows, delimiter=",")
    for row in rows[1:]:
        sound(tmp_path / "msp/Audios" / row[0])
    text(tmp_path / "msp/Transcripts/MSP-PODCAST_0001_0001.txt", "That is great!")
    corpus = prepared("msp_podcast", tmp_path / "msp")
    (clip,) = corpus.utterances("train")
    assert (clip.text, clip.speaker) == ("That is great!", "12")
    assert clip.labels == {"emotion": "happy", "sentiment": "positive", "valence": 5.2}
    (clip,) = corpus.utterances("test")
    assert (clip.text, clip.speaker) == (None, None)
    assert clip.labels == {"sentiment": "neutral", "valence": 3.0}
    assert corpus.description["left_out"] == {"split Test3": 1}
    folder = tmp_path / "msp/Labels"
    folder.joinpath("labels_consensus.csv").rename(folder / "labels_concensus.csv")  # as in 1.8
    assert prepared("msp_podcast", tmp_path / "msp").splits == corpus.splits


def test_valence_on_the_thresholds_is_neutral():
    assert [sentiment_of(v) for v in (1, 2.99, 3, 4, 5, 5.01)] == [
        *("negative", "negative", "neutral"),
        *("neutral", "neutral", "positive"),
    ]


@pytest.fixture
def fisher(tmp_path: Path) -> Path:
    """Both parts; every conversation has two people, of whom one talks and the other joins in."""
    # https://catalog.ldc.upenn.edu/LDC2004T19 and LDC2004S13: data/trans/000/fe_03_00001.txt,
    # fe_03_p1_sph1/audio/000/fe_03_00001.sph, doc/fe_03_p1_calldata.tbl
    source = tmp_path / "fisher"
    for part, year in (("1", "2004"), ("2", "2005")):
        calls = ["CALL_ID,DATE_TIME,TOPICID,SIG_GRADE,CNV_GRADE,APIN,ASX.DL,APHNUM,ASTAT,ASIG,BPIN"]
        for number in range(1, 4):
            name = f"{part}000{number}"
            calls.append(f"{name},x,x,x,x,{name}A,x,x,x,x,{name}B")
            folder = f"LDC{year}S13/fe_03_p{part}_sph1/audio/00{part}"
            sound(source / folder / f"fe_03_{name}.sph", seconds=41, rate=8000, channels=2)
            text(
                source / f"LDC{year}T19/data/trans/00{part}/fe_03_{name}.txt",
                *(f"# fe_03_{name}.sph", "# Transcribed at the LDC", ""),
                *("0.00 5.00 A: well hello", "10.00 12.00 B: yes", "10.50 15.00 A: and so on"),
                *("20.00 20.30 B: uh", "40.50 41.00 B: bye"),
            )
        text(source / f"LDC{year}T19/doc/fe_03_p{part}_calldata.tbl", *calls)
    return source


def test_fisher_counts_who_speaks_in_windows_of_both_sides(fisher: Path):
    corpus = prepared("fisher", fisher)
    clips = by_id(corpus, "train")
    one, two = clips["fe_03_10001@0"], clips["fe_03_10001@10"]
    assert (one.labels, one.speaker) == ({"num_speakers": 1}, "10001A")
    assert (two.labels, two.speaker) == ({"num_speakers": 2}, "10001A+10001B")
    assert 2.0 <= one.duration <= 4.6 and one.duration != two.duration
    assert len(clips) == 12 and "fe_03_10001@20" not in clips


def test_fisher_s_transcripts_may_lie_in_the_folder_they_are_packed_in(fisher: Path):
    for transcripts in sorted(fisher.glob("LDC200?T19")):
        inner = transcripts / f"fe_03_p{1 + (transcripts.name > 'LDC2005')}_tran"
        inner.mkdir()
        for name in ("data", "doc"):
            (transcripts / name).rename(inner / name)
    assert len(prepared("fisher", fisher).utterances("train")) == 12


def test_fisher_s_compressed_sound_is_refused_until_it_is_decoded(fisher: Path):
    # https://catalog.ldc.upenn.edu/LDC2004S13: "shorten" compression has been applied to all files
    for path in fisher.rglob("*.sph"):
        plain = path.read_bytes()
        coding = b"-s26 ulaw,embedded-shorten-v2.00"
        path.write_bytes(plain.replace(b"-s4 ulaw", coding)[:1024])
    with pytest.raises(CorpusError, match="sph2pipe -f wav fe_03_10001.sph fe_03_10001.wav"):
        prepare(CORPORA["fisher"], fisher, fisher.parent / "out")
    for path in fisher.rglob("*.sph"):
        sound(path.with_suffix(".wav"), seconds=41, rate=8000, channels=2)
    clips = prepared("fisher", fisher).utterances("train")
    assert {clip.audio.path.suffix for clip in clips} == {".wav"} and len(clips) == 12


def test_fisher_s_turns_are_what_lhotse_reads(
    fisher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from lhotse.recipes.fisher_english import prepare_fisher_english

    # Its recipe needs the program sph2pipe for the sound; this one does as much of it.
    program = tmp_path / "bin/sph2pipe"
    text(program, f"#!{sys.executable}", "import soundfile, sys", *SPH2PIPE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    theirs = prepare_fisher_english(fisher, tmp_path / "out", absolute_paths=True)
    said = [told for told in theirs["supervisions"] if told.recording_id == "fe_03_10001"]
    spoken = {told.speaker for told in said if told.start < 15 and told.end > 10}
    two = by_id(prepared("fisher", fisher), "train")["fe_03_10001@10"]
    assert two.speaker == "+".join(sorted(spoken))
    files = {one.id: one.sources[0].source for one in theirs["recordings"]}
    assert two.audio.path == Path(files["fe_03_10001"])


SPH2PIPE = (
    "samples, rate = soundfile.read(sys.argv[-1], dtype='int16')",
    "soundfile.write(sys.stdout.buffer, samples, rate, format='WAV')",
)


def test_musan_is_speech_or_not_without_singing(tmp_path: Path):
    # https://www.openslr.org/17: musan/{music,noise,speech}/SOURCE/, ANNOTATIONS in music
    from lhotse.recipes.musan import prepare_musan

    folder = tmp_path / "musan"
    sound(folder / "speech/librivox/speech-librivox-0000.wav", seconds=12)
    sound(folder / "noise/free-sound/noise-free-sound-0000.wav")
    sound(folder / "music/fma/music-fma-0000.wav")
    sound(folder / "music/fma/music-fma-0001.wav")
    text(
        folder / "music/fma/ANNOTATIONS",
        *("music-fma-0000 jazz N somebody", "music-fma-0001 pop Y anybody"),
    )
    corpus = prepared("musan", tmp_path)
    clips = [clip for split in corpus.splits for clip in corpus.utterances(split)]
    assert {(clip.labels["sound"], clip.labels["is_speech"], clip.text) for clip in clips} == {
        ("speech", True, None),
        ("noise", False, ""),
        ("music", False, ""),
    }
    assert corpus.description["left_out"] == {"music with singing": 1}
    lengths = [clip.duration for clip in clips if clip.labels["is_speech"]]
    assert lengths == [6.0, 6.0]
    theirs = prepare_musan(folder, use_vocals=False)
    unsung = {told.recording_id for told in theirs["music"]["supervisions"]}
    assert {clip.id for clip in clips if clip.labels["sound"] == "music"} == unsung


def test_fluent_speech_commands_has_one_intent_a_clip(tmp_path: Path):
    # its README: data/*_data.csv with path, speakerId, transcription, action, object, location
    columns = ("", "path", "speakerId", "transcription", "action", "object", "location")
    rows = {
        "train": (
            "0",
            "wavs/speakers/a/1.wav",
            "a",
            '"Lights, on"',
            "activate",
            "lights",
            "kitchen",
        ),
        "valid": ("0", "wavs/speakers/b/2.wav", "b", "Get my shoes", "bring", "shoes", "none"),
        "test": ("0", "wavs/speakers/c/3.wav", "c", "Music", "activate", "music", "none"),
    }
    for split, row in rows.items():
        table(tmp_path / "fsc" / f"data/{split}_data.csv", columns, row, delimiter=",")
        sound(tmp_path / "fsc" / row[1])
    corpus = prepared("fluent_speech_commands", tmp_path / "fsc")
    told = {
        split: [(clip.text, clip.labels["intent"]) for clip in corpus.utterances(split)]
        for split in corpus.splits
    }
    assert told == {
        "train": [("Lights, on", "activate_lights_kitchen")],
        "dev": [("Get my shoes", "bring_shoes")],
        "test": [("Music", "activate_music")],
    }
    pytest.importorskip("pandas", reason="lhotse reads this corpus by pandas")
    from lhotse import SupervisionSet
    from lhotse.recipes.slu import prepare_slu

    prepare_slu(tmp_path / "fsc", tmp_path)
    for own, theirs in (("train", "train"), ("dev", "valid"), ("test", "test")):
        [clip] = corpus.utterances(own)
        [told] = SupervisionSet.from_file(tmp_path / f"slu_supervisions_{theirs}.jsonl.gz")
        assert (clip.text, clip.duration) == (told.text, pytest.approx(told.duration))
        words = [word for word in told.custom["frames"] if word != "none"]
        assert clip.labels["intent"] == "_".join(words)


def test_fleurs_has_english_with_translations(tmp_path: Path):
    # https://huggingface.co/datasets/google/fleurs, in the layout of lhotse's download_fleurs
    from lhotse.recipes.fleurs import prepare_fleurs

    for language, said in (("en_us", "Good day."), ("de_de", "Guten Tag."), ("sw_ke", "Habari.")):
        for split in ("train", "dev", "test"):
            row = ("42", f"{language}-{split}.wav", said, said.lower(), "x", "6400", "MALE")
            table(tmp_path / "fleurs" / "metadata" / language / f"{split}.tsv", row)
            sound(tmp_path / "fleurs" / language / split / row[1])
    corpus = prepared("fleurs", tmp_path / "fleurs")
    english, german, swahili = sorted(
        corpus.utterances("test"), key=lambda clip: "eds".index(clip.language[0])
    )
    assert (english.text, german.language, swahili.language) == ("Good day.", "de", "sw")
    assert english.labels == {"translations": {"de": "Guten Tag."}}
    assert german.labels == {}
    theirs = prepare_fleurs(tmp_path / "fleurs", tmp_path / "out")["en_us"]["test"]
    (told,) = by_lhotse(theirs).values()
    assert told[:3] == heard([english])[english.id][:3]


def test_a_folder_of_another_layout_is_refused_with_what_was_expected(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"has no .*train-clean-100"):
        prepare(CORPORA["librispeech"], tmp_path, tmp_path / "out")
    with pytest.raises(CorpusError, match="unknown corpus 'librispeach'; did you mean"):
        CORPORA["librispeach"]


def test_missing_sound_is_counted_and_too_much_of_it_refused(tmp_path: Path):
    table(tmp_path / "mine.csv", ("audio", "text"), ("a.wav", "a"), ("b.wav", "b"), delimiter=",")
    sound(tmp_path / "a.wav")
    found = prepare(CORPORA["csv"], tmp_path / "mine.csv", tmp_path / "out")
    assert list(found.bad) == ["mine-3"]
    (tmp_path / "a.wav").unlink()
    with pytest.raises(CorpusError, match="2 of 2 clips cannot be used"):
        prepare(CORPORA["csv"], tmp_path / "mine.csv", tmp_path / "out")


def test_a_part_that_its_file_does_not_have_is_a_bad_clip_and_no_end(tmp_path: Path):
    sound(tmp_path / "a.wav")
    parts = (("a.wav", "0", "0.2"), ("a.wav", "0.2", "0.9"))
    table(tmp_path / "mine.csv", ("audio", "start", "duration"), *parts, delimiter=",")
    found = prepare(CORPORA["csv"], tmp_path / "mine.csv", tmp_path / "out")
    assert list(found.bad) == ["mine-3"] and "do not fit the 0.40 s" in found.bad["mine-3"]


def test_what_a_library_cannot_read_is_told_as_the_user_s_to_mend(tmp_path: Path):
    text(tmp_path / "data/wav.scp", "a sox a.mp3 -t wav - |")
    text(tmp_path / "data/utt2spk", "a ann")
    with pytest.raises(CorpusError, match="cannot be read .*; kaldi wants wav.scp"):
        prepare(CORPORA["kaldi"], tmp_path / "data", tmp_path / "out")


def test_a_corpus_is_never_written_over_what_it_is_read_from(tmp_path: Path):
    sound(tmp_path / "a.wav")
    table(tmp_path / "train.csv", ("audio", "text"), ("a.wav", "a"), delimiter=",")
    prepare(CORPORA["csv"], tmp_path, tmp_path / "out")
    before = (tmp_path / "out/train.jsonl.gz").read_bytes()
    for source in (tmp_path / "out", tmp_path / "out/train.jsonl.gz"):
        with pytest.raises(CorpusError, match="would be written over"):
            prepare(CORPORA["cuts"], source, tmp_path / "out")
    (tmp_path / "others/train.csv").parent.mkdir()
    (tmp_path / "train.csv").rename(tmp_path / "others/train.csv")
    with pytest.raises(CorpusError, match="would be written over"):
        prepare(CORPORA["csv"], tmp_path / "others", tmp_path / "out")
    assert (tmp_path / "out/train.jsonl.gz").read_bytes() == before
    (tmp_path / "out/corpus.json").unlink()  # cuts that nobody described
    with pytest.raises(CorpusError, match="would be written over"):
        prepare(CORPORA["csv"], tmp_path / "others", tmp_path / "out")


def test_a_corpus_of_one_s_own_is_a_few_lines(tmp_path: Path):
    text(
        tmp_path / "mine.py",
        "from speechverse.corpora import CorpusReader",
        "def read(reading):",
        "    for path in sorted(reading.source.glob('*.wav')):",
        "        yield 'train', {'id': path.stem, 'audio': str(path), 'emotion': path.stem[0]}",
        "MINE = CorpusReader('mine', 'wav files', 'here', read)",
    )
    sound(tmp_path / "in/a1.wav")
    reader = CORPORA[f"{tmp_path / 'mine.py'}:MINE"]
    prepare(reader, tmp_path / "in", tmp_path / "out")
    assert Corpus.open(tmp_path / "out").labels["emotion"].descriptions == {"a": ""}
