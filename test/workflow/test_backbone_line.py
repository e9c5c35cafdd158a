# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Backbone in the layout of the 5B, from bags to an estimate, each step by a command."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from support.foreign_robot import write_bag

from viva_ros.data.open import open_recording
from viva_ros.engine.factory import load
from viva_ros.model import checkpoint
from viva_ros.scoring.replay import replay

CAMERAS = ('left_wrist', 'right_wrist', 'head')
TEXT = 'Lift the block with both arms.'


def viva(*arguments: object) -> str:
    """Run a command; return its output. Exit code 0 is required."""
    command = [sys.executable, '-P', '-m', 'viva_ros.cli.main', *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_backbone_snapshot_is_trained_exported_and_scored(
    tmp_path: Path, snapshot: Path, map_file: Path
) -> None:
    old = '  top: /acme/top/image/compressed\n  side: /acme/side/image/compressed\n'
    views = ''.join(f'  {camera}: /acme/{camera}/image/compressed\n' for camera in CAMERAS)
    map_file.write_text(map_file.read_text().replace(old, views))
    for number in range(3):
        bag, success = tmp_path / f'bags/b{number}', number != 1
        write_bag(bag, seed=number, success=success, seconds=2.0, cameras=CAMERAS)
    data, run, engine = (tmp_path / name for name in ('set', 'run', 'engine'))
    texts = tmp_path / 'texts.safetensors'

    viva('import', tmp_path / 'bags', '--map', map_file, '--out', data)
    viva('embed', TEXT, '--task', 'lift_block', '--snapshot', snapshot, '--out', texts)
    viva('train', '--preset', 'wan2.2-tiny', '--backbone', snapshot, '--embeddings', texts,
         '--recordings', data, '--out', run, '--batch', 2, '--viva-steps', 1,
         '--proprio-steps', 0)  # fmt: skip
    model = checkpoint.read(run / 'checkpoint').model
    assert model.config.cameras == CAMERAS  # the published order, not alphabetical
    assert len(model.config.joint_names) == 14
    viva('export', run / 'checkpoint', '--out', engine, '--recordings', data)
    viva('score', data, '--engine', engine, '--out', tmp_path / 'scored')

    tables = sorted((tmp_path / 'scored').glob('*_values.parquet'))
    assert [t.name for t in tables] == [f'episode_{n:06d}_values.parquet' for n in range(3)]
    rows = [row for row in pq.read_table(tables[0]).to_pylist() if row['status'] == 'ok']
    assert len(rows) >= 18  # of 2 s at 10 Hz
    onnx, pytorch = (load(engine, 'lift_block', kind) for kind in ('onnx', 'pytorch'))
    assert json.loads((engine / 'engine.json').read_text())['fingerprint'] == onnx.info.fingerprint
    first = open_recording(data / 'episode_000000')
    last = next(
        entry for entry in replay(first, CAMERAS, onnx.info.joint_names, 10.0)
        if entry.stamp == rows[-1]['stamp']
    )  # fmt: skip
    estimate = onnx.estimate(last.observation)
    assert estimate.value == pytest.approx(rows[-1]['value'], abs=1e-6)
    assert estimate.value == pytest.approx(pytorch.estimate(last.observation).value, abs=1e-4)
    assert set(estimate.forecast) == set(model.config.joint_names)
    assert not torch.equal(model.text, torch.zeros_like(model.text))
