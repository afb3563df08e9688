"""From a name or a folder to an encoder."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoFeatureExtractor, PreTrainedConfig

from speechverse.encoders.contract import FrontEnd, SpeechEncoder, Window
from speechverse.errors import CheckpointError
from speechverse.hub import Resolved, loading, resolve
from speechverse.registry import Registry, has

FAMILIES: Registry[type[SpeechEncoder]] = Registry(
    "kind of speech encoder",
    {
        "wav2vec2": "speechverse.encoders.wav2vec2:Wav2Vec2Encoder",
        "hubert": "speechverse.encoders.wav2vec2:Wav2Vec2Encoder",
        "wavlm": "speechverse.encoders.wav2vec2:Wav2Vec2Encoder",
        "wav2vec2-bert": "speechverse.encoders.wav2vec2_bert:Wav2Vec2BertEncoder",
        "whisper": "speechverse.encoders.whisper:WhisperEncoder",
        "parakeet_encoder": "speechverse.encoders.parakeet:ParakeetEncoder",
        "parakeet_ctc": "speechverse.encoders.parakeet:ParakeetEncoder",
        "parakeet_rnnt": "speechverse.encoders.parakeet:ParakeetEncoder",
        "parakeet_tdt": "speechverse.encoders.parakeet:ParakeetEncoder",
    },
    has("model_type", "model_class", "front_end_class"),
    name_of=attrgetter("model_type"),
    error=CheckpointError,
)
"""The class that serves each of transformers' model types."""


def load_encoder(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    num_hidden_layers: int | None = None,
    window: Window = "fit",
    family: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> SpeechEncoder:
    """Loads a frozen encoder; heads trained on it are ignored.

    Args:
        num_hidden_layers: Keep only so many layers, counted from the input.
        window: What an encoder with a fixed window hears a clip in: a fitting one or the full one.
        family: A class of the user's that serves it, `path/to/file.py:NAME`.

    Raises:
        CheckpointError: If it cannot be loaded whole, is of no known family, or has fewer layers
            than asked for.
    """
    resolved = resolve(name_or_path, revision)
    kind, config = _family_and_config(resolved, family)
    _truncate(config, num_hidden_layers)
    model_class: Any = kind.model_class(config)
    with loading("encoder", resolved):
        model, info = model_class.from_pretrained(
            resolved.name,
            revision=resolved.revision,
            config=config,
            dtype=dtype,
            key_mapping=kind.key_mapping,
            output_loading_info=True,
        )
    if missing := set(info["missing_keys"]) - {"masked_spec_embed"}:
        raise CheckpointError(
            f"the encoder '{resolved.name}' lacks weights, such as '{min(missing)}'; it is not"
            " whole"
        )
    return kind(model, _front_end(resolved, kind, config, window))


def load_front_end(
    name_or_path: str | Path,
    revision: str | None = None,
    window: Window = "fit",
    family: str | None = None,
) -> FrontEnd:
    """Loads what makes an encoder's inputs, without its weights; see `load_encoder`."""
    resolved = resolve(name_or_path, revision)
    kind, config = _family_and_config(resolved, family)
    return _front_end(resolved, kind, config, window)


def _family_and_config(
    resolved: Resolved, own: str | None
) -> tuple[type[SpeechEncoder], PreTrainedConfig]:
    chosen = FAMILIES[own] if own else None  # its file may make the type known to transformers
    with loading("encoder", resolved):
        config = AutoConfig.from_pretrained(resolved.name, revision=resolved.revision)
    family = FAMILIES[config.model_type]
    if chosen and chosen is not family:
        raise CheckpointError(
            f"'{own}' is not what serves the encoder '{resolved.name}', whose model_type is"
            f" '{config.model_type}': {family.__name__} does; leave encoder_family out"
        )
    config = family.encoder_config(config)
    # What some fine-tuned models carry behind the encoder changes the frame rate; like their heads,
    # it is left out.
    config.add_adapter = False
    return family, config


def _front_end(
    resolved: Resolved, family: type[SpeechEncoder], config: PreTrainedConfig, window: Window
) -> FrontEnd:
    with loading("feature extractor of", resolved):
        extractor = AutoFeatureExtractor.from_pretrained(resolved.name, revision=resolved.revision)
        front_end = family.front_end_class(config, extractor)
    front_end.window = window
    return front_end


def _truncate(config: PreTrainedConfig, num_hidden_layers: int | None) -> None:
    if num_hidden_layers is None:
        return
    if not 1 <= num_hidden_layers <= config.num_hidden_layers:
        raise CheckpointError(
            f"cannot keep {num_hidden_layers} encoder layers; the encoder has"
            f" {config.num_hidden_layers}"
        )
    config.num_hidden_layers = num_hidden_layers
