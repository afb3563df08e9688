"""Questions about clips in voices that the model never heard, and about one's own recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class ClipQuestion:
    """What is asked about a clip under a short title, and what is right where that is known."""

    title: str
    instruction: str
    choices: tuple[str, ...] = ()
    right: str | None = None


@dataclass(frozen=True)
class Asked:
    """A clip, what is asked about it, and each system's answers, by name."""

    path: str
    speaker: str
    questions: tuple[ClipQuestion, ...]
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Changes with what is heard and with what is asked."""
        from speechverse.seeding import fingerprint

        return fingerprint(Path(self.path).read_bytes(), repr(self.questions))

    @property
    def heading(self) -> str:
        """Which clip it is, and who speaks."""
        own = self.speaker == "you"
        return self.path + ("" if own else f" (voice {self.speaker}, never heard in training)")

    @property
    def rows(self) -> list[tuple[str, str | None, list[str]]]:
        """Title, right answer and the systems' answers of each question."""
        columns = zip(self.questions, *self.answers.values(), strict=True)
        return [(question.title, question.right, list(made)) for question, *made in columns]


def own_clip(path: Path) -> Asked:
    """The newcomer's own file."""
    about = _one_of("about", "What is it about?", TOPICS)
    return Asked(str(path), "you", (_transcript(None), about, *_about_the_voice({})))


def clips_of(corpus: Corpus, number: int = 3) -> list[Asked]:
    """Some clips of a made corpus: one at least of two speakers, the others with an intent."""
    every = corpus.utterances("test")
    wanting = [utterance for utterance in every if utterance.labels.get("intent")]
    two = [utterance for utterance in every if utterance.labels.get("num_speakers") == 2]
    chosen = [*wanting[: number - 1], *two[:1]] if two else wanting[:number]
    return [_made_clip(utterance, wanting) for utterance in chosen]


def _made_clip(utterance: Utterance, wanting: Sequence[Utterance]) -> Asked:
    questions, intent = [_transcript(utterance.text)], utterance.labels.get("intent")
    if intent:
        intents = dict.fromkeys(other.labels["intent"] for other in wanting)
        others = [name for name in intents if name != intent]
        few = tuple(sorted([intent, *others[: _NUM_INTENTS - 1]]))  # the place must not tell
        questions.append(_one_of("wanted", "What does the speaker want?", few, intent))
    questions += _about_the_voice(utterance.labels)
    return Asked(str(utterance.audio.path), utterance.speaker or "", tuple(questions))


def _transcript(said: str | None) -> ClipQuestion:
    return ClipQuestion(_TRANSCRIPT, "Transcribe the preceding audio.", right=said)


def _one_of(
    title: str, asked: str, choices: tuple[str, ...], right: str | None = None
) -> ClipQuestion:
    return ClipQuestion(title, f"{asked} Answer with one of: {', '.join(choices)}", choices, right)


def _about_the_voice(labels: Mapping[str, Any]) -> tuple[ClipQuestion, ...]:
    emotion, number = labels.get("emotion"), labels.get("num_speakers")
    title = "emotion" if labels else "emotion (learned of made voices alone)"
    feeling = _one_of(title, "How does the speaker feel?", EMOTIONS, emotion)
    right = {1: "one", 2: "two"}.get(number or 0)
    how_many = _one_of("how many speak", "How many people are speaking?", ("one", "two"), right)
    return (feeling, how_many) if emotion or number is None else (how_many,)


def ask(clip: Asked, systems: Mapping[str, Any]) -> Asked:
    """Asks every system (name → who has `ask(sound, instruction, choices)`) every question.

    Raises:
        AudioError: If the clip cannot be read, or is longer than the model hears.
    """
    from speechverse.audio import load

    sound = load(clip.path)
    answers = {
        name: tuple(_answer(system, sound, question) for question in clip.questions)
        for name, system in systems.items()
    }
    return replace(clip, answers=answers)


def _answer(system: Any, sound: Any, question: ClipQuestion) -> str:
    """A cascade's transcript is its own, as in the evaluation: its LLM would only chat about it."""
    made = system.ask(sound, question.instruction, question.choices or None)
    own = made.transcript if question.title == _TRANSCRIPT else None
    return made.text if own is None else own
