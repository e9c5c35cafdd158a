# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of a ViVa model: sizes, names, and all choices that the weights depend on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from viva_ros.model.latents import Targets

HASH, UMT5 = TEXTS = ('hash', 'umt5')
FLOW, REGRESSION = OBJECTIVES = ('flow', 'regression')
#: Fields that files of the first version lack; they have the default there.
ADDED: Final = {
    'targets',
    'text',
    'texts',
    'text_encoder',
    'lowest_progress',
    'value_bins',
    'objective',
}
#: Fields of the first version in place of ``horizon``: control steps, and their rate in Hz.
STEPS, RATE = HORIZON_FIELDS = ('horizon_steps', 'control_rate')
HORIZON: Final = 1.0  # s, as in the ViVa paper: 50 steps at 50 Hz


@dataclass(frozen=True)
class VaeConfig:
    """
    Sizes of diffusers' AutoencoderKLWan, Wan2.2 style: residual, patches, 16x in space.

    :param latents_mean: of each channel, if known before training
    :param latents_std: likewise
    """

    base_dim: int
    decoder_base_dim: int
    z_dim: int
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 1
    temporal_downsample: tuple[bool, ...] = (False, True, True)
    patch_size: int = 2
    latents_mean: tuple[float, ...] = ()
    latents_std: tuple[float, ...] = ()

    @property
    def downscale(self) -> int:
        """Pixels per latent pixel, along height and width."""
        return int(self.patch_size * 2 ** (len(self.dim_mult) - 1))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of AutoencoderKLWan."""
        channels = 3 * self.patch_size**2
        return {
            'base_dim': self.base_dim, 'decoder_base_dim': self.decoder_base_dim,
            'z_dim': self.z_dim, 'dim_mult': list(self.dim_mult),
            'num_res_blocks': self.num_res_blocks, 'is_residual': True,
            'temperal_downsample': list(self.temporal_downsample),
            'in_channels': channels, 'out_channels': channels, 'patch_size': self.patch_size,
            'scale_factor_spatial': self.downscale, 'scale_factor_temporal': 4,
        }  # fmt: skip


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of diffusers' WanTransformer3DModel."""

    num_attention_heads: int
    attention_head_dim: int
    num_layers: int
    ffn_dim: int
    text_dim: int
    freq_dim: int = 256
    patch_size: tuple[int, int, int] = (1, 2, 2)

    def arguments(self, channels: int) -> dict[str, Any]:
        """Return the arguments of WanTransformer3DModel."""
        return {**asdict(self), 'in_channels': channels, 'out_channels': channels}


@dataclass(frozen=True)
class ViVaConfig:
    """
    Robot, sizes and training choices of one model.

    :param cameras: names in the order of the image frames
    :param joint_names: in the order of the proprioception
    :param image_size: (height, width) that images are letterboxed to, px
    :param horizon: of the forecast, s
    :param tasks: names; the checkpoint has the embeddings of their texts in this order
    :param text_tokens: rows of an embedding
    :param per_token_times: clean tokens get time 0 (Wan2.2) instead of tau (released ViVa)
    :param shift: of the schedule of tau in flow matching
    :param noise_share: share of training samples at tau = 1 exactly in flow matching
    :param noise_seed: of the fixed noise that inference starts from after flow matching
    :param targets: frames to denoise, see ``Targets``
    :param text: encoder of the task texts: 'umt5', or 'hash' for models too small for it
    :param texts: of the tasks, as encoded by umT5
    :param text_encoder: first hex digits of the hash of the encoder, see ``Embeddings``
    :param lowest_progress: see ``Targets``; 0 in models that were trained without a way home
    :param value_bins: bins of the value of an early exit, see ``BinnedReadOut``; 0: a number
    :param objective: how the targets are learnt: 'flow', by flow matching; or 'regression', from
        zeros in place of the noise, always at tau = 1
    """

    preset: str
    vae: VaeConfig
    transformer: TransformerConfig
    cameras: tuple[str, ...] = ('head', 'left_wrist', 'right_wrist')
    joint_names: tuple[str, ...] = ()
    image_size: tuple[int, int] = (96, 96)
    horizon: float = HORIZON
    tasks: tuple[str, ...] = ()
    text_tokens: int = 1
    per_token_times: bool = False
    shift: float = 5.0
    noise_share: float = 0.0
    noise_seed: int = 0
    targets: tuple[str, ...] = ('proprio', 'value')
    text: str = HASH
    texts: tuple[str, ...] = ()
    text_encoder: str = ''
    lowest_progress: float = 0.0
    value_bins: int = 0
    objective: str = FLOW

    def __post_init__(self) -> None:
        step = self.vae.downscale * self.transformer.patch_size[1]
        if any(side % step or side <= 0 for side in self.image_size):
            raise ValueError(f'image_size is {self.image_size}, must be multiples of {step}')
        if self.text not in TEXTS:
            raise ValueError(f'text is {self.text!r}, must be one of {", ".join(TEXTS)}')
        if self.objective not in OBJECTIVES:
            raise ValueError(
                f'objective is {self.objective!r}, must be one of {", ".join(OBJECTIVES)}'
            )
        if not 0 < self.horizon < math.inf:
            raise ValueError(f'horizon is {self.horizon} s, must be above 0 and finite')
        Targets(self.targets, len(self.cameras))  # raises ValueError for unknown names

    @property
    def frames(self) -> int:
        """Return the number of latent frames: blank, proprioception, images, and targets."""
        return 2 + len(self.cameras) + Targets(self.targets, len(self.cameras)).count

    @property
    def clip_frames(self) -> int:
        """Return the number of frames of a clip in pre-training, whatever the targets."""
        return len(self.cameras) + 4

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a latent frame."""
        height, width = self.image_size
        return self.vae.z_dim, height // self.vae.downscale, width // self.vae.downscale

    @property
    def tokens_per_frame(self) -> int:
        """Patches of one latent frame."""
        _, height, width = self.latent_shape
        _, rows, columns = self.transformer.patch_size
        return (height // rows) * (width // columns)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'ViVaConfig':
        """
        Return the configuration of a dictionary of ``to_dict``, also after JSON.

        Files of the first version have the horizon in control steps and their rate.

        :raises ValueError: with the fields that are missing or unknown
        """
        if set(HORIZON_FIELDS) <= set(content) and 'horizon' not in content:
            content = {**content, 'horizon': content[STEPS] / content[RATE]}
            content = {key: one for key, one in content.items() if key not in HORIZON_FIELDS}
        _check_names(cls, content)
        parts = dict(content)
        for name, part in (('vae', VaeConfig), ('transformer', TransformerConfig)):
            _check_names(part, content[name])
            parts[name] = part(**_tuples(content[name]))
        return cls(**_tuples(parts))


def _check_names(cls: type, content: Mapping[str, Any]) -> None:
    known = {field.name for field in fields(cls)}
    missing, unexpected = sorted(known - set(content) - ADDED), sorted(set(content) - known)
    if missing or unexpected:
        raise ValueError(f'{cls.__name__} lacks {missing}, has unexpected {unexpected}')


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in content.items()}


TINY: Final = ViVaConfig(
    preset='tiny',
    vae=VaeConfig(base_dim=4, decoder_base_dim=4, z_dim=4),
    transformer=TransformerConfig(2, 12, 2, ffn_dim=48, text_dim=16, freq_dim=16),
    image_size=(32, 32),
    noise_share=0.5,
    lowest_progress=-1.0,
)

SMALL: Final = ViVaConfig(
    preset='small',
    vae=VaeConfig(base_dim=16, decoder_base_dim=8, z_dim=16),
    transformer=TransformerConfig(4, 32, 4, ffn_dim=512, text_dim=64, freq_dim=64),
    noise_share=0.5,
    lowest_progress=-1.0,
)

#: Statistics of the 48 latent channels of Wan2.2-TI2V-5B, from its vae/config.json.
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

#: Wan2.2-TI2V-5B; its transformer has 4 999 787 712 parameters.
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
    lowest_progress=-1.0,
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
    Return a preset for a robot and its tasks.

    :raises ValueError: if the preset is unknown
    """
    if name not in PRESETS:
        raise ValueError(f'preset is {name!r}, must be one of {", ".join(PRESETS)}')
    return replace(
        PRESETS[name], cameras=tuple(cameras), joint_names=tuple(joint_names), tasks=tuple(tasks)
    )
