"""Decides every clip of a corpus before any is made, from the seed alone: who says what, how,
where. The order of the draws is part of the frozen test sets.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from speechverse.seeding import hash_seed, rng_for
from speechverse.world.accents import ACCENTS
from speechverse.world.clip import Channel, Clip, Turn
from speechverse.world.effects import CODECS
from speechverse.world.language import Part, Sentence, draw_sentence
from speechverse.world.roles import Role
from speechverse.world.sounds import backgrounds, sounds
from speechverse.world.spec import SynthSpec
from speechverse.world.styles import EMOTIONS, SENTIMENT_OF, draw_turn
from speechverse.world.voices import Speaker, speakers

_NUM_WORDS = {8: 1, 9: 1, 10: 4, 11: 5, 12: 5, 13: 4, 14: 3}
"""Words of a clip with one turn → weight; the longest last about 6 s when spoken sadly."""

_TURN_WORDS = 3  # that a second turn costs in time: length must not tell how many speak
_FEWEST_WORDS = 3  # of a turn
_DRAWS = 61  # of sentences, of which the one nearest to what is wanted is said
_REPEAT_WORDS = 2  # a sentence new in its split may be that much further from the length wanted
_CANDIDATES = 5  # of which the second speaker is the one least like the first


class Noise(NamedTuple):
    """What is to sound under a line; `snr`, of speech to it in dB, is drawn where it is None."""

    name: str
    snr: float | None = None


def plan_split(spec: SynthSpec, part: Part) -> list[Clip]:
    """All clips of a split, in order."""
    kinds = _kinds(spec, part, rng_for(spec.seed, spec.name, part))
    seen: set[str] = set()
    return [
        _Planner(spec, part, f"{spec.name}-{part}-{index:06d}", seen).plan(kind, number)
        for index, (kind, number) in enumerate(kinds)
    ]


def plan_reading(
    spec: SynthSpec,
    part: Part,
    clip_id: str,
    text: str,
    role: Role,
    language: str,
    noise: Noise | None = None,
) -> Clip:
    """One speaker who says a text from outside, recorded as the spoken world's sentences are, or in
    a certain noise. The clip has the labels of voice and channel, none of the text.
    """
    planner = _Planner(spec, part, clip_id, set())
    turn = role.turn(text, planner.rng)
    clip = planner.record((turn,), {**role.labels, "num_speakers": 1}, role.speaker, text)
    clip = dataclasses.replace(clip, language=language)
    if noise is None:
        return clip
    drawn = rng_for(spec.seed, clip_id, "snr").uniform(*spec.snr_db)
    snr = drawn if noise.snr is None else noise.snr
    channel = dataclasses.replace(clip.channel, noise=noise.name, snr=snr)
    return dataclasses.replace(clip, channel=channel, labels={**clip.labels, **channel.labels})


def _kinds(spec: SynthSpec, part: Part, rng: random.Random) -> list[tuple[str, int]]:
    """Every clip's kind and its number among its kind, shuffled; shares are kept exactly."""
    total = spec.sizes[part]
    counts = {
        "two_speakers": round(total * spec.two_speaker_share),
        "one_speaker_turns": round(total * spec.one_speaker_turns_share),
        "non_speech": round(total * spec.non_speech_share),
    }
    kinds = [(kind, number) for kind, count in counts.items() for number in range(count)][:total]
    kinds += [("sentence", number) for number in range(total - len(kinds))]
    rng.shuffle(kinds)
    return kinds


class _Planner:
    """Plans one clip with a generator of its own."""

    def __init__(self, spec: SynthSpec, part: Part, clip_id: str, seen: set[str]) -> None:
        self.spec, self.part, self.seen = spec, part, seen
        self.rng = rng_for(spec.seed, clip_id)
        self.common: dict[str, Any] = {
            "id": clip_id,
            "seed": hash_seed(spec.seed, clip_id, "sound"),
        }

    def plan(self, kind: str, number: int) -> Clip:
        match kind:
            case "non_speech":
                return self._sound()
            case "two_speakers":
                return self._two_speakers()
        # 4 emotions and 5 accents are coprime: counting through them meets every pair equally
        # often.
        emotion, accent = list(EMOTIONS)[number % 4], list(ACCENTS)[number % 5]
        return self._one_speaker(emotion, accent, num_turns=1 + (kind == "one_speaker_turns"))

    def _sound(self) -> Clip:
        name, seconds = self.rng.choice(sounds(self.part)), self.rng.uniform(1.0, 6.0)
        # Recorded as speech is, or its absence would be heard in rooms, codecs and the silence
        # around it.
        channel = dataclasses.replace(self._channel(), noise="", snr=0.0)
        labels = {"is_speech": False, "stratum": "non_speech", "sound": name, **channel.labels}
        return Clip(
            **self.common,
            sound=name,
            seconds=seconds,
            channel=channel,
            language=None,
            labels=labels,
        )

    def _one_speaker(self, emotion: str, accent: str, num_turns: int) -> Clip:
        speaker = self.rng.choice(speakers(self.part))
        sentences = self._sentences(num_turns)
        turns = tuple(self._turn(sentence, speaker, accent, emotion) for sentence in sentences)
        labels: dict[str, Any] = {"stratum": "one_speaker_turns"}
        if num_turns == 1:
            labels = sentences[0].labels
        labels |= {"emotion": emotion, "sentiment": SENTIMENT_OF[emotion]}
        labels |= {"accent": accent, "num_speakers": 1}
        return self.record(turns, labels, speaker.name, _join(sentences))

    def _two_speakers(self) -> Clip:
        rng, (first, second) = self.rng, self._pair()
        accent = rng.choice(list(ACCENTS))
        accents = (accent, accent if rng.random() < 0.5 else rng.choice(list(ACCENTS)))
        sentences = self._sentences(2)
        emotion = rng.choice(list(EMOTIONS))
        emotions = (emotion, emotion if rng.random() < 0.85 else rng.choice(list(EMOTIONS)))
        spoken = zip(sentences, (first, second), accents, emotions, strict=True)
        turns = tuple(self._turn(*one) for one in spoken)
        labels = {"stratum": "two_speakers", "num_speakers": 2}
        return self.record(turns, labels, f"{first.name}+{second.name}", _join(sentences))

    def record(
        self, turns: tuple[Turn, ...], labels: Mapping[str, Any], speaker: str, text: str
    ) -> Clip:
        channel = self._channel()
        return Clip(
            **self.common,
            turns=turns,
            pauses=tuple(self._pause(labels["num_speakers"]) for _ in turns[1:]),
            channel=channel,
            text=text,
            speaker=speaker,
            labels={**labels, "is_speech": True, **channel.labels},
        )

    def _turn(self, sentence: Sentence, speaker: Speaker, accent: str, emotion: str) -> Turn:
        level = self.rng.uniform(-2, 2)
        return draw_turn(sentence.text, speaker, accent, emotion, self.rng, level)

    def _pause(self, num_speakers: int) -> float:
        overlap = num_speakers > 1 and self.rng.random() < 0.15
        return -self.rng.uniform(0.2, 1.0) if overlap else self.rng.uniform(0.05, 0.4)

    def _pair(self) -> tuple[Speaker, Speaker]:
        """Two speakers that can be told apart by ear."""
        first = self.rng.choice(speakers(self.part))
        others = [s for s in speakers(self.part) if s.differs_from(first)]
        drawn = self.rng.sample(others, min(_CANDIDATES, len(others)))
        return first, max(drawn, key=first.unlikeness)

    def _channel(self) -> Channel:
        spec, rng = self.spec, self.rng
        noisy, room, overdriven = (
            rng.random() < share
            for share in (spec.noisy_share, spec.room_share, spec.clipping_share)
        )
        telephone, coded = rng.random() < spec.telephone_share, rng.random() < spec.codec_share
        return Channel(
            level=rng.uniform(-32, -18),
            tilt=rng.uniform(-2.5, 2.5),
            reverberation=rng.uniform(0.15, 0.7) if room else 0.0,
            noise=rng.choice(backgrounds(self.part)) if noisy else "",
            snr=rng.uniform(*spec.snr_db) if noisy else 0.0,
            clipping=rng.uniform(0.005, 0.08) if overdriven else 0.0,
            telephone=telephone,
            codec=rng.choice(CODECS) if coded else "",
            lead=rng.uniform(0.05, 0.35),
            tail=rng.uniform(0.05, 0.35),
        )

    def _sentences(self, num_turns: int) -> list[Sentence]:
        """What the turns of a clip say, no sentence twice: together as long as one alone."""
        (length,) = self.rng.choices(list(_NUM_WORDS), list(_NUM_WORDS.values()))
        left = length - _TURN_WORDS * (num_turns - 1)
        sentences: list[Sentence] = []
        for turns_left in range(num_turns, 0, -1):
            wanted = max(_FEWEST_WORDS, left // turns_left)
            sentences.append(self._sentence(wanted, [sentence.text for sentence in sentences]))
            left -= _num_words(sentences[-1])
        self.rng.shuffle(sentences)
        return sentences

    def _sentence(self, num_words: int, said: Sequence[str]) -> Sentence:
        """A sentence, not among those said, near a length, and if possible new in this split."""
        (stratum,) = self.rng.choices(list(self.spec.strata), list(self.spec.strata.values()))
        best, fewest = None, float("inf")
        for _ in range(_DRAWS):
            while (drawn := draw_sentence(self.part, self.rng, stratum)).text in said:
                pass
            miss = abs(_num_words(drawn) - num_words) + _REPEAT_WORDS * (drawn.text in self.seen)
            if miss < fewest:
                best, fewest = drawn, miss
            if fewest == 0:
                break
        assert best is not None
        self.seen.add(best.text)
        return best


def _num_words(sentence: Sentence) -> int:
    return sentence.text.count(" ") + 1


def _join(sentences: Sequence[Sentence]) -> str:
    return " ".join(sentence.text for sentence in sentences)
