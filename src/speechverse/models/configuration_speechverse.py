"""What a SpeechVerse model is made of."""

from __future__ import annotations

from typing import Any, Literal

from transformers import PreTrainedConfig

from speechverse.errors import RecipeError
from speechverse.models.downsampler import downsampled_length

DEFAULT_STRIDES = (2, 2)


class SpeechVerseConfig(PreTrainedConfig):
    """The parts by name, and everything the length arithmetic needs.

    Attributes:
        encoder: Name, hub id or folder of the speech encoder; a folder may be relative to the checkpoint's.
        encoder_revision: Its hub revision.
        encoder_layers: How many of its layers are kept; None for all.
        encoder_window: What an encoder with a fixed window hears a clip in: "fit" or "full".
        encoder_fingerprint: What the folder held when the model was made (`speechverse.hub.fingerprint`).
        encoder_width: D, the width of its hidden states.
        num_encoder_layers: L, the layers to mix.
        encoder_trained: Whether a stage trained the encoder, so that the checkpoint holds its weights.
        llm: Name, hub id or folder of the LLM.
        llm_revision: Its hub revision.
        llm_fingerprint: What its folder held when the model was made.
        llm_width: E, the width of its embeddings.
        llm_max_positions: The longest input it can read, if there is such a limit.
        llm_max_answer: The longest answer its decoder can write, where that is another limit (encoder-decoder LLMs).
        is_encoder_decoder: Whether the LLM reads the prompt with an encoder of its own.
        start_id: Token its decoder starts from (encoder-decoder LLMs).
        end_id: Token that ends an answer: end of sequence, or of the turn.
        pad_id: Token that fills.
        audio_token_id: Stands for one audio position in `input_ids`; lies beyond the embedding table on purpose.
        layer_mixing: `paper`, `softmax` or `last`.
        strides: One a block of the downsampler.
        activation: Between its blocks.
        inner_width: Between its blocks; None for the LLM's.
        clip_statistics: Whether mean and deviation of the clip are told to each position (`ClipStatistics`).
        embedding_scale: What its output is multiplied with.
        lora: Settings of the LoRA adapters (rank, alpha, dropout, targets), or None.
        merged: Whether LoRA was merged into the LLM by `export`.
        prompt_template: Where audio and instruction go in a prompt.
        system_prompt: The system turn of a chat template; None for the template's own, which can be long.
        max_audio_seconds: Longer audio is refused.
    """

    model_type = "speechverse"

    encoder: str | None = None
    encoder_revision: str | None = None
    encoder_layers: int | None = None
    encoder_window: Literal["fit", "full"] = "full"  # of checkpoints that do not say
    encoder_fingerprint: str | None = None
    encoder_width: int = 0
    num_encoder_layers: int = 0
    encoder_trained: bool = False
    llm: str | None = None
    llm_revision: str | None = None
    llm_fingerprint: str | None = None
    llm_width: int = 0
    llm_max_positions: int | None = None
    llm_max_answer: int | None = None
    is_encoder_decoder: bool = False
    start_id: int | None = None
    end_id: int | None = None
    pad_id: int = 0
    audio_token_id: int = -1
    layer_mixing: str = "paper"
    strides: list[int] | tuple[int, ...] = DEFAULT_STRIDES
    activation: str | None = None
    inner_width: int | None = None
    clip_statistics: bool = False
    embedding_scale: float = 1.0
    lora: dict[str, Any] | None = None
    merged: bool = False
    prompt_template: str = "{audio}\n{instruction}"
    system_prompt: str | None = None
    max_audio_seconds: float | int = 30.0

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for field in ("{audio}", "{instruction}"):
            if self.prompt_template.count(field) != 1:
                raise RecipeError(
                    f"the prompt template is {self.prompt_template!r}; "
                    "it must hold {audio} and {instruction} once each"
                )

    @property
    def max_answer_positions(self) -> int | None:
        """Positions of the LLM's own decoder; None where they have no limit."""
        return self.llm_max_positions if self.llm_max_answer is None else self.llm_max_answer

    def num_audio_positions(self, num_frames: int) -> int:
        """LLM positions that so many encoder frames take."""
        return downsampled_length(num_frames, self.strides)
