"""BEST-RQ: masked prediction of the codes of a random-projection quantizer (PAPER.md section 8)."""

from speechverse.encoders.best_rq.config import BestRqConfig, ConformerConfig, SpecAugmentConfig
from speechverse.encoders.best_rq.masking import mask_with_noise, span_mask
from speechverse.encoders.best_rq.modeling_best_rq import BestRqForPreTraining, BestRqOutput
from speechverse.encoders.best_rq.pretraining import EncoderForPreTraining, front_end
from speechverse.encoders.best_rq.quantizer import RandomProjectionQuantizer

__all__ = [
    "BestRqConfig",
    "BestRqForPreTraining",
    "BestRqOutput",
    "ConformerConfig",
    "EncoderForPreTraining",
    "RandomProjectionQuantizer",
    "SpecAugmentConfig",
    "front_end",
    "mask_with_noise",
    "span_mask",
]
