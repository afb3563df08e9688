"""What the recipe of an encoder says: strict YAML.

A run goes on only with the recipe that it was begun with: only `name`, `data.workers` and later phases may change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from speechverse.encoders.best_rq import BestRqConfig
from speechverse.errors import RecipeError, unknown_name
from speechverse.training.recipe_files import read_values


class Strict(BaseModel):
    """Values that cannot change, and no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PhaseSettings(Strict):
    """How one phase is trained; the rate falls from its peak to 0.

    Attributes:
        learning_rate: AdamW's peak.
    """

    steps: int = Field(ge=0)
    learning_rate: float = Field(gt=0)
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


class ConformerShape(Strict):
    """The paper's Conformer (transformers' `Wav2Vec2BertModel`)."""

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


class EncoderData(Strict):
    """What the encoder hears; one of `audio` and `corpus`.

    Attributes:
        audio: A folder of recordings nobody has transcribed; searched with all below it.
        corpus: A corpus folder or a plain JSONL; CTC learns its `text`.
        workers: Processes that decode and make features.
        batch_seconds: Of speech in a batch, padding included.
        max_seconds: BEST-RQ's longest clip; longer recordings are cut into windows of at most that.
    """

    audio: Path | None = None
    corpus: Path | None = None
    workers: int = Field(default=2, ge=1)
    batch_seconds: float = Field(default=60.0, gt=0)
    max_seconds: float = Field(default=15.0, gt=0)

    @model_validator(mode="after")
    def _of_one_source(self) -> EncoderData:
        if self.audio is not None and self.corpus is not None:
            raise ValueError("audio and corpus are both given; name one of them")
        return self


class SpecAugment(Strict):
    """What is hidden from the encoder while CTC trains (SpecAugment, arXiv 1904.08779).

    Attributes:
        time_spans: Spans of time.
        time_width: Their largest width, in stacked frames.
        mel_spans: Bands of mel bins.
        mel_width: Their largest width, in bins.
    """

    time_spans: int = Field(default=2, ge=0)
    time_width: int = Field(default=6, ge=0)
    mel_spans: int = Field(default=2, ge=0)
    mel_width: int = Field(default=12, ge=0)


class CtcPhase(PhaseSettings):
    """CTC on subwords of the transcripts, with BEST-RQ kept beside it.

    Attributes:
        vocab_size: Subwords that are made of the transcripts to train on; as few as there are letters: letters.
        self_supervised: Weight of the BEST-RQ loss that stays beside CTC (0: CTC alone).
        self_supervised_every: Steps between those losses.
    """

    vocab_size: int = Field(300, ge=30)
    self_supervised: float = Field(0.5, ge=0)
    self_supervised_every: int = Field(4, ge=1)


class EncoderRecipe(Strict):
    """`speechverse pretrain encoder`; without `ctc`, BEST-RQ alone."""

    name: str
    seed: int = 0
    shape: ConformerShape = ConformerShape()
    objective: BestRqConfig = BestRqConfig()
    data: EncoderData = EncoderData()
    spec_augment: SpecAugment = SpecAugment()
    compute: ComputeSettings = ComputeSettings()
    best_rq: PhaseSettings
    ctc: CtcPhase | None = None

    @model_validator(mode="after")
    def _has_words_for_ctc(self) -> EncoderRecipe:
        if self.ctc is not None and self.data.audio is not None:
            raise ValueError("ctc learns from transcripts, data.audio has none; take ctc out, or give data.corpus")
        return self

    def on_audio(self, folder: Path) -> EncoderRecipe:
        """The same recipe on a folder of recordings that nobody has transcribed: BEST-RQ alone."""
        data = self.data.model_copy(update={"audio": folder, "corpus": None})
        return self.model_copy(update={"data": data, "ctc": None})


def load_recipe(path: Path) -> EncoderRecipe:
    """Reads and checks a recipe.

    Raises:
        RecipeError: Naming the file, the key and what is allowed.
    """
    try:
        return EncoderRecipe.model_validate(read_values(path))
    except ValidationError as error:
        raise RecipeError(f"recipe '{path}': {_worded(error)}") from error


def _worded(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg']}".removeprefix(": ")
    return unknown_name("key", where, _known_keys(EncoderRecipe))


def _known_keys(kind: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, info in kind.model_fields.items():
        parts = (info.annotation, *get_args(info.annotation))
        sections = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        keys += [key for section in sections for key in _known_keys(section, f"{prefix}{name}.")] or [prefix + name]
    return keys
