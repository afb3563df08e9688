"""What the made speech holds: labels for all tasks, voices apart, styles that can be heard, nothing
silent.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speechverse.audio import load
from speechverse.audio.waveform import active_level_db
from speechverse.data import Corpus
from speechverse.errors import MissingExtraError, UserError
from speechverse.seeding import rng_for
from speechverse.types import AudioRef, Utterance
from speechverse.world import SynthSpec, speak, synthesize_corpus, verify_test_set
from speechverse.world import test_set_spec as frozen_spec
from speechverse.world.accents import ACCENTS
from speechverse.world.clip import Clip, Turn
from speechverse.world.corpus import SHARD_SIZE
from speechverse.world.effects import CODECS
from speechverse.world.espeak import Espeak
from speechverse.world.frozen import TEST_SETS, manifest_hash
from speechverse.world.plan import plan_reading, plan_split
from speechverse.world.roles import speaker_role
from speechverse.world.sounds import BABBLE, HELD_OUT_BACKGROUND, HELD_OUT_SOUND, SOUNDS, make_sound
from speechverse.world.styles import EMOTIONS, draw_turn
from speechverse.world.synthesis import join
from speechverse.world.voices import CROWD, get_speaker, speakers
from speechverse.world.workers import Shard, cut_into_shards, run_shards

SPEC = SynthSpec(
    num_train=40, num_dev=20, num_test=40, two_speaker_share=0.2, non_speech_share=0.2, seed=5
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("world") / "corpus"
    synthesize_corpus(folder, SPEC)
    return Corpus.open(folder)


def kinds(utterances: list[Utterance]) -> tuple[list[Utterance], list[Utterance], list[Utterance]]:
    """Clips of one sentence, of two speakers, without speech."""
    return (
        [u for u in utterances if "intent" in u.labels],
        [u for u in utterances if u.labels.get("num_speakers") == 2],
        [u for u in utterances if not u.labels["is_speech"]],
    )


def test_labels_for_all_tasks(world: Corpus) -> None:
    sentences, pairs, sounds = kinds(world.utterances("train"))
    assert len(pairs) == len(sounds) == 8
    for utterance in sentences:
        labels = utterance.labels
        assert utterance.text == utterance.text.lower() != ""
        assert labels["num_speakers"] == 1 and labels["is_speech"] is True
        assert set(labels["translations"]) == {"de", "fr"}
        assert all(keyword in utterance.text for keyword in labels["keywords"])
        for field in ("intent", "domain", "emotion", "sentiment", "accent"):
            assert labels[field] in world.labels[field].descriptions
            assert world.labels[field].descriptions[labels[field]]
        assert all(name in world.labels["slots"].descriptions for name, _ in labels["slots"])
    for utterance in sounds:
        assert (
            utterance.text == ""
            and "num_speakers" not in utterance.labels
            and utterance.labels["sound"] in SOUNDS
        )
    for utterance in pairs:
        assert utterance.speaker is not None and len(set(utterance.speaker.split("+"))) == 2
        assert "intent" not in utterance.labels and "emotion" not in utterance.labels
        assert utterance.duration < 9


def test_parts_share_neither_voices_nor_sentences(world: Corpus) -> None:
    variants = {part: {s.variant for s in speakers(part)} for part in ("train", "dev", "test")}
    texts = {part: {u.text for u in kinds(world.utterances(part))[0]} for part in world.splits}
    for part, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not variants[part] & variants[other]
        assert not texts[part] & texts[other]
    spoken = {
        v.split("-")[0]
        for u in world.utterances("train")
        for v in (u.speaker or "").split("+")
        if v
    }
    assert spoken <= variants["train"]


def test_voices_that_are_nearly_alike_are_not_in_two_parts() -> None:
    voices = Path(pytest.importorskip("espeakng_loader").get_data_path()) / "voices" / "!v"
    passed_over = ("name", "language", "gender", "maintainer", "status", "//", "tone", "pitch")

    def formants(variant: str) -> set[str]:
        lines = (voices / variant).read_text(errors="ignore").splitlines()
        return {line.strip() for line in lines if line.strip() and not line.startswith(passed_over)}

    parts = [
        {s.variant: formants(s.variant) for s in speakers(part)}
        for part in ("train", "dev", "test")
    ]
    for one, other in itertools.combinations(parts, 2):
        for (a, lines_a), (b, lines_b) in itertools.product(one.items(), other.items()):
            assert len(lines_a & lines_b) < 0.6 * max(1, len(lines_a | lines_b)), (
                f"{a} sounds like {b}"
            )


def test_a_sound_and_a_noise_are_only_heard_in_test_parts() -> None:
    spec = SynthSpec(num_train=300, num_test=300, non_speech_share=0.5, noisy_share=1.0)
    sounds, noises = (
        {part: {take(clip) for clip in plan_split(spec, part)} for part in ("train", "test")}
        for take in (lambda clip: clip.sound, lambda clip: clip.channel.noise)
    )
    assert sounds["test"] - sounds["train"] == {HELD_OUT_SOUND, HELD_OUT_BACKGROUND}
    assert noises["test"] - noises["train"] == {HELD_OUT_BACKGROUND} and BABBLE in noises["train"]


def test_the_crowd_in_the_background_is_nobody() -> None:
    assert not set(CROWD) & {
        speaker.variant for part in ("train", "dev", "test") for speaker in speakers(part)
    }


def test_what_was_done_to_the_sound_is_labelled(tmp_path: Path) -> None:
    shares = dict.fromkeys(
        ("noisy_share", "room_share", "clipping_share", "telephone_share", "codec_share"), 1.0
    )
    spec = SynthSpec(num_train=12, num_dev=0, non_speech_share=0.25, **shares)
    utterances = Corpus.open(synthesize_corpus(tmp_path, spec).folder).utterances("train")
    for utterance in utterances:
        labels, samples = utterance.labels, load(utterance.audio).samples
        assert labels["telephone"] is True and labels["codec"] in CODECS
        assert 0.1 < labels["room_t60"] < 1 and 0 < labels["clipping"] < 0.2
        assert ("snr_db" in labels) == ("noise" in labels) == labels["is_speech"]
        assert np.abs(samples).max() <= 0.96 and active_level_db(samples) > -40
    clean = plan_split(replace(spec, **dict.fromkeys(shares, 0.0)), "train")
    assert not any(
        set(clip.labels) & {"telephone", "codec", "room_t60", "clipping", "noise", "snr_db"}
        for clip in clean
    )


def test_a_reading_in_noise_has_the_labels_that_the_world_has() -> None:
    spec = SynthSpec(num_train=20, noisy_share=1.0)
    own = {label for clip in plan_split(spec, "train") if clip.turns for label in clip.labels}
    role = speaker_role(speakers("train")[0], "happy", "american", "en")
    reading = plan_reading(spec, "train", "r", "hello there", role, "en")
    assert {"noise", "snr_db"} <= set(reading.labels) <= own


def test_speech_in_babble_is_the_same_for_any_number_of_workers(
    tmp_path: Path, small_shards: None
) -> None:
    spec = SynthSpec(num_train=60, num_dev=0, noisy_share=1.0)
    clips = [clip for clip in plan_split(spec, "train") if clip.channel.noise == BABBLE][:2]
    shards = [
        [Shard(tmp_path / name / clip.id, [clip], seed=1) for clip in clips]
        for name in ("one", "two")
    ]
    for number, some in enumerate(shards, start=1):
        run_shards(some, num_workers=number)
    for one, other in zip(*shards, strict=True):
        name = f"{one.clips[0].id}.flac"
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


def test_nothing_is_silent_or_clipped(world: Corpus) -> None:
    for utterance in world.utterances("test"):
        samples = load(utterance.audio).samples
        assert 0.02 < np.abs(samples).max() <= 0.96
        assert 0.5 < utterance.duration < 9
        assert len(samples) == round(utterance.duration * 16_000)


def test_how_much_is_said_does_not_tell_how_many_speak() -> None:
    clips = [
        clip
        for clip in plan_split(SynthSpec(num_train=1000, two_speaker_share=0.3), "train")
        if clip.turns
    ]
    one, two = (
        [len(c.text.split()) for c in clips if c.labels["num_speakers"] == number]
        for number in (1, 2)
    )
    assert 0.5 < np.mean(one) - np.mean(two) < 2  # a second turn takes time of its own
    assert max(two) <= 14 and np.quantile(one, 0.95) <= 14


def test_nobody_says_in_a_clip_what_was_said_in_it_already() -> None:
    spec = SynthSpec(
        num_train=300,
        two_speaker_share=0.5,
        one_speaker_turns_share=0.5,
        non_speech_share=0.0,
        strata={"numbers": 1.0},
    )
    assert all(clip.turns[0].text != clip.turns[1].text for clip in plan_split(spec, "train"))


def test_emotions_and_accents_are_balanced_and_not_tied_to_each_other() -> None:
    sentences = [c for c in plan_split(SynthSpec(num_train=500), "train") if len(c.turns) == 1]
    pairs = Counter((c.labels["emotion"], c.labels["accent"]) for c in sentences)
    assert len(pairs) == len(EMOTIONS) * len(ACCENTS)
    assert max(pairs.values()) - min(pairs.values()) <= 1


def melody(samples: np.ndarray) -> float:
    """Median fundamental frequency in Hz, by autocorrelation."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 640)[::320]
    frames = frames[frames.std(axis=1) > 0.3 * frames.std(axis=1).max()]
    power = np.abs(np.fft.rfft(frames - frames.mean(axis=1, keepdims=True), 2048)) ** 2
    correlation = np.fft.irfft(power)[:, 40:266]
    return float(np.median(16_000 / (40 + correlation.argmax(axis=1))))


def test_styles_can_be_heard_and_are_equally_loud() -> None:
    text = "please play some jazz in the kitchen"
    clips = {emotion: speak(text, emotion=emotion, voice="f1") for emotion in EMOTIONS}
    assert clips["sad"].duration > 1.2 * clips["neutral"].duration > 1.2 * clips["angry"].duration
    pitch = {emotion: melody(clip.samples) for emotion, clip in clips.items()}
    assert pitch["happy"] > 1.15 * pitch["neutral"] > pitch["neutral"] > 1.03 * pitch["sad"]
    levels = [active_level_db(clip.samples) for clip in clips.values()]
    assert max(levels) - min(levels) < 2.5


def test_every_accent_has_a_manner_that_varies(tmp_path: Path) -> None:
    """The turns that `speak` would draw, all said by one process: most of its time is its start."""
    text, speaker = "that boat party on the water was not thirty days ago", get_speaker("f3")
    said = {
        (accent, seed): draw_turn(
            text, speaker, accent, "neutral", rng_for(seed, text, "f3", accent, "neutral")
        )
        for accent in ACCENTS
        for seed in range(5)
    }
    clips = [
        Clip(f"{accent}-{seed}", turns=(turn,), seed=seed) for (accent, seed), turn in said.items()
    ]
    shard = Shard(tmp_path / "all", clips, seed=1)
    run_shards([shard], num_workers=1)
    lengths = shard.lengths() or {}
    for accent in ACCENTS:
        assert len({lengths[f"{accent}-{seed}"] for seed in range(5)}) >= 3
    heard = (
        load(shard.folder / f"{accent}-1.flac").samples[:8000]
        for accent in ("american", "british", "scottish")
    )
    assert all(not np.array_equal(one, other) for one, other in itertools.pairwise(heard))


def test_no_accent_loses_a_vowel(tmp_path: Path) -> None:
    texts = (
        "you two do too/they may play today/go home so slow/call all four/cut some such fun/that"
        " cat sat/lots got hot"
    )
    said = [
        Clip(f"{accent} {text}", turns=(Turn(text, get_speaker("m3").voice(accent)),))
        for text in texts.split("/")
        for accent in ACCENTS
    ]
    shard = Shard(tmp_path / "all", said, seed=1)
    run_shards([shard], num_workers=1)
    lengths = shard.lengths() or {}
    for text in texts.split("/"):
        spoken = sorted(lengths[f"{accent} {text}"] for accent in ACCENTS)
        assert spoken[0] > 0.6 * spoken[-1], text


def test_one_text_on_demand() -> None:
    first, second = (
        speak("seven o'clock", voice="m1-low", accent="scottish", seed=3) for _ in range(2)
    )
    assert first.sampling_rate == 16_000 and 0.4 < first.duration < 2
    np.testing.assert_array_equal(first.samples, second.samples)
    assert len(first.samples) != len(
        speak("seven o'clock", voice="m1-low", accent="caribbean", seed=3).samples
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": " ... "}, "nothing to say"),
        ({"text": "word " * 1000}, "speak it in parts"),
        ({"text": "hello", "voice": "f33"}, "did you mean 'f3'"),
        ({"text": "hello", "accent": "scotish"}, "did you mean 'scottish'"),
        ({"text": "hello", "emotion": "hapy"}, "did you mean 'happy'"),
    ],
)
def test_what_cannot_be_spoken_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        speak(**arguments)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"speechverse\[synth\]"):
        Espeak(seed=1)


@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_sounds(name: str) -> None:
    sound = make_sound(name, 1.3, np.random.default_rng(1))
    assert sound.shape == (20_800,) and sound.dtype == np.float32
    assert np.all(np.isfinite(sound)) and np.abs(sound).max() == pytest.approx(1.0, abs=1e-3)
    assert active_level_db(sound) > -45
    np.testing.assert_array_equal(sound, make_sound(name, 1.3, np.random.default_rng(1)))


def test_turns_follow_or_overlap() -> None:
    first, second = np.full(16_000, 0.1, np.float32), np.full(8_000, 0.2, np.float32)
    assert len(join([first, second], [0.5])) == 32_000
    overlapped = join([first, second], [-0.25])
    assert len(overlapped) == 20_000 and overlapped[14_000] == pytest.approx(0.3)
    assert len(join([second, first], [-2.0])) == 16_000


def test_some_speakers_talk_over_each_other_and_pairs_can_be_told_apart() -> None:
    spec = SynthSpec(
        num_train=300, two_speaker_share=1.0, one_speaker_turns_share=0.0, non_speech_share=0.0
    )
    clips = plan_split(spec, "train")
    overlaps = [-clip.pauses[0] for clip in clips if clip.pauses[0] < 0]
    assert (
        0.08 < len(overlaps) / len(clips) < 0.25 and 0.2 <= min(overlaps) and max(overlaps) <= 1.0
    )
    pairs = [[get_speaker(name) for name in (clip.speaker or "").split("+")] for clip in clips]
    assert all(first.differs_from(second) for first, second in pairs)


def test_two_speakers_can_be_told_apart() -> None:
    assert get_speaker("f1").differs_from(get_speaker("m1"))
    assert get_speaker("m1-low").differs_from(get_speaker("m2-high"))
    assert not get_speaker("m1").differs_from(get_speaker("m2"))
    assert not get_speaker("m1-low").differs_from(get_speaker("m1-high"))


FROZEN_PARTS = Path(__file__).with_name("frozen_parts.sha256")
NUM_SPOKEN = 16
"""So many clips, the first of each frozen test set, are spoken in every run of the suite; in `make
test-all`, all.
"""


@functools.cache
def frozen_plan(name: str) -> list[Clip]:
    return plan_split(frozen_spec(name), "test")


def as_utterance(clip: Clip, num_samples: int = 0) -> Utterance:
    duration = num_samples / 16_000
    return Utterance(
        clip.id,
        AudioRef(Path(clip.id)),
        duration,
        clip.text,
        clip.speaker,
        clip.language,
        clip.labels,
    )


@pytest.fixture(scope="module")
def frozen_parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What of each frozen test set → its hash as it is made now: its plan (without lengths), its
    first clips spoken.
    """
    folder, first = tmp_path_factory.mktemp("frozen"), {}
    for name in (
        TEST_SETS
    ):  # as a corpus is cut: what is in a shard's beginning does not depend on the rest
        whole = cut_into_shards(
            frozen_plan(name), folder / name / "test", frozen_spec(name).seed, SHARD_SIZE
        )[0]
        first[name] = replace(whole, clips=whole.clips[:NUM_SPOKEN])
        whole.folder.parent.mkdir(parents=True)
    run_shards(first.values(), num_workers=2)
    found = {}
    for name, shard in first.items():
        lengths = shard.lengths() or {}
        found[f"{name} plan"] = manifest_hash(map(as_utterance, frozen_plan(name)))
        found[f"{name} first-{NUM_SPOKEN}"] = manifest_hash(
            as_utterance(clip, lengths[clip.id]) for clip in shard.clips
        )
    return found


def committed_parts() -> dict[str, str]:
    lines = [
        line.split(maxsplit=1)
        for line in FROZEN_PARTS.read_text().splitlines()
        if not line.startswith("#")
    ]
    return {what: digest for digest, what in lines}


def test_what_is_planned_and_first_spoken_of_the_frozen_test_sets_is_as_committed(
    frozen_parts: dict[str, str],
) -> None:
    lines = "\n".join(f"{digest}  {what}" for what, digest in frozen_parts.items())
    assert committed_parts() == frozen_parts, (
        f"freeze the test sets anew, and write into {FROZEN_PARTS.name}:\n{lines}"
    )


@pytest.mark.parametrize("name", ["clean", "noisy"])
def test_the_frozen_test_set_has_300_clips_for_every_task(name: str) -> None:
    clips = frozen_plan(name)
    fields = Counter(field for clip in clips for field in clip.labels)
    needed = (
        "intent slots keywords translations emotion sentiment accent num_speakers is_speech".split()
    )
    assert all(fields[field] >= 300 for field in needed)
    assert len(clips) == 730


def test_the_clean_set_is_clean_and_all_speech_of_the_noisy_one_is_not() -> None:
    spoken = {name: [c for c in frozen_plan(name) if c.turns] for name in ("clean", "noisy")}
    assert not any(clip.channel.noise or clip.channel.reverberation for clip in spoken["clean"])
    assert all(clip.channel.noise and 5 <= clip.channel.snr <= 20 for clip in spoken["noisy"])
    rooms = sum(clip.channel.reverberation > 0 for clip in spoken["noisy"])
    assert 0.4 < rooms / len(spoken["noisy"]) < 0.6
    assert [clip.text for clip in spoken["clean"]] != [clip.text for clip in spoken["noisy"]]


@pytest.mark.parametrize("name", ["words", "unseen"])
def test_each_stratum_of_a_frozen_test_set_has_100_clips(name: str) -> None:
    counts = Counter(clip.labels["stratum"] for clip in frozen_plan(name))
    assert set(counts) == set(frozen_spec(name).strata)
    assert min(counts.values()) >= 100


@pytest.mark.slow
@pytest.mark.parametrize("name", TEST_SETS)
def test_the_frozen_test_sets_are_the_committed_ones(name: str, tmp_path: Path) -> None:
    synthesize_corpus(tmp_path / name, frozen_spec(name))
    found = verify_test_set(tmp_path / name)
    utterances = Corpus.open(tmp_path / name).utterances("test")
    assert found == manifest_hash(utterances) != manifest_hash(utterances[:-1])
    parts = {what: digest for what, digest in committed_parts().items() if what.split()[0] == name}
    assert parts == {
        f"{name} plan": manifest_hash(replace(utterance, duration=0.0) for utterance in utterances),
        f"{name} first-{NUM_SPOKEN}": manifest_hash(utterances[:NUM_SPOKEN]),
    }


def test_another_corpus_is_no_frozen_test_set(world: Corpus, tmp_path: Path) -> None:
    spec = SynthSpec(num_train=0, num_dev=0, num_test=2)
    with pytest.raises(UserError, match="not a frozen test set but the corpus 'world'"):
        verify_test_set(synthesize_corpus(tmp_path / "c", spec).folder)
    lying = replace(spec, name=frozen_spec("clean").name)
    with pytest.raises(
        UserError, match="(?s)not the frozen test set of this version.*--test-set clean"
    ):
        verify_test_set(synthesize_corpus(tmp_path / "d", lying).folder)
