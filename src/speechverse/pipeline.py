"""Answers from a checkpoint in one line: `SpeechVerse.from_pretrained("tiny").ask("clip.wav", "What is said?")`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import torch

from speechverse.audio import AudioSource, Waveform, is_silent, load
from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.errors import AudioTooLongError, UserError
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.tasks import OneOf
from speechverse.types import Answer, AudioRef

logger = logging.getLogger(__name__)


class SpeechVerse:
    """A loaded model that answers questions about sounds.

    Attributes:
        model: The model, in evaluation mode.
        processor: Its processor.
    """

    def __init__(self, model: Any, processor: Any | None = None) -> None:
        """Wraps a model that is loaded already; its processor is made from it if none is given."""
        self.model = model.eval()
        self.processor = processor if processor is not None else model.processor()

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path = "tiny", device: str | None = None) -> SpeechVerse:
        """Loads a checkpoint.

        Args:
            name_or_folder: A built-in name, a local folder, or a hub name.
            device: Where to compute, such as "cpu" or "cuda:0"; None takes a GPU where there is one.

        Raises:
            CheckpointError: If there is no such checkpoint, or it does not fit its encoder or LLM.
            UserError: If this machine has no such device.
        """
        place = pick_device(device)
        return cls(SpeechVerseForConditionalGeneration.from_pretrained(name_or_folder).to(place))

    @overload
    def ask(
        self,
        audio: AudioSource,
        instruction: str,
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
    ) -> Answer: ...

    @overload
    def ask(
        self,
        audio: list[AudioSource],
        instruction: str | list[str],
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
    ) -> list[Answer]: ...

    @overload
    def ask(
        self,
        audio: AudioSource,
        instruction: list[str],
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
    ) -> list[Answer]: ...

    def ask(
        self,
        audio: AudioSource | list[AudioSource],
        instruction: str | list[str],
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
    ) -> Answer | list[Answer]:
        """Asks one thing, or many in batches; a single sound or instruction is shared by all of a list.

        Silent audio is answered like any other, with a warning in the log that names it.

        Args:
            audio: A path, the bytes of a file, samples at 16 kHz (T,), (samples, sampling_rate), or a list of such.
            instruction: What to do with it, in words.
            choices: The answers allowed; None leaves the answer free.
            options: How answers are made.

        Returns:
            One answer, or a list of them in the order asked if a list was given.

        Raises:
            AudioError: If a sound cannot be read.
            AudioTooLongError: If it is longer than the model hears; nothing is ever cut.
            UserError: If lists differ in length, or an instruction or the choices are empty.
        """
        sounds, instructions = _paired(audio, instruction)
        constraint = None if choices is None else OneOf(checked_choices(choices))
        waveforms = {id(sound): self._heard(sound) for sound in sounds}
        questions = [
            self._question(waveforms[id(sound)], text, constraint)
            for sound, text in zip(sounds, instructions, strict=True)
        ]
        answers = answer_questions(self.model, self.processor, questions, options or DecodingOptions())
        return answers if isinstance(audio, list) or isinstance(instruction, list) else answers[0]

    def _heard(self, sound: AudioSource) -> Waveform:
        waveform, limit = load(sound), self.processor.max_audio_seconds
        if limit is not None and waveform.duration > limit:
            raise AudioTooLongError(
                f"{_named(sound)} is {waveform.duration:.1f} s long; this model hears at most {limit:g} s and "
                "cuts nothing off: divide it into shorter clips"
            )
        if is_silent(waveform):
            logger.warning("%s is silent: the answer says nothing of any speech", _named(sound))
        return waveform

    def _question(self, waveform: Waveform, instruction: str, constraint: OneOf | None) -> Question:
        if not instruction.strip():
            raise UserError("the instruction is empty; say in words what to do with the audio")
        length = self.processor.num_positions(instruction, num_samples=len(waveform.samples))
        return Question(instruction, length, samples=partial(getattr, waveform, "samples"), constraint=constraint)


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
        raise UserError(f"no device '{name}' on this machine (there are: {', '.join(known)})") from error
    return torch.device(name)


def checked_choices(choices: Sequence[str]) -> tuple[str, ...]:
    """The choices, none of them empty or twice there.

    Raises:
        UserError: If they are no set of answers.
    """
    listed = [choices] if isinstance(choices, str) else [choice.strip() for choice in choices]
    if isinstance(choices, str) or not listed or not all(listed) or len(set(listed)) < len(listed):
        raise UserError(f"choices are {choices!r}; give a list of different answers, such as ['yes', 'no']")
    return tuple(listed)


def _paired(
    audio: AudioSource | list[AudioSource], instruction: str | list[str]
) -> tuple[list[AudioSource], list[str]]:
    sounds = audio if isinstance(audio, list) else [audio]
    instructions = instruction if isinstance(instruction, list) else [instruction]
    if not isinstance(audio, list):
        sounds = sounds * len(instructions)
    if not isinstance(instruction, list):
        instructions = instructions * len(sounds)
    if len(sounds) != len(instructions):
        raise UserError(
            f"{len(sounds)} sounds and {len(instructions)} instructions; give one instruction for all, or one each"
        )
    return sounds, instructions


def _named(sound: AudioSource) -> str:
    if isinstance(sound, AudioRef):
        return str(sound.path)
    return str(sound) if isinstance(sound, str | Path) else "the audio"
