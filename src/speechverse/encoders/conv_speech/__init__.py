"""A small speech encoder of convolutions, as a transformers model; importing it registers it with the Auto classes."""

from transformers import AutoConfig, AutoModel, AutoModelForCTC

from speechverse.encoders.conv_speech.configuration_conv_speech import ConvSpeechConfig
from speechverse.encoders.conv_speech.modeling_conv_speech import ConvSpeechForCTC, ConvSpeechModel

AutoConfig.register(ConvSpeechConfig.model_type, ConvSpeechConfig, exist_ok=True)
AutoModel.register(ConvSpeechConfig, ConvSpeechModel, exist_ok=True)
AutoModelForCTC.register(ConvSpeechConfig, ConvSpeechForCTC, exist_ok=True)

__all__ = ["ConvSpeechConfig", "ConvSpeechForCTC", "ConvSpeechModel"]
