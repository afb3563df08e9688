"""One contract over transformers' speech encoders."""

from speechverse.encoders.contract import (
    EncoderOutput,
    FrontEnd,
    SpeechEncoder,
    length_mask,
    mean_and_deviation,
    without_autocast,
)
from speechverse.encoders.loading import FAMILIES, load_encoder, load_front_end

__all__ = [
    "FAMILIES",
    "EncoderOutput",
    "FrontEnd",
    "SpeechEncoder",
    "length_mask",
    "load_encoder",
    "load_front_end",
    "mean_and_deviation",
    "without_autocast",
]
