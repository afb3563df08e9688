"""Answers from a checkpoint in one line: `SpeechVerse.from_pretrained("small").ask("clip.wav",
"What is said?")`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, overload

import torch

from speechverse.audio import AudioSource, Waveform, is_silent, load
from speechverse.clips import Clips, Heard
from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.decoding.patterns import pattern_of_schema
from speechverse.errors import AudioTooLongError, UserError
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.protocols import Lengths, Model, Processor
from speechverse.tasks import ConstraintSpec, Matches, OneOf
from speechverse.tasks.hints import with_hints
from speechverse.types import Answer, AudioRef, Turn

logger = logging.getLogger(__name__)

Sound = AudioSource | Clips
"""One clip, or several that one instruction is about."""

OnError = Literal["raise", "skip"]
"""What a list gives in which one sound or instruction cannot be asked about: nothing, or the
answers to the others.
"""


class SpeechVerse:
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
        cls, name_or_folder: str | Path = "small", device: str | None = None
    ) -> SpeechVerse:
        """Loads a checkpoint.

        Args:
            name_or_folder: A built-in name, a local folder, or a hub name.
            device: Where to compute, such as "cpu" or "cuda:0"; None takes a GPU where there is
                one.

        Raises:
            CheckpointError: If there is no such checkpoint, or it does not fit its encoder or LLM.
            UserError: If this machine has no such device.
        """
        place = pick_device(device)
        return cls(SpeechVerseForConditionalGeneration.from_pretrained(name_or_folder).to(place))

    @overload
    def ask(
        self,
        audio: Sound,
        instruction: str,
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        max_new_tokens: int | None = None,
        on_error: OnError = "raise",
    ) -> Answer: ...

    @overload
    def ask(
        self,
        audio: list[Sound],
        instruction: str | list[str],
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        max_new_tokens: int | None = None,
        on_error: OnError = "raise",
    ) -> list[Answer]: ...

    @overload
    def ask(
        self,
        audio: Sound,
        instruction: list[str],
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        max_new_tokens: int | None = None,
        on_error: OnError = "raise",
    ) -> list[Answer]: ...

    def ask(
        self,
        audio: Sound | list[Sound],
        instruction: str | list[str],
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        max_new_tokens: int | None = None,
        on_error: OnError = "raise",
    ) -> Answer | list[Answer]:
        """Asks one thing, or many in batches; a single sound or instruction is shared by all of a
        list.

        Silent audio is answered like any other, with a warning in the log that names it.
        `Answer.cut` says whether an answer ended before its own end.

        Args:
            audio: A path, the bytes of a file, samples at 16 kHz (T,), (samples, sampling_rate),
                `Clips` of such, which stand at the `<|audio|>` signs of one instruction, or a list
                of any of these.
            instruction: What to do with it, in words.
            choices: The answers allowed; None leaves the answer free.
            options: How answers are made.
            regex: Instead of choices, what the whole answer matches.
            json_schema: Instead of choices, a schema that the answer is JSON of, on one line.
            hints: Words that may be heard, such as names; they go with each instruction. Only a
                model that was taught with them (`data.hinted` of its recipe) knows what they are
                for; `small` was not yet.
            max_new_tokens: The most tokens an answer may have, instead of the options'; by default
                it grows with the audio (see `decoding.default_limit`).
            on_error: Of a list, whether one that cannot be asked ends all ("raise"; the error says
                which it is), or has an empty answer whose `error` says why, beside the answers to
                the others ("skip").

        Returns:
            One answer, or a list of them in the order asked if a list was given.

        Raises:
            AudioError: If a sound cannot be read.
            AudioTooLongError: If it is longer than the model hears; nothing is ever cut.
            UserError: If lists differ in length, an instruction or the choices are empty, or an
                instruction has not as many `<|audio|>` signs as clips.
        """
        if on_error not in get_args(OnError):
            raise UserError(f"on_error is '{on_error}'; allowed are {', '.join(get_args(OnError))}")
        options = _options(options, max_new_tokens)
        sounds, instructions = _paired(audio, instruction)
        instructions = [with_hints(text, hints) if text.strip() else text for text in instructions]
        constraint = self._constraint(choices, regex, json_schema)
        questions, failed = self._questions(sounds, instructions, constraint, on_error)
        made = answer_questions(self.model, self.processor, list(questions.values()), options)
        by_place = failed | dict(zip(questions, made, strict=True))
        answers = [by_place[place] for place in range(len(sounds))]
        return answers if isinstance(audio, list) or isinstance(instruction, list) else answers[0]

    def chat(self, audio: Sound) -> Chat:
        """Begins a conversation: `chat.ask(...)` reads each question behind the earlier ones.

        Raises:
            AudioError: If the sound cannot be read.
            AudioTooLongError: If it is longer than the model hears.
        """
        return Chat(self, audio)

    def _constraint(
        self,
        choices: Sequence[str] | None,
        regex: str | None,
        json_schema: str | Mapping[str, Any] | None,
    ) -> ConstraintSpec | None:
        constraint = constraint_of(choices, regex, json_schema)
        if isinstance(constraint, OneOf):
            self._check_spellable(constraint.choices)
        return constraint

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
                    heard[id(sound)] = self._all_heard(sound)
                questions[place] = self._question(heard[id(sound)], text, constraint)
            except UserError as error:
                if on_error == "raise":
                    if len(sounds) > 1:
                        error.args = (
                            (
                                f"number {place + 1} of {len(sounds)} (index {place}),"
                                f" {_named(sound)}: {error}"
                            ),
                        )
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

    def _all_heard(self, sound: Sound) -> Heard:
        if isinstance(sound, Clips):
            return Heard([self._heard(clip) for clip in sound], several=True)
        return Heard([self._heard(sound)], several=False)

    def _heard(self, sound: AudioSource) -> Waveform:
        waveform, limit = load(sound), self.processor.max_audio_seconds
        if limit is not None and waveform.duration > limit:
            raise AudioTooLongError(
                f"{_named(sound)} is {waveform.duration:.1f} s long; this model hears at most"
                f" {limit:g} s and cuts nothing off: divide it into shorter clips"
            )
        self.processor.check_length(len(waveform.samples))
        if is_silent(waveform):
            logger.warning("%s is silent: the answer says nothing of any speech", _named(sound))
        return waveform

    def _question(
        self,
        heard: Heard,
        instruction: str,
        constraint: ConstraintSpec | None,
        earlier: Sequence[Turn] = (),
    ) -> Question:
        if not instruction.strip():
            raise UserError("the instruction is empty; say in words what to do with the audio")
        if unspelt := self.processor.text.unspelt(instruction):
            logger.warning(
                "the LLM's tokenizer cannot spell '%s' of the instruction: the model does not"
                " see it",
                unspelt,
            )
        asked = heard.prompt(instruction, earlier)
        prompt, end = self.processor.lengths(asked, num_samples=heard.num_samples)
        longest = max(
            (
                len(self.processor.encode_target(choice))
                for choice in getattr(constraint, "choices", ())
            ),
            default=end,
        )
        self.processor.check_room(Lengths(prompt, longest))
        return Question(
            asked,
            prompt + end,
            samples=heard.samples,
            constraint=constraint,
            seconds=heard.seconds,
        )


class Chat:
    """A conversation about a sound: each question is read behind the earlier ones and the model's
    own answers to them. The sound is encoded once.

    Attributes:
        turns: What was asked, with its hints, and answered so far.
    """

    def __init__(self, asked: SpeechVerse, sound: Sound) -> None:
        self.turns: list[Turn] = []
        self._asked = asked
        self._heard = asked._all_heard(sound)
        self._features = self._heard.encoded(asked.model, asked.processor)

    def ask(
        self,
        instruction: str,
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        max_new_tokens: int | None = None,
    ) -> Answer:
        """Asks the next thing, with the arguments of `SpeechVerse.ask`; what fails is no turn.

        Raises:
            AudioTooLongError: If the conversation no longer fits into what the LLM reads.
            UserError: If the instruction or the choices are empty.
        """
        asked = self._asked
        options = _options(options, max_new_tokens)
        constraint = asked._constraint(choices, regex, json_schema)
        text = with_hints(instruction, hints) if instruction.strip() else instruction
        try:
            question = asked._question(self._heard, text, constraint, self.turns)
        except AudioTooLongError as error:
            if not self.turns:
                raise
            raise AudioTooLongError(
                f"the conversation no longer fits into what the LLM reads: {len(self.turns)}"
                f" earlier turns stand before this one ({error}); begin a new one with chat(...)"
            ) from error
        question = replace(question, features=lambda: self._features)
        [answer] = answer_questions(asked.model, asked.processor, [question], options)
        self.turns.append(Turn(text, answer.text))
        return answer


def _options(options: DecodingOptions | None, max_new_tokens: int | None) -> DecodingOptions:
    options = options or DecodingOptions()
    return options if max_new_tokens is None else replace(options, max_new_tokens=max_new_tokens)


def pick_device(name: str | None) -> torch.device:
    """The device of that name, or the best there is.

    Raises:
        UserError: If this machine has no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        known = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise UserError(
            f"no device '{name}' on this machine (there are: {', '.join(known)})"
        ) from error
    return torch.device(name)


def constraint_of(
    choices: Sequence[str] | None,
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
    if choices is not None:
        return OneOf(checked_choices(choices))
    if json_schema is not None:
        return Matches(pattern_of_schema(json_schema))
    return None if regex is None else Matches(regex)


def checked_choices(choices: Sequence[str]) -> tuple[str, ...]:
    """The choices, none of them empty or twice there.

    Raises:
        UserError: If they are no set of answers.
    """
    listed = [choices] if isinstance(choices, str) else [choice.strip() for choice in choices]
    if isinstance(choices, str) or not listed or not all(listed) or len(set(listed)) < len(listed):
        raise UserError(
            f"choices are {choices!r}; give a list of different answers, such as ['yes', 'no']"
        )
    return tuple(listed)


def _paired(
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


def _named(sound: Sound) -> str:
    if isinstance(sound, Clips):
        return " and ".join(map(_named, sound))
    if isinstance(sound, AudioRef):
        return str(sound.path)
    return str(sound) if isinstance(sound, str | Path) else "the audio"
