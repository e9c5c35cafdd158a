# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from dataclasses import replace

import pytest
import torch
from diffusers import WanTransformer3DModel

from viva_ros.model.config import PRESETS, SMALL, WAN_5B, ViVaConfig, preset
from viva_ros.model.pretrained import make_video_vae


def test_5b_preset_has_parameters_of_wan_transformer() -> None:
    with torch.device('meta'):
        transformer = WanTransformer3DModel(**WAN_5B.transformer.arguments(WAN_5B.vae.z_dim))
    assert sum(p.numel() for p in transformer.parameters()) == 4_999_787_712


def test_5b_preset_has_weights_of_published_vae() -> None:
    with torch.device('meta'):
        weights = make_video_vae(WAN_5B.vae).state_dict()
    assert len(weights) == 196
    # The published encoder begins with 160 channels of 2 x 2 x 3 numbers of a pixel patch, the
    # decoder with 4 x 256; 2 x 48 are mean and logarithm of the variance.
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    assert shapes['encoder.conv_in.weight'] == (160, 12, 3, 3, 3)
    assert shapes['decoder.conv_in.weight'] == (1024, 48, 3, 3, 3)
    assert shapes['quant_conv.weight'] == (96, 96, 1, 1, 1)


def test_5b_preset_has_sizes_of_diffusers_conversion() -> None:
    given = WAN_5B.transformer.arguments(WAN_5B.vae.z_dim)
    assert given == {
        'num_attention_heads': 24, 'attention_head_dim': 128, 'num_layers': 30,
        'ffn_dim': 14336, 'freq_dim': 256, 'text_dim': 4096, 'patch_size': (1, 2, 2),
        'in_channels': 48, 'out_channels': 48,
    }  # fmt: skip


def test_encoder_of_5b_preset_has_150_million_parameters() -> None:
    with torch.device('meta'):
        vae = make_video_vae(WAN_5B.vae)
    parameters = [*vae.encoder.parameters(), *vae.quant_conv.parameters()]
    assert sum(p.numel() for p in parameters) / 1e6 == pytest.approx(149.6, abs=0.1)


def test_5b_preset_has_840_tokens() -> None:
    # 7 latent frames of 24 x 20, patches of 2 x 2: 7 * 12 * 10
    assert WAN_5B.latent_shape == (48, 24, 20)
    assert WAN_5B.frames * WAN_5B.tokens_per_frame == 840


def test_small_preset_has_63_tokens_and_1_s_horizon() -> None:
    assert SMALL.latent_shape == (16, 6, 6)
    assert SMALL.frames * SMALL.tokens_per_frame == 63
    assert SMALL.horizon == 1.0


@pytest.mark.parametrize('name', sorted(PRESETS))
def test_configuration_survives_json(name: str) -> None:
    config = preset(name, ('a', 'b'), ('x',), ('lift',))
    assert ViVaConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_missing_and_unknown_fields_are_named() -> None:
    content = SMALL.to_dict()
    content['colour'] = content.pop('shift')
    with pytest.raises(ValueError, match=r"lacks \['shift'\], has unexpected \['colour'\]"):
        ViVaConfig.from_dict(content)


def test_image_size_without_whole_patches_is_refused() -> None:
    with pytest.raises(ValueError, match=r'\(96, 100\), must be multiples of 32'):
        replace(SMALL, image_size=(96, 100))


def test_unknown_preset_is_refused_with_known_presets() -> None:
    with pytest.raises(ValueError, match=r"'huge', must be one of tiny, small, wan2\.2-5b"):
        preset('huge', (), (), ())


def test_horizon_of_the_first_version_is_steps_over_rate() -> None:
    content = SMALL.to_dict()
    del content['horizon']
    for steps, rate, seconds in ((50, 50.0, 1.0), (50, 500.0, 0.1), (50, 15.0, 10 / 3)):
        given = ViVaConfig.from_dict({**content, 'horizon_steps': steps, 'control_rate': rate})
        assert given.horizon == pytest.approx(seconds)
    with pytest.raises(ValueError, match=r"unexpected \['control_rate', 'horizon_steps'\]"):
        ViVaConfig.from_dict({**SMALL.to_dict(), 'horizon_steps': 50, 'control_rate': 50.0})
    with pytest.raises(ValueError, match=r"lacks \['horizon'\], .*\['horizon_steps'\]"):
        ViVaConfig.from_dict({**content, 'horizon_steps': 50})


@pytest.mark.parametrize('horizon', [0.0, -1.0, float('inf'), float('nan')])
def test_horizon_that_is_no_time_is_refused(horizon: float) -> None:
    with pytest.raises(ValueError, match=r'horizon is .* s, must be above 0 and finite'):
        replace(SMALL, horizon=horizon)
