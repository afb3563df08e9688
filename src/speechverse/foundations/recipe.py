"""What a foundation recipe says: strict YAML, one class for each of the two parts.

A run goes on only with the recipe that it was begun with: only `name`, `data.workers` and later phases may change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from speechverse.encoders.best_rq import BestRqConfig
from speechverse.errors import RecipeError, unknown_name
from speechverse.training.recipe_files import read_values


class Strict(BaseModel):
    """Values that cannot change, and no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PhaseSettings(Strict):
    """How one phase is trained; the rates fall from their peaks to 0.

    Attributes:
        learning_rate: AdamW's peak.
        muon_rate: Muon's, for the matrices of linear layers that are no table of words; None: AdamW for all weights.
    """

    steps: int = Field(ge=0)
    learning_rate: float = Field(gt=0)
    muon_rate: float | None = Field(default=None, gt=0)
    warmup_steps: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    log_every: int = Field(default=20, ge=1)
    evaluate_every: int = Field(default=500, ge=1)
    save_every: int = Field(default=500, ge=1)

    @model_validator(mode="after")
    def _reaches_its_rate(self) -> PhaseSettings:
        if self.steps and self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} is longer than the whole phase of {self.steps} steps")
        return self


class ComputeSettings(Strict):
    """What a run computes on.

    Attributes:
        device: "cpu", "cuda", "cuda:1", ...; "auto" takes a GPU where there is one.
        precision: "auto" is bf16 autocast on a device that has units for it, and fp32 elsewhere.
        round_frames: Padded lengths of speech are rounded up to a multiple of so many stacked frames.
    """

    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    round_frames: int = Field(default=1, ge=1)


class TokenizerRecipe(Strict):
    """The pieces that both foundations share; the same recipe and seed give the same tokenizer.

    Attributes:
        folder: Of a tokenizer to take instead of making one; a relative path starts at the recipe's file.
        vocab_size: Pieces to make.
        seed: Of the texts they are made from.
        sentences: Number of sentences, and of questions on them.
    """

    folder: Path | None = None
    vocab_size: int = Field(default=1800, ge=300)
    seed: int = 0
    sentences: int = Field(default=30_000, ge=100)


class ConvShape(Strict):
    """The convolutional body (`ConvSpeechModel`), which learns soonest at small sizes."""

    body: Literal["conv"] = "conv"
    hidden_size: int = Field(default=160, ge=1)
    num_hidden_layers: int = Field(default=6, ge=1)
    intermediate_size: int = Field(default=640, ge=1)
    conv_kernel_size: int = Field(default=11, ge=1)
    mel_conv_width: int = Field(default=0, ge=0)
    stride: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("conv_kernel_size")
    @classmethod
    def _odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError(f"{size} frames have no middle; give an odd number")
        return size

    @model_validator(mode="after")
    def _halves_to_its_stride(self) -> ConvShape:
        if self.mel_conv_width and self.stride not in (2, 4, 8, 16):
            raise ValueError(f"mel_conv_width needs a stride of 2, 4, 8 or 16, not {self.stride}; or make it 0")
        return self


class ConformerShape(Strict):
    """The paper's Conformer (transformers' `Wav2Vec2BertModel`)."""

    body: Literal["conformer"]
    hidden_size: int = Field(default=144, ge=1)
    num_hidden_layers: int = Field(default=5, ge=1)
    num_attention_heads: int = Field(default=4, ge=1)
    intermediate_size: int = Field(default=576, ge=1)
    conv_depthwise_kernel_size: int = Field(default=15, ge=1)
    stride: int = Field(default=4, ge=1)
    position_embeddings_type: Literal["relative_key", "relative", "rotary"] | None = "relative_key"
    left_max_position_embeddings: int = Field(default=32, ge=0)
    right_max_position_embeddings: int = Field(default=16, ge=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)


EncoderShape = ConvShape | ConformerShape
_BODIES = ("conv", "conformer")
"""Which of the two a recipe's error is in; pydantic puts it into the error's place, the file does not have it there."""


class EncoderData(Strict):
    """What the encoder hears: made speech, or the user's own audio.

    Attributes:
        audio: A folder of recordings nobody has transcribed, instead of made speech; searched with all below it.
        corpus: A corpus folder or a plain JSONL, instead of made speech; CTC learns its `text`.
        seed: Of the made speech.
        utterances: Made clips to train on.
        dev_utterances: Made clips held out.
        workers: Processes that make speech and features.
        batch_seconds: Of speech in a batch, padding included.
        max_seconds: BEST-RQ's longest clip; own recordings are cut into windows no longer than that.
        probe_clips: How many clips fit the probes of the card (0: none are fitted).
    """

    audio: Path | None = None
    corpus: Path | None = None
    seed: int = 101
    utterances: int = Field(default=12_000, ge=10)
    dev_utterances: int = Field(default=200, ge=1)
    workers: int = Field(default=2, ge=1)
    batch_seconds: float = Field(default=60.0, gt=0)
    max_seconds: float = Field(default=15.0, gt=0)
    probe_clips: int = Field(default=3000, ge=0)

    @property
    def own(self) -> bool:
        """Whether it is the user's audio rather than made speech."""
        return self.audio is not None or self.corpus is not None

    @model_validator(mode="after")
    def _of_one_source(self) -> EncoderData:
        if self.audio is not None and self.corpus is not None:
            raise ValueError("audio and corpus are both given; name one of them")
        return self


class Augmentation(Strict):
    """What is changed in the encoder's speech, anew each time that it is heard.

    Attributes:
        tempo: Largest change of speed, as a share.
        tract: Largest change of frequencies, as a share.
        room_share: Of the clips, those put into a room.
        longest_room: Longest time in which a room's sound falls by 60 dB, in seconds.
        noise_share: Of the clips, those that get noise.
        noise_snr: Lowest and highest ratio of speech to noise, in dB.
        time_spans: Spans of time hidden while CTC trains.
        time_width: Their largest width, in stacked frames.
        mel_spans: Bands of mel bins hidden while CTC trains.
        mel_width: Their largest width, in bins.
    """

    tempo: float = Field(default=0.12, ge=0, lt=0.5)
    tract: float = Field(default=0.12, ge=0, lt=0.5)
    room_share: float = Field(default=0.3, ge=0, le=1)
    longest_room: float = Field(default=0.7, gt=0.1)
    noise_share: float = Field(default=0.3, ge=0, le=1)
    noise_snr: tuple[float, float] = (3.0, 25.0)
    time_spans: int = Field(default=2, ge=0)
    time_width: int = Field(default=6, ge=0)
    mel_spans: int = Field(default=2, ge=0)
    mel_width: int = Field(default=12, ge=0)


class CtcPhase(PhaseSettings):
    """CTC on subwords, with BEST-RQ kept beside it.

    Attributes:
        self_supervised: Weight of the BEST-RQ loss that stays beside CTC (0: CTC alone).
        self_supervised_every: Steps between those losses.
        letters: Weight of a second CTC loss, over letters, which are aligned sooner than pieces.
        letters_layer: The layer that it reads, counted from 1.
        easy_steps: First steps, on short clean clips of one speaker, not augmented, while alignment is sought.
        easy_seconds: What is short.
        calm_from: Step from which only speed and voice vary: no rooms and noises are added, nothing is hidden. A small
            encoder underfits; the steps that are left are better spent on clips as they are.
        voice: Weight of naming how and by whom it is said (emotion, accent, number of speakers, speech or not).
        voice_layer: The layer that this reads, counted from 1.
        embeddings: An LLM whose input embeddings are the head's weights and stay as they are, so that the last layer
            speaks that LLM's language; named as `initial` is. It must be as wide as the encoder and have the recipe's
            tokenizer. None: the head has weights of its own.
    """

    self_supervised: float = Field(0.5, ge=0)
    self_supervised_every: int = Field(4, ge=1)
    letters: float = Field(0.5, ge=0)
    letters_layer: int = 3
    easy_steps: int = Field(0, ge=0)
    easy_seconds: float = Field(4.0, gt=0)
    calm_from: int | None = Field(None, ge=0)
    voice: float = Field(0.0, ge=0)
    voice_layer: int = 3
    embeddings: str | None = None


class EncoderRecipe(Strict):
    """`speechverse pretrain encoder`; without `ctc`, BEST-RQ alone.

    Attributes:
        initial: An encoder with a CTC head, whose weights the run begins with: a folder (beside the recipe's file or
            the working folder), a built-in or a hub id.
    """

    kind: Literal["encoder"]
    name: str
    seed: int = 0
    initial: str | None = None
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    shape: EncoderShape = Field(ConvShape(), discriminator="body")
    objective: BestRqConfig = BestRqConfig()
    data: EncoderData = EncoderData()
    augment: Augmentation = Augmentation()
    compute: ComputeSettings = ComputeSettings()
    best_rq: PhaseSettings
    ctc: CtcPhase | None = None

    @model_validator(mode="after")
    def _has_the_layers_named(self) -> EncoderRecipe:
        if self.ctc is None:
            return self
        if self.data.audio is not None:
            raise ValueError("ctc learns from transcripts, data.audio has none; take ctc out, or give data.corpus")
        layers = self.shape.num_hidden_layers
        for name in ("letters_layer", "voice_layer"):
            if not 0 <= getattr(self.ctc, name) <= layers:
                raise ValueError(f"ctc.{name} is {getattr(self.ctc, name)}; the encoder has {layers} layers")
        return self

    def on_audio(self, folder: Path) -> EncoderRecipe:
        """The same recipe on a folder of recordings that nobody has transcribed: BEST-RQ alone."""
        data = self.data.model_copy(update={"audio": folder, "corpus": None})
        return self.model_copy(update={"data": data, "ctc": None})


class LmShape(Strict):
    """A pre-layer-norm encoder-decoder."""

    width: int = Field(default=160, ge=1)
    encoder_layers: int = Field(default=3, ge=1)
    decoder_layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=640, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    max_positions: int = Field(default=640, ge=20)
    matching_heads: float = Field(default=0.5, ge=0, le=1)
    matching_layers: int = Field(default=2, ge=0)


class LmData(Strict):
    """The text side of the world and what is practised beside it.

    Attributes:
        seed: Of all draws.
        sentences: Utterances drawn once, to be asked about again and again.
        batch_tokens: Positions read and written by a batch, about.
        max_tokens: Longest sample.
        stretched: Share of samples whose text looks like frames.
        practice: Share of exercises over random words, in the end.
        practice_at_start: And at the start.
        practice_falls_over: Steps from the one to the other.
        questions: Share, of what is no practice, of free questions about a sentence.
        renamed: Share of listed intents and slots that are called by words of their descriptions instead.
        reworded: Share of the tasks' instructions with words replaced by others of like meaning.
        hardens_over: Steps over which what is read grows hard (0: hard from the first): from text as it is written
            and each task's plainest wordings to the shares `stretched` and `reworded`, the whole disturbance of what
            is stretched, and all wordings.
        hardness_at_start: How much of all that is there at the first step.
        moved: Share of batches that start behind silence, so that all positions are met.
        moved_by: Longest such silence in positions.
        gate_examples: Examples a task in the gate.
    """

    seed: int = 202
    sentences: int = Field(default=60_000, ge=10)
    batch_tokens: int = Field(default=3000, ge=100)
    max_tokens: int = Field(default=400, ge=20)
    stretched: float = Field(default=0.5, ge=0, le=1)
    practice: float = Field(default=0.35, ge=0, le=1)
    practice_at_start: float = Field(default=0.9, ge=0, le=1)
    practice_falls_over: int = Field(default=1500, ge=1)
    questions: float = Field(default=0.1, ge=0, le=1)
    renamed: float = Field(default=0.4, ge=0, le=1)
    reworded: float = Field(default=0.0, ge=0, le=1)
    hardens_over: int = Field(default=0, ge=0)
    hardness_at_start: float = Field(default=0.0, ge=0, le=1)
    moved: float = Field(default=0.08, ge=0, le=1)
    moved_by: int = Field(default=180, ge=0)
    gate_examples: int = Field(default=60, ge=1)

    @model_validator(mode="after")
    def _hardens_from_where_it_starts(self) -> LmData:
        if self.hardness_at_start and not self.hardens_over:
            raise ValueError(
                f"hardness_at_start {self.hardness_at_start:g} says nothing without hardens_over; set both, or neither"
            )
        return self


class LmRecipe(Strict):
    """`speechverse pretrain lm`.

    Attributes:
        initial: An LLM that an earlier run made, whose weights the run begins with; named as an encoder's is.
        freeze_embeddings: Leaves the embeddings as they are, for an encoder that learns to speak them meanwhile.
    """

    kind: Literal["lm"]
    name: str
    seed: int = 0
    initial: str | None = None
    freeze_embeddings: bool = False
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    shape: LmShape = LmShape()
    data: LmData = LmData()
    compute: ComputeSettings = ComputeSettings()
    training: PhaseSettings

    @model_validator(mode="after")
    def _reaches_the_longest_sample(self) -> LmRecipe:
        if self.data.max_tokens > self.shape.max_positions:
            raise ValueError(
                f"data.max_tokens is {self.data.max_tokens}, but shape.max_positions gives only "
                f"{self.shape.max_positions} positions; make the one smaller or the other larger"
            )
        return self


AnyRecipe = TypeVar("AnyRecipe", EncoderRecipe, LmRecipe)
AnySection = TypeVar("AnySection", bound=Strict)
_FOLDERS = ("folder", "initial", "embeddings")


def load_recipe(path: Path, kind: type[AnyRecipe]) -> AnyRecipe:
    """Reads and checks a recipe.

    Raises:
        RecipeError: Naming the file, the key and what is allowed.
    """
    try:
        recipe = kind.model_validate(read_values(path))
    except ValidationError as error:
        raise RecipeError(f"recipe '{path}': {_worded(error, kind)}") from error
    return _beside(path.parent, recipe)


def _beside(folder: Path, section: AnySection) -> AnySection:
    """The section with those folders it names that lie beside the recipe; a tokenizer's lies nowhere else."""
    named = {name: type(value)(folder / value) for name, value in section if name in _FOLDERS and _is_in(folder, value)}
    inner = {name: _beside(folder, part) for name, part in section if isinstance(part, TokenizerRecipe | CtcPhase)}
    return section.model_copy(update=named | inner)


def _is_in(folder: Path, name: str | Path | None) -> bool:
    return isinstance(name, Path) or (name is not None and (folder / name).exists())


def _worded(error: ValidationError, kind: type[BaseModel]) -> str:
    first = error.errors()[0]
    body = next((part for part in first["loc"] if part in _BODIES), None)
    where = ".".join(str(part) for part in first["loc"] if part != body)
    if first["type"] == "union_tag_not_found":
        return f"{where}.body: say which body the encoder has ({', '.join(_BODIES)})"
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg']}".removeprefix(": ")
    return unknown_name("key", where, _known_keys(kind, body=body))


def _known_keys(kind: type[BaseModel], prefix: str = "", body: object = None) -> list[str]:
    keys: list[str] = []
    for name, info in kind.model_fields.items():
        sections = _sections(info.annotation, body)
        for section in sections:
            keys += _known_keys(section, f"{prefix}{name}.")
        if not sections:
            keys.append(prefix + name)
    return keys


def _sections(annotation: object, body: object) -> list[type[BaseModel]]:
    """The section that a key holds, if it holds one; of two bodies the one that the recipe has chosen, or both."""
    found = [part for part in (annotation, *get_args(annotation)) if isinstance(part, type)]
    sections = [part for part in found if issubclass(part, BaseModel)]
    chosen = [part for part in sections if "body" in part.model_fields and body in _bodies_of(part)]
    return chosen or sections


def _bodies_of(section: type[BaseModel]) -> tuple[object, ...]:
    return get_args(section.model_fields["body"].annotation)
