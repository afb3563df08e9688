"""Microscopic random encoders of every family, as folders in the hub's format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from microscopic import whisper

_CONV = {
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 3, 3),
    "conv_stride": (5, 4, 4),
    "num_feat_extract_layers": 3,
}
_SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "layerdrop": 0.5,
    "mask_time_prob": 0.5,
    "vocab_size": 12,
}


def _samples(kind: str, norm: str) -> tuple[object, object]:
    config = {"wav2vec2": "Wav2Vec2Config", "hubert": "HubertConfig", "wavlm": "WavLMConfig"}[kind]
    stable = norm == "layer"
    options = {**_SMALL, **_CONV, "feat_extract_norm": norm, "do_stable_layer_norm": stable}
    return getattr(transformers, config)(**options), transformers.Wav2Vec2FeatureExtractor(
        do_normalize=stable
    )


def _conformer(stride: int) -> tuple[object, object]:
    options = {key: value for key, value in _SMALL.items() if "conv" not in key}
    config = transformers.Wav2Vec2BertConfig(
        **options,
        feature_projection_input_dim=80 * stride,
        conv_depthwise_kernel_size=5,
        pad_token_id=0,
    )
    return config, transformers.SeamlessM4TFeatureExtractor(stride=stride)


def _whisper(seconds: int) -> tuple[object, object]:
    model = whisper(60, seconds, encoder_layers=3, encoder_layerdrop=0.5)
    return model.config, transformers.WhisperFeatureExtractor(chunk_length=seconds)


def _parakeet() -> tuple[object, object]:
    encoder = {
        "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24,
        "conv_kernel_size": 5, "subsampling_conv_channels": 8, "num_mel_bins": 32, "layerdrop": 0.5,
    }  # fmt: skip
    config = transformers.ParakeetCTCConfig(encoder_config=encoder, vocab_size=12, pad_token_id=0)
    return config, transformers.ParakeetFeatureExtractor(feature_size=32)


_FAMILIES: dict[str, tuple[Callable[[], tuple[object, object]], str]] = {
    "wav2vec2-group": (lambda: _samples("wav2vec2", "group"), "Wav2Vec2Model"),
    "wav2vec2-layer": (lambda: _samples("wav2vec2", "layer"), "Wav2Vec2Model"),
    "hubert-group": (lambda: _samples("hubert", "group"), "HubertModel"),
    "hubert-layer": (lambda: _samples("hubert", "layer"), "HubertModel"),
    "wavlm-group": (lambda: _samples("wavlm", "group"), "WavLMModel"),
    "wavlm-layer": (lambda: _samples("wavlm", "layer"), "WavLMModel"),
    "w2v-bert": (lambda: _conformer(2), "Wav2Vec2BertModel"),
    "best-rq": (lambda: _conformer(4), "Wav2Vec2BertForCTC"),
    "whisper": (lambda: _whisper(2), "WhisperForConditionalGeneration"),
    "whisper-long": (lambda: _whisper(9), "WhisperForConditionalGeneration"),
    "parakeet": (_parakeet, "ParakeetForCTC"),
}


@pytest.fixture(scope="session")
def encoder_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder a family, as its authors would have saved it: head, decoder and all."""
    folders = {}
    for name, (make, class_name) in _FAMILIES.items():
        torch.manual_seed(0)
        config, extractor = make()
        folders[name] = tmp_path_factory.mktemp("encoders") / name
        getattr(transformers, class_name)(config).save_pretrained(folders[name])
        extractor.save_pretrained(folders[name])
    return folders


@pytest.fixture
def waveforms() -> list[np.ndarray]:
    """Three clips of different lengths, none a round number of frames."""
    rng = np.random.default_rng(0)
    return [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (7003, 16000, 11111)]
