# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory, disk and time before a run starts."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.errors import raises
from support.slides import CAMERAS, JOINTS, slide_episode, write_slide

from viva_ros.cli.train import main, parse, run_of
from viva_ros.core.errors import ConfigurationError
from viva_ros.model import checkpoint
from viva_ros.model.config import WAN_5B, preset
from viva_ros.model.cost import CARDS, ROOM, parameters, vae_parameters
from viva_ros.training import checkpointing, resources
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig, plan
from viva_ros.training.distributed import Hardware
from viva_ros.training.resources import TrainingDevice, memory_of, micro_batches
from viva_ros.training.run import train_on

GB = 1e9
BLANK = preset('tiny', CAMERAS, JOINTS, ())


def wan_run(**changes: object) -> TrainConfig:
    hardware = Hardware(precision='bf16', checkpointing=True)
    run = TrainConfig(
        (), Path('out'), 'wan2.2-5b', plan=plan(None, {}, 'wan2.2-5b', lora=16), lora=16,
        backbone=Path('backbone'), hardware=hardware,
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]


def test_documented_command_takes_the_batch_in_parts() -> None:
    # 192 samples at once need 79 GB for the activations alone.
    run, card = wan_run(), TrainingDevice('A100', 80 * GB)
    assert micro_batches(run, WAN_5B, 1, card) == {'viva': 2}
    assert memory_of(run, WAN_5B, 'viva', 1, 1).total > ROOM * card.free
    assert memory_of(run, WAN_5B, 'viva', 2, 1).total < ROOM * card.free
    assert micro_batches(run, WAN_5B, 1, TrainingDevice('L40S', 24 * GB)) == {'viva': 8}
    assert micro_batches(run, WAN_5B, 8, card) == {'viva': 1}


def given(parts: int, **changes: object) -> TrainConfig:
    """Return a run with a number of micro-batches."""
    hardware = Hardware(precision='bf16', checkpointing=True, accumulate=parts)
    return wan_run(hardware=hardware, **changes)


def test_given_number_of_micro_batches_is_kept() -> None:
    card = TrainingDevice('A100', 80 * GB)
    assert micro_batches(given(3), WAN_5B, 1, card) == {'viva': 3}


def test_given_number_that_does_not_fit_is_refused() -> None:
    card = TrainingDevice('A100', 80 * GB)
    with raises('training-memory', '192 samples at a time of stage viva need 79',
                'are used: leave out --accumulate'):  # fmt: skip
        micro_batches(given(1), WAN_5B, 1, card)
    assert micro_batches(wan_run(), WAN_5B, 1, card)  # the remedy helps
    with raises('training-memory', '96 samples', ': use --lora 16 without --accumulate, or '):
        micro_batches(given(2, lora=0), WAN_5B, 1, card)
    with raises('batch-indivisible', 'stage viva is 192', 'leave out --accumulate', '190 or 195'):
        micro_batches(given(5), WAN_5B, 1, card)


def test_baseline_of_the_joints_is_not_divided_into_micro_batches() -> None:
    # Its batch is 256, no multiple of 3, and known only after the value is trained.
    assert micro_batches(given(3), WAN_5B, 2, TrainingDevice('A100', 80 * GB)) == {'viva': 3}
    with raises('batch-indivisible', 'stage proprio is 256', '6 processes'):
        micro_batches(wan_run(), WAN_5B, 6, TrainingDevice('A100', 80 * GB))


def test_earlier_number_is_kept_while_it_fits() -> None:
    run, card = wan_run(), TrainingDevice('A100', 80 * GB)
    assert micro_batches(run, WAN_5B, 1, card, {'viva': 24}) == {'viva': 24}
    assert micro_batches(run, WAN_5B, 1, card, {'viva': 1}) == {'viva': 2}
    assert micro_batches(run, WAN_5B, 1, card, {'viva': 5}) == {'viva': 2}  # of another batch


def test_every_stage_of_a_small_preset_has_a_number() -> None:
    run, config = TrainConfig((), Path('out')), preset('small', ('a', 'b'), ('x',), ())
    roomy, tight = TrainingDevice('cpu', GB), TrainingDevice('cpu', 0.1 * GB)
    assert micro_batches(run, config, 1, roomy) == {'vae': 1, 'video': 1, 'viva': 1}
    assert max(micro_batches(run, config, 1, tight).values()) > 1


@pytest.mark.parametrize(('lora', 'hardware', 'card', 'expected'), [
    (0, Hardware(), 'H100', '--lora 16'),
    (0, Hardware(precision='bf16', checkpointing=True), 'H100', '--shard on 4 GPUs'),
    (16, Hardware(), 'RTX4090', '--precision bf16'),
])  # fmt: skip
def test_refusal_names_the_sum_and_remedies_that_fit(
    lora: int, hardware: Hardware, card: str, expected: str
) -> None:
    run = wan_run(lora=lora, hardware=hardware)
    device = TrainingDevice(card, CARDS[card].memory)
    with pytest.raises(ConfigurationError, match=f'1 sample .* stage viva .*{card}.* 85 %') as (
        caught
    ):
        micro_batches(run, WAN_5B, 1, device)
    assert caught.value.code == 'training-memory'
    text = str(caught.value)
    total = float(re.search(r'needs ([\d.]+) GB', text)[1]) * GB  # type: ignore[index]
    assert total > ROOM * device.free
    remedies = text.split(': use ')[1].split(', or ')
    assert expected in remedies
    for remedy in remedies:  # as options of the command
        options, _, count = remedy.removesuffix(' GPUs').partition(' on ')
        mended = replace(hardware, precision='bf16' if 'bf16' in options else hardware.precision,
                         checkpointing='--check' in options or hardware.checkpointing,
                         shard='--shard' in options)  # fmt: skip
        better = replace(run, hardware=mended, lora=16 if '--lora' in options else lora)
        assert micro_batches(better, WAN_5B, int(count or 1), device)


def test_processes_that_would_fit_sharded_are_told_to_shard() -> None:
    run = wan_run(lora=0, hardware=Hardware(precision='bf16', checkpointing=True))
    with raises('training-memory', '--lora 16, or --shard'):
        micro_batches(run, WAN_5B, 4, TrainingDevice('H100', CARDS['H100'].memory))


def test_device_too_small_for_any_option_says_so() -> None:
    with raises('training-memory', 'no option helps', 'smaller --preset'):
        micro_batches(wan_run(), WAN_5B, 1, TrainingDevice('x', 2 * GB))


def test_free_memory_is_that_of_the_container(tmp_path: Path) -> None:
    assert resources.free_ram(tmp_path) == float('inf')
    (tmp_path / 'proc').mkdir()
    (tmp_path / 'proc/meminfo').write_text('MemTotal: 64 kB\nMemAvailable:      32 kB\n')
    assert resources.free_ram(tmp_path) == 32 * 1024
    group = tmp_path / 'sys/fs/cgroup'
    group.mkdir(parents=True)
    (group / 'memory.max').write_text('max\n')
    (group / 'memory.current').write_text('9000\n')
    assert resources.free_ram(tmp_path) == 32 * 1024
    (group / 'memory.max').write_text('16000\n')
    (group / 'memory.stat').write_text('anon 1\ninactive_file 500\n')
    assert resources.free_ram(tmp_path) == 16000 - 9000 + 500


def test_run_is_refused_before_recordings_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_slide(tmp_path / 'r/train', slide_episode(1))
    monkeypatch.setattr(resources, 'free_ram', lambda: 1000.0)
    command = ['--recordings', str(tmp_path / 'r'), '--out', str(tmp_path / 'run'),
               '--preset', 'tiny']  # fmt: skip
    with raises('training-memory', 'stage vae', 'this CPU'):
        main(command)
    assert not (tmp_path / 'run').exists()


def test_chosen_number_is_in_the_start_and_not_compared(
    tmp_path: Path, make_slide_data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = make_slide_data(range(1, 3))
    lengths = {'vae': 0, 'video': 0, 'viva': 2, 'proprio': 0}
    run = TrainConfig((tmp_path,), tmp_path, 'tiny', 0, plan(4, {**lengths, 'vae': 1}))
    needed = max(memory_of(run, BLANK, name, 4, 1).total for name in ('vae', 'viva')) / ROOM
    for free in (needed, 100 * needed):
        monkeypatch.setattr(resources, 'free_ram', lambda free=free: free)
        train_on(run, learn, None, BLANK)
    first, second = (start['micro_batches'] for start in checkpointing.started(tmp_path))
    assert first == second == {'vae': 4, 'viva': first['viva']}


@pytest.mark.parametrize(('options', 'stage'), [
    ('--lora 16', 1), ('--shard', 4), ('--shard', 8), ('--lora 16', 8),
])  # fmt: skip
def test_5b_plan_stays_below_the_memory_of_the_card(
    options: str, stage: int, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (
        f'--plan --preset wan2.2-5b --gpu h100 --gpus {stage} --precision bf16 --checkpointing '
        f'--moments 20000 100000 1000000 {options}'
    )
    assert main(command.split()) == 0
    rows = [line.split(' | ') for line in capsys.readouterr().out.splitlines()
            if line.startswith(f'| {stage} |')]  # fmt: skip
    assert [row[1] for row in rows] == ['20,000', '100,000', '1,000,000']
    assert all(float(row[6]) <= 0.85 * 80 for row in rows)
    assert [row[4] for row in rows] == ['2500 x 192', '2500 x 192', '5209 x 192']
    # 20 000 moments of 3 views of 384 x 320 x 3 bytes are 22.1 GB
    assert float(rows[1][8].removesuffix(' |')) - float(rows[0][8].removesuffix(' |')) == (
        pytest.approx(4 * 22.1, abs=0.2)
    )


def ram_of(run: TrainConfig, processes: int, moments: int = 20000) -> float:
    card = TrainingDevice('H100', CARDS['H100'].memory)
    pace = resources.Pace(1e14, {})
    return resources.estimate(run, WAN_5B, moments, processes, card, pace).ram / GB


def test_host_memory_is_that_of_the_largest_phase() -> None:
    # 5.00 G parameters of the transformer, .25 G of the VAE.
    whole = sum(parameters(WAN_5B).values()) / GB
    vae = vae_parameters(WAN_5B) / GB
    sharded = Hardware(precision='bf16', checkpointing=True, shard=True)
    # Adapters: eight processes read all weights in bfloat16.
    assert ram_of(wan_run(), 8) == pytest.approx(8 * (2 * whole + 4 * vae))
    # Sharded: one reads them; the states of all are held three times, 12 bytes a weight.
    run = wan_run(lora=0, hardware=sharded)
    assert ram_of(run, 8) == pytest.approx(3 * 12 * whole)
    # Not sharded, 16 processes read all weights in float32.
    assert ram_of(wan_run(lora=0), 16) == pytest.approx(16 * 4 * (whole + vae))


def test_plan_that_does_not_fit_has_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    command = '--plan --preset wan2.2-5b --gpu h100 --gpus 1 --moments 20000 --precision bf16'
    assert main(command.split()) == 2
    said = capsys.readouterr()
    assert 'too large' in said.out
    assert 'use --lora 16' in said.err


@pytest.mark.parametrize(('options', 'named'), [
    ('--gpus 7', ('7 x H100: batch of stage viva is 192', '7 processes', '--batch 189 or 196')),
    ('--gpus 1 --shard', ('cannot be sharded over 1 process', 'leave out --shard')),
    ('--gpus 1 --accumulate 1', ('192 samples', 'are used: leave out --accumulate')),
    ('--gpus 1 --accumulate 500', ('stage viva is 192', 'leave out --accumulate')),
])  # fmt: skip
def test_plan_refuses_what_training_refuses(
    options: str, named: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    lora = '' if '--shard' in options else '--lora 16'
    command = (
        f'--plan --preset wan2.2-5b --gpu h100 --moments 20000 --precision bf16 --checkpointing '
        f'{lora} {options}'
    )
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert all(text in said for text in named), said


@pytest.mark.parametrize(('options', 'code'), [
    ('--horizon 30', 'horizon-too-long'), ('--tasks fold', 'task-not-recorded'),
    ('--head 9', 'head-too-deep'), ('--patience 2', 'patience-without-validation'),
])  # fmt: skip
def test_plan_refuses_recordings_that_training_refuses(
    tmp_path: Path, options: str, code: str
) -> None:
    write_slide(tmp_path / 'r/train', slide_episode(1))
    command = f'--plan --recordings {tmp_path / "r"} --preset tiny {options}'
    with raises(code):
        main(command.split())


def small_run(folder: Path) -> str:
    """Write three training and one validation recording; return the options of a run on them."""
    names = [write_slide(folder / 'r', slide_episode(seed)).name for seed in (1, 2, 3, 4)]
    parts = {'train': names[:3], 'validation': names[3:]}
    (folder / 'r/split.json').write_text(json.dumps(parts))
    lengths = '--vae-steps 3 --video-steps 2 --viva-steps 2 --proprio-steps 0 --batch 2'
    return f'--recordings {folder / "r"} --out {folder / "run"} --preset tiny {lengths}'


def test_plan_of_recordings_equals_the_run_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = small_run(tmp_path)
    assert main(['--plan', *command.split()]) == 0
    shown = capsys.readouterr()
    assert not (tmp_path / 'run').exists()
    assert 'train: 3 recordings, 18 moments' in shown.out
    assert 'validation: 1 recordings, 6 moments' in shown.out
    assert '| 1 | 18 | viva | 2 | 2 x 2 | 0.22 |' in shown.out
    assert 'stage viva is short' in shown.err
    assert 'task slide: too few failures: 1 of 3 attempts' in shown.err
    assert 'few validation episodes: 1;' in shown.err
    run = run_of(parse(command.split()))
    computed = resources._disk(run, BLANK, 18)
    assert main(command.split()) == 0
    images = (tmp_path / 'run/cache').rglob('images.npy')
    headers = 4 * 128
    assert sum(path.stat().st_size for path in images) == pytest.approx(
        computed['cache'] * 24 / 18 + headers
    )
    latents = sum(p.stat().st_size - 128 for p in (tmp_path / 'run').glob('latents_train*.npy'))
    assert latents == computed['latents']
    model = tmp_path / 'run/checkpoint' / checkpoint.WEIGHTS
    assert model.stat().st_size == pytest.approx(computed['checkpoint'], rel=0.2)
    states = sum(path.stat().st_size for path in (tmp_path / 'run').glob('*.state'))
    assert states < computed['states']
    assert main(['--plan', *command.split()]) == 0  # now with the measured time of a step
    config = replace(BLANK, targets=run.targets or BLANK.targets)
    pace = resources.pace_of(run, config, 1e9)
    assert pace.measured.keys() == {'vae', 'video', 'viva'} and pace.processes == 1

    def hours(processes: int, pace: resources.Pace) -> float:
        device = TrainingDevice('H100', 80 * GB)
        return resources.estimate(run, config, 18, processes, device, pace).hours

    unmeasured = resources.Pace(1e9, {})
    assert hours(1, pace) != hours(1, unmeasured) and hours(2, pace) == hours(2, unmeasured)
    larger = run_of(parse([*command.split(), '--batch', '4']))
    assert not resources.pace_of(larger, config, 1e9).measured
    assert not resources.pace_of(run, replace(config, image_size=(64, 64)), 1e9).measured
    assert not resources.pace_of(replace(run, lora=2), config, 1e9).measured
    # A run that was killed while it wrote a row goes on.
    with (tmp_path / 'run/curve.jsonl').open('a') as file:
        file.write('{"stage": "proprio", "st')
    assert main(command.split()) == 0


def test_run_that_does_not_fit_on_the_disk_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = small_run(tmp_path)
    needed = sum(resources._disk(run_of(parse(command.split())), BLANK, 18, 6).values())
    free = 0.0
    monkeypatch.setattr(
        resources.shutil, 'disk_usage', lambda path: SimpleNamespace(free=free)
    )  # fmt: skip

    free = needed - 1
    with raises('train-disk', 'more on the disk of', 'with --out and --cache'):
        main(command.split())
    assert not (tmp_path / 'run').exists()
    assert main(['--plan', *command.split()]) == 2
    assert 'more on the disk of' in capsys.readouterr().err
    free = needed
    assert main(command.split()) == 0

    # An earlier start has written much of it: the same run needs less.
    written = sum(p.stat().st_size for p in (tmp_path / 'run').rglob('*') if p.is_file())
    free = needed - 0.5 * written
    assert main(command.split()) == 0

    # Files of other runs in the folder of the cache are no help.
    other = [*command.split(), '--out', str(tmp_path / 'other'), '--cache', str(tmp_path / 'all')]
    for folder in ('all', 'other'):
        (tmp_path / folder).mkdir()
        with (tmp_path / folder / 'foreign').open('wb') as file:
            file.truncate(int(10 * needed))
    free = needed - 1
    with raises('train-disk', 'more on the disk of'):
        main(other)


def test_cache_on_another_disk_is_counted_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path('/dev/shm')
    assert os.stat(other).st_dev != os.stat(tmp_path).st_dev
    run = TrainConfig(recordings=(), out=tmp_path / 'run', cache=other / 'no_such_cache')
    monkeypatch.setattr(
        resources.shutil, 'disk_usage',
        lambda path: SimpleNamespace(free=50.0 if Path(path) == other else 1000.0),
    )  # fmt: skip
    assert resources.disk_problem(run, {'cache': 40.0, 'states': 900.0}) == ''
    told = resources.disk_problem(run, {'cache': 60.0, 'states': 900.0})
    assert str(other) in told and told.endswith('name another disk with --cache')
    told = resources.disk_problem(run, {'cache': 40.0, 'states': 1001.0})
    assert str(tmp_path) in told and told.endswith('name another disk with --out')


@pytest.mark.parametrize(('options', 'named'), [
    ('', '--recordings, --out'), ('--recordings r', '--out'), ('--plan', '--moments'),
    ('--recordings r --out o --moments 5', 'need --plan'),
    ('--plan --moments 0', 'at least 1'), ('--plan --moments 5 --gpus 2', '--gpu'),
    ('--plan --moments 5 --gpu k80', 'invalid choice'),
    ('--plan --moments 5 --gpu h100 --device cpu', 'has no GPUs'),
])  # fmt: skip
def test_incomplete_plan_is_refused(
    options: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match='2'):
        parse(options.split())
    assert named in capsys.readouterr().err
