"""speechverse: audio language models that follow instructions about speech (SpeechVerse, arXiv
2405.08295).

Importing this package is cheap; `speechverse.SpeechVerse` loads torch and transformers when it is
first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechverse.lazy import loader_of

__version__ = "0.1.0"
__all__ = ["Clips", "SpeechVerse", "__version__"]

if TYPE_CHECKING:
    from speechverse.clips import Clips
    from speechverse.pipeline import SpeechVerse

__getattr__ = loader_of(__name__, {"SpeechVerse": "pipeline", "Clips": "clips"})
