# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engines in the repository: complete, small, and equal in ONNX and PyTorch."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from viva_ros.core.observation import Observation
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import LARGEST_DIFFERENCE
from viva_ros.model import checkpoint
from viva_ros.model.pretrained import unfold

ENGINES = Path(__file__).parents[2] / 'engines'
FOLDERS = sorted(path.parent for path in ENGINES.glob('*/engine.json'))
WITH_CAMERAS = [f for f in FOLDERS if json.loads((f / 'engine.json').read_text())['cameras']]


def name(folder: Path) -> str:
    return folder.name


def test_an_engine_with_cameras_is_shipped() -> None:
    assert WITH_CAMERAS


def test_shipped_engines_are_under_15_mb() -> None:
    assert sum(path.stat().st_size for path in ENGINES.rglob('*') if path.is_file()) < 15e6


@pytest.mark.parametrize('folder', FOLDERS, ids=name)
def test_shipped_engine_was_measured_on_recordings(folder: Path) -> None:
    content = json.loads((folder / 'engine.json').read_text())
    in_float32 = content.get('differences', {}).get('onnx', {'value': content['parity']})
    assert in_float32['value'] <= 1e-4
    assert content['parity'] <= LARGEST_DIFFERENCE
    assert content['moments'] >= 100
    assert content['provenance']['training']['episode_seeds']


@pytest.mark.parametrize('folder', WITH_CAMERAS, ids=name)
def test_shipped_onnx_equals_pytorch(folder: Path) -> None:
    task = json.loads((folder / 'engine.json').read_text())['tasks'][0]
    onnx, pytorch = (load(folder, task, kind) for kind in ('onnx', 'pytorch'))
    rng = np.random.default_rng(0)
    ranges = json.loads((folder / 'engine.json').read_text())['ranges']
    for _ in range(5):
        level = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)  # blocks, similar to camera images
        image = np.kron(level, np.ones((20, 20, 1), dtype=np.uint8))
        images = {camera: np.roll(image, shift * 7, axis=1)
                  for shift, camera in enumerate(onnx.info.cameras)}  # fmt: skip
        positions = rng.uniform(ranges['low'], ranges['high'])
        joints = dict(zip(ranges['names'], positions, strict=True))
        observation = Observation(images, joints, {'head': 0})
        given, expected = onnx.estimate(observation), pytorch.estimate(observation)
        assert given.value == pytest.approx(expected.value, abs=1e-4)
        assert given.forecast == pytest.approx(expected.forecast, abs=1e-4)


@pytest.mark.parametrize('folder', WITH_CAMERAS, ids=name)
@torch.no_grad()
def test_shipped_vae_equals_diffusers(folder: Path) -> None:
    model = checkpoint.read(folder).model
    vae = unfold(model.vae, model.config.vae, model.latents_mean, model.latents_std).eval()
    pixels = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mode = vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
    torch.testing.assert_close(mode, model.vae.encode(pixels), atol=1e-4, rtol=0)
