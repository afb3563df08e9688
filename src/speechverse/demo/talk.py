"""What the page asks of a model, without the page."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Literal

from speechverse.audio import duration_of
from speechverse.chat import Chat
from speechverse.commas import listed
from speechverse.decoding import DecodingOptions
from speechverse.errors import UserError
from speechverse.evaluation.cascades import WhisperReader
from speechverse.longform.transcript import Segment
from speechverse.longform.writers import Decoder
from speechverse.pipeline import SpeechVerse
from speechverse.serving.engine import Engine, passed_on
from speechverse.types import Answer

Picking = Literal["score", "constrain", "free"]
"""How one of the choices is found: as `DecodingOptions.choice_mode`."""

NO_CLIP = "there is no clip yet: record one, or upload a file"


@dataclass(frozen=True)
class Wish:
    """What somebody filled in.

    Attributes:
        clip: A file.
        instruction: In words.
        choices: The answers allowed, with commas between; none leave the answer free.
        hints: Words that may be heard, with commas between.
        picking: How one of the choices is found.
        beside: Whether the cascade is asked, too.
    """

    clip: str | None
    instruction: str | None
    choices: str | None = None
    hints: str | None = None
    picking: Picking = "score"
    beside: bool = False

    @property
    def how(self) -> dict[str, Any]:
        """As `ask` takes it."""
        return {
            "choices": listed(self.choices) or None,
            "hints": listed(self.hints),
            "options": DecodingOptions(choice_mode=self.picking),
        }


@dataclass
class Said:
    """An answer as far as it has come, and who gives it."""

    who: str
    text: str = ""
    answer: Answer | None = None
    parts: tuple[Segment, ...] = ()
    error: str | None = None


@dataclass
class Turn:
    """A question, and the answers to it."""

    instruction: str
    said: list[Said]


@dataclass
class Talk:
    """Questions about one clip, each read behind the earlier ones."""

    clip: str
    chat: Chat | None
    turns: list[Turn] = field(default_factory=list)


@dataclass
class Talker:
    """A model that is talked to, and the cascade beside it: one question at a time, whoever asks.

    The engine's thread alone runs the model: a question that nobody reads any longer, but that
    cannot be stopped in its midst, is at work before the next begins, and the cascade takes the
    model's adapters away as long as it reads.

    Attributes:
        engine: It was started.
        check: Raises an AudioError for a file that is not to be read.
    """

    loaded: SpeechVerse
    engine: Engine
    check: Callable[[str], None] = lambda clip: None

    @cached_property
    def cascade(self) -> WhisperReader:
        return WhisperReader.of(self.loaded)

    def ask(self, wish: Wish, talk: Talk | None = None) -> Iterator[Talk]:
        """The talk as it grows by what is asked: anew, or behind its earlier turns.

        Closing the iterator stops what comes piece by piece; scored choices, an answer from parts
        and the cascade's are made to their end first.

        Raises:
            UserError: As `ask` of `SpeechVerse`, and if there is no clip.
        """
        if not wish.clip:
            raise UserError(NO_CLIP)
        if not (asked := (wish.instruction or "").strip()):
            raise UserError("the instruction is empty; say in words what to do with the audio")
        if talk is None or talk.clip != wish.clip:
            talk = Talk(wish.clip, None)
        turn = Turn(asked, [Said("The model")])
        # What was stopped, or went wrong, is not behind it: the model does not read it either.
        answered = [one for one in talk.turns if one.said[0].answer is not None]
        shown = Talk(talk.clip, talk.chat, [*answered, turn])
        yield shown
        self.check(wish.clip)
        yield from passed_on(self.engine, self._answers(wish, shown, turn))

    def _answers(self, wish: Wish, shown: Talk, turn: Turn) -> Generator[Talk]:
        for _ in self._model_says(wish, shown, turn):
            yield shown
        if wish.beside:
            yield from self._cascade_says(wish, shown, turn)

    def _model_says(self, wish: Wish, talk: Talk, turn: Turn) -> Iterator[None]:
        said = turn.said[0]
        if duration_of(talk.clip) > self.loaded.processor.max_audio_seconds:
            if len(talk.turns) > 1:
                raise UserError(
                    "what is asked about a recording longer than the model hears stands alone: ask"
                    " it as a new question"
                )
            made = self.loaded.ask_whole(talk.clip, turn.instruction, **wish.how)
            said.answer, said.parts = made.answer, made.parts
        else:
            chat = talk.chat = talk.chat or self.loaded.chat(talk.clip)
            if wish.how["choices"] and wish.picking == "score":
                said.answer = chat.ask(turn.instruction, **wish.how)
            else:
                with chat.stream(turn.instruction, **wish.how) as pieces:
                    for piece in pieces:
                        said.text += piece
                        yield
                    said.answer = pieces.answer
        assert said.answer is not None
        said.text = said.answer.text
        yield

    def _cascade_says(self, wish: Wish, talk: Talk, turn: Turn) -> Iterator[Talk]:
        said = Said("The cascade")
        turn.said.append(said)
        yield talk
        try:
            said.answer = self.cascade.ask(talk.clip, turn.instruction, **wish.how)
            said.text = said.answer.text
        except UserError as error:  # the model's own answer stands all the same
            said.error = str(error)
        yield talk

    def write(self, clip: str | None, decoder: Decoder | None) -> Iterator[Segment]:
        """What is said in a clip of any length, as it is written; others have their turns between
        its segments.
        """
        if not clip:
            raise UserError(NO_CLIP)
        self.check(clip)
        written = self.loaded.segments(clip, decoder=decoder)

        def next_one() -> Generator[Segment]:
            yield from islice(written, 1)

        while found := [*passed_on(self.engine, next_one())]:
            yield from found
