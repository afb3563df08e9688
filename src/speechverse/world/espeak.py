"""The espeak-ng library through ctypes: text in, 22.05 kHz samples out.

Only ever loaded in a worker process of its own (`speechverse.world.workers`): the library crashes
under threads, carries state from utterance to utterance, and is GPL-licensed, so it stays an
optional program at arm's length.
"""

from __future__ import annotations

import ctypes
import tempfile
from pathlib import Path

import numpy as np

from speechverse.errors import SpeechverseError, needs_extra
from speechverse.world.accents import add_accents
from speechverse.world.clip import Prosody

_SYNCHRONOUS = 2
_UTF8 = 1
_PARAMETERS = {"rate": 1, "pitch": 3, "pitch_range": 4, "word_gap": 7}
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The loaded library, one a process; the same calls in the same order give the same samples."""

    def __init__(self, seed: int) -> None:
        with needs_extra("Making speech", "synth"):
            import espeakng_loader
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._folder = tempfile.TemporaryDirectory(prefix="speechverse-")  # read from at first use
        data = Path(self._folder.name) / "espeak-ng-data"
        add_accents(Path(espeakng_loader.get_data_path()), data)
        self.sampling_rate = int(
            self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), 0)
        )
        if self.sampling_rate <= 0:
            raise SpeechverseError("espeak-ng did not start: its data folder could not be read")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed & 0x7FFFFFFF))
        self._chunks: list[bytes] = []
        self._callback = _CALLBACK(self._collect)  # kept: ctypes does not hold callbacks alive
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(
        self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None
    ) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * ctypes.sizeof(ctypes.c_short)))
        return 0

    def say(self, text: str, voice: str, prosody: Prosody) -> np.ndarray:
        """Speaks a sentence: float32 (T,) at `sampling_rate`.

        `voice` is language and variant, such as "en-x-scottish0+f3"; espeak-ng takes an unknown
        variant for none.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SpeechverseError(f"espeak-ng does not know the voice '{voice}'")
        for name, parameter in _PARAMETERS.items():
            self._library.espeak_SetParameter(parameter, int(getattr(prosody, name)), 0)
        self._chunks.clear()
        encoded = text.encode() + b"\0"
        status = self._library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded)), 0, 0, 0, _UTF8, None, None
        )
        if status != 0 or not self._chunks:
            raise SpeechverseError(f"espeak-ng gave no sound for '{text}' (status {status})")
        return np.frombuffer(b"".join(self._chunks), dtype=np.int16).astype(np.float32) / 32768.0
