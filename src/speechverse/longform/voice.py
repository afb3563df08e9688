"""Where somebody speaks: Silero VAD, from the weights that its package brings.

Shape letters: W windows, S samples of a window, T frames.
"""

from __future__ import annotations

import functools
import warnings
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speechverse.errors import UserError

WINDOW = 512
"""Samples at 16 kHz that one probability is about: 32 ms."""

_CONTEXT = 64  # samples before a window that are heard with it
_WEIGHTS = "silero_vad/data/silero_vad.jit"  # its .safetensors is of an older network


class SileroVad(nn.Module):
    """The network of silero-vad 6 (MIT licence) over many windows at once.

    Its package's own class hears one window at a time, in TorchScript, and sets the threads of the
    whole process to one when it is imported.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stft = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, out, 3, stride=stride, padding=1)
            for width, out, stride in ((129, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))
        )
        self.lstm = nn.LSTM(128, 128)
        self.head = nn.Conv1d(128, 1, 1)

    def forward(
        self, windows_WS: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Probabilities of speech (W,) of windows with their context, and the state behind them."""
        padded = F.pad(windows_WS.unsqueeze(1), (0, 64), mode="reflect")
        real, imaginary = self.stft(padded).chunk(2, dim=1)
        hidden = (real**2 + imaginary**2).sqrt()
        for layer in self.convolutions:
            hidden = layer(hidden).relu()
        heard_WD, state = self.lstm(hidden.squeeze(-1), state)
        return self.head(heard_WD.relu().unsqueeze(-1)).sigmoid().flatten(), state


@functools.cache
def load_vad() -> SileroVad:
    """The network with its weights.

    Raises:
        UserError: If the package `silero-vad` is not installed, or is of another kind.
    """
    try:
        path = distribution("silero-vad").locate_file(_WEIGHTS)
    except PackageNotFoundError as error:
        raise UserError(
            "long audio is cut at pauses by Silero VAD, which is not installed: pip install"
            " silero-vad"
        ) from error
    vad = SileroVad()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # only its weights are wanted
            weights = torch.jit.load(str(path), map_location="cpu")._model.state_dict()
        # Both name the same tensors in the same order.
        vad.load_state_dict(dict(zip(vad.state_dict(), weights.values(), strict=True)))
    except (RuntimeError, ValueError, AttributeError) as error:
        raise UserError(
            f"the installed silero-vad has another network than that of version 6: {error}"
        ) from error
    return vad.requires_grad_(False).eval()


class VoiceMeter:
    """Probabilities of speech along one sound, which comes in blocks."""

    def __init__(self) -> None:
        self._vad = load_vad()
        self._state: tuple[Tensor, Tensor] | None = None
        self._before = np.zeros(_CONTEXT, np.float32)

    @torch.no_grad()
    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Of the next whole windows, float32 (W, 512) at 16 kHz; (W,)."""
        contexts = np.concatenate([self._before[None], windows[:-1, -_CONTEXT:]])
        self._before = windows[-1, -_CONTEXT:]
        heard = torch.from_numpy(np.concatenate([contexts, windows], axis=1))
        probabilities, self._state = self._vad(heard, self._state)
        return probabilities.numpy()
