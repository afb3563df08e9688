"""From the hidden states of all encoder layers to one.

Shape letters: L layers, B batch, T frames, D width of the encoder.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechverse.config import Config
from speechverse.encoders import without_autocast

LayerMixing = Literal["paper", "softmax", "last"]


class MixerConfig(Config):
    """How the encoder's layers become one."""

    layer_mixing: LayerMixing = "paper"
    """'paper': their weighted mean; 'softmax': of normalised layers; 'last': the last one alone."""


class LayerMixer(nn.Module):
    """Mixes encoder layers, which `prepare` has made ready.

    - `paper`: (1/L) Σ w_l h_l, with w initialised to 1 and no softmax, as the paper prints it.
    - `softmax`: Σ softmax(w)_l LayerNorm(h_l), where no layer can win by its scale alone.
    - `last`: h_L, nothing to learn.

    Source: SpeechVerse (arXiv 2405.08295) equation 1; the idea is SUPERB's (arXiv 2105.01051).
    """

    def __init__(self, num_layers: int, mode: LayerMixing) -> None:
        super().__init__()
        self.mode = mode
        self.num_layers = num_layers
        if mode == "last":
            self.register_parameter("weights", None)
        else:
            self.weights = nn.Parameter(
                torch.ones(num_layers) if mode == "paper" else torch.zeros(num_layers)
            )

    def prepare(self, hidden_states: Tensor) -> Tensor:
        """Layers as they can be mixed, once for all mixers of a mode.

        Args:
            hidden_states: Shape (L, B, T, D); for `last`, any number of layers of which the last is
                the encoder's.

        Returns:
            Shape (L, B, T, D), in the precision of the weights; normalised for `softmax`, as they
            are for `last`.
        """
        if self.weights is None:
            return hidden_states
        hidden_LBTD = hidden_states.to(self.weights.dtype)
        return (
            F.layer_norm(hidden_LBTD, hidden_LBTD.shape[-1:])
            if self.mode == "softmax"
            else hidden_LBTD
        )

    def forward(self, prepared: Tensor) -> Tensor:
        """Mixes layers that `prepare` gave, (L, B, T, D), to (B, T, D)."""
        if self.weights is None:
            return prepared[-1]
        if len(prepared) != self.num_layers:
            raise ValueError(
                f"got {len(prepared)} encoder layers to mix, expected {self.num_layers}"
            )
        with without_autocast(prepared.device.type):  # it would cast all layers, forth and back
            return torch.einsum("l,lbtd->btd", self._effective(), prepared)

    def _effective(self) -> Tensor:
        return (
            self.weights / self.num_layers if self.mode == "paper" else self.weights.softmax(dim=0)
        )

    def shares(self) -> list[float]:
        """How much each layer counts: the effective weights, which sum to 1 for `softmax` only."""
        if self.weights is None:
            return [0.0] * (self.num_layers - 1) + [1.0]
        return self._effective().tolist()
