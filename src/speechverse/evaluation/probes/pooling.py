"""Clips as one vector a layer: mean and deviation of the hidden states over a clip's true frames.

Shape letters: L layers, N clips, B batch, T frames, D width of the encoder, M mel bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from speechverse.audio import load
from speechverse.batching import cut_into_batches
from speechverse.encoders import SpeechEncoder, mean_and_deviation
from speechverse.evaluation.log_mels import log_mels
from speechverse.progress import Advance, ignore
from speechverse.types import Seconds, Utterance


@torch.no_grad()
def pool_layers(
    encoder: SpeechEncoder,
    utterances: Sequence[Utterance],
    batch_seconds: Seconds = 60.0,
    progress: Advance = ignore,
) -> list[Tensor]:
    """Pools every layer over every clip; frames are held for one batch at a time.

    Returns:
        L + 1 float32 tensors on the CPU, rows in the order of `utterances`: first the log-mel
        frames before any normalisation (N, 2M), then each layer (N, 2D).

    Raises:
        AudioError: If a clip cannot be read, or is too long or too short for the encoder.
    """
    device = next(encoder.parameters()).device
    pooled: dict[int, list[Tensor]] = {}
    order = sorted(range(len(utterances)), key=lambda row: utterances[row].duration)
    for rows in cut_into_batches(order, lambda row: utterances[row].duration, batch_seconds):
        waveforms = [load(utterances[row].audio).samples for row in rows]
        output = encoder(**{name: x.to(device) for name, x in encoder.prepare(waveforms).items()})
        layers = mean_and_deviation(output.hidden_states.float(), output.lengths).cpu()
        for place, row in enumerate(rows):
            mel_FM = log_mels(waveforms[place])
            mel_2M = mean_and_deviation(mel_FM[None, None], torch.tensor([len(mel_FM)]))[0, 0]
            pooled[row] = [mel_2M, *layers[:, place]]
        progress(len(rows))
    layers_of = (pooled[row] for row in range(len(utterances)))
    return [torch.stack(layer) for layer in zip(*layers_of, strict=True)]
