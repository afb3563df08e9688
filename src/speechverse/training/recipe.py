"""What a recipe may say: one YAML file is a whole run, strictly typed; `recipe_files` reads and
writes it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from speechverse.config import Config, PositiveInt
from speechverse.encoders.best_rq.config import BestRqConfig, ConformerConfig, SpecAugmentConfig
from speechverse.errors import RecipeError, UserError, unknown_name
from speechverse.models.configuration_speechverse import ModelConfig
from speechverse.models.lora import LoraConfig
from speechverse.registry import SYSTEMS

Objective = Literal["answer", "ctc", "best_rq"]
Part = Literal["mixer", "downsampler", "lora", "encoder"]
System = Annotated[
    str,
    WithJsonSchema(
        {"anyOf": [{"enum": list(SYSTEMS)}, {"type": "string", "pattern": r"\.py:\w+$"}]}
    ),
]
"""A built-in system's name, or `path/to/file.py:NAME`."""

Share = Annotated[float, Field(gt=0, lt=1)]

ONE_START = (
    "model, initial, encoder: give exactly one (set the others to null): a new model, a checkpoint,"
    " which brings its own encoder, LLM and settings (the LoRA of one that has none yet is"
    " described in the key 'lora'), or a new encoder to pre-train"
)


class ModelSection(ModelConfig):
    """The two frozen parts, and what joins them."""

    encoder: str = Field(
        description=(
            "Speech encoder: a built-in's or known part's name, a local folder (the hub's format or"
            " CTranslate2's) or a hub name."
        )
    )
    llm: str = Field(
        description=(
            "LLM: a built-in's or known part's name, a local folder, a .gguf file or a hub name."
        )
    )
    encoder_revision: str | None = None
    llm_revision: str | None = None


class EncoderSection(Config):
    """An encoder to pre-train, without any LLM: the Conformer of the paper (App. A.1) and what its
    stages ask of it.
    """

    body: ConformerConfig = ConformerConfig()
    best_rq: BestRqConfig = BestRqConfig()
    spec_augment: SpecAugmentConfig = SpecAugmentConfig()
    num_pieces: Annotated[int, Field(ge=30)] = Field(
        default=300,
        description="Subwords of a CTC head, learned from the transcripts; 30 to 40 are letters.",
    )
    max_seconds: Annotated[float, Field(gt=0)] = Field(
        default=15.0,
        description="Longest clip; recordings of a folder are cut into windows of at most that.",
    )


class CorpusSection(Config):
    """Where a corpus is: a corpus folder, one plain JSONL file a split, or a folder
    of recordings.
    """

    path: str | None = Field(
        default=None, description="A corpus folder, as `speechverse synth` writes it."
    )
    jsonl: dict[str, str] | None = Field(
        default=None, description="Split → JSONL file (audio, text, any labels)."
    )
    audio: str | None = Field(
        default=None,
        description="A folder of recordings that nobody has transcribed: the split 'train'.",
    )
    labels: dict[str, dict[str, str]] | None = Field(
        default=None,
        description=(
            "Of a JSONL corpus: label field → {name: description}; read off the data if absent."
        ),
    )
    more_labels: str | None = Field(
        default=None,
        description=(
            "JSONL of further labels for its clips, each line by 'id', or by 'text' for all that"
            " say it."
        ),
    )

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
    task: str | None = Field(
        default=None,
        description=(
            "A task's name, or 'path/to/file.py:NAME' for a task of your own; none for the"
            " objective best_rq, which asks nothing."
        ),
    )
    split: str = "train"
    weight: Annotated[float, Field(gt=0)] | Literal["size", "sqrt"] = Field(
        default=1.0,
        description=(
            "Share of the draws: a number, or from the number of utterances or its square root."
        ),
    )
    loss_weight: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="Weight of each of its target tokens."
    )
    balanced: bool | str = Field(
        default=False,
        description=(
            "Draw every answer of a closed task equally often; a label field named here has each of"
            " its values drawn equally often, among the clips of an answer where the task is"
            " closed."
        ),
    )


class ValidationSection(Config):
    """What training is checked on; `every` null switches it off."""

    split: str = Field(
        default="dev", description="Split of each trained-on corpus that is validated on."
    )
    share: Share | None = Field(
        default=None,
        description="Take this share out of each split trained on, instead (the paper: 0.05).",
    )
    by: Literal["utterance", "speaker"] = Field(
        default="utterance", description="What a share keeps together."
    )
    every: PositiveInt | None = Field(
        default=None, description="Steps between validations; also after a stage's last."
    )
    examples: PositiveInt = Field(default=64, description="Examples a task, for the loss.")
    decoded: Annotated[int, Field(ge=0)] = Field(
        default=16, description="Of these, how many are answered and scored."
    )


class BatchSection(Config):
    """How examples are put into batches."""

    max_positions: PositiveInt = Field(
        description=(
            "LLM positions (audio, prompt, target) a micro-batch may hold; of an encoder, frames."
        )
    )
    max_examples: PositiveInt = Field(default=64, description="Examples a micro-batch may hold.")
    micro_batches: PositiveInt = Field(
        default=1,
        description="Micro-batches to a step, over all processes: accumulation × processes.",
    )
    num_buckets: PositiveInt = Field(
        default=8, description="Length buckets; more give less padding and less mixing."
    )


class DataSection(Config):
    """Corpora, how they are mixed, validated on and batched."""

    corpora: dict[str, CorpusSection]
    mixtures: dict[str, list[MixtureSection]]
    batch: BatchSection
    temperature: Annotated[float, Field(gt=0)] = Field(
        default=1.0,
        description=(
            "Mixture weights are raised to 1/temperature: 2 takes the square root, large evens them"
            " out."
        ),
    )
    hinted: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description=(
            "Share of recognition's examples whose instruction has hints: words that may be heard,"
            " some of them said."
        ),
    )
    renamed: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description=(
            "Share of a closed task's examples whose labels are listed, and answered, under other"
            " names."
        ),
    )
    turns: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description=(
            "Share of the examples that follow one or two earlier turns: other tasks of the"
            " mixture, asked of the same clip and answered rightly. Only the last answer is"
            " learned."
        ),
    )
    max_bad_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.01,
        description=(
            "Share of a JSONL file's clips that may be unreadable; they are skipped and counted."
        ),
    )
    validation: ValidationSection = ValidationSection()
    cache: Literal["none", "all"] = Field(
        default="none", description="Keep the frozen encoder's outputs on disk."
    )
    cache_dtype: Literal["fp16", "bf16", "fp32"] = Field(
        default="fp16",
        description=(
            "Precision they are kept in; bf16 for an encoder whose outputs leave fp16's range."
        ),
    )
    cache_folder: str | None = Field(
        default=None, description="Where; by default 'features' in the run's folder."
    )
    workers: Annotated[int, Field(ge=0)] = Field(default=2, description="Loader processes.")


class StageSection(Config):
    """One stage of the curriculum; each starts with a fresh optimiser."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    mixture: str
    train: list[Part] = Field(min_length=1)
    objective: Objective = Field(
        default="answer",
        description=(
            "'answer': the target, by the LLM. 'ctc': audio positions against the LLM's token"
            " embeddings, the LLM is not run; for asr, and for labels of how it is said (tasks of"
            " the group psp). Of an encoder that is pre-trained: 'best_rq', or 'ctc' on a head of"
            " its own."
        ),
    )
    max_examples: PositiveInt | None = Field(
        default=None,
        description=(
            "Examples a micro-batch of this stage may hold; those of data.batch if none are said. A"
            " stage that does not run the LLM affords more of them than one that does."
        ),
    )
    reads: Literal["audio", "transcript"] = Field(
        default="audio",
        description=(
            "'transcript': true texts stand where the audio would. Trains 'lora' to read, for the"
            " cascades that `speechverse evaluate --cascade-lora` measures."
        ),
    )
    steps: PositiveInt = Field(description="At most; with `patience` often fewer.")
    learning_rate: Annotated[float, Field(gt=0)]
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Of `steps`, until the rate is reached."
    )
    schedule: Literal["linear", "cosine", "constant", "transformer"] = "linear"
    patience: PositiveInt | None = Field(
        default=None, description="End after so many validations without a better loss."
    )

    @field_validator("objective", mode="before")
    @classmethod
    def _renamed(cls, value: Any) -> Any:
        if value == "spell":
            raise ValueError("'spell' is now called 'ctc'; write objective: ctc")
        return value


class TrainingSection(Config):
    """How every stage is trained."""

    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="auto", description="'auto' is bf16 where the device has it."
    )
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    log_every: PositiveInt = 10
    save_every: PositiveInt = 500
    keep: Literal["best", "last"] = Field(
        default="best",
        description="Weights a stage hands on: those of its best validation, or its last.",
    )

    @field_validator("precision", mode="before")
    @classmethod
    def _no_fp16(cls, value: Any) -> Any:
        if value in ("fp16", "float16"):
            raise ValueError("fp16 overflows in T5's feed-forward layers; use bf16, fp32 or auto")
        return value


class DecodingSection(Config):
    """How answers are made, in validation and by `speechverse evaluate`."""

    max_new_tokens: PositiveInt | None = Field(
        default=None,
        description=(
            "The most tokens of a free answer; null lets it grow: 8 a second of audio, and 32."
        ),
    )
    num_beams: PositiveInt = 1
    choice_mode: Literal["constrain", "score", "free"] = "constrain"
    choice_scoring: Literal["raw", "length", "prior"] = "length"


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
    base: str | None = Field(
        default=None,
        description="A recipe to inherit from: a built-in name or a file beside this one.",
    )
    seed: int = 0
    model: ModelSection | None = Field(default=None, description="A new model; or give `initial`.")
    encoder: EncoderSection | None = Field(
        default=None,
        description=(
            "A new encoder to pre-train, instead of a model: see `speechverse pretrain encoder`."
        ),
    )
    initial: str | None = Field(
        default=None,
        description="A checkpoint to go on from (built-in name or folder), or `model`.",
    )
    lora: LoraConfig | None = Field(
        default=None,
        description="With `initial`: the LoRA of a checkpoint that has none yet; see `model.lora`.",
    )
    data: DataSection
    curriculum: list[StageSection] = Field(min_length=1)
    training: TrainingSection = TrainingSection()
    decoding: DecodingSection = DecodingSection()
    evaluation: EvaluationSection | None = None

    def check(self) -> None:
        """Whether the parts fit each other.

        Raises:
            RecipeError: Naming the place and what is allowed there.
        """
        if sum(start is not None for start in (self.model, self.initial, self.encoder)) != 1:
            raise RecipeError(ONE_START)
        if self.model is not None and self.lora is not None:
            raise RecipeError(
                "lora: goes with 'initial'; the LoRA of a new model is described in model.lora"
            )
        for name, items in self.data.mixtures.items():
            for number, item in enumerate(items):
                _known(
                    f"data.mixtures.{name}.{number}.corpus",
                    "corpus",
                    item.corpus,
                    self.data.corpora,
                )
        names = [stage.name for stage in self.curriculum]
        if len(set(names)) < len(names):
            raise RecipeError(f"curriculum: stage names must differ, got {', '.join(names)}")
        if self.data.validation.share is not None and self.data.validation.every is None:
            raise RecipeError(
                "data.validation.share: takes clips out of training that nothing would be validated"
                " on; set data.validation.every to a number of steps, or data.validation.share to"
                " null"
            )
        for stage in self.curriculum:
            self._check_stage(stage)
        if self.evaluation is not None:
            _known("evaluation.corpus", "corpus", self.evaluation.corpus, self.data.corpora)
            for number, system in enumerate(self.evaluation.systems):
                try:
                    SYSTEMS.check(system)
                except UserError as error:
                    raise RecipeError(f"evaluation.systems.{number}: {error}") from None

    def _check_stage(self, stage: StageSection) -> None:
        where = f"curriculum.{stage.name}"
        _known(f"{where}.mixture", "mixture", stage.mixture, self.data.mixtures)
        if not self.data.mixtures[stage.mixture]:
            raise RecipeError(
                f"data.mixtures.{stage.mixture}: is empty; list at least one corpus and task"
            )
        if stage.warmup_steps > stage.steps:
            raise RecipeError(
                f"{where}.warmup_steps: {stage.warmup_steps} is longer than the whole stage of"
                f" {stage.steps} steps, which would end before it reached its learning rate; set it"
                f" to at most {stage.steps}, or {where}.steps to more"
            )
        self._check_objective(stage, where)
        if stage.reads == "transcript" and (stage.train != ["lora"] or stage.objective != "answer"):
            raise RecipeError(
                f"{where}.reads: where transcripts are read nothing is heard, so only 'lora' can"
                " learn, by the objective 'answer'; set train to [lora]"
            )
        if stage.patience and self.data.validation.every is None:
            raise RecipeError(f"{where}.patience: needs validation; set data.validation.every")
        if self.model and self.model.lora is None and "lora" in stage.train:
            raise RecipeError(
                f"{where}.train: trains 'lora', but model.lora is null; describe it there"
            )
        if self.model and self.model.layer_mixing == "last" and set(stage.train) == {"mixer"}:
            raise RecipeError(
                f"{where}.train: only 'mixer', which has nothing to learn while model.layer_mixing"
                " is 'last'; train another part too, or choose 'paper' or 'softmax' there"
            )
        if "encoder" in stage.train and self.data.cache == "all":
            raise RecipeError(
                f"{where}.train: a trained encoder cannot be cached; set data.cache to none"
            )

    def _check_objective(self, stage: StageSection, where: str) -> None:
        fitting = ("answer", "ctc") if self.encoder is None else ("ctc", "best_rq")
        if stage.objective not in fitting:
            what = "an encoder that is pre-trained" if self.encoder else "a model with an LLM"
            raise RecipeError(
                f"{where}.objective: '{stage.objective}' is none of {what}; use"
                f" {' or '.join(fitting)}"
            )
        if self.encoder is not None and (stage.train != ["encoder"] or stage.reads != "audio"):
            raise RecipeError(
                f"{where}: an encoder that is pre-trained hears, and all of it learns: train:"
                " [encoder]"
            )
        for number, item in enumerate(self.data.mixtures[stage.mixture]):
            if (item.task is None) != (stage.objective == "best_rq"):
                raise RecipeError(
                    f"data.mixtures.{stage.mixture}.{number}.task: the objective best_rq asks"
                    f" nothing and takes no task, every other one needs one; stage '{stage.name}'"
                    f" has the objective {stage.objective}"
                )
        if stage.objective == "ctc" and "lora" in stage.train:
            raise RecipeError(
                f"{where}.train: 'lora' learns nothing while objective is 'ctc'; the LLM is not run"
            )


def _known(where: str, kind: str, name: str, known: dict[str, Any]) -> None:
    if name not in known:
        raise RecipeError(f"{where}: {unknown_name(kind, name, known)}")
