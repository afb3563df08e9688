"""Questions about clips in voices that the model never heard, and about the newcomer's own
recording.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechverse.data import Corpus
    from speechverse.types import Utterance

TOPICS = ("music", "the weather", "travel", "food", "work")
"""What a newcomer's own clip may be about: nobody has labelled it."""

EMOTIONS = ("happy", "sad", "angry", "neutral")
_NUM_INTENTS = 4
_TRANSCRIPT = "transcript"


@dataclass(frozen=True, slots=True)
class Question:
    """One thing asked about a clip: its short title, what the model reads, and what is right where
    that is known.
    """

    title: str
    instruction: str
    choices: tuple[str, ...] = ()
    right: str | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that is asked about, and who speaks."""

    path: Path
    speaker: str
    questions: tuple[Question, ...]

    @property
    def key(self) -> str:
        """Changes with what is heard and with what is asked."""
        asked = "\n".join(
            f"{question.instruction} {question.choices}" for question in self.questions
        )
        return hashlib.sha256(self.path.read_bytes() + asked.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Asked:
    """A clip with what came: for each question the answers of the systems, by name."""

    path: str
    speaker: str
    titles: tuple[str, ...]
    right: tuple[str | None, ...]
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """Which clip it is, and who speaks."""
        return self.path + (
            "" if self.speaker == "you" else f" (voice {self.speaker}, never heard in training)"
        )

    @property
    def rows(self) -> list[tuple[str, str | None, list[str]]]:
        """Title, right answer and the systems' answers of each question."""
        columns = zip(self.titles, self.right, *self.answers.values(), strict=True)
        return [(title, right, list(answers)) for title, right, *answers in columns]


def own_clip(path: Path) -> Clip:
    """The newcomer's own file."""
    return Clip(
        path,
        "you",
        (_transcript(None), _one_of("about", "What is it about?", TOPICS), *_about_the_voice({})),
    )


def clips_of(corpus: Corpus, number: int = 3) -> list[Clip]:
    """Some clips of a made corpus: one at least of two speakers, the others with an intent."""
    every = corpus.utterances("test")
    wanting = [utterance for utterance in every if utterance.labels.get("intent")]
    two = [utterance for utterance in every if utterance.labels.get("num_speakers") == 2]
    chosen = [*wanting[: number - 1], *two[:1]] if two else wanting[:number]
    return [_made_clip(utterance, wanting) for utterance in chosen]


def _made_clip(utterance: Utterance, wanting: Sequence[Utterance]) -> Clip:
    questions, intent = [_transcript(utterance.text)], utterance.labels.get("intent")
    if intent:
        others = [
            name
            for name in dict.fromkeys(other.labels["intent"] for other in wanting)
            if name != intent
        ]
        few = tuple(sorted([intent, *others[: _NUM_INTENTS - 1]]))  # the place must not tell
        questions.append(_one_of("wanted", "What does the speaker want?", few, intent))
    questions += _about_the_voice(utterance.labels)
    return Clip(utterance.audio.path, utterance.speaker or "", tuple(questions))


def _transcript(said: str | None) -> Question:
    return Question(_TRANSCRIPT, "Transcribe the preceding audio.", right=said)


def _one_of(title: str, asked: str, choices: tuple[str, ...], right: str | None = None) -> Question:
    return Question(title, f"{asked} Answer with one of: {', '.join(choices)}", choices, right)


def _about_the_voice(labels: Mapping[str, Any]) -> tuple[Question, ...]:
    emotion, number = labels.get("emotion"), labels.get("num_speakers")
    feeling = _one_of("emotion", "How does the speaker feel?", EMOTIONS, emotion)
    right = {1: "one", 2: "two"}.get(number or 0)
    how_many = Question("how many speak", "How many people are speaking?", ("one", "two"), right)
    return (feeling, how_many) if emotion or number is None else (how_many,)


def ask(clip: Clip, systems: Mapping[str, Any]) -> Asked:
    """Asks every system (name → who has `ask(sound, instruction, choices)`) every question about a
    clip.

    Raises:
        AudioError: If the clip cannot be read, or is longer than the model hears.
    """
    from speechverse.audio import load

    sound = load(clip.path)
    answers = {
        name: tuple(_answered(system, sound, q) for q in clip.questions)
        for name, system in systems.items()
    }
    titles, right = zip(
        *((question.title, question.right) for question in clip.questions), strict=True
    )
    return Asked(str(clip.path), clip.speaker, titles, right, answers)


def _answered(system: Any, sound: Any, question: Question) -> str:
    """The answer; for a transcript, a cascade's own, as in the evaluation: its LLM would only chat
    about it.
    """
    made = system.ask(sound, question.instruction, question.choices or None)
    return (
        made.transcript
        if question.title == _TRANSCRIPT and made.transcript is not None
        else made.text
    )
