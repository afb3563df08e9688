"""BEST-RQ: masked prediction of the codes of a random-projection quantizer (PAPER.md section 8)."""

from speechverse.encoders.best_rq.masking import mask_with_noise, span_mask
from speechverse.encoders.best_rq.modeling_best_rq import BestRqConfig, BestRqForPreTraining, BestRqOutput
from speechverse.encoders.best_rq.quantizer import RandomProjectionQuantizer

__all__ = [
    "BestRqConfig",
    "BestRqForPreTraining",
    "BestRqOutput",
    "RandomProjectionQuantizer",
    "mask_with_noise",
    "span_mask",
]
