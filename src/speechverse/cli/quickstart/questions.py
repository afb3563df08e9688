"""Questions about clips in voices that the model never heard, and about the newcomer's own recording."""

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

_NUM_INTENTS = 4
_TRANSCRIPT = "transcript"


@dataclass(frozen=True, slots=True)
class Question:
    """One thing asked about a clip.

    Attributes:
        title: What is asked, in short.
        instruction: As the model reads it.
        choices: The answers allowed; empty leaves the answer free.
        right: The right answer, where it is known.
    """

    title: str
    instruction: str
    choices: tuple[str, ...] = ()
    right: str | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that is asked about, `said` where that is known, and who says it."""

    path: Path
    speaker: str
    questions: tuple[Question, ...]
    said: str | None = None

    @property
    def key(self) -> str:
        """Changes with what is heard and with what is asked."""
        asked = "\n".join(f"{question.instruction} {question.choices}" for question in self.questions)
        return hashlib.sha256(self.path.read_bytes() + asked.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Asked:
    """A clip with what came: for each question the answers of the systems, by name."""

    path: str
    speaker: str
    said: str | None
    titles: tuple[str, ...]
    right: tuple[str | None, ...]
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def own_clip(path: Path) -> Clip:
    """The newcomer's own file."""
    about = Question("about", f"What is it about? Answer with one of: {', '.join(TOPICS)}", TOPICS)
    return Clip(path, "you", (_transcript(None), about, *_about_the_voice({})))


def clips_of(corpus: Corpus, number: int = 3) -> list[Clip]:
    """Some clips of a made corpus: one at least of two speakers, the others with an intent."""
    every = corpus.utterances("test")
    wanting = [utterance for utterance in every if utterance.labels.get("intent")]
    two = [utterance for utterance in every if utterance.labels.get("num_speakers") == 2]
    chosen = [*wanting[: number - 1], *two[:1]] if two else wanting[:number]
    return [_made_clip(utterance, wanting) for utterance in chosen]


def _made_clip(utterance: Utterance, wanting: Sequence[Utterance]) -> Clip:
    labels = utterance.labels
    questions = [_transcript(utterance.text)]
    if labels.get("intent"):
        questions.append(_intent(labels["intent"], [other.labels["intent"] for other in wanting]))
    return Clip(
        utterance.audio.path,
        utterance.speaker or "",
        (*questions, *_about_the_voice(labels)),
        utterance.text,
    )


def _transcript(said: str | None) -> Question:
    return Question(_TRANSCRIPT, "Transcribe the preceding audio.", right=said)


def _intent(intent: str, others: Sequence[str]) -> Question:
    """The right intent among those of other clips, in the order of the alphabet: the place must not tell."""
    different = [name for name in dict.fromkeys(others) if name != intent]
    offered = tuple(sorted([intent, *different[: _NUM_INTENTS - 1]]))
    return Question(
        "wanted", f"What does the speaker want? Answer with one of: {', '.join(offered)}", offered, right=intent
    )


def _about_the_voice(labels: Mapping[str, Any]) -> tuple[Question, ...]:
    emotions = ("happy", "sad", "angry", "neutral")
    listed = f"How does the speaker feel? Answer with one of: {', '.join(emotions)}"
    number = labels.get("num_speakers")
    counted = None if number is None else {1: "one", 2: "two"}.get(number)
    feeling = Question("emotion", listed, emotions, right=labels.get("emotion"))
    how_many = Question("how many speak", "How many people are speaking?", ("one", "two"), right=counted)
    return (feeling, how_many) if labels.get("emotion") or number is None else (how_many,)


def ask(clip: Clip, systems: Mapping[str, Any]) -> Asked:
    """Asks every system every question about a clip.

    Args:
        clip: The clip.
        systems: Name → who has `ask(sound, instruction, choices)`.

    Raises:
        AudioError: If the clip cannot be read, or is longer than the model hears.
    """
    from speechverse.audio import load

    sound = load(clip.path)
    answers = {
        name: tuple(_answered(system, sound, question) for question in clip.questions)
        for name, system in systems.items()
    }
    titles = tuple(question.title for question in clip.questions)
    right = tuple(question.right for question in clip.questions)
    return Asked(str(clip.path), clip.speaker, clip.said, titles, right, answers)


def _answered(system: Any, sound: Any, question: Question) -> str:
    """The answer; for a transcript, a cascade's own, as in the evaluation: its LLM would only chat about it."""
    made = system.ask(sound, question.instruction, question.choices or None)
    return made.transcript if question.title == _TRANSCRIPT and made.transcript is not None else made.text
