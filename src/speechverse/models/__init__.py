"""The SpeechVerse model, the transformers way; importing this package registers it with the Auto
classes.
"""

from transformers import AutoConfig, AutoModelForSpeechSeq2Seq, AutoProcessor
from transformers.models.auto import AutoModel

from speechverse.models.configuration_speechverse import ModelConfig, SpeechVerseConfig
from speechverse.models.modeling_speechverse import SpeechVerseForConditionalGeneration
from speechverse.models.processing_speechverse import SpeechVerseProcessor

AutoConfig.register(SpeechVerseConfig.model_type, SpeechVerseConfig)
AutoModel.register(SpeechVerseConfig, SpeechVerseForConditionalGeneration)
AutoModelForSpeechSeq2Seq.register(SpeechVerseConfig, SpeechVerseForConditionalGeneration)
AutoProcessor.register(SpeechVerseConfig, SpeechVerseProcessor)

__all__ = [
    "ModelConfig",
    "SpeechVerseConfig",
    "SpeechVerseForConditionalGeneration",
    "SpeechVerseProcessor",
]
