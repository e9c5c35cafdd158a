# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.errors import raises
from support.slides import slide_episode, write_slide
from torch import nn

from benchmarks.ablation import table
from benchmarks.ablation.baseline import Material
from benchmarks.ablation.budget import Budget
from benchmarks.ablation.engine import ModuleEngine, estimates
from benchmarks.ablation.entries import ENTRIES, Entry
from benchmarks.ablation.main import Job, add_costs, main, run
from benchmarks.ablation.measure import elapsed, observe
from benchmarks.ablation.packs import Moments, Pack, encode, info_of, load, pack, save
from benchmarks.ablation.train import open_module, parameters, seeds_of, write
from viva_ros.data.episode import Episode
from viva_ros.model.viva import ViVa
from viva_ros.training import losses
from viva_ros.training.augmentation import AugmentSettings
from viva_ros.training.dataset import Data

Record = Callable[[Path, Episode], Path]


@pytest.fixture
def stuff(tiny_viva: ViVa, make_slide_data: Callable[..., Data]) -> Material:
    data = make_slide_data(range(1, 4))
    losses.set_statistics(tiny_viva, losses.encode_all(tiny_viva, data))
    return Material(tiny_viva, data, [losses.encode_all(tiny_viva, data)], AugmentSettings(), 0)


def lively(built: nn.Module) -> nn.Module:
    """Change the weights, but not those of the VAE, which are everybody's."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if 'vae.' not in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return built.eval()


@pytest.fixture
def seen(tiny_viva: ViVa, stuff: Material, tmp_path: Path) -> Pack:  # fmt: skip
    return pack(write_slide(tmp_path / 'r', slide_episode(4, frames=70)), tiny_viva)


@pytest.mark.parametrize('entry', ENTRIES, ids=lambda entry: entry.name)
def test_batch_estimates_equal_single_estimates(entry: Entry, stuff: Material, seen: Pack) -> None:
    built = lively(entry.build(stuff).module)
    together = estimates(built, seen, 0)
    assert len(seen.images) > 64  # more than a batch
    assert together['value'].std() > 1e-4
    engine = ModuleEngine(built, info_of(stuff.base, 'mark', 'pytorch'), 'slide')
    for row in (0, 1, 40, len(seen.images) - 1):
        alone = engine.estimate(observe(seen, row, stuff.base))
        assert alone.value == pytest.approx(float(together['value'][row]), abs=1e-5)
        if 'forecast' in together:
            expected = together['forecast'][row].tolist()
            assert list(alone.forecast.values()) == pytest.approx(expected, abs=1e-5)
        if 'success' in together:
            assert alone.success == pytest.approx(float(together['success'][row]), abs=1e-5)


@pytest.mark.parametrize('name', ['viva', 'regression', 'bins', 'icvf', 'proprio'])
def test_trained_module_is_read_again(
    name: str, stuff: Material, seen: Pack, tmp_path: Path
) -> None:
    entry = next(entry for entry in ENTRIES if entry.name == name)
    built = lively(entry.build(stuff).module)
    budget = Budget(tmp_path, tmp_path / 'out', tmp_path)
    write(tmp_path / 'out' / name / 'checkpoint', built, stuff.config, {'seconds': 1.0})
    opened, fingerprint = open_module(name, budget, stuff)
    assert len(fingerprint) == 16
    given, expected = (estimates(m, seen, 0)['value'] for m in (opened, built))
    np.testing.assert_allclose(given, expected, atol=1e-6)


def test_a_task_that_was_not_learnt_is_refused(stuff: Material) -> None:
    with raises('compare-task', "'push'", 'slide'):
        ModuleEngine(stuff.base, info_of(stuff.base, '', 'pytorch'), 'push')


def test_parameter_count_leaves_out_the_decoder(stuff: Material) -> None:
    base = stuff.base
    whole = sum(p.numel() for p in base.parameters())
    decoder = sum(p.numel() for m in (base.vae.decoder, base.vae.post_quant_conv)
                  for p in m.parameters())  # fmt: skip
    assert parameters(base) == whole - decoder


def test_pack_has_the_observations_of_a_monitor(
    seen: Pack, tiny_viva: ViVa, tmp_path: Path
) -> None:
    assert seen.moments.task == 'slide'
    assert seen.moments.reasons.count('') == len(seen.images) == len(seen.proprio)
    assert np.all(np.diff(seen.proprio[:, 0]) > 0)  # 'left_waist' rises from 0 to 1
    np.testing.assert_allclose(seen.latents, encode(tiny_viva, seen.images))
    save(seen, tmp_path / 'pack.npz')
    again = load(tmp_path / 'pack.npz', seen.moments.path)
    np.testing.assert_array_equal(again.images, seen.images)
    assert again.moments.path == seen.moments.path
    assert again.moments.reasons == seen.moments.reasons
    np.testing.assert_array_equal(again.moments.stamps, seen.moments.stamps)


def test_a_recording_without_an_outcome_cannot_be_packed(tiny_viva: ViVa, tmp_path: Path) -> None:
    path = write_slide(tmp_path, replace(slide_episode(1), label=None))
    with raises('compare-outcome', path, 'label'):
        pack(path, tiny_viva)


def test_values_belong_to_moments_with_an_observation() -> None:
    stamps = np.array([0, 1, 2, 3], dtype=np.int64) * 1_000_000_000
    seen = Moments(Path('a'), 'slide', stamps, ['', 'head is black', '', ''])
    given = {'value': np.array([0.1, 0.2, 0.3]), 'success': np.array([0.5, 0.6, 0.7])}
    samples = seen.samples(given)
    assert [sample.value for sample in samples] == pytest.approx([0.1, np.nan, 0.2, 0.3],
                                                                 nan_ok=True)  # fmt: skip
    assert [sample.success for sample in samples] == pytest.approx([0.5, np.nan, 0.6, 0.7],
                                                                   nan_ok=True)  # fmt: skip
    assert np.isnan(samples[0].progress)
    assert samples[1].reason == 'head is black'
    assert elapsed({'slide': 2.0}, seen)['value'].tolist() == [0.0, 1.0, 1.5]
    # A time-out stays in the range of known values: ten mean durations reach -1.
    assert elapsed({'slide': 2.0}, seen, -1.0)['value'].tolist() == pytest.approx([0, -0.1, -0.15])


def test_other_budget_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    for part in ('train', 'calibration', 'test'):
        write_slide(tmp_path / 'r' / part / 'slide', slide_episode(1))
    budget = Budget(tmp_path / 'r', tmp_path / 'out', tmp_path / 'cache')
    budget.keep()
    replace(budget, processes=7, cache=tmp_path / 'elsewhere').keep()
    with raises('compare-begun', "{'steps': 1500}", "{'steps': 9}", '--out'):
        replace(budget, steps=9).keep()
    write_slide(tmp_path / 'r' / 'test' / 'slide', slide_episode(2))
    with raises('compare-begun', "started with {'files'"):
        budget.keep()


def test_a_part_without_recordings_is_refused(tmp_path: Path) -> None:
    with raises('compare-recordings', tmp_path / 'test', 'viva record'):
        Budget(tmp_path, tmp_path, tmp_path).paths('test')


def test_contenders_with_cheap_steps_take_more_of_them() -> None:
    budget = Budget(Path(), Path(), Path(), steps=100, batch=4)
    schedules = {entry.name: budget.schedule(entry) for entry in ENTRIES}
    assert {(s.steps, s.batch) for n, s in schedules.items() if n not in ('icvf', 'proprio')} == {
        (100, 4)
    }
    assert (schedules['icvf'].steps, schedules['icvf'].batch) == (400, 32)
    assert (schedules['proprio'].steps, schedules['proprio'].batch) == (200, 32)


@pytest.mark.parametrize('processes', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_jobs_give_what_they_return_in_their_order(processes: int) -> None:
    jobs = [Job('late', sorted, ([3, 1],)), Job('early', len, ('four',))]
    assert list(run('counting', jobs, processes).items()) == [('late', [1, 3]), ('early', 4)]


def test_error_of_a_job_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        run('dividing', [Job('odd', divmod, (1, 0))], 1)


def figure(value: float) -> dict[str, float]:
    return {'value': value, 'low': value - 0.1, 'high': value + 0.1}


def row(title: str, value: float) -> dict[str, Any]:
    figures = {key: figure(value) for key, _, _ in table.INTERVALS}
    figures |= {
        'detection': {'failures': 3, 'successes': 2}, 'reliability': None,
        'delay_median': figure(float('nan')), 'twa': figure(0.5),
        'retry_voc_ceiling': figure(0.89), 'twa_ceiling': figure(0.72),
    }  # fmt: skip
    less = {key: figure(value - 0.9) for key, _, _ in table.INTERVALS}
    return {'title': title, 'parameters': 1200, 'steps': 9, 'batch': 2, 'seconds': 61.4,
            'all': figures, 'tasks': {'slide': figures, 'push': figures},
            'differences': {'viva': less}}  # fmt: skip


def test_table_has_a_row_per_contender_and_a_part_per_task(tmp_path: Path) -> None:
    rows = {'viva': row('ViVa', 0.9), 'other': row('the other', 0.7)}
    told = {'ece': figure(0.05), 'brier': figure(0.15)}
    rows['other']['all'] = {**rows['other']['all'], 'reliability': told}
    spent = {'viva': 0.010, 'other': 0.025}
    add_costs(rows, spent, {'viva': 1.0, 'other': 6.8})
    table.write(rows, {}, {'steps': 9}, tmp_path / 'b' / 'compare')
    text = (tmp_path / 'b' / 'compare.md').read_text()
    assert [line for line in text.splitlines() if line.startswith('## ')] == [
        '## All tasks', '## slide', '## push', '## Differences from: ViVa',
        '## Calibration of probabilities', '## Costs',
    ]  # fmt: skip
    assert text.count('| the other | 0.700 [0.600, 0.800] |') == 3  # each part
    assert '| the other | 0.050 [-0.050, 0.150] | 0.150 [0.050, 0.250] |' in text
    assert '| the other | 1,200 | 9 | 2 | 61 | 25.0 | 2.500 |' in text
    assert '| the other | **-0.200 [-0.300, -0.100]** |' in text
    content = json.loads((tmp_path / 'b' / 'compare.json').read_text())
    assert content['contenders']['viva']['all']['delay_median']['value'] is None
    assert text.count('Ceilings: Retry-VOC 0.890 (an oracle falls') == 3
    assert content['plan'] == {'steps': 9}
    assert (tmp_path / 'b' / 'compare.png').stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_comparison_runs_to_the_figures_and_resumes(
    tmp_path: Path,
) -> None:
    for part, seeds in (('train', range(1, 9)), ('test', range(20, 26))):
        for seed in seeds:
            write_slide(tmp_path / 'r' / part / 'slide', slide_episode(seed, frames=70))
    for seed in range(10, 18):
        episode = slide_episode(seed, frames=70, success=True)
        write_slide(tmp_path / 'r' / 'calibration' / 'slide', episode)
    command = ['--smoke', '--recordings', str(tmp_path / 'r'), '--out', str(tmp_path / 'out'),
               '--report', str(tmp_path / 'report')]  # fmt: skip
    command += ['--processes', '1']
    assert main([*command, '--contenders', 'viva']) == 0
    first = tmp_path / 'out' / 'viva' / 'checkpoint' / 'model.safetensors'
    before = os.stat(first).st_mtime_ns
    assert main([*command, '--contenders', 'viva,bins,icvf', '--repeats', '2']) == 0
    assert os.stat(first).st_mtime_ns == before
    rows = json.loads((tmp_path / 'report.json').read_text())['contenders']
    assert list(rows) == ['viva', 'bins', 'icvf', 'time_counter']
    assert [one['repeats'] for one in rows.values()] == [2, 2, 1, 1]
    first, second = rows['bins']['all']['spearman']['seeds']
    assert first != second
    assert rows['bins']['all']['spearman']['value'] == pytest.approx((first + second) / 2)
    for name, one in rows.items():
        assert one['all']['detection']['successes'] == 4, name  # of seeds 20 to 25, two fail
        assert one['all']['detection']['failures'] == 2, name
    assert rows['time_counter']['all']['spearman']['value'] == pytest.approx(1.0)
    assert rows['viva']['all']['spearman']['value'] == pytest.approx(
        np.mean([rows['viva']['tasks']['slide']['spearman']['value']])
    )
    assert rows['viva']['ratio'] == 1.0
    assert rows['viva']['differences']['viva']['tpr']['value'] == 0.0
    assert rows['time_counter']['differences']['viva']['auroc']['episodes'] == 6
    assert rows['bins']['latency'] > 0
    assert rows['icvf']['steps'] == 16


def test_training_seeds_are_listed_by_task() -> None:
    labels = [{'task': t, 'seed': s} for t, s in (('b', 3), ('a', 2), ('b', 1), ('b', 3))]
    assert seeds_of([*labels, {'task': 'a', 'seed': None}]) == {'a': [2], 'b': [1, 3]}
