"""From instructions and audio to what the model reads, and back to text: the one place that knows
T5 from Llama.

Shape letters: B batch, P prompt positions, N target tokens, L layers, T frames, D width of the
encoder.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from speechverse.audio.waveform import without_quiet_end
from speechverse.encoders import EncoderOutput, FrontEnd, load_front_end
from speechverse.errors import AudioTooLongError, UserError
from speechverse.hub import local_folder, resolve
from speechverse.models.assembly import read_config
from speechverse.models.configuration_speechverse import SpeechVerseConfig
from speechverse.models.llm import check_vocabulary, load_tokenizer
from speechverse.models.plain_text import PlainText
from speechverse.models.prompts import PromptWriter, special_tokens
from speechverse.seeding import fingerprint
from speechverse.types import IGNORED, Lengths, Prompt

log = logging.getLogger(__name__)

_MAX_REMEMBERED = 50_000


Value = TypeVar("Value")
Each: TypeAlias = Value | list[Value]
"""Of a row's one clip, or of each of its clips."""


class Row(NamedTuple):
    prompt: list[int]
    target: list[int]


class SpeechVerseBatch(dict[str, Any]):
    """A batch as keyword arguments of `forward` and `generate`."""

    def to(self, device: torch.device | str) -> SpeechVerseBatch:
        return SpeechVerseBatch({key: _move(value, device) for key, value in self.items()})


def _move(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, EncoderOutput):
        return EncoderOutput(*(_move(item, device) for item in value))
    return {key: _move(item, device) for key, item in value.items()}


class SpeechVerseProcessor:
    """Text and audio on their way into a SpeechVerse model.

    The audio placeholder of the prompt template is expanded to exactly as many positions as the
    downsampler will give; rows are packed before they are padded, on the side the LLM wants.
    Instructions, transcripts and targets are plain text whatever they hold (`PlainText`); only the
    LLM's own template writes its control signs.

    Attributes:
        text: Spells text in the tokenizer's pieces.
    """

    def __init__(
        self, config: SpeechVerseConfig, tokenizer: PreTrainedTokenizerBase, front_end: FrontEnd
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.front_end = front_end
        self.text = PlainText(tokenizer)
        self._remembered: dict[str, list[int]] = {}
        self._writer = PromptWriter(config, self.text, self._tokens)
        self._target_prefix, self._target_suffix = special_tokens(tokenizer, "text_target")
        used = {*self._prompt("", [[]]), *self.encode_target(""), *self._target_prefix}
        check_vocabulary(tokenizer, config.audio_token_id, str(config.llm), used)

    @classmethod
    def from_config(
        cls,
        config: SpeechVerseConfig,
        relative_to: Path | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> SpeechVerseProcessor:
        """Loads the tokenizer, unless it is given, and the front end that a configuration names.

        Raises:
            CheckpointError: If it names none, or they cannot be loaded.
        """
        encoder_name, llm_name = config.part_names
        encoder = resolve(encoder_name, config.encoder_revision, relative_to)
        llm = resolve(llm_name, config.llm_revision, relative_to)
        window, family = config.settings.encoder_window, config.settings.encoder_family
        made = cls(
            config,
            load_tokenizer(llm) if tokenizer is None else tokenizer,
            load_front_end(encoder.name, encoder.revision, window, family),
        )
        if config.prompt_fingerprint not in (None, made.prompt_fingerprint):
            log.warning(
                "the tokenizer or the chat template of the LLM '%s' has changed since this"
                " checkpoint was trained: it is asked otherwise than it was taught",
                llm_name,
            )
        return made

    @property
    def prompt_fingerprint(self) -> str:
        """Of how it writes an instruction and an answer: by tokenizer, template and settings."""
        return fingerprint(
            repr((self._writer.around("Who speaks?"), self.encode_target("Two people, 2.")))
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path, **kwargs: Any) -> SpeechVerseProcessor:
        """Loads what belongs to a checkpoint; `kwargs` are transformers' own, for its
        `AutoProcessor`.
        """
        found = resolve(folder, kwargs.get("revision"))
        return cls.from_config(read_config(found), relative_to=local_folder(found))

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the configuration, which names everything else the processor is made of."""
        self.config.save_pretrained(folder)

    @property
    def max_audio_seconds(self) -> float:
        """The longest audio accepted: the model's limit, or the encoder's where that is lower."""
        return min(self.config.max_audio_seconds, self.front_end.max_seconds or float("inf"))

    def heard_of(self, samples: np.ndarray) -> np.ndarray:
        """The part of a clip (T,) that is heard: without a longer quiet end than the model
        knows.
        """
        kept = self.config.quiet_end
        return samples if kept is None else without_quiet_end(samples, kept)

    @property
    def end_token_id(self) -> int:
        assert self.config.end_id is not None
        return self.config.end_id

    def __call__(
        self,
        instructions: Sequence[Prompt],
        *,
        audio: Sequence[Each[np.ndarray]] | None = None,
        features: Sequence[Each[Tensor]] | None = None,
        transcripts: Sequence[Each[str]] | None = None,
        targets: Sequence[str] | None = None,
        generation: bool = False,
    ) -> SpeechVerseBatch:
        """Makes a batch from instructions and one of three things to ask about.

        Args:
            instructions: Plain text, or a `Dialogue`, whose sound stands in its first turn; a row
                with several clips (`Dialogue.num_clips`) has a list of sounds.
            audio: Mono 16 kHz samples, one array a row.
            features: Encoder outputs that were kept, shape (L, T, D), one a row.
            transcripts: Text to put where the audio would be.
            targets: What should be answered; adds `labels`, aligned with the logits for every kind
                of LLM.
            generation: Whether the batch is for `generate`, where decoder-only LLMs pad on the
                left.

        Raises:
            AudioTooLongError: If audio is longer than `max_audio_seconds`, or the row longer than
                the LLM can read.
            UserError: If not exactly one of audio, features and transcripts was given, or their
                numbers differ.
        """
        sources = {"audio": audio, "features": features, "transcripts": transcripts}
        given = [name for name, value in sources.items() if value is not None]
        if len(given) != 1:
            raise UserError(
                "give exactly one of audio, features and transcripts, not"
                f" {' and '.join(given) or 'none'}"
            )
        if generation and targets is not None:
            raise UserError(
                "targets are for training and scoring; leave them out of a batch for generation"
            )
        for name, values in ((given[0], sources[given[0]]), ("targets", targets)):
            if values is not None and len(values) != len(instructions):
                raise UserError(
                    f"got {len(instructions)} instructions but {len(values)} {name}; give as many"
                    " of each"
                )
        inputs, middles = self._audio_part(audio, features, transcripts)
        answers = (
            [[]] * len(instructions)
            if targets is None
            else [self.encode_target(text) for text in targets]
        )
        prompts = [
            self._prompt(text, clips) for text, clips in zip(instructions, middles, strict=True)
        ]
        rows = [Row(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        for row in rows:
            self.check_room(Lengths(len(row.prompt), max(1, len(row.target))))
        inputs.update(self._pad(rows, generation=generation, labelled=targets is not None))
        return inputs

    def _audio_part(
        self,
        audio: Sequence[Each[np.ndarray]] | None,
        features: Sequence[Each[Tensor]] | None,
        transcripts: Sequence[Each[str]] | None,
    ) -> tuple[SpeechVerseBatch, list[list[list[int]]]]:
        """What the encoder or its output gives to the model, all clips in the order of the rows,
        and the ids that stand for each clip in each prompt.
        """
        if transcripts is not None:
            return SpeechVerseBatch(), [
                [self._tokens(text) for text in _each(row)] for row in transcripts
            ]
        if audio is not None:
            waveforms = [waveform for row in audio for waveform in _each(row)]
            for waveform in waveforms:
                self.check_length(len(waveform))
            inputs = self.front_end.prepare(waveforms)
            batch, lengths = SpeechVerseBatch(audio_inputs=inputs), inputs["frame_lengths"].tolist()
        else:
            output = _stack([feature for row in features or () for feature in _each(row)])
            batch, lengths = SpeechVerseBatch(encoder_output=output), output.lengths.tolist()
        positions = iter([self.config.num_audio_positions(length) for length in lengths])
        rows: Sequence[Any] = audio or features or ()
        return batch, [
            [[self.config.audio_token_id] * next(positions) for _ in _each(row)] for row in rows
        ]

    def check_length(self, num_samples: int) -> None:
        """Whether the model can hear audio of so many samples.

        Raises:
            AudioTooLongError: If it is longer than the model accepts; the limit is named.
            AudioError: If it is too short for the encoder.
        """
        self.front_end.check_length(num_samples, self.config.max_audio_seconds)

    def _prompt(self, instruction: Prompt, clips: Sequence[list[int]]) -> list[int]:
        first, *behind = self._writer.around(instruction)
        _check_number(len(behind), len(clips))
        rest = [
            token for pair in zip(clips, behind, strict=True) for part in pair for token in part
        ]
        return [*first, *rest]

    def _tokens(self, text: str) -> list[int]:
        """Ids without special tokens; the same few instructions come again and again, so they are
        remembered.
        """
        ids = self._remembered.get(text)
        if ids is None:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            ids = self._remembered[text] = self.text.ids(text)
        return ids

    def encode_target(self, text: str) -> list[int]:
        """Exactly the ids the model is taught to generate for an answer, special tokens and the end
        token included.
        """
        ids = self._tokens(text)
        if not self.config.is_encoder_decoder:
            return [*ids, self.end_token_id]
        suffix = self._target_suffix
        return [
            *self._target_prefix,
            *ids,
            *(suffix if self.end_token_id in suffix else [self.end_token_id]),
        ]

    def distinguishing_tokens(self, answers: Sequence[str]) -> tuple[int, ...]:
        """Of each answer the first token that no other of them has, special tokens aside.

        The first token of all where each of an answer's is also another's; the end's for an empty
        answer.
        """
        tokens = [self._tokens(answer) or [self.end_token_id] for answer in answers]
        answers_with = Counter(token for of_one in tokens for token in set(of_one))
        return tuple(
            next((t for t in of_one if answers_with[t] == 1), of_one[0]) for of_one in tokens
        )

    def decode(self, ids: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Text of generated ids (B, N), each row up to its end token, without special tokens."""
        rows = ids.tolist() if isinstance(ids, Tensor) else [list(row) for row in ids]
        end = self.end_token_id
        return [
            text.strip()
            for text in self.text.decode(
                [row[: row.index(end)] if end in row else row for row in rows]
            )
        ]

    def lengths(
        self,
        instruction: Prompt,
        target: str = "",
        *,
        num_samples: Each[int] = 0,
        transcript: Each[str] | None = None,
    ) -> Lengths:
        """LLM positions an example costs; without a target, its answer is the end token alone."""
        parts = self._writer.around(instruction)
        if transcript is not None:
            clips = [len(self._tokens(text)) for text in _each(transcript)]
        else:
            frames = [self.front_end.num_frames(number) for number in _each(num_samples)]
            clips = [self.config.num_audio_positions(number) for number in frames]
        _check_number(len(parts) - 1, len(clips))
        return Lengths(sum(map(len, parts)) + sum(clips), len(self.encode_target(target)))

    def num_positions(self, instruction: Prompt, target: str = "", **heard: Any) -> int:
        return sum(self.lengths(instruction, target, **heard))

    def room(self, prompt: int) -> int | None:
        """Tokens that an answer to a prompt of so many positions may have; None where the LLM has
        no limit.
        """
        if self.config.is_encoder_decoder:
            return self.config.max_answer_positions
        limit = self.config.llm_max_positions
        return None if limit is None else max(0, limit - prompt)

    def check_room(self, lengths: Lengths) -> None:
        """Whether prompt and answer fit into the positions that the LLM has.

        Raises:
            AudioTooLongError: If not, with both numbers.
        """
        limit, room = self.config.llm_max_positions, self.room(lengths.prompt)
        over = limit if limit is not None and lengths.prompt > limit else None
        if room is not None and lengths.answer > room and over is None:
            over = room if self.config.is_encoder_decoder else limit
        if over is not None:
            raise AudioTooLongError(
                f"audio and text take {lengths.prompt} positions and the answer {lengths.answer},"
                f" more than the {over} this LLM can read; use shorter audio, a shorter instruction"
                " or answer, or larger downsampler strides",
                f"longer than the LLM's {self.config.llm_max_positions} positions",
            )

    def check_question(
        self, prompt: Prompt, choices: Sequence[str] = (), *, num_samples: Each[int]
    ) -> Lengths:
        """LLM positions of a question and of the end of its answer, if the LLM has room for the
        longest of the choices; a free answer needs room to begin.

        Raises:
            AudioTooLongError: If it has not.
        """
        lengths = self.lengths(prompt, num_samples=num_samples)
        longest = max((len(self.encode_target(choice)) for choice in choices), default=0)
        self.check_room(Lengths(lengths.prompt, longest or lengths.answer))
        return lengths

    def _pad(self, rows: Sequence[Row], *, generation: bool, labelled: bool) -> dict[str, Tensor]:
        pad = self.config.pad_id
        if self.config.is_encoder_decoder:
            return (
                self._pad_pairs(rows, pad)
                if labelled
                else _stream([row.prompt for row in rows], pad)
            )
        if not labelled:
            return _stream([row.prompt for row in rows], pad, left=generation)
        # The last token predicts nothing, so it is not read; labels lie where the logits that
        # predict them do.
        batch = _stream([[*row.prompt, *row.target[:-1]] for row in rows], pad)
        labels = [[*[IGNORED] * (len(row.prompt) - 1), *row.target] for row in rows]
        return {**batch, "labels": _stream(labels, IGNORED)["input_ids"]}

    def _pad_pairs(self, rows: Sequence[Row], pad: int) -> dict[str, Tensor]:
        start = self.config.start_id
        assert start is not None
        return {
            **_stream([row.prompt for row in rows], pad),
            "decoder_input_ids": _stream([[start, *row.target[:-1]] for row in rows], pad)[
                "input_ids"
            ],
            "labels": _stream([row.target for row in rows], IGNORED)["input_ids"],
        }


def _stream(rows: Sequence[Sequence[int]], fill: int, left: bool = False) -> dict[str, Tensor]:
    """Pads rows of ids to (B, P), with a mask of what is true."""
    size = max(len(row) for row in rows)
    ids_BP = torch.full((len(rows), size), fill)
    mask_BP = torch.zeros(len(rows), size, dtype=torch.long)
    for i, row in enumerate(rows):
        true = slice(size - len(row), size) if left else slice(0, len(row))
        ids_BP[i, true] = torch.tensor(row)
        mask_BP[i, true] = 1
    return {"input_ids": ids_BP, "attention_mask": mask_BP}


def _each(row: Each[Value]) -> list[Value]:
    return row if isinstance(row, list) else [row]


def _check_number(places: int, clips: int) -> None:
    if places != clips:
        raise UserError(
            f"a prompt has places for {places} clips but {clips} were given; say their number in"
            " `Dialogue.num_clips`"
        )


def _stack(features: Sequence[Tensor]) -> EncoderOutput:
    """Pads (L, T, D) features to (L, B, T, D), in the precision they were kept in."""
    lengths = torch.tensor([feature.shape[1] for feature in features])
    layers, _, width = features[0].shape
    hidden_LBTD = features[0].new_zeros(layers, len(features), int(lengths.max()), width)
    for row, feature in enumerate(features):
        hidden_LBTD[:, row, : feature.shape[1]] = feature
    return EncoderOutput(hidden_LBTD, lengths)
