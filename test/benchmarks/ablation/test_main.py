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

from benchmarks.ablation import measure, table, values
from benchmarks.ablation.baseline import Material
from benchmarks.ablation.budget import Budget
from benchmarks.ablation.engine import ModuleEngine, estimates
from benchmarks.ablation.entries import ENTRIES, Entry
from benchmarks.ablation.main import Job, add_costs, main, run
from benchmarks.ablation.measure import elapsed, observe
from benchmarks.ablation.packs import (
    Moments,
    Pack,
    check_parts,
    check_tasks,
    encode,
    file_of,
    identities_in,
    info_of,
    is_current,
    load,
    pack,
    save,
)
from benchmarks.ablation.train import (
    material,
    open_module,
    parameters,
    seeds_of,
    write,
)
from benchmarks.ablation.values import Estimated, Estimates
from viva_ros.data.episode import Episode
from viva_ros.model import checkpoint
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
    budget = Budget(tmp_path / 'r', tmp_path / 'out', tmp_path / 'cache')
    budget.keep()
    with raises('compare-begun', "{'steps': 1500}", "{'steps': 9}", '--out'):
        replace(budget, steps=9).keep()
    budget.keep(moments='a')  # known only after decoding
    with raises('compare-begun', "{'moments': 'a'}", "{'moments': 'b'}"):
        budget.keep(moments='b')


def test_what_no_training_depends_on_may_change(tmp_path: Path) -> None:
    budget = Budget(tmp_path / 'r', tmp_path / 'out', tmp_path / 'cache', test='development')
    budget.keep()
    replace(budget, processes=7, cache=tmp_path / 'elsewhere').keep()
    replace(budget, repeats=3, alpha=0.1, test='test').keep()
    assert replace(budget, test='test').settings()['test'] == 'test'


def test_plan_of_an_earlier_version_is_continued(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    out.mkdir()
    begun = {
        'recordings': str(tmp_path / 'r'), 'preset': 'small', 'seed': 0, 'steps': 1500,
        'batch': 32, 'vae_steps': 1600, 'video_steps': 2500, 'copies': 2, 'alpha': 0.05,
        'limit': 0, 'rate': 0.001, 'test': 'development', 'files': '98fb13220ad00110',
    }  # fmt: skip
    (out / 'plan.json').write_text(json.dumps(begun))
    budget = Budget(tmp_path / 'r', out, tmp_path / 'cache', video_steps=2500, rate=0.001)
    budget.keep()
    budget.keep(moments='a')
    assert json.loads((out / 'plan.json').read_text()) == {**begun, 'moments': 'a'}
    with raises('compare-begun', "{'rate': 0.001}"):
        replace(budget, rate=0.002).keep()


def test_digest_changes_with_what_is_learnt(make_slide_data: Callable[..., Data]) -> None:
    data = make_slide_data(range(1, 4))
    digest = data.digest
    assert make_slide_data(range(1, 4)).digest == digest
    assert make_slide_data(range(1, 3)).digest != digest
    for name in ('proprio', 'returned'):
        assert replace(data, **{name: getattr(data, name) + 0.1}).digest != digest
    assert replace(data, failed=~data.failed).digest != digest
    darker = np.array(data.images) // 2
    assert replace(data, images=darker).digest != digest


def test_latents_of_other_data_are_refused(
    tiny_viva: ViVa, stuff: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Budget(tmp_path, tmp_path, tmp_path, copies=0)
    checkpoint.write(budget.shared / 'motion', tiny_viva, {})
    np.save(budget.shared / 'latents_0.npy', stuff.copies[0][:-1])
    monkeypatch.setattr('benchmarks.ablation.train.gather', lambda _: (stuff.data, None))
    moments = len(stuff.data.images)
    with raises('compare-latents', f'{moments - 1} moments', f'must be the {moments}', '--out'):
        material(budget)


def later(path: Path, than: Path, by: float = 10.0) -> None:
    """Set the time of a file to some s after that of another."""
    stamp = than.stat().st_mtime_ns + round(by * 1e9)
    os.utime(path, ns=(stamp, stamp))


def test_pack_of_a_changed_recording_or_encoder_is_not_current(
    tiny_viva: ViVa, tmp_path: Path
) -> None:
    path = write_slide(tmp_path / 'r', slide_episode(4, frames=20))
    weights, file = tmp_path / 'model.safetensors', tmp_path / 'pack.npz'
    weights.touch()
    assert not is_current(file, path, weights)
    save(pack(path, tiny_viva), file)
    later(file, path)
    assert is_current(file, path, weights)
    later(weights, file)
    assert not is_current(file, path, weights)
    later(weights, file, -10.0)
    later(path, file)  # written again, of the same size
    assert not is_current(file, path, weights)
    other = write_slide(tmp_path / 'other', slide_episode(5, frames=30))
    path.write_bytes(other.read_bytes())  # copied with its time
    later(path, file, -10.0)
    assert not is_current(file, path, weights)


def test_pack_of_an_earlier_version_is_not_current(tiny_viva: ViVa, tmp_path: Path) -> None:
    path = write_slide(tmp_path / 'r', slide_episode(4, frames=20))
    weights, file = tmp_path / 'model.safetensors', tmp_path / 'pack.npz'
    weights.touch()
    save(pack(path, tiny_viva), file)
    with np.load(file) as content:
        columns = dict(content)
    note = json.loads(str(columns['note']))
    for name in ('source', 'identities'):
        less = {key: value for key, value in note.items() if key != name}
        np.savez(file, **{**columns, 'note': np.array(json.dumps(less))})
        later(file, path)
        assert not is_current(file, path, weights)


class Estimating:
    """A comparison of one recording in each part, whose estimates are numbered."""

    def __init__(self, folder: Path, viva: ViVa, monkeypatch: pytest.MonkeyPatch) -> None:
        seeds = {'calibration': 1, 'development': 2, 'test': 3}
        self.paths = {
            part: write_slide(folder / 'r' / part, slide_episode(seed, frames=20))
            for part, seed in seeds.items()
        }
        self.budget = Budget(
            folder / 'r', folder / 'out', folder, test='development', values=folder / 'values'
        )
        self.budget.keep(moments='a', episodes='b')
        self._viva, self._estimated = viva, list[Path]()
        (self.budget.shared / 'packs').mkdir(parents=True)
        for part in self.paths:
            self.pack(part)
        monkeypatch.setattr(measure, 'material', lambda _: viva)
        monkeypatch.setattr(measure, 'open_module', lambda *_: (nn.Linear(1, 2), '0' * 16))
        monkeypatch.setattr(measure, 'estimates', self._estimate)
        self.train('1' * 64)

    def pack(self, part: str) -> None:
        path = self.paths[part]
        save(pack(path, self._viva), file_of(self.budget, path))

    def train(self, digest: str) -> None:
        folder = self.budget.out / 'viva' / 'checkpoint'
        folder.mkdir(parents=True, exist_ok=True)
        content = {'format': 1, 'kind': 'viva', 'sha256': digest, 'provenance': {'seconds': 5.0}}
        (folder / 'model.json').write_text(json.dumps(content))

    def _estimate(self, module: None, seen: Pack, task: int) -> dict[str, Any]:
        self._estimated.append(seen.moments.path)
        return {'value': np.full(len(seen.images), -0.12345 * len(self._estimated))}

    def estimated(self, test: str) -> list[str]:
        """Return the parts that are estimated."""
        self._estimated.clear()
        budget = replace(self.budget, test=test)
        measure.estimate_all(budget, 'viva')
        assert not measure.missing(budget, 'viva', measure.wanted(budget))
        return [part for part, path in self.paths.items() if path in self._estimated]


@pytest.fixture
def estimating(tiny_viva: ViVa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estimating:
    return Estimating(tmp_path, tiny_viva, monkeypatch)


def test_estimates_are_kept_until_a_recording_or_the_weights_change(
    estimating: Estimating, tiny_viva: ViVa
) -> None:
    assert estimating.estimated('development') == ['calibration', 'development']
    assert estimating.estimated('test') == ['test']
    assert estimating.estimated('development') == []
    estimating.pack('development')  # again, with the same content
    assert estimating.estimated('development') == []
    other = write_slide(estimating.budget.out / 'other', slide_episode(5, frames=25))
    estimating.paths['development'].write_bytes(other.read_bytes())
    estimating.pack('development')
    assert estimating.estimated('test') == []
    assert estimating.estimated('development') == ['development']
    estimating.train('2' * 64)
    assert estimating.estimated('test') == ['calibration', 'test']
    found = values.read(estimating.budget.values / 'viva.npz')
    assert len(found.recordings) == 2  # none of the earlier weights


def test_estimates_of_another_machine_need_no_weights(estimating: Estimating) -> None:
    estimating.estimated('test')
    (estimating.budget.out / 'viva' / 'checkpoint' / 'model.json').unlink()
    moved = replace(estimating.budget, out=estimating.budget.out / 'new', test='test')
    moved.keep(moments='rendered a little differently', episodes='b')
    for part in ('calibration', 'test'):
        path = estimating.paths[part]
        (moved.shared / 'packs').mkdir(parents=True, exist_ok=True)
        file_of(moved, path).write_bytes(file_of(estimating.budget, path).read_bytes())
    of = measure.wanted(moved)
    assert measure.missing(moved, 'viva', of) == []
    one = 'test/episode_000003'
    of[one] = replace(of[one], reasons=[*of[one].reasons[:-1], 'head is black'])
    assert measure.missing(moved, 'viva', of) == [one]  # an observation less


def test_estimates_of_another_plan_are_refused(estimating: Estimating) -> None:
    estimating.estimated('test')
    for changed, code in (({'steps': 9}, "{'steps': 9}"), ({'episodes': 'c'}, "'c'}")):
        plan = {'moments': 'a', 'episodes': 'b'}
        known = {name: value for name, value in changed.items() if name in plan}
        rest = {name: value for name, value in changed.items() if name not in plan}
        budget = replace(estimating.budget, out=estimating.budget.out / str(changed), **rest)
        budget.keep(**{**plan, **known})
        with raises('compare-values', estimating.budget.values / 'viva.npz', code, '--values'):
            measure.current(budget, 'viva')


def test_file_of_estimates_returns_them_with_three_digits(tmp_path: Path) -> None:
    given = {'value': np.array([0.12345, -1.0, 2.5]), 'success': np.array([0.0, 0.9996, 1.0])}
    more = {'value': np.array([-0.5]), 'success': np.array([0.25])}
    rows = {'test/a/b': Estimated(('x', 'y'), given), 'test/a/c': Estimated((), more)}
    values.write(tmp_path / 'new' / 'viva.npz', Estimates({'plan': {'steps': 3}}, rows))
    found = values.read(tmp_path / 'new' / 'viva.npz')
    assert found.about == {'plan': {'steps': 3}}
    assert list(found.recordings) == ['test/a/b', 'test/a/c']
    assert found.recordings['test/a/b'].identities == ('x', 'y')
    assert found.recordings['test/a/b'].given['value'].tolist() == [0.123, -1.0, 2.5]
    assert found.recordings['test/a/b'].given['success'].tolist() == [0.0, 1.0, 1.0]
    assert found.recordings['test/a/c'].given['value'].tolist() == [-0.5]
    for odd in (np.nan, 17.0):
        with pytest.raises(ValueError, match=r'must be at most 16\.383'):
            values.rounded({'value': np.array([0.0, odd])})


def test_file_that_has_no_estimates_is_refused(tmp_path: Path) -> None:
    file = tmp_path / 'viva.npz'
    np.savez(file, note=np.array('{"format": "other"}'))
    with raises('compare-values-file', file, 'format other', '--values'):
        values.read(file)
    file.write_bytes(b'PK')
    with raises('compare-values-file', file):
        values.read(file)


@pytest.mark.parametrize(
    ('seeds', 'code'),
    [((1, 2, 3), ''), ((1, 1, 3), 'recordings-trained'), ((1, 2, 1), 'recordings-trained'),
     ((1, 2, 2), 'evaluation-overlap')],
)  # fmt: skip
def test_parts_with_a_common_episode_are_refused(
    seeds: tuple[int, int, int], code: str, tmp_path: Path
) -> None:
    budget = Budget(tmp_path / 'r', tmp_path / 'out', tmp_path)
    for part, seed in zip(('train', 'calibration', 'test'), seeds, strict=True):
        write_slide(tmp_path / 'r' / part, slide_episode(seed, frames=20 + seed))
    seen = {part: identities_in(budget, part) for part in ('calibration', 'test')}
    trained = [one for some in identities_in(budget, 'train').values() for one in some]
    if code:
        with raises(code, '1 of 1'):
            check_parts(seen, trained)
    else:
        check_parts(seen, trained)


def test_task_without_calibration_recordings_is_refused(tiny_viva: ViVa, tmp_path: Path) -> None:
    budget = Budget(tmp_path / 'r', tmp_path / 'out', tmp_path)
    (budget.shared / 'packs').mkdir(parents=True)
    for part, seed, task in (('calibration', 1, 'slide'), ('test', 2, 'push')):
        episode = slide_episode(seed, frames=20 + seed)
        assert episode.label is not None
        episode = replace(episode, label=replace(episode.label, task=task))
        path = write_slide(tmp_path / 'r' / part, episode)
        save(pack(path, tiny_viva), file_of(budget, path))
    with raises('compare-uncalibrated', tmp_path / 'r' / 'calibration', 'push'):
        check_tasks(budget)


def test_a_part_without_recordings_is_refused(tmp_path: Path) -> None:
    for name in ('test', 'development'):
        with raises('compare-recordings', tmp_path / name, 'viva record'):
            Budget(tmp_path, tmp_path, tmp_path, test=name).paths('test')
    call = ['--recordings', str(tmp_path), '--out', str(tmp_path / 'out')]
    with raises('compare-recordings', tmp_path / 'train'):
        main(call)
    assert not (tmp_path / 'out').exists()  # a corrected command may use it


@pytest.mark.parametrize('options', [
    '--rate -1.0', '--copies -1', '--limit -1', '--alpha 0.0', '--alpha 1.0', '--rate inf',
    '--steps 0',
])  # fmt: skip
def test_option_of_a_comparison_out_of_range_is_refused(options: str, tmp_path: Path) -> None:
    name, value = options.split()
    with raises('compare-option', name.strip('-'), f'is {value}'):
        main(['--recordings', str(tmp_path), '--out', str(tmp_path / 'out'), name, value])


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
    table.write(rows, {}, {'steps': 9, 'test': 'development'}, tmp_path / 'b' / 'compare')
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
    assert content['plan']['steps'] == 9
    assert 'Set: development, 0 recordings.' in text.splitlines()[0]
    assert (tmp_path / 'b' / 'compare.png').stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_comparison_runs_to_the_figures_and_resumes(
    tmp_path: Path,
) -> None:
    for part, seeds in (('train', range(1, 9)), ('test', range(20, 26))):
        for seed in seeds:
            write_slide(tmp_path / 'r' / part / 'slide', slide_episode(seed, frames=70 + seed))
    for seed in range(10, 18):
        episode = slide_episode(seed, frames=70 + seed, success=True)
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
    first, second = rows['viva']['all']['spearman']['seeds']
    assert first != second
    mean = (first + second) / 2
    assert rows['viva']['all']['spearman']['value'] == pytest.approx(mean, abs=1e-5)  # rounded
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
    for seed in range(30, 33):
        write_slide(
            tmp_path / 'r' / 'development' / 'slide', slide_episode(seed, frames=70 + seed)
        )
    assert main([*command, '--contenders', 'viva', '--test', 'development']) == 0
    content = json.loads((tmp_path / 'report.json').read_text())
    assert content['plan']['test'] == 'development'
    assert [one['name'] for one in content['episodes']['test']] == [
        f'episode_{seed:06d}' for seed in range(30, 33)
    ]
    assert len(values.read(tmp_path / 'out' / 'values' / 'viva.npz').recordings) == 8 + 6 + 3
    assert content['contenders']['time_counter']['differences']['viva']['auroc']['low'] is None
    assert 'no interval, because one seed of each' in (tmp_path / 'report.md').read_text()


def test_training_seeds_are_listed_by_task() -> None:
    labels = [{'task': t, 'seed': s} for t, s in (('b', 3), ('a', 2), ('b', 1), ('b', 3))]
    assert seeds_of([*labels, {'task': 'a', 'seed': None}]) == {'a': [2], 'b': [1, 3]}
