# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest
import torch
from diffusers import AutoencoderKLWan

from viva_ros.model.config import SMALL, TINY, VaeConfig
from viva_ros.model.pretrained import fold, make_video_vae, unfold

CONFIGS = {'tiny': TINY, 'small': SMALL}


def lively(config: VaeConfig) -> AutoencoderKLWan:
    """Return a VAE whose gammas and biases differ from their initial ones and zeros."""
    torch.manual_seed(0)
    vae = make_video_vae(config).eval()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return vae


@pytest.mark.parametrize('name', CONFIGS)
@torch.no_grad()
def test_folded_vae_equals_diffusers(name: str) -> None:
    config = CONFIGS[name]
    vae = lively(config.vae)
    frame_vae = fold(vae, config.vae)
    pixels = torch.rand(2, 3, *config.image_size) * 2 - 1
    posterior = vae.encode(pixels[:, :, None]).latent_dist
    mean, logvar = frame_vae.moments(pixels)
    torch.testing.assert_close(mean, posterior.mode()[:, :, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(logvar, posterior.logvar[:, :, 0], atol=1e-5, rtol=0)
    assert mean.std() > 0.1
    decoded = vae.decode(mean[:, :, None]).sample[:, :, 0]
    torch.testing.assert_close(frame_vae.decode(mean), decoded, atol=1e-5, rtol=0)
    assert decoded.std() > 0.05


@torch.no_grad()
def test_wide_image_keeps_row_and_column_order() -> None:
    vae = lively(TINY.vae)
    pixels = torch.rand(1, 3, 32, 64) * 2 - 1
    expected = vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
    given = fold(vae, TINY.vae).encode(pixels)
    assert given.shape == (1, 4, 2, 4)
    torch.testing.assert_close(given, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_unfolded_vae_equals_single_frame_vae() -> None:
    vae = lively(TINY.vae)
    frame_vae = fold(vae, TINY.vae)
    statistics = torch.full((4,), 0.5), torch.full((4,), 2.0)
    again = unfold(frame_vae, TINY.vae, *statistics)
    pixels = torch.rand(1, 3, 32, 32) * 2 - 1
    mode = again.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
    torch.testing.assert_close(mode, frame_vae.encode(pixels), atol=1e-5, rtol=0)
    assert again.config.latents_mean == [0.5] * 4
    assert again.config.latents_std == [2.0] * 4


def test_folding_undoes_unfolding() -> None:
    frame_vae = fold(lively(TINY.vae), TINY.vae)
    again = fold(unfold(frame_vae, TINY.vae), TINY.vae)
    for name, weight in frame_vae.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name


def test_each_weight_of_folded_vae_has_a_gradient() -> None:
    frame_vae = fold(lively(TINY.vae), TINY.vae)
    mean, logvar = frame_vae.moments(torch.rand(1, 3, 32, 32) * 2 - 1)
    (frame_vae.reconstruct(mean).square().mean() + logvar.mean()).backward()
    still = [n for n, p in frame_vae.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still
