"""Decides every clip of a corpus before any is made, from the seed alone: who says what, how, where."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any

from speechverse.audio.codecs import CODECS
from speechverse.seeding import hash_seed, rng_for
from speechverse.synth.accents import ACCENTS
from speechverse.synth.clip import Channel, Clip, Turn
from speechverse.synth.language import Sentence, draw_sentence
from speechverse.synth.sounds import backgrounds, sounds
from speechverse.synth.spec import SynthSpec
from speechverse.synth.styles import EMOTIONS, SENTIMENT_OF, draw_style, draw_turn
from speechverse.synth.voices import Part, Speaker, speakers

_LONGEST_SENTENCE = 14  # words, about 6 s when spoken sadly
_LONGEST_TURNS = (4, 4)  # two turns last about as long as one sentence: length must not tell how many speak,
_LONG_SENTENCE = 10  # nor would it if few sentences were this long
_LONG_SHARE = 0.75
_DRAWS = 30
_CANDIDATES = 5  # of which the second speaker is the one least like the first


def plan_split(spec: SynthSpec, part: Part) -> list[Clip]:
    """All clips of a split, in order."""
    rng = rng_for(spec.seed, spec.name, part)
    seen: set[str] = set()
    clips = []
    for index, (kind, turn) in enumerate(_kinds(spec, part, rng)):
        clip_id = f"{spec.name}-{part}-{index:06d}"
        clips.append(_Planner(spec, part, seen, rng_for(spec.seed, clip_id)).plan(kind, turn, clip_id))
    return clips


def plan_reading(
    spec: SynthSpec,
    part: Part,
    clip_id: str,
    text: str,
    speaker: Speaker,
    emotion: str,
    accent: str | None,
    language: str,
) -> Clip:
    """One speaker who says a text from outside, recorded as the spoken world's sentences are.

    Only English has an accent. The clip has the labels of the voice, none of the text.
    """
    planner = _Planner(spec, part, set(), rng_for(spec.seed, clip_id))
    if accent:
        turn = draw_turn(text, speaker, accent, emotion, planner.rng)
    else:
        foreign = f"{language}+{speaker.variant}"
        turn = Turn(text, foreign, speaker.tract, *draw_style(emotion, planner.rng))
    labels = {"emotion": emotion, "sentiment": SENTIMENT_OF[emotion], "num_speakers": 1}
    labels |= {"accent": accent} if accent else {}
    common = {"id": clip_id, "seed": hash_seed(spec.seed, clip_id, "sound"), "language": language}
    return planner._spoken(common, (turn,), labels, speaker.name, text)


def _kinds(spec: SynthSpec, part: Part, rng: random.Random) -> list[tuple[str, int]]:
    """Every clip's kind and its number among its kind, shuffled; shares are kept exactly, not on average."""
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
        common: dict[str, Any] = {"id": clip_id, "seed": hash_seed(self.spec.seed, clip_id, "sound")}
        if kind == "non_speech":
            return self._sound(common)
        # 4 emotions and 5 accents are coprime: counting through them meets every pair equally often.
        emotion, accent = list(EMOTIONS)[number % 4], list(ACCENTS)[number % 5]
        if kind == "two_speakers":
            return self._two_speakers(common)
        return self._one_speaker(common, emotion, accent, 2 if kind == "one_speaker_turns" else 1)

    def _sound(self, common: dict[str, Any]) -> Clip:
        name, seconds = self.rng.choice(sounds(self.part)), self.rng.uniform(1.0, 6.0)
        # Recorded as speech is, or its absence would be heard in rooms, codecs and the silence around it.
        channel = dataclasses.replace(self._channel(), noise="", snr=0.0)
        labels = {"is_speech": False, "stratum": "non_speech", "sound": name, **channel.labels}
        return Clip(**common, sound=name, seconds=seconds, channel=channel, language=None, labels=labels)

    def _one_speaker(self, common: dict[str, Any], emotion: str, accent: str, num_turns: int) -> Clip:
        speaker = self.rng.choice(speakers(self.part))
        limits = _LONGEST_TURNS if num_turns == 2 else (_LONGEST_SENTENCE,)
        at_least = _LONG_SENTENCE if num_turns == 1 and self.rng.random() < _LONG_SHARE else 1
        sentences = [self._sentence(limit, at_least) for limit in limits]
        turns = tuple(
            draw_turn(sentence.text, speaker, accent, emotion, self.rng, self._turn_level()) for sentence in sentences
        )
        labels = {
            **(sentences[0].labels if num_turns == 1 else {}),
            "stratum": sentences[0].stratum if num_turns == 1 else "one_speaker_turns",
            **{"emotion": emotion, "sentiment": SENTIMENT_OF[emotion], "accent": accent, "num_speakers": 1},
        }
        return self._spoken(common, turns, labels, speaker.name, " ".join(s.text for s in sentences))

    def _two_speakers(self, common: dict[str, Any]) -> Clip:
        first, second = self._pair()
        accent = self.rng.choice(list(ACCENTS))
        accents = (accent, accent if self.rng.random() < 0.5 else self.rng.choice(list(ACCENTS)))
        sentences = [self._sentence(limit) for limit in _LONGEST_TURNS]
        emotion = self.rng.choice(list(EMOTIONS))
        emotions = (emotion, emotion if self.rng.random() < 0.85 else self.rng.choice(list(EMOTIONS)))
        turns = tuple(
            draw_turn(sentence.text, speaker, accent, emotion, self.rng, self._turn_level())
            for sentence, speaker, accent, emotion in zip(sentences, (first, second), accents, emotions, strict=True)
        )
        labels = {"stratum": "two_speakers", "num_speakers": 2}
        return self._spoken(common, turns, labels, f"{first.name}+{second.name}", " ".join(s.text for s in sentences))

    def _spoken(
        self, common: dict[str, Any], turns: tuple[Turn, ...], labels: Mapping[str, Any], speaker: str, text: str
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
        return first, max(self.rng.sample(others, min(_CANDIDATES, len(others))), key=first.unlikeness)

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

    def _sentence(self, max_words: int, min_words: int = 1) -> Sentence:
        """A sentence that is short enough and, where that can be had, long enough and new in this split."""
        stratum = self.rng.choices(list(self.spec.strata), list(self.spec.strata.values()))[0]
        drawn = [draw_sentence(self.part, self.rng, stratum)]
        while len(drawn) < _DRAWS and not self._is_wanted(drawn[-1], max_words, min_words):
            drawn.append(draw_sentence(self.part, self.rng, stratum))
        fits = len(drawn[-1].text.split()) <= max_words
        chosen = drawn[-1] if fits else min(drawn, key=lambda s: len(s.text.split()))
        self.seen.add(chosen.text)
        return chosen

    def _is_wanted(self, sentence: Sentence, max_words: int, min_words: int) -> bool:
        return min_words <= len(sentence.text.split()) <= max_words and sentence.text not in self.seen
