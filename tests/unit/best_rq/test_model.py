from __future__ import annotations

import torch
from transformers import Wav2Vec2BertModel

from microscopic import conformer
from speechverse.encoders.best_rq.config import BestRqConfig
from speechverse.encoders.best_rq.modeling_best_rq import BestRqForPreTraining

TINY = BestRqConfig(num_codebooks=2, codebook_size=16, code_width=4, mask_span=3)


def tiny_body() -> Wav2Vec2BertModel:
    sizes = {"num_hidden_layers": 1, "intermediate_size": 32, "conv_depthwise_kernel_size": 3}
    return Wav2Vec2BertModel(
        conformer(**sizes, feature_projection_input_dim=12, apply_spec_augment=False)
    )


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return torch.randn(len(lengths), max(lengths), 12) * mask[..., None], mask


def test_paper_settings_are_the_defaults() -> None:
    config = BestRqConfig()
    assert (config.num_codebooks, config.codebook_size, config.code_width) == (16, 8192, 16)
    assert (config.mask_ratio, config.mask_span) == (0.4, 10)


def test_loss_starts_near_chance_and_falls() -> None:
    torch.manual_seed(0)
    model = BestRqForPreTraining(tiny_body(), TINY)
    features, mask = batch([20, 14])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = model(features, mask, torch.Generator().manual_seed(5)).by_frame.mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert abs(losses[0] - torch.log(torch.tensor(16.0))) < 1.0
    assert losses[-1] < 0.5 * losses[0]


def test_reports_what_to_watch() -> None:
    output = BestRqForPreTraining(tiny_body(), TINY)(
        *batch([30, 30]), torch.Generator().manual_seed(0)
    )
    assert 0 <= output.watched["accuracy"] <= 1
    assert 1 / 16 <= output.watched["common_share"] <= 1
    assert 1 < output.watched["code_perplexity"] <= 16


def test_what_is_hidden_cannot_be_seen_by_the_body() -> None:
    torch.manual_seed(0)
    model = BestRqForPreTraining(tiny_body(), TINY).eval()
    features, mask = batch([24])
    seen: list[torch.Tensor] = []
    model.body.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(features, mask, torch.Generator().manual_seed(2))
    changed = (seen[0] != features).any(dim=-1)
    assert 0 < int(changed.sum()) < 24
