"""Mean log-mels: all that is left of a clip when its words and their order are gone."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd

MEL_BINS = 80
_SHORTEST = 400  # samples: one frame of the front end


def mean_log_mels(samples: np.ndarray) -> np.ndarray:
    """(80,) time means of log-mel energies, level and all, of samples at 16 kHz; at least a frame is made of them."""
    import torch

    padded = np.pad(samples, (0, max(0, _SHORTEST - len(samples))))
    return _front_end().log_mel(torch.from_numpy(padded)).mean(dim=0).numpy()


@lru_cache(maxsize=1)
def _front_end() -> Wav2Vec2BertFrontEnd:
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig

    from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd

    config = Wav2Vec2BertConfig(feature_projection_input_dim=MEL_BINS)
    return Wav2Vec2BertFrontEnd(config, SeamlessM4TFeatureExtractor(stride=1))
