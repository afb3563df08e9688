"""Log-mels as they are, and their means: all that is left of a clip when its words and their order
are gone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd

MEL_BINS = 80
_SHORTEST = 400  # samples: one frame of the front end


def log_mels(samples: np.ndarray) -> Tensor:
    """(F, 80) log-mel energies, level and all, of samples at 16 kHz, 100 frames a second."""
    import torch

    return _front_end().log_mel(torch.from_numpy(samples))


def mean_log_mels(samples: np.ndarray) -> np.ndarray:
    """Their means over time, (80,); samples that are less than a frame are filled up to one."""
    padded = np.pad(samples, (0, max(0, _SHORTEST - len(samples))))
    return log_mels(padded).mean(dim=0).numpy()


@lru_cache(maxsize=1)
def _front_end() -> Wav2Vec2BertFrontEnd:
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig

    from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd

    config = Wav2Vec2BertConfig(feature_projection_input_dim=MEL_BINS)
    return Wav2Vec2BertFrontEnd(config, SeamlessM4TFeatureExtractor(stride=1))
