"""What a recipe may say: one YAML file is a whole run, strictly typed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from speechverse.config import Config, PositiveInt
from speechverse.decoding.options import DecodingOptions
from speechverse.encoders.best_rq.config import BestRqConfig, ConformerConfig, SpecAugmentConfig
from speechverse.models.configuration_speechverse import ModelConfig
from speechverse.models.lora import LoraConfig
from speechverse.registry import SYSTEMS
from speechverse.tally import MAX_BAD_SHARE

Objective = Literal["answer", "ctc", "best_rq"]
Part = Literal["mixer", "downsampler", "lora", "encoder"]
_SYSTEM_PATTERN = rf"\.py:\w+$|^({'|'.join(SYSTEMS.families)}):."
System = Annotated[
    str,
    WithJsonSchema(
        {"anyOf": [{"enum": list(SYSTEMS)}, {"type": "string", "pattern": _SYSTEM_PATTERN}]}
    ),
]
"""A built-in system's name, `family:WHICH`, or `path/to/file.py:NAME`."""

Share = Annotated[float, Field(gt=0, lt=1)]


class ModelSection(ModelConfig):
    """The two frozen parts, and what joins them."""

    encoder: str
    """Speech encoder: a built-in's or known part's name, a local folder (the hub's format or
    CTranslate2's) or a hub name.
    """
    llm: str
    """LLM: a built-in's or known part's name, a local folder, a .gguf file or a hub name."""
    encoder_revision: str | None = None
    llm_revision: str | None = None


class EncoderSection(Config):
    """An encoder to pre-train, without any LLM: the Conformer of the paper (App. A.1) and what its
    stages ask of it.
    """

    body: ConformerConfig = ConformerConfig()
    best_rq: BestRqConfig = BestRqConfig()
    spec_augment: SpecAugmentConfig = SpecAugmentConfig()
    num_pieces: Annotated[int, Field(ge=30)] = 300
    """Subwords of a CTC head, learned from the transcripts; 30 to 40 are letters."""
    max_seconds: Annotated[float, Field(gt=0)] = 15.0
    """Longest clip; recordings of a folder are cut into windows of at most that."""


class CorpusSection(Config):
    """Where a corpus is: a corpus folder, one plain JSONL file a split, or a folder
    of recordings.
    """

    path: str | None = None
    """A corpus folder, as `speechverse synth` writes it."""
    jsonl: dict[str, str] | None = None
    """Split → JSONL file (audio, text, any labels)."""
    audio: str | None = None
    """A folder of recordings that nobody has transcribed: the split 'train'."""
    labels: dict[str, dict[str, str]] | None = None
    """Of a JSONL corpus: label field → {name: description}; read off the data if absent."""
    more_labels: str | None = None
    """JSONL of further labels for its clips, each line by 'id', or by 'text' for all that say
    it.
    """

    @field_validator("jsonl", mode="before")
    @classmethod
    def _by_split(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("name a file for each split, as {train: FILE, test: FILE}")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> CorpusSection:
        if sum(source is not None for source in (self.path, self.jsonl, self.audio)) != 1:
            raise ValueError(
                "give either 'path' (a corpus folder) or 'jsonl' (one file a split), or 'audio' (a"
                " folder of recordings without transcripts)"
            )
        if self.jsonl is None and self.labels is not None:
            raise ValueError("'labels' goes with 'jsonl'; a corpus folder brings its own")
        return self


class MixtureSection(Config):
    """One (corpus, task, weight) of a mixture."""

    corpus: str
    task: str | None = None
    """A task's name, or 'path/to/file.py:NAME' for a task of your own; none for the objective
    best_rq, which asks nothing.
    """
    split: str = "train"
    weight: Annotated[float, Field(gt=0)] | Literal["size", "sqrt"] = 1.0
    """Share of the draws: a number, or from the number of utterances or its square root."""
    loss_weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of each of its target tokens."""
    balanced: bool | str = False
    """Draw every answer of a closed task equally often; a label field named here has each of
    its values drawn equally often, among the clips of an answer where the task is closed.
    """


class ValidationSection(Config):
    """What training is checked on; `every` null switches it off."""

    split: str = "dev"
    """Split of each trained-on corpus that is validated on."""
    share: Share | None = None
    """Take this share out of each split trained on, instead (the paper: 0.05)."""
    by: Literal["utterance", "speaker"] = "utterance"
    """What a share keeps together."""
    every: PositiveInt | None = None
    """Steps between validations; also after a stage's last."""
    examples: PositiveInt = 64
    """Examples a task, for the loss."""
    decoded: Annotated[int, Field(ge=0)] = 16
    """Of these, how many are answered and scored."""


class BatchSection(Config):
    """How examples are put into batches."""

    max_positions: PositiveInt
    """LLM positions (audio, prompt, target) a micro-batch may hold; of an encoder, frames."""
    max_examples: PositiveInt = 64
    """Examples a micro-batch may hold."""
    micro_batches: PositiveInt = 1
    """Micro-batches to a step, over all processes: accumulation × processes."""
    num_buckets: PositiveInt = 8
    """Length buckets; more give less padding and less mixing."""


class DataSection(Config):
    """Corpora, how they are mixed, validated on and batched."""

    corpora: dict[str, CorpusSection]
    mixtures: dict[str, list[MixtureSection]]
    batch: BatchSection
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Mixture weights are raised to 1/temperature: 2 takes the square root, large evens them
    out.
    """
    hinted: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of recognition's examples whose instruction has hints: words that may be heard,
    some of them said.
    """
    renamed: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of a closed task's examples whose labels are listed, and answered, under other
    names.
    """
    turns: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the examples that follow one or two earlier turns: other tasks of the mixture,
    asked of the same clip and answered rightly. Only the last answer is learned.
    """
    max_bad_share: Annotated[float, Field(ge=0, lt=1)] = MAX_BAD_SHARE
    """Share of a JSONL file's clips that may be unreadable; they are skipped and counted."""
    validation: ValidationSection = ValidationSection()
    cache: Literal["none", "all"] = "none"
    """Keep the frozen encoder's outputs on disk."""
    cache_dtype: Literal["fp16", "bf16", "fp32"] = "fp16"
    """Precision they are kept in; bf16 for an encoder whose outputs leave fp16's range."""
    cache_folder: str | None = None
    """Where; by default 'features' in the run's folder."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Loader processes."""


class StageSection(Config):
    """One stage of the curriculum; each starts with a fresh optimiser."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    mixture: str
    train: list[Part] = Field(min_length=1)
    top_layers: PositiveInt | None = None
    """Of the encoder, where it is trained along: how many of its last layers; all if none is said.
    """
    objective: Objective = "answer"
    """'answer': the target, by the LLM. 'ctc': audio positions against the LLM's token
    embeddings, the LLM is not run; for asr, and for labels of how it is said (tasks of the
    group psp). Of an encoder that is pre-trained: 'best_rq', or 'ctc' on a head of its own.
    """
    max_examples: PositiveInt | None = None
    """Examples a micro-batch of this stage may hold; those of data.batch if none are said. A
    stage that does not run the LLM affords more of them than one that does.
    """
    reads: Literal["audio", "transcript"] = "audio"
    """'transcript': true texts stand where the audio would. Trains 'lora' to read, for the
    cascades that `speechverse evaluate --cascade-lora` measures, or before it hears.
    """
    steps: PositiveInt
    """At most; with `patience` often fewer."""
    learning_rate: Annotated[float, Field(gt=0)]
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Of `steps`, until the rate is reached."""
    schedule: Literal["linear", "cosine", "constant", "transformer"] = "linear"
    patience: PositiveInt | None = None
    """End after so many validations without a better loss."""


class TrainingSection(Config):
    """How every stage is trained."""

    precision: Literal["fp32", "bf16", "auto"] = "auto"
    """'auto' is bf16 where the device has it."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    log_every: PositiveInt = 10
    save_every: PositiveInt = 500
    keep: Literal["best", "last"] = "best"
    """Weights a stage hands on: those of its best validation, or its last."""

    @field_validator("precision", mode="before")
    @classmethod
    def _no_fp16(cls, value: Any) -> Any:
        if value in ("fp16", "float16"):
            raise ValueError("fp16 overflows in T5's feed-forward layers; use bf16, fp32 or auto")
        return value


class EvaluationSection(Config):
    """What `speechverse evaluate` measures the trained model on."""

    corpus: str
    split: str = "test"
    tasks: Annotated[list[str], Field(min_length=1)] | Literal["all"] = "all"
    systems: list[System] = Field(default=["speechverse"], min_length=1)
    wording: Literal["seen", "held_out"] = "seen"
    limit: PositiveInt | None = None


class Recipe(Config):
    """A whole run."""

    name: str
    base: str | None = None
    """A recipe to inherit from: a built-in name or a file beside this one."""
    seed: int = 0
    model: ModelSection | None = None
    """A new model; or give `initial`."""
    encoder: EncoderSection | None = None
    """A new encoder to pre-train, instead of a model: see `speechverse pretrain encoder`."""
    initial: str | None = None
    """A checkpoint to go on from (built-in name or folder), or `model`."""
    lora: LoraConfig | None = None
    """With `initial`: the LoRA of a checkpoint that has none yet; see `model.lora`."""
    data: DataSection
    curriculum: list[StageSection] = Field(min_length=1)
    training: TrainingSection = TrainingSection()
    decoding: DecodingOptions = DecodingOptions()
    """How answers are made, in validation and by `speechverse evaluate`."""
    evaluation: EvaluationSection | None = None
