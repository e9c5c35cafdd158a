# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``viva train`` makes the weights that the comparison makes of the same recordings."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import torch
from safetensors.torch import load_file
from support.slides import slide_episode, write_slide

from benchmarks.ablation.budget import Budget
from benchmarks.ablation.train import encode_copy, learn_frames, learn_motion, train
from viva_ros.cli.train import main
from viva_ros.model.config import OBJECTIVES

STEPS: Final = {'vae': 3, 'video': 3, 'viva': 4, 'proprio': 8}
COPIES: Final = 2


@pytest.fixture(scope='module')
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides as two tasks, of which one has more recordings."""
    folder = tmp_path_factory.mktemp('recordings')
    for seed in range(1, 9):
        episode = slide_episode(seed, frames=20)
        assert episode.label is not None
        task = 'push' if seed < 3 else 'slide'
        episode = replace(episode, label=replace(episode.label, task=task))
        write_slide(folder / 'train' / task, episode)
    return folder


@pytest.fixture(scope='module')
def compared(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a comparison of two contenders."""
    out = tmp_path_factory.mktemp('compared')
    budget = Budget(
        recordings, out, out / 'cache', 'tiny', steps=STEPS['viva'], batch=32,
        vae_steps=STEPS['vae'], video_steps=STEPS['video'], copies=COPIES, processes=1,
    )  # fmt: skip
    learn_frames(budget)
    learn_motion(budget)
    for number in range(1, COPIES + 1):
        encode_copy(budget, number)
    for name in ('viva_success', 'regression_success', 'proprio'):
        train(budget, name)
    return out


@pytest.fixture(scope='module')
def trained(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of ``viva train`` for each objective."""
    out = tmp_path_factory.mktemp('trained')
    lengths = [word for name, steps in STEPS.items() for word in (f'--{name}-steps', f'{steps}')]
    for objective in OBJECTIVES:
        arguments = ['--recordings', str(recordings), '--out', str(out / objective)]
        arguments += ['--preset', 'tiny', '--copies', str(COPIES), '--objective', objective]
        assert main([*arguments, '--targets', 'proprio,value,success', *lengths]) == 0
    return out


@pytest.mark.parametrize(('of_comparison', 'of_training'), [
    ('viva_success', 'flow/checkpoint'), ('regression_success', 'regression/checkpoint'),
    ('proprio', 'flow/proprio'),
])  # fmt: skip
def test_train_and_compare_make_equal_weights(
    compared: Path, trained: Path, of_comparison: str, of_training: str
) -> None:
    expected = load_file(compared / of_comparison / 'checkpoint' / 'model.safetensors')
    found = load_file(trained / of_training / 'model.safetensors')
    assert found.keys() == expected.keys()
    differ = [name for name, weight in expected.items() if not torch.equal(found[name], weight)]
    assert differ == []
