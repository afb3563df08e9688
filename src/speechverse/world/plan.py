"""Decides every clip of a corpus before any is made, from the seed alone: who says what, how,
where.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speechverse.audio.codecs import CODECS
from speechverse.seeding import hash_seed, rng_for
from speechverse.world.accents import ACCENTS
from speechverse.world.clip import Channel, Clip, Turn
from speechverse.world.language import Draft, Sentence, draft_sentence
from speechverse.world.language.sentence import Part
from speechverse.world.roles import Role
from speechverse.world.sounds import backgrounds, sounds
from speechverse.world.spec import SynthSpec
from speechverse.world.styles import EMOTIONS, SENTIMENT_OF, draw_turn
from speechverse.world.voices import Speaker, speakers

_NUM_WORDS = {8: 1, 9: 1, 10: 4, 11: 5, 12: 5, 13: 4, 14: 3}
"""Words of a clip with one turn → weight; the longest last about 6 s when spoken sadly."""

_TURN_WORDS = 3  # that a second turn costs in time: length must not tell how many speak
_FEWEST_WORDS = 3  # of a turn
_DRAWS = 60
_SAID_BEFORE = (
    2  # words: a sentence that is new in its split may be that much further from the length wanted
)
_CANDIDATES = 5  # of which the second speaker is the one least like the first


def plan_split(spec: SynthSpec, part: Part) -> list[Clip]:
    """All clips of a split, in order."""
    rng = rng_for(spec.seed, spec.name, part)
    seen: set[str] = set()
    clips = []
    for index, (kind, turn) in enumerate(_kinds(spec, part, rng)):
        clip_id = f"{spec.name}-{part}-{index:06d}"
        clips.append(
            _Planner(spec, part, seen, rng_for(spec.seed, clip_id)).plan(kind, turn, clip_id)
        )
    return clips


@dataclass(frozen=True, slots=True)
class Noise:
    """What is to sound under a line; `snr`, of speech to it in dB, is drawn where
    it is left open.
    """

    name: str
    snr: float | None = None


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
    a certain noise.

    The clip has the labels of voice and channel, none of the text.
    """
    planner = _Planner(spec, part, set(), rng_for(spec.seed, clip_id))
    turn = role.turn(text, planner.rng)
    common = {"id": clip_id, "seed": hash_seed(spec.seed, clip_id, "sound"), "language": language}
    clip = planner._spoken(common, (turn,), {**role.labels, "num_speakers": 1}, role.speaker, text)
    if noise is None:
        return clip
    snr = (
        rng_for(spec.seed, clip_id, "snr").uniform(*spec.snr_db) if noise.snr is None else noise.snr
    )
    channel = dataclasses.replace(clip.channel, noise=noise.name, snr=snr)
    return dataclasses.replace(clip, channel=channel, labels={**clip.labels, **channel.labels})


def _kinds(spec: SynthSpec, part: Part, rng: random.Random) -> list[tuple[str, int]]:
    """Every clip's kind and its number among its kind, shuffled; shares are kept exactly, not on
    average.
    """
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

    def __init__(self, spec: SynthSpec, part: Part, seen: set[str], rng: random.Random) -> None:
        self.spec, self.part, self.seen, self.rng = spec, part, seen, rng

    def plan(self, kind: str, number: int, clip_id: str) -> Clip:
        common: dict[str, Any] = {
            "id": clip_id,
            "seed": hash_seed(self.spec.seed, clip_id, "sound"),
        }
        if kind == "non_speech":
            return self._sound(common)
        # 4 emotions and 5 accents are coprime: counting through them meets every pair equally
        # often.
        emotion, accent = list(EMOTIONS)[number % 4], list(ACCENTS)[number % 5]
        if kind == "two_speakers":
            return self._two_speakers(common)
        return self._one_speaker(common, emotion, accent, 2 if kind == "one_speaker_turns" else 1)

    def _sound(self, common: dict[str, Any]) -> Clip:
        name, seconds = self.rng.choice(sounds(self.part)), self.rng.uniform(1.0, 6.0)
        # Recorded as speech is, or its absence would be heard in rooms, codecs and the silence
        # around it.
        channel = dataclasses.replace(self._channel(), noise="", snr=0.0)
        labels = {"is_speech": False, "stratum": "non_speech", "sound": name, **channel.labels}
        return Clip(
            **common, sound=name, seconds=seconds, channel=channel, language=None, labels=labels
        )

    def _one_speaker(
        self, common: dict[str, Any], emotion: str, accent: str, num_turns: int
    ) -> Clip:
        speaker = self.rng.choice(speakers(self.part))
        sentences = self._sentences(num_turns)
        turns = tuple(
            draw_turn(sentence.text, speaker, accent, emotion, self.rng, self._turn_level())
            for sentence in sentences
        )
        labels = {
            **(sentences[0].labels if num_turns == 1 else {}),
            "stratum": sentences[0].stratum if num_turns == 1 else "one_speaker_turns",
            **{
                "emotion": emotion,
                "sentiment": SENTIMENT_OF[emotion],
                "accent": accent,
                "num_speakers": 1,
            },
        }
        return self._spoken(
            common, turns, labels, speaker.name, " ".join(s.text for s in sentences)
        )

    def _two_speakers(self, common: dict[str, Any]) -> Clip:
        first, second = self._pair()
        accent = self.rng.choice(list(ACCENTS))
        accents = (accent, accent if self.rng.random() < 0.5 else self.rng.choice(list(ACCENTS)))
        sentences = self._sentences(2)
        emotion = self.rng.choice(list(EMOTIONS))
        emotions = (
            emotion,
            emotion if self.rng.random() < 0.85 else self.rng.choice(list(EMOTIONS)),
        )
        turns = tuple(
            draw_turn(sentence.text, speaker, accent, emotion, self.rng, self._turn_level())
            for sentence, speaker, accent, emotion in zip(
                sentences, (first, second), accents, emotions, strict=True
            )
        )
        labels = {"stratum": "two_speakers", "num_speakers": 2}
        return self._spoken(
            common,
            turns,
            labels,
            f"{first.name}+{second.name}",
            " ".join(s.text for s in sentences),
        )

    def _spoken(
        self,
        common: dict[str, Any],
        turns: tuple[Turn, ...],
        labels: Mapping[str, Any],
        speaker: str,
        text: str,
    ) -> Clip:
        channel = self._channel()
        return Clip(
            **common,
            turns=turns,
            pauses=tuple(self._pause(labels["num_speakers"]) for _ in turns[1:]),
            channel=channel,
            text=text,
            speaker=speaker,
            labels={**labels, "is_speech": True, **channel.labels},
        )

    def _turn_level(self) -> float:
        return self.rng.uniform(-2, 2)

    def _pause(self, num_speakers: int) -> float:
        overlap = num_speakers > 1 and self.rng.random() < 0.15
        return -self.rng.uniform(0.2, 1.0) if overlap else self.rng.uniform(0.05, 0.4)

    def _pair(self) -> tuple[Speaker, Speaker]:
        """Two speakers that can be told apart by ear."""
        first = self.rng.choice(speakers(self.part))
        others = [s for s in speakers(self.part) if s.differs_from(first)]
        return first, max(
            self.rng.sample(others, min(_CANDIDATES, len(others))), key=first.unlikeness
        )

    def _channel(self) -> Channel:
        spec, rng = self.spec, self.rng
        noisy, room, overdriven, telephone, coded = (
            rng.random() < share
            for share in (
                spec.noisy_share,
                spec.room_share,
                spec.clipping_share,
                spec.telephone_share,
                spec.codec_share,
            )
        )
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
        """What the turns of a clip say, no sentence twice: together as long as one sentence alone
        would be.
        """
        left = self.rng.choices(list(_NUM_WORDS), list(_NUM_WORDS.values()))[0] - _TURN_WORDS * (
            num_turns - 1
        )
        sentences: list[Sentence] = []
        for turns_left in range(num_turns, 0, -1):
            wanted = max(_FEWEST_WORDS, left // turns_left)
            sentences.append(self._sentence(wanted, [sentence.text for sentence in sentences]))
            left -= _num_words(sentences[-1])
        self.rng.shuffle(sentences)
        return sentences

    def _sentence(self, num_words: int, said: Sequence[str]) -> Sentence:
        """A sentence, not among those said, as close to a length as can be had, and if possible new
        in this split.
        """
        stratum = self.rng.choices(list(self.spec.strata), list(self.spec.strata.values()))[0]
        best = self._new_to_the_clip(stratum, said)
        fewest = self._miss(best, num_words)
        for _ in range(_DRAWS):
            if fewest == 0:
                break
            drawn = self._new_to_the_clip(stratum, said)
            if (miss := self._miss(drawn, num_words)) < fewest:
                best, fewest = drawn, miss
        self.seen.add(best.text)
        return best.finish()

    def _miss(self, draft: Draft, num_words: int) -> int:
        """How far a sentence is from what is wanted, in words."""
        return abs(_num_words(draft) - num_words) + _SAID_BEFORE * (draft.text in self.seen)

    def _new_to_the_clip(self, stratum: str, said: Sequence[str]) -> Draft:
        while (drawn := draft_sentence(self.part, self.rng, stratum)).text in said:
            pass
        return drawn


def _num_words(said: Sentence | Draft) -> int:
    return said.text.count(" ") + 1
