"""From a name, a folder or a configuration to an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoFeatureExtractor, PreTrainedConfig

from speechverse.encoders.contract import FrontEnd, SpeechEncoder, Window
from speechverse.encoders.parakeet import ParakeetEncoder
from speechverse.encoders.wav2vec2 import Wav2Vec2Encoder
from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertEncoder
from speechverse.encoders.whisper import WhisperEncoder
from speechverse.errors import CheckpointError, unknown_name
from speechverse.hub import Resolved, loading, resolve

FAMILIES: dict[str, type[SpeechEncoder]] = {
    "wav2vec2": Wav2Vec2Encoder,
    "hubert": Wav2Vec2Encoder,
    "wavlm": Wav2Vec2Encoder,
    "wav2vec2-bert": Wav2Vec2BertEncoder,
    "whisper": WhisperEncoder,
    "parakeet_encoder": ParakeetEncoder,
    "parakeet_ctc": ParakeetEncoder,
    "parakeet_rnnt": ParakeetEncoder,
    "parakeet_tdt": ParakeetEncoder,
}
"""Each model type, in transformers' words, and the class that serves it."""


def load_encoder(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    num_hidden_layers: int | None = None,
    window: Window = "fit",
    dtype: torch.dtype = torch.float32,
) -> SpeechEncoder:
    """Loads a frozen encoder.

    Args:
        name_or_path: A built-in name, a local folder in the hub's format, or a hub id; heads trained on it are ignored.
        revision: The hub revision.
        num_hidden_layers: Keep only so many layers, counted from the input.
        window: What an encoder with a fixed window hears a clip in: one that fits it, or the full one.
        dtype: Precision of the weights.

    Raises:
        CheckpointError: If it cannot be loaded whole, is of no known family, or has fewer layers than asked for.
    """
    resolved = resolve(name_or_path, revision)
    family, config = _family_and_config(resolved)
    _truncate(config, num_hidden_layers)
    model_class: Any = family.model_class(config)
    with loading("encoder", resolved):
        model, info = model_class.from_pretrained(
            resolved.name,
            revision=resolved.revision,
            config=config,
            dtype=dtype,
            key_mapping=family.key_mapping,
            output_loading_info=True,
        )
    if missing := set(info["missing_keys"]) - {"masked_spec_embed"}:
        raise CheckpointError(f"the encoder '{resolved.name}' lacks weights, such as '{min(missing)}'; it is not whole")
    return family(model, _front_end(resolved, family, config, window))


def encoder_from_config(config: PreTrainedConfig, feature_extractor: Any = None) -> SpeechEncoder:
    """Builds an encoder with random weights; under `torch.device("meta")` it takes no memory."""
    family = _family_of(config)
    config = family.encoder_config(config)
    extractor = feature_extractor or family.default_feature_extractor(config)
    model: Any = family.model_class(config)
    return family(model(config), family.front_end_class(config, extractor))


def load_front_end(name_or_path: str | Path, revision: str | None = None, window: Window = "fit") -> FrontEnd:
    """Loads what makes an encoder's inputs, without its weights."""
    resolved = resolve(name_or_path, revision)
    family, config = _family_and_config(resolved)
    return _front_end(resolved, family, config, window)


def _family_of(config: PreTrainedConfig) -> type[SpeechEncoder]:
    if config.model_type not in FAMILIES:
        raise CheckpointError(unknown_name("kind of speech encoder", config.model_type, FAMILIES))
    return FAMILIES[config.model_type]


def _family_and_config(resolved: Resolved) -> tuple[type[SpeechEncoder], PreTrainedConfig]:
    with loading("encoder", resolved):
        config = AutoConfig.from_pretrained(resolved.name, revision=resolved.revision)
    family = _family_of(config)
    config = family.encoder_config(config)
    # What some fine-tuned models carry behind the encoder changes the frame rate; like their heads, it is left out.
    config.add_adapter = False
    return family, config


def _front_end(resolved: Resolved, family: type[SpeechEncoder], config: PreTrainedConfig, window: Window) -> FrontEnd:
    with loading("feature extractor of", resolved):
        extractor = AutoFeatureExtractor.from_pretrained(resolved.name, revision=resolved.revision)
    front_end = family.front_end_class(config, extractor)
    front_end.window = window
    return front_end


def _truncate(config: PreTrainedConfig, num_hidden_layers: int | None) -> None:
    if num_hidden_layers is None:
        return
    key = "encoder_layers" if config.model_type == "whisper" else "num_hidden_layers"
    available = getattr(config, key)
    if not 1 <= num_hidden_layers <= available:
        raise CheckpointError(f"cannot keep {num_hidden_layers} encoder layers; the encoder has {available}")
    setattr(config, key, num_hidden_layers)
