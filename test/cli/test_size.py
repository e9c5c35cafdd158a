# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.cli import train
from viva_ros.cli.size import main, table
from viva_ros.model import cost
from viva_ros.model.config import PRESETS
from viva_ros.training import resources
from viva_ros.training.config import TrainConfig, plan
from viva_ros.training.distributed import Hardware


@pytest.mark.medium
def test_size_prints_all_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--preset', 'wan2.2-5b', '--batch', '4']) == 0
    shown = capsys.readouterr().out
    for expected in ('4,999,787,712', '| one estimate | 8.927 |', 'LoRA of rank 16, 1 GPU',
                     'GB on a GPU, 4 samples at a time'):  # fmt: skip
        assert expected in shown


def test_step_times_are_of_cards_that_hold_a_sample() -> None:
    config = PRESETS['wan2.2-5b']
    shown = table(config, 8, 16).split('\n\n')
    rows = next(part for part in shown if part.startswith('| s for')).splitlines()[2:]
    fit = {row.split(' | ')[0]: 'does not fit' not in row for row in rows}
    assert fit == {'| all weights, 1 GPU': False, '| all weights, 4 GPUs': True,
                   '| all weights, 8 GPUs': True, '| LoRA, 1 GPU': True}  # fmt: skip
    hardware = Hardware(precision='bf16', checkpointing=True)
    run = TrainConfig((), Path('o'), config.preset, plan=plan(192, {}, config.preset),
                      backbone=Path('b'), hardware=hardware)  # fmt: skip
    for card in cost.DENSE_BF16:
        device = resources.TrainingDevice(card, cost.CARDS[card].memory)
        with raises('training-memory', card, '80.0 GB free'):
            resources.micro_batches(run, config, 1, device)


@pytest.mark.medium
def test_training_page_contains_printed_tables() -> None:
    page = (Path(__file__).parents[2] / 'docs' / 'training.md').read_text(encoding='utf-8')
    shown = table(PRESETS['wan2.2-5b'], 8, 16).split('\n\n')
    parts = page.split('## Wan2.2-TI2V-5B')[1].split('\n\n')
    tables = [part for part in parts if part.startswith(('| GB on', '| s for'))]
    assert len(tables) == 2
    assert all(part.strip() in shown for part in tables)


def test_training_page_contains_printed_plans(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / 'docs' / 'training.md').read_text(encoding='utf-8')
    text = page.split('### Plan')[1].replace('\\\n', ' ')
    commands = [
        line.split()[2:] for line in text.splitlines() if line.startswith('    viva train')
    ]
    assert len(commands) == 2
    for command in commands:
        assert train.main(command) == 0
        lines = capsys.readouterr().out.splitlines()
        assert '\n'.join(line for line in lines if line.startswith('|')) in page


def test_plan_prints_epochs_and_the_hours_of_the_encoding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ['--plan', '--device', 'cpu', '--moments', '356', '9000000']
    train.main(command)
    shown = capsys.readouterr().out
    assert '| 5000 x 32 | 449 |' in shown
    few, many = (line for line in shown.splitlines() if ' moments: ' in line)
    assert ' h of them encoding; ' in many and 'of them' not in few


def test_plan_has_the_memory_and_time_of_the_size_tables() -> None:
    # 8 samples at a time on one of 8 GPUs: the row "all weights, 8 GPUs, FSDP, checkpointing".
    config = PRESETS['wan2.2-5b']
    shown = table(config, 8, 16)
    hardware = Hardware(precision='bf16', checkpointing=True, shard=True)
    run = TrainConfig((), Path('o'), config.preset, plan=plan(64, {}, config.preset),
                      backbone=Path('b'), hardware=hardware)  # fmt: skip
    memory = resources.memory_of(run, config, 'viva', 1, 8)
    row = next(line for line in shown.splitlines()
               if line.startswith('| all weights, 8 GPUs, FSDP, checkpointing'))  # fmt: skip
    assert row.split('|')[-3].strip() == f'{memory.total / 1e9:.1f}'
    for processes in (2, 4):  # in micro-batches of 8 samples
        memory = resources.memory_of(run, config, 'viva', 64 // processes // 8, processes)
        row = next(line for line in shown.splitlines() if line.startswith(
            f'| all weights, {processes} GPUs, FSDP, checkpointing'))  # fmt: skip
        assert row.split('|')[-2].strip() == f'{memory.total / 1e9:.1f}'
    run = replace(run, plan=plan(192, {}, config.preset))
    rate = cost.SHARE * cost.CARDS['H100'].peak
    seconds = resources.step_seconds(run, config, 'viva', 8, rate)
    row = next(line for line in shown.splitlines() if line.startswith('| all weights, 8 GPUs |'))
    # Validation adds 2000 forward passes to each 200 steps.
    assert seconds == pytest.approx(float(row.split('|')[-2]), rel=0.05)
