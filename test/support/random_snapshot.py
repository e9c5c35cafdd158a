# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Snapshot in the layout of the published Wan2.2-TI2V-5B, with random weights.

The published snapshot was written by the same call, ``WanPipeline.save_pretrained``; only the
numbers in its configurations differ. `python test/support/random_snapshot.py OUT --preset NAME`.
"""

import argparse
import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import T5TokenizerFast, UMT5Config, UMT5EncoderModel

from viva_ros.model.config import PRESETS, WAN_TINY, ViVaConfig
from viva_ros.model.pretrained import make_video_vae

#: Training texts of the tokenizer; other words are split into letters.
TEXTS: Final = (
    'lift the tray with both hands and keep it level',
    'pass the red cube from the right hand to the left hand',
    'the quick brown fox jumps over the lazy dog & 0123456789 "quotes", (brackets); Semicolons!',
)
SPECIAL: Final = ('<pad>', '</s>', '<unk>')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--preset', choices=sorted(PRESETS), default=WAN_TINY.preset)
    parser.add_argument('--layers', type=int, help='layers of the transformer; default: all')
    parser.add_argument(
        '--shard', default='5GB', help='size of the largest file; default: %(default)s'
    )
    args = parser.parse_args(argv)
    config = PRESETS[args.preset]
    if args.layers is not None:
        config = replace(config, transformer=replace(config.transformer, num_layers=args.layers))
    write(args.out, config, args.shard)
    return 0


def write(folder: Path, config: ViVaConfig, shard: str = '5GB', seed: int = 0) -> None:
    """
    Write a snapshot.

    :param shard: size of the largest file of transformer and text encoder, such as '20KB'
    """
    torch.manual_seed(seed)
    mean, std = (torch.tensor(numbers, dtype=torch.float64) for numbers in (
        config.vae.latents_mean or (0.0,) * config.vae.z_dim,
        config.vae.latents_std or (1.0,) * config.vae.z_dim,
    ))  # fmt: skip
    tokenizer = make_tokenizer()
    pipeline = WanPipeline(
        tokenizer=tokenizer, text_encoder=make_text_encoder(config, len(tokenizer)),
        vae=_stirred(make_video_vae(config.vae, mean, std)),
        scheduler=UniPCMultistepScheduler(
            prediction_type='flow_prediction', use_flow_sigmas=True, flow_shift=config.shift
        ),
        transformer=_stirred(
            WanTransformer3DModel(**config.transformer.arguments(config.vae.z_dim))
        ),
        expand_timesteps=True,
    )  # fmt: skip
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stderr(nowhere):
        pipeline.save_pretrained(folder, safe_serialization=True, max_shard_size='100GB')
        for part in ('transformer', 'text_encoder'):  # the VAE is one file
            for whole in (folder / part).glob('*.safetensors'):
                whole.unlink()
            getattr(pipeline, part).save_pretrained(folder / part, max_shard_size=shard)


def make_tokenizer() -> T5TokenizerFast:
    """Return a unigram tokenizer as in T5, trained on TEXTS."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=list(SPECIAL), unk_token=SPECIAL[2], show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single='$A </s>', special_tokens=[('</s>', SPECIAL.index('</s>'))]
    )
    return T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=0)


def make_text_encoder(config: ViVaConfig, vocabulary: int) -> UMT5EncoderModel:
    """Return a umT5 with two layers and the text width of the model."""
    width = config.transformer.text_dim
    size: dict[str, Any] = {'d_model': width, 'd_kv': 4, 'd_ff': 32, 'num_layers': 2}
    return UMT5EncoderModel(UMT5Config(vocab_size=vocabulary, num_heads=4, **size))


def _stirred(module: nn.Module) -> nn.Module:
    """Add noise to the weights, so that none is zero or one."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return module


if __name__ == '__main__':
    raise SystemExit(main())
