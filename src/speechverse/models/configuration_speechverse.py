"""What a SpeechVerse model is made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from transformers import PreTrainedConfig

from speechverse.errors import CheckpointError
from speechverse.models.downsampler import DownsamplerConfig, downsampled_length
from speechverse.models.lora import LoraConfig
from speechverse.models.mixer import MixerConfig


class ModelConfig(MixerConfig):
    """What whoever joins an encoder and an LLM chooses; a recipe's `model:` and `SpeechVerseConfig`
    hold it.
    """

    encoder_layers: Annotated[int, Field(gt=0)] | None = Field(
        default=None,
        description="Keep only so many of the encoder's layers, counted from its input.",
    )
    encoder_window: Literal["fit", "full"] = Field(
        default="fit",
        description=(
            "What Whisper hears a clip in: a window that fits it (cost follows length), or the full"
            " 30 s."
        ),
    )
    encoder_family: str | None = Field(
        default=None,
        description="A class of your own that serves the encoder: 'path/to/file.py:NAME'.",
    )
    downsampler: DownsamplerConfig = DownsamplerConfig()
    lora: LoraConfig | None = None
    prompt_template: str = Field(
        default="{audio}\n{instruction}", description="Where audio and instruction go in a prompt."
    )
    system_prompt: str | None = Field(
        default=None,
        description="The system turn of a chat template; the template's own if none is said.",
    )
    max_audio_seconds: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="Longer audio is refused."
    )
    quiet_end: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description=(
            "Seconds of quiet at the end of a clip that the model knows: what is longer is left out"
            " where it is trained, evaluated and asked."
        ),
    )

    @field_validator("prompt_template")
    @classmethod
    def _both_places(cls, template: str) -> str:
        if any(template.count(place) != 1 for place in ("{audio}", "{instruction}")):
            raise ValueError("the prompt template must hold {audio} and {instruction} once each")
        return template


class SpeechVerseConfig(PreTrainedConfig):
    """The parts by name, what was chosen, and everything the length arithmetic needs.

    What was chosen can be asked of it directly (`config.downsampler`), and lies flat in
    `config.json`. Names of encoder and LLM are hub ids, known parts or folders, which may be
    relative to the checkpoint's; their fingerprints say what was there when the model was made
    (`speechverse.hub.folder_fingerprint`).
    """

    model_type = "speechverse"

    settings: ModelConfig = ModelConfig()
    encoder: str | None = None
    encoder_revision: str | None = None
    encoder_fingerprint: str | None = None
    encoder_width: int = 0  # D
    num_encoder_layers: int = 0  # L, those that are mixed
    encoder_trained: bool = False  # by a stage, so that the checkpoint holds its weights
    llm: str | None = None
    llm_revision: str | None = None
    llm_fingerprint: str | None = None
    prompt_fingerprint: str | None = None  # of how it was asked when it was trained
    llm_width: int = 0  # E
    llm_max_positions: int | None = None  # of what it reads
    llm_max_answer: int | None = None  # where its decoder has another limit
    is_encoder_decoder: bool = False
    start_id: int | None = None  # that such an LLM's decoder starts from
    end_id: int | None = None  # of an answer: end of sequence, or of the turn
    pad_id: int = 0
    audio_token_id: int = (
        -1
    )  # one audio position in `input_ids`; beyond the embedding table on purpose
    embedding_scale: float = 1.0  # of the downsampler's output
    merged: bool = False  # whether `export` merged LoRA into the LLM

    def __post_init__(self, **kwargs: Any) -> None:
        flat = {name: kwargs.pop(name) for name in DownsamplerConfig.model_fields if name in kwargs}
        chosen = {name: kwargs.pop(name) for name in ModelConfig.model_fields if name in kwargs}
        if flat:  # until November 2026 the downsampler's keys lay beside the others
            chosen["downsampler"] = {**flat, "scale_to_embeddings": self.embedding_scale != 1.0}
        if chosen:
            chosen.setdefault("encoder_window", "full")  # of checkpoints that do not say
            self.settings = ModelConfig.of(chosen)
        super().__post_init__(**kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in ModelConfig.model_fields and "settings" in self.__dict__:
            return getattr(self.settings, name)
        raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'")

    def choose(self, **changes: Any) -> None:
        """Changes what was chosen."""
        self.settings = self.settings.model_copy(update=changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, what was chosen flat among them."""
        values = super().to_dict()
        chosen: ModelConfig = values.pop("settings")
        return values | chosen.model_dump()

    @property
    def part_names(self) -> tuple[str, str]:
        """Names of encoder and LLM.

        Raises:
            CheckpointError: If they have none, as of a model built from bare configurations.
        """
        if self.encoder is None or self.llm is None:
            raise CheckpointError(
                "this model was built from bare configurations; its encoder and LLM have no name to"
                " be found by"
            )
        return self.encoder, self.llm

    @property
    def max_answer_positions(self) -> int | None:
        """Positions of the LLM's own decoder; None where they have no limit."""
        return self.llm_max_positions if self.llm_max_answer is None else self.llm_max_answer

    def num_audio_positions(self, num_frames: int) -> int:
        """LLM positions that so many encoder frames take."""
        return downsampled_length(num_frames, self.settings.downsampler.strides)
