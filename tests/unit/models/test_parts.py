"""Layer mixer, downsampler, and the paper's parameter counts."""

from __future__ import annotations

import pytest
import torch
from transformers import T5Config, Wav2Vec2BertConfig, WavLMConfig

from microscopic import model_of
from speechverse.errors import RecipeError
from speechverse.models.clip_statistics import ClipStatistics
from speechverse.models.downsampler import Downsampler, DownsamplerConfig, downsampled_length
from speechverse.models.mixer import LayerMixer

FLAN_T5_XL = {
    "d_model": 2048, "d_kv": 64, "d_ff": 5120, "num_layers": 24, "num_heads": 32, "vocab_size": 32128,
    "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "pad_token_id": 0, "eos_token_id": 1,
    "decoder_start_token_id": 0,
}  # fmt: skip
WAVLM_LARGE = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
    "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": False,
}  # fmt: skip
BEST_RQ = {
    "hidden_size": 768, "num_hidden_layers": 24, "num_attention_heads": 8, "intermediate_size": 2560,
    "feature_projection_input_dim": 320,
}  # fmt: skip


@pytest.mark.parametrize(
    ("encoder", "mixing", "strides", "expected"),
    [
        (WavLMConfig(**WAVLM_LARGE), "last", [2, 2], 28_323_840),
        (Wav2Vec2BertConfig(**BEST_RQ), "paper", [2, 1], 26_751_000),
    ],
)
def test_the_papers_trainable_parameters(encoder, mixing, strides, expected) -> None:
    with torch.device("meta"):
        model = model_of(
            encoder,
            T5Config(**FLAN_T5_XL),
            layer_mixing=mixing,
            downsampler={"strides": strides},
            lora={"rank": 16, "targets": ["q", "v"]},
        )
    assert sum(count.trainable for count in model.parameter_report()) == expected
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == expected


def mix(mixer: LayerMixer, hidden: torch.Tensor) -> torch.Tensor:
    return mixer(mixer.prepare(hidden))


def test_paper_mixing_starts_as_the_mean_and_has_no_softmax() -> None:
    hidden = torch.randn(5, 2, 7, 3)
    mixer = LayerMixer(5, "paper")
    torch.testing.assert_close(mix(mixer, hidden), hidden.mean(dim=0))
    with torch.no_grad():
        mixer.weights.mul_(10)
    torch.testing.assert_close(mix(mixer, hidden), 10 * hidden.mean(dim=0))


def test_softmax_mixing_does_not_let_scale_win() -> None:
    hidden = torch.randn(5, 2, 7, 16)
    loud = hidden * torch.tensor([1.0, 100.0, 1.0, 0.1, 1.0]).view(5, 1, 1, 1)
    mixer = LayerMixer(5, "softmax")
    torch.testing.assert_close(mix(mixer, loud), mix(mixer, hidden), atol=5e-3, rtol=5e-3)
    assert sum(mixer.shares()) == pytest.approx(1.0)


def test_last_mixing_learns_nothing() -> None:
    mixer = LayerMixer(5, "last")
    hidden = torch.randn(5, 2, 7, 3)
    assert torch.equal(mix(mixer, hidden), hidden[-1]) and torch.equal(
        mix(mixer, hidden[-1:]), hidden[-1]
    )
    assert not list(mixer.parameters())


@pytest.mark.parametrize("strides", [[2, 2], [2, 1], [1], [3, 2, 2]])
def test_downsampling_is_batch_invariant_and_its_lengths_are_true(strides: list[int]) -> None:
    downsampler = Downsampler(
        6, 8, DownsamplerConfig(strides=strides, activation="gelu"), output_scale=0.1
    )
    frames, lengths = torch.randn(4, 23, 6), torch.tensor([23, 1, 12, 17])
    frames[1, 1:], frames[2, 12:] = float("nan"), 1e4
    positions, counts = downsampler(frames, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, count = downsampler(frames[row : row + 1, :length], lengths[row : row + 1])
        assert (
            int(count[0])
            == int(counts[row])
            == downsampled_length(length, strides)
            == alone.shape[1]
        )
        torch.testing.assert_close(positions[row, : counts[row]], alone[0])


def test_clip_statistics_are_batch_invariant_and_say_nothing_at_first() -> None:
    statistics = ClipStatistics(num_layers=2, input_width=6, output_width=8, layer_mixing="softmax")
    states, lengths = torch.randn(2, 3, 23, 6), torch.tensor([23, 1, 12])
    assert not statistics(states, lengths).any()
    with torch.no_grad():
        statistics.projection.weight.normal_()
    states[:, 1, 1:], states[:, 2, 12:] = float("nan"), 1e4
    together = statistics(states, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = statistics(states[:, row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(together[row], alone[0])


@pytest.mark.parametrize("mixing", ["paper", "last"])
def test_clip_statistics_of_layers_as_loud_as_they_come_are_refused(mixing: str) -> None:
    with pytest.raises(
        RecipeError, match=rf"clip_statistics: .* '{mixing}' .* set layer_mixing: softmax"
    ):
        ClipStatistics(num_layers=2, input_width=6, output_width=8, layer_mixing=mixing)


def test_clip_statistics_learn_what_no_frame_tells() -> None:
    """One voice or two in turn: the same frames on average, apart by how much they differ."""
    torch.manual_seed(0)
    voices = torch.randn(2, 200, 1, 6)
    two = torch.arange(200) % 2
    turns = torch.where(
        (torch.arange(20) < 10)[None, :, None] | (two == 0)[:, None, None], voices[0], voices[1]
    )
    states, lengths = (turns + 0.3 * torch.randn(200, 20, 6))[None], torch.full((200,), 20)
    statistics = ClipStatistics(num_layers=1, input_width=6, output_width=2, layer_mixing="softmax")
    optimizer = torch.optim.Adam(statistics.parameters(), lr=0.05)
    for _ in range(100):
        loss = torch.nn.functional.cross_entropy(
            statistics(states[:, :150], lengths[:150]), two[:150]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = statistics(states[:, 150:], lengths[150:]).argmax(dim=1) == two[150:]
    assert right.float().mean() > 0.9


def test_output_takes_the_scale_it_is_told() -> None:
    positions, _ = Downsampler(6, 32, DownsamplerConfig(strides=[2]), output_scale=0.2)(
        torch.randn(2, 9, 6), torch.tensor([9, 9])
    )
    assert positions.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.05)
