"""Answers from a checkpoint in one line: `SpeechVerse.from_pretrained("small").ask("clip.wav",
"What is said?")`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, get_args, overload

from speechverse.audio import Address, AudioSource, Waveform, is_silent, load
from speechverse.chat import Chat, Choices
from speechverse.clips import Clips, Heard
from speechverse.decoding import (
    AnswerStream,
    DecodingOptions,
    Question,
    answer_questions,
    check_streamable,
)
from speechverse.decoding.options import FREE_ONLY
from speechverse.device import dtype_of, pick_device
from speechverse.errors import AudioError, AudioTooLongError, UserError
from speechverse.json_schema import pattern_of_schema
from speechverse.longform.doors import Doors
from speechverse.longform.listening import OnError
from speechverse.longform.many import Sound
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.protocols import Model, Processor
from speechverse.tasks import ConstraintSpec, Matches, OneOf, SlotList
from speechverse.tasks.hints import with_hints
from speechverse.types import Answer, AudioRef, Precision, Turn

logger = logging.getLogger(__name__)


class SpeechVerse(Doors):
    """A loaded model that answers questions about sounds.

    Attributes:
        model: The model, in evaluation mode.
        processor: Its processor.
    """

    def __init__(self, model: Model, processor: Processor | None = None) -> None:
        """Wraps a model that is loaded already; its processor is made from it if none is given."""
        self.model = model.eval()
        self.processor = processor if processor is not None else model.processor()

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path = "small",
        device: str | None = None,
        precision: Precision = "fp32",
    ) -> SpeechVerse:
        """Loads a checkpoint.

        Args:
            name_or_folder: A built-in name, a local folder, or a hub name.
            device: Where to compute, such as "cpu" or "cuda:0"; None takes a GPU where there is
                one.
            precision: Of the encoder and the LLM. "bf16" and "fp16" take half the memory and less
                time where a device has units for them; answers may differ by a word.

        Raises:
            CheckpointError: If there is no such checkpoint, or it does not fit its encoder or LLM.
            RecipeError: If the LLM is known to break in fp16.
            UserError: If this machine has no such device, or there is no such precision.
        """
        place, dtype = pick_device(device), dtype_of(precision)
        load = SpeechVerseForConditionalGeneration.from_pretrained
        return cls(load(name_or_folder, dtype=dtype).to(place))

    @overload
    def ask(
        self,
        audio: Sound,
        instruction: str,
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        on_error: OnError = "raise",
        logprobs: bool = False,
        cancel: Event | None = None,
        **decoding: Any,
    ) -> Answer: ...

    @overload
    def ask(
        self,
        audio: list[Sound],
        instruction: str | list[str],
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        on_error: OnError = "raise",
        logprobs: bool = False,
        cancel: Event | None = None,
        **decoding: Any,
    ) -> list[Answer]: ...

    @overload
    def ask(
        self,
        audio: Sound,
        instruction: list[str],
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        on_error: OnError = "raise",
        logprobs: bool = False,
        cancel: Event | None = None,
        **decoding: Any,
    ) -> list[Answer]: ...

    def ask(
        self,
        audio: Sound | list[Sound],
        instruction: str | list[str],
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        on_error: OnError = "raise",
        logprobs: bool = False,
        cancel: Event | None = None,
        **decoding: Any,
    ) -> Answer | list[Answer]:
        """Asks one thing, or many in batches; a single sound or instruction is shared by all of a
        list.

        Silent audio is answered like any other, with a warning in the log that names it.
        `Answer.cut` says whether an answer ended before its own end.

        Args:
            audio: A path, the bytes of a file, samples at 16 kHz (T,), (samples, sampling_rate),
                an `Address` of the network, `Clips` of such, which stand at the `<|audio|>` signs
                of one instruction, or a list of any of these.
            instruction: What to do with it, in words.
            choices: The answers allowed, or a task's constraint; None leaves the answer free.
            options: How answers are made.
            regex: Instead of choices, what the whole answer matches.
            json_schema: Instead of choices, a schema that the answer is JSON of, on one line.
            hints: Words that may be heard, such as names; they go with each instruction. Only a
                model that was taught with them (`data.hinted` of its recipe, as `small` was) knows
                what they are for.
            on_error: Of a list, whether one that cannot be asked ends all ("raise"; the error says
                which it is), or has an empty answer whose `error` says why, beside the answers to
                the others ("skip").
            logprobs: Whether answers carry the log-probabilities of their tokens; it takes one more
                pass.
            cancel: Set from another thread, it stops the model at its next token.
            decoding: Options by name, instead of those in `options`: `max_new_tokens=40`,
                `num_beams=4`, `temperature=0.7`, `seed=1`, `stop=["."]`, ... (see
                `DecodingOptions`).

        Returns:
            One answer, or a list of them in the order asked if a list was given.

        Raises:
            AudioError: If a sound cannot be read.
            AudioTooLongError: If it is longer than the model hears; nothing is ever cut but a quiet
                end (`quiet_end` of the recipe's model).
            CancelledError: If it was cancelled.
            UserError: If lists differ in length, an instruction or the choices are empty, options
                exclude each other, or an instruction has not as many `<|audio|>` signs as clips.
        """
        if on_error not in get_args(OnError):
            raise UserError(f"on_error is '{on_error}'; allowed are {', '.join(get_args(OnError))}")
        sounds, instructions = _pair(audio, instruction)
        instructions = [with_hints(text, hints) for text in instructions]
        constraint, options = self.how_to_answer(choices, regex, json_schema, options, decoding)
        questions, failed = self._questions(sounds, instructions, constraint, on_error)
        how: dict[str, Any] = {"logprobs": logprobs, "cancel": cancel}
        made = answer_questions(
            self.model, self.processor, list(questions.values()), options, **how
        )
        by_place = failed | dict(zip(questions, made, strict=True))
        answers = [by_place[place] for place in range(len(sounds))]
        return answers if isinstance(audio, list) or isinstance(instruction, list) else answers[0]

    def stream(
        self,
        audio: Sound,
        instruction: str,
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        logprobs: bool = False,
        **decoding: Any,
    ) -> AnswerStream:
        """Asks one thing, whose answer comes piece by piece: `for piece in model.stream(...)`.

        Pieces are whole characters, and joined they are the answer that `ask` gives. A choice comes
        as one piece. For the other arguments and the errors see `ask`.

        Returns:
            The pieces; their `answer` is the whole once they have come.

        Raises:
            UserError: Also for beams and for scored choices, which do not come piece by piece.
        """
        constraint, options = self.how_to_answer(choices, regex, json_schema, options, decoding)
        text = with_hints(instruction, hints)
        question = self.question(self.hear(audio), text, constraint)
        check_streamable(options, [question])

        def answer(on_piece: Callable[[str], None], cancel: Event) -> Answer:
            how: dict[str, Any] = {"logprobs": logprobs, "cancel": cancel}
            told = [replace(question, on_piece=on_piece)]
            return answer_questions(self.model, self.processor, told, options, **how)[0]

        return AnswerStream(answer)

    def chat(self, audio: Sound) -> Chat:
        """Begins a conversation: `chat.ask(...)` reads each question behind the earlier ones.

        Raises:
            AudioError: If the sound cannot be read.
            AudioTooLongError: If it is longer than the model hears.
        """
        return Chat(self, self.hear(audio))

    def how_to_answer(
        self,
        choices: Choices,
        regex: str | None,
        json_schema: str | Mapping[str, Any] | None,
        options: DecodingOptions | None,
        changes: Mapping[str, Any],
    ) -> tuple[ConstraintSpec | None, DecodingOptions]:
        """The constraint and the options of one call, tried against each other and the LLM."""
        constraint = constraint_of(choices, regex, json_schema)
        names = "labels" if isinstance(constraint, SlotList) else "choices"
        self._check_spellable(getattr(constraint, names, ()))
        return constraint, options_for(constraint, options, changes)

    def _questions(
        self,
        sounds: Sequence[Sound],
        instructions: Sequence[str],
        constraint: ConstraintSpec | None,
        on_error: OnError,
    ) -> tuple[dict[int, Question], dict[int, Answer]]:
        """By place in the list, what is asked, and what cannot be."""
        heard: dict[int, Heard] = {}
        questions, failed = dict[int, Question](), dict[int, Answer]()
        for place, (sound, text) in enumerate(zip(sounds, instructions, strict=True)):
            try:
                if id(sound) not in heard:
                    heard[id(sound)] = self.hear(sound)
                questions[place] = self.question(heard[id(sound)], text, constraint)
            except UserError as error:
                if on_error == "raise":
                    if len(sounds) > 1:
                        number = f"number {place + 1} of {len(sounds)} (index {place})"
                        error.args = (f"{number}, {_describe(sound)}: {error}",)
                    raise
                failed[place] = Answer("", error=str(error))
        return questions, failed

    def _check_spellable(self, choices: tuple[str, ...]) -> None:
        for choice in choices:
            if unspelt := self.processor.text.unspelt(choice):
                raise UserError(
                    f"the LLM's tokenizer cannot spell '{unspelt}' of the choice '{choice}', so it"
                    " could not be told from others; give choices in a language and script that"
                    " the LLM knows"
                )

    def hear(self, sound: Sound) -> Heard:
        """A sound as questions are asked about it.

        Raises:
            AudioError: If it cannot be read.
            AudioTooLongError: If it is longer than the model hears.
        """
        if isinstance(sound, Clips):
            return Heard([self._load_sound(clip) for clip in sound], several=True)
        return Heard([self._load_sound(sound)], several=False)

    def _load_sound(self, sound: AudioSource) -> Waveform:
        whole = load(sound)
        waveform = whole._replace(samples=self.processor.heard_of(whole.samples))
        try:
            self.processor.check_length(len(waveform.samples))
        except AudioError as error:
            more = (
                "; ask_whole(...) asks about its parts, transcribe(...) writes it down"
                if isinstance(error, AudioTooLongError)
                else ""
            )
            error.args = (f"{_describe(sound)}: {error}{more}",)
            raise
        if is_silent(waveform):
            logger.warning("%s is silent: the answer says nothing of any speech", _describe(sound))
        return waveform

    def question(
        self,
        heard: Heard,
        instruction: str,
        constraint: ConstraintSpec | None,
        earlier: Sequence[Turn] = (),
    ) -> Question:
        """What a model is to answer about sounds that were heard, behind earlier turns.

        Raises:
            AudioTooLongError: If it does not fit into what the LLM reads.
            UserError: If the instruction is empty.
        """
        if not instruction.strip():
            raise UserError("the instruction is empty; say in words what to do with the audio")
        if unspelt := self.processor.text.unspelt(instruction):
            logger.warning(
                "the LLM's tokenizer cannot spell '%s' of the instruction: the model does not"
                " see it",
                unspelt,
            )
        asked = heard.prompt(instruction, earlier)
        choices = constraint.choices if isinstance(constraint, OneOf) else ()
        lengths = self.processor.check_question(asked, choices, num_samples=heard.num_samples)
        return Question(
            asked,
            sum(lengths),
            samples=heard.samples,
            constraint=constraint,
            seconds=heard.seconds,
            name=heard.fingerprint,
        )


def constraint_of(
    choices: Choices,
    regex: str | None = None,
    json_schema: str | Mapping[str, Any] | None = None,
) -> ConstraintSpec | None:
    """What an answer may be; None leaves it free.

    Raises:
        UserError: If more than one is given, or one of them is none.
    """
    if sum(given is not None for given in (choices, regex, json_schema)) > 1:
        raise UserError(
            "choices, regex and json_schema each say what an answer may be; give one of them"
        )
    if isinstance(choices, ConstraintSpec):
        return choices
    if choices is not None:
        return OneOf(check_choices(choices))
    if json_schema is not None:
        return Matches(pattern_of_schema(json_schema))
    if regex is not None and not isinstance(regex, str):
        raise UserError(f"regex is a {type(regex).__name__}; give a pattern as text")
    return None if regex is None else Matches(regex)


def options_for(
    constraint: ConstraintSpec | None,
    options: DecodingOptions | None,
    changes: Mapping[str, Any],
) -> DecodingOptions:
    """Options for one question: some of them changed, and none that its constraint has no use for.

    Raises:
        UserError: If a changed option is wrong, or shapes free answers while this one is not free.
    """
    options = DecodingOptions() if options is None else options
    if not isinstance(options, DecodingOptions):
        raise UserError(
            f"options are a {type(options).__name__}; give DecodingOptions(...), or them by name"
        )
    if changes:
        options = options.changed(**changes)
    unfit = [name for name in FREE_ONLY if getattr(options, name)]
    if constraint is not None and unfit:
        raise UserError(
            f"{' and '.join(unfit)} shape free answers, and could forbid what choices, regex or"
            " json_schema demand: leave out either"
        )
    return options


def check_choices(choices: Sequence[str]) -> tuple[str, ...]:
    """The choices, none of them empty or twice there.

    Raises:
        UserError: If they are no set of answers.
    """
    one = isinstance(choices, str) or not isinstance(choices, Iterable)
    listed = [] if one else [c.strip() if isinstance(c, str) else "" for c in choices]
    if not listed or not all(listed) or len(set(listed)) < len(listed):
        raise UserError(
            f"choices are {choices!r}; give a list of different answers, such as ['yes', 'no']"
        )
    return tuple(listed)


def _pair(
    audio: Sound | list[Sound], instruction: str | list[str]
) -> tuple[list[Sound], list[str]]:
    sounds = audio if isinstance(audio, list) else [audio]
    instructions = instruction if isinstance(instruction, list) else [instruction]
    if not isinstance(audio, list):
        sounds = sounds * len(instructions)
    if not isinstance(instruction, list):
        instructions = instructions * len(sounds)
    if len(sounds) != len(instructions):
        raise UserError(
            f"{len(sounds)} sounds and {len(instructions)} instructions; give one instruction for"
            " all, or one each"
        )
    return sounds, instructions


def _describe(sound: Sound) -> str:
    if isinstance(sound, Clips):
        return " and ".join(map(_describe, sound))
    if isinstance(sound, AudioRef):
        return str(sound.path)
    return str(sound) if isinstance(sound, str | Path | Address) else "the audio"
