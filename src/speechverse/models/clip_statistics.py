"""What only a whole clip tells, given to every position of it.

Shape letters: L layers, B batch, T frames, D width of the encoder, E width of the LLM's embeddings.
"""

from __future__ import annotations

from torch import Tensor, nn

from speechverse.encoders import mean_and_deviation
from speechverse.errors import RecipeError
from speechverse.models.mixer import LayerMixer, LayerMixing

GAIN = 4.0
"""Mean and deviation of normalised frames differ by a quarter or so between clips; times this, they
learn in time.
"""


class ClipStatistics(nn.Module):
    """Mean and deviation of a clip's frames as one direction of the LLM's embedding space, nothing
    at first.

    Emotion, accent and the number of speakers stand in no single frame, and the downsampler's
    kernels hear a fraction of a second. The layers are mixed for this on their own: voice and tone
    lie lower than words.

    Args:
        layer_mixing: "softmax", for others mix layers as loud as they come (see `LayerMixer`), not
            as `GAIN` expects.

    Raises:
        RecipeError: If the layers are mixed in another way.

    Source: pooling by mean and deviation is x-vectors' (Snyder et al., ICASSP 2018); it is not in
        the paper.
    """

    def __init__(
        self, num_layers: int, input_width: int, output_width: int, layer_mixing: LayerMixing
    ) -> None:
        super().__init__()
        if layer_mixing != "softmax":
            raise RecipeError(
                "downsampler.clip_statistics: takes normalised layers, and layer_mixing"
                f" '{layer_mixing}' has them as they are; set layer_mixing: softmax, or"
                " clip_statistics: false"
            )
        self.mixer = LayerMixer(num_layers, layer_mixing)
        self.projection = nn.Linear(2 * input_width, output_width)
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)

    def forward(self, prepared: Tensor, lengths: Tensor) -> Tensor:
        """What to add to each position.

        Args:
            prepared: Layers from `LayerMixer.prepare`, shape (L, B, T, D).
            lengths: True frames of each row, shape (B,).

        Returns:
            Shape (B, E).
        """
        mixed_BTD = self.mixer(prepared).to(self.projection.weight.dtype)
        return self.projection(GAIN * mean_and_deviation(mixed_BTD, lengths))
