"""Neural voices, with stand-ins for the packages that hold them: who speaks, what is labelled, what
is refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speechverse.audio import Waveform
from speechverse.data import Corpus
from speechverse.errors import CorpusError, MissingExtraError, SpeechverseError, UserError
from speechverse.world import neural, read_lines, speak, synthesize_corpus
from speechverse.world.clip import Prosody
from speechverse.world.neural import KokoroVoices, check_neural
from speechverse.world.styles import SPEEDS
from speechverse.world.voices import neural_speakers

_HIBARI = '''
import numpy as np
class Hibari:
    """Says each letter as a tone of its own, as long as the speed has it."""
    def __init__(self, g2p): self._g2p = g2p
    def phonemize(self, text): return [line for line in self._g2p(text).split(".") if line.strip()]
    def ids(self, phonemes): return [0, *(ord(sign) % 100 for sign in phonemes), 0]
    def from_ids(self, ids, speed, rng):
        time = np.arange(round(1200 / speed)) / 24000
        tones = [np.sin(2 * np.pi * (200 + 10 * number) * time) for number in ids[1:-1]]
        return np.concatenate(tones).astype(np.float32) + 1e-3 * rng.standard_normal(len(tones) * len(time))
'''
_G2P = """
class G2P:
    def __init__(self, british): self.british = british
    def __call__(self, text): return "".join(sign for sign in text.lower() if sign.isalpha() or sign in " .")
"""
_ONNXRUNTIME = """
import numpy as np
class SessionOptions: pass
class InferenceSession:
    def __init__(self, path, options, providers): assert options.intra_op_num_threads == 1
    def run(self, _names, inputs):
        assert inputs["tokens"].shape == (1, len(inputs["tokens"][0])) and inputs["style"].shape == (1, 256)
        length = round(1200 * len(inputs["tokens"][0]) / inputs["speed"][0])
        return [np.sin(np.arange(length) * inputs["style"][0, 0] / 100).astype(np.float32)]
"""

Write = Callable[..., Path]


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small modules in the place of hibari and onnxruntime, for this process and for the workers;
    no real weights.
    """
    folder = tmp_path / "stand-ins"
    (folder / "hibari").mkdir(parents=True)
    (folder / "hibari" / "__init__.py").write_text(_HIBARI)
    (folder / "hibari" / "g2p.py").write_text(_G2P)
    (folder / "onnxruntime.py").write_text(_ONNXRUNTIME)
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("hibari", "onnxruntime")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield folder
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("hibari", "onnxruntime")
    ]:
        del sys.modules[name]


@pytest.fixture
def kokoro(stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a model that is none, and two voices."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("SPEECHVERSE_CACHE", str(cache))
    (cache / "kokoro-82m").mkdir(parents=True)
    (cache / "kokoro-82m" / neural.KOKORO_MODEL).write_bytes(b"weights")
    voices = cache / "kokoro-voices" / "voices"
    voices.mkdir(parents=True)
    for number, name in enumerate(("af_heart", "bm_george"), start=1):
        np.full((510, 256), number, np.float32).tofile(voices / f"{name}.bin")
    return cache


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(*lines: dict[str, object]) -> Path:
        path = tmp_path / "mine.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return to_file


def test_lines_are_spoken_in_the_one_voice_at_several_pitches(
    stand_ins: Path, write: Write, tmp_path: Path
) -> None:
    texts = [
        f"Sentence {word}, please." for word in "one two three four five six seven eight".split()
    ]
    path = write(*({"text": text, "intent": "ask"} for text in texts))
    synthesize_corpus(tmp_path / "out", read_lines(path, engine="hibari"), num_workers=1)
    clips = Corpus.open(tmp_path / "out").utterances("train")
    assert [clip.text for clip in clips] == texts
    assert {clip.labels["accent"] for clip in clips} == {"american"}
    assert all(clip.labels["num_speakers"] == 1 and clip.labels["is_speech"] for clip in clips)
    assert not any({"emotion", "sentiment"} & set(clip.labels) for clip in clips)
    names = {clip.speaker for clip in clips}
    assert len(names) > 2 and all(name.startswith("hibari-heart") for name in names)


def test_same_bytes_for_any_number_of_workers_and_after_an_interruption(
    stand_ins: Path, write: Write, tmp_path: Path, small_shards: None
) -> None:
    source = read_lines(
        write(*({"text": f"number {'abcdefghi'[number]}"} for number in range(9))), engine="hibari"
    )

    spoken = []

    def interrupt(count: int) -> None:
        spoken.extend([1] * count)
        if len(spoken) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize_corpus(tmp_path / "broken", source, num_workers=1, progress=interrupt)
    assert synthesize_corpus(tmp_path / "broken", source, num_workers=1).num_reused in (4, 8)
    synthesize_corpus(tmp_path / "two", source, num_workers=2)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.flac")}
        for name in ("broken", "two")
    )
    assert one == two and len(one) == 9


def test_voices_are_kept_apart_by_part() -> None:
    parts = {
        part: {speaker.voice for speaker in neural_speakers("kokoro", part)}
        for part in ("train", "dev", "test")
    }
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == 28
    for part in ("dev", "test"):
        assert {voice[:2] for voice in parts[part]} == {"af", "am", "bf", "bm"}
    assert not neural_speakers("hibari", "test"), "its one voice is a training voice of Kokoro's"


@pytest.mark.parametrize(
    ("line", "engine", "message"),
    [
        (
            {"emotion": "sad"},
            "kokoro",
            "cannot act: take --engine espeak, or, to keep it as a mere label",
        ),
        ({"language": "de"}, "kokoro", "speaks English alone"),
        ({"accent": "scottish"}, "kokoro", "scottish.*american, british"),
        ({"voice": "bm_george", "accent": "american"}, "kokoro", "is british, not american"),
        ({"voice": "af_kore"}, "kokoro", "none of the split 'train'"),
        ({"voice": "bm_georg"}, "kokoro", "did you mean 'bm_george'"),
        ({"split": "test"}, "hibari", "has one voice, for 'train'"),
    ],
)
def test_lines_that_the_voices_cannot_speak_are_refused(
    kokoro: Path, write: Write, line: dict[str, str], engine: str, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read_lines(write({"text": "hello", **line}), engine=engine)


def test_a_folder_begun_with_another_engine_is_refused(
    stand_ins: Path, write: Write, tmp_path: Path
) -> None:
    path = write({"text": "hello there"})
    synthesize_corpus(tmp_path / "out", read_lines(path, engine="hibari"), num_workers=1)
    with pytest.raises(CorpusError, match="different settings"):
        synthesize_corpus(tmp_path / "out", read_lines(path), num_workers=1)


def test_one_text_is_spoken_and_its_speed_stays_within_bounds(stand_ins: Path) -> None:
    lengths = [len(speak("hello you", engine="hibari", seed=seed).samples) for seed in range(3)]
    assert len(set(lengths)) == 3 and max(lengths) / min(lengths) < SPEEDS[1] / SPEEDS[0] * 1.3
    with pytest.raises(UserError, match="cannot act an emotion"):
        speak("hello", engine="hibari", emotion="sad")
    with pytest.raises(UserError, match="did you mean 'kokoro'"):
        speak("hello", engine="kokorro")


def test_kokoro_speaks_in_the_style_for_the_length_and_in_pieces(kokoro: Path) -> None:
    engine = KokoroVoices(seed=1)
    short = engine.say("hello there", "bm_george", Prosody())
    assert short.dtype == np.float32 and len(short) == 1200 * 13
    assert len(engine.say("hello there", "af_heart", Prosody(rate=340))) == 600 * 13
    long = engine.say("word " * 300, "af_heart", Prosody())
    assert len(long) > 1200 * 1400 * 0.9, (
        "1,500 phonemes do not fit the model at once, and all are said"
    )
    with pytest.raises(SpeechverseError, match="found nothing to say"):
        engine.say("12", "af_heart", Prosody())
    with pytest.raises(UserError, match="am_adam.bin' is no voice"):
        engine.say("hello", "am_adam", Prosody())


def test_missing_files_are_told_of(kokoro: Path, write: Write) -> None:
    (kokoro / "kokoro-82m" / neural.KOKORO_MODEL).unlink()
    with pytest.raises(UserError, match="speechverse pretrained get kokoro-82m"):
        read_lines(write({"text": "hello"}), engine="kokoro")


def test_a_missing_package_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"speechverse\[voices\]"):
        check_neural()


def test_the_real_voices_say_something(write: Write, tmp_path: Path) -> None:
    pytest.importorskip("hibari")
    pytest.importorskip("onnxruntime")
    try:
        neural.kokoro_files()
        engines = ["hibari", "kokoro"]
    except UserError as error:
        pytest.skip(f"the real weights are not here: {error}")
    clips: list[Waveform] = [speak("Good morning.", engine=engine) for engine in engines]
    assert all(0.4 < clip.duration < 2.5 and np.abs(clip.samples).max() > 0.01 for clip in clips)
