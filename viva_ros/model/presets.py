# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``tiny`` (tests), ``small`` (shipped) and ``wan2.2-5b``: the same code with other numbers.

``wan2.2-tiny`` has the layout of the last and the size of the first, for tests of all between a
published folder and an engine.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from viva_ros.model.config import UMT5, TransformerConfig, VaeConfig, ViVaConfig

TINY: Final = ViVaConfig(
    preset='tiny',
    vae=VaeConfig(base_dim=4, decoder_base_dim=4, z_dim=4),
    transformer=TransformerConfig(2, 12, 2, ffn_dim=48, text_dim=16, freq_dim=16),
    image_size=(32, 32),
    noise_share=0.5,
)

SMALL: Final = ViVaConfig(
    preset='small',
    vae=VaeConfig(base_dim=16, decoder_base_dim=8, z_dim=16),
    transformer=TransformerConfig(4, 32, 4, ffn_dim=512, text_dim=64, freq_dim=64),
    noise_share=0.5,
)

#: Of the 48 latent channels of Wan2.2-TI2V-5B, as its vae/config.json has them.
_WAN_MEAN: Final = (
    -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557,
    -0.1382, 0.0542, 0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825,
    -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
    -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230,
    -0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748,
    0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
)  # fmt: skip
_WAN_STD: Final = (
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013,
    0.8158, 1.0344, 0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978,
    0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
    0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093,
    0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887,
    0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
)  # fmt: skip

#: Wan2.2-TI2V-5B: 4 999 787 712 parameters in the transformer.
WAN_5B: Final = ViVaConfig(
    preset='wan2.2-5b',
    vae=VaeConfig(
        base_dim=160,
        decoder_base_dim=256,
        z_dim=48,
        num_res_blocks=2,
        latents_mean=_WAN_MEAN,
        latents_std=_WAN_STD,
    ),
    transformer=TransformerConfig(24, 128, 30, ffn_dim=14336, text_dim=4096),
    image_size=(384, 320),
    text_tokens=512,
    text=UMT5,
    cameras=('left_wrist', 'right_wrist', 'head'),
)

WAN_TINY: Final = replace(
    WAN_5B,
    preset='wan2.2-tiny',
    vae=replace(WAN_5B.vae, base_dim=8, decoder_base_dim=8),
    transformer=TransformerConfig(2, 12, 2, ffn_dim=48, text_dim=16),
    image_size=(64, 32),
)

PRESETS: Final = {config.preset: config for config in (TINY, SMALL, WAN_5B, WAN_TINY)}


def preset(
    name: str, cameras: Sequence[str], joint_names: Sequence[str], tasks: Sequence[str]
) -> ViVaConfig:
    """
    Give a preset for a robot and its tasks.

    :raises ValueError: if there is no such preset
    """
    if name not in PRESETS:
        raise ValueError(f'preset is {name!r}, must be one of {", ".join(PRESETS)}')
    return replace(
        PRESETS[name], cameras=tuple(cameras), joint_names=tuple(joint_names), tasks=tuple(tasks)
    )
