# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Variants of the last stage in a whole run on a few moments."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.errors import raises
from support.slides import slide_episode, write_slide
from torch import Tensor

from viva_ros.cli.train import parse, run_of
from viva_ros.data.episode import Episode, Label
from viva_ros.model import checkpoint
from viva_ros.model.config import preset
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.viva import ViVa
from viva_ros.training import checkpointing, losses, sources, verdict
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig, plan
from viva_ros.training.distributed import Hardware
from viva_ros.training.run import check, train, train_on
from viva_ros.training.survey import survey_of

LENGTHS = {'vae': 3, 'video': 3, 'viva': 4, 'head': 4, 'proprio': 0}
BLANK = preset('tiny', ('head', 'left_wrist', 'right_wrist'),
               ('left_waist', 'left_gripper', 'right_waist'), ())  # fmt: skip
BASICS = ('--recordings', 'r', '--out', 'o')


def run_in(folder: Path, **changes: object) -> TrainConfig:
    run = TrainConfig((folder,), folder, 'tiny', 0, plan(4, LENGTHS), folder / 'c')
    return replace(run, **changes)  # type: ignore[arg-type]


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / 'checkpoint' / 'model.safetensors')


def test_head_is_trained_on_frozen_blocks_of_the_video_stage(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn, hold = make_slide_data(range(1, 4)), make_slide_data(range(5, 7))
    run = run_in(tmp_path / 'run', head=1)
    made = train_on(run, learn, hold, BLANK)
    assert isinstance(made, EarlyExit)
    read = checkpoint.read(tmp_path / 'run' / 'checkpoint')
    assert isinstance(read.model, EarlyExit)
    assert set(read.provenance['held_out']) == {
        'value_error', 'forecast_error', 'spearman', 'auroc',
    }  # fmt: skip
    trunk = load_file(tmp_path / 'run' / 'video.state')
    blocks = {k for k in trunk if k.startswith('average/blocks.0.')}
    written = weights_of(tmp_path / 'run')
    assert blocks
    for key in blocks:
        assert torch.equal(written[f'viva.transformer.{key[len("average/") :]}'], trunk[key])
    state = load_file(tmp_path / 'run' / 'head.state')
    assert {key.split('/')[1].split('.')[0] for key in state if '/' in key} == {'proprio', 'value'}
    assert not (tmp_path / 'run' / 'proprio').exists()  # its length is 0


def test_adapters_are_written_and_merged_into_the_checkpoint(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = make_slide_data(range(1, 4))
    run = run_in(tmp_path / 'run', lora=2, hardware=Hardware('cpu', accumulate=2))
    train_on(run, learn, None, BLANK)
    begun = load_file(tmp_path / 'run' / 'video.state')
    written = weights_of(tmp_path / 'run')
    beside = tmp_path / 'run' / 'checkpoint' / 'adapter'
    adapter = load_file(beside / 'adapter_model.safetensors')
    name = 'blocks.1.ffn.net.2'
    change = adapter[f'{name}.lora_B.weight'] @ adapter[f'{name}.lora_A.weight']  # alpha = rank
    assert float(change.abs().max()) > 0
    torch.testing.assert_close(
        written[f'transformer.{name}.weight'], begun[f'average/{name}.weight'] + change
    )
    frozen = 'patch_embedding.weight'
    assert torch.equal(written[f'transformer.{frozen}'], begun[f'average/{frozen}'])
    assert json.loads((beside / 'adapter_config.json').read_text())['r'] == 2


def test_targets_tasks_and_checkpointing_reach_the_model(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = make_slide_data(range(1, 3))
    targets = ('proprio', 'images', 'value', 'success')
    plain = run_in(tmp_path / 'plain', targets=targets)
    lean = replace(plain, out=tmp_path / 'lean', hardware=Hardware('cpu', checkpointing=True))
    for run in (plain, lean):
        model = train_on(run, learn, None, BLANK)
        assert model.config.targets == targets
        assert model.config.tasks == ('slide',)
    for name, weight in weights_of(plain.out).items():
        torch.testing.assert_close(weights_of(lean.out)[name], weight, msg=name)


def test_regression_reaches_the_checkpoint_and_its_heirs(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = make_slide_data(range(1, 4))
    for name in ('flow', 'regression'):
        train_on(run_in(tmp_path / name, objective=name), learn, None, BLANK)
    clips = [load_file(tmp_path / name / 'video.state') for name in ('flow', 'regression')]
    assert all(torch.equal(weight, clips[1][key]) for key, weight in clips[0].items())
    read = checkpoint.read(tmp_path / 'regression' / 'checkpoint').model
    assert read.config.objective == 'regression'
    assert not read.noise.any()
    write_split(tmp_path / 'r', slide_episode(4))
    begun = tmp_path / 'regression' / 'checkpoint'
    for options, objective in (((), 'regression'), (('--objective', 'flow'), 'flow')):
        run = replace(continued(tmp_path, begun, *options), out=tmp_path / f'to_{objective}')
        heir = train(run)
        assert heir.config.objective == objective
        assert bool(heir.noise.any()) is (objective == 'flow')
        with raises('run-differs', 'config.objective'):
            train(replace(run, objective='flow' if objective == 'regression' else 'regression'))


def test_seeds_of_the_last_stage_share_what_is_before_it(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = make_slide_data(range(1, 4))
    base = run_in(tmp_path / 'base', plan=plan(4, {**LENGTHS, 'viva': 0}), copies=1)
    train_on(base, learn, None, BLANK)
    assert not list(base.out.glob('latents_train_*'))  # copies are for a stage that is trained
    shared = weights_of(base.out)
    write_split(tmp_path / 'r', slide_episode(4))
    found = []
    for seed in ('1', '2'):
        run = continued(tmp_path, base.out / 'checkpoint', '--seed', seed)
        train(replace(run, out=tmp_path / seed))
        found.append(weights_of(tmp_path / seed))
    for name, weight in shared.items():
        if name.startswith('vae.'):
            assert all(torch.equal(one[name], weight) for one in found), name
    head = 'transformer.proj_out.weight'
    assert not torch.equal(found[0][head], found[1][head])


def test_validation_episodes_change_no_range_and_no_weight(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn, hold = make_slide_data(range(1, 3)), make_slide_data(range(5, 7))
    wild = replace(hold, proprio=hold.proprio * 100, future=hold.future - 7,
                   images=255 - np.asarray(hold.images))  # fmt: skip
    for name, held in (('tame', hold), ('wild', wild), ('none', None)):
        train_on(run_in(tmp_path / name), learn, held, BLANK)
    reference = weights_of(tmp_path / 'none')
    ranges = checkpoint.read_description(tmp_path / 'none' / 'checkpoint')['ranges']
    for name in ('tame', 'wild'):
        assert checkpoint.read_description(tmp_path / name / 'checkpoint')['ranges'] == ranges
        for key, weight in weights_of(tmp_path / name).items():
            assert torch.equal(weight, reference[key]), f'{name}: {key}'


@pytest.mark.parametrize(
    ('options', 'code', 'named'),
    [
        ('--threads 0', 'setting-out-of-range', ('threads is 0', 'at least 1')),
        ('--lora -1', 'setting-out-of-range', ('lora is -1', 'at least 0')),
        ('--accumulate 0', 'setting-out-of-range', ('accumulate is 0', 'at least 1')),
        ('--batch 0', 'setting-out-of-range', ('vae batch is 0', 'at least 1')),
        ('--lora 8 --head 2', 'lora-with-head', ('lora is 8', 'head is 2')),
        ('--lora 4 --shard', 'shard-with-frozen-weights', ('--shard', '--lora', '--head')),
        ('--targets proprio', 'targets-invalid', ('is proprio', 'proprio,images,value,success')),
        ('--targets value,speed', 'targets-invalid', ('is value,speed', 'with value')),
        ('--vae-steps 0', 'vae-missing', ('preset small', '--backbone DIR', '--vae-steps')),
        ('--preset wan2.2-5b', 'vae-missing', ('preset wan2.2-5b',)),
        ('--backbone b --init c', 'init-with-backbone', ('--init is c', '--backbone is b')),
        ('--learning-rate 0', 'setting-out-of-range', ('learning_rate is 0.0', 'above 0')),
        ('--horizon 0', 'setting-out-of-range', ('horizon is 0.0', 'above 0')),
        ('--patience -1', 'setting-out-of-range', ('patience is -1', 'at least 0')),
        ('--init c --vae-steps 5', 'length-unused', ('vae-steps is 5', '--init replaces')),
        ('--init c --video-steps 5', 'length-unused', ('video-steps is 5', '--init replaces')),
        ('--backbone b --vae-steps 5', 'length-unused', ('is 5', '--backbone replaces')),
        ('--preset wan2.2-5b --backbone b --video-steps 5', 'length-unused', ('--backbone',)),
        ('--head 2 --viva-steps 5', 'length-unused', ('viva-steps is 5', 'set --head-steps')),
        ('--head-steps 5', 'length-unused', ('head-steps is 5', '--viva-steps', 'add --head')),
        ('--viva-steps 0 --lora 4', 'option-unused', ('--lora is 4', '--viva-steps is 0')),
        ('--viva-steps 0 --learning-rate 1e-4', 'option-unused', ('rate is 0.0001',)),
        ('--head 2 --head-steps 0 --patience 3', 'option-unused', ('--head-steps is 0',)),
        ('--head 2 --objective flow', 'objective-with-head', ('is flow', 'leave out')),
        ('--init c --head 2 --checkpointing', 'checkpointing-with-head', ('leave it out',)),
    ],
)
def test_invalid_option_is_refused(options: str, code: str, named: tuple[str, ...]) -> None:
    with raises(code, *named):
        run_of(parse([*BASICS, *options.split()]))


@pytest.mark.parametrize('options', [
    '--init c --vae-steps 0', '--head 2 --head-steps 5 --vae-steps 5', '--head 2 --viva-steps 0',
    '--head 2 --checkpointing', '--init c --viva-steps 5',
])  # fmt: skip
def test_option_that_has_an_effect_is_accepted(options: str) -> None:
    run_of(parse([*BASICS, *options.split()]))


def test_file_as_run_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'run').write_text('')
    given = ['--recordings', 'recordings', '--out', str(tmp_path / 'run')]
    with raises('train-output-file', '--out', tmp_path / 'run', 'folder'):
        run_of(parse(given))


def test_head_that_does_not_fit_the_model_is_refused(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    with raises('head-too-deep', 'head is 9', 'at most 2', 'preset tiny'):
        train_on(run_in(tmp_path, head=9), make_slide_data(range(1, 2)), None, BLANK)
    with raises('head-with-images', 'targets', 'images'):
        run = run_in(tmp_path, head=1, targets=('images', 'value'))
        train_on(run, make_slide_data(range(1, 2)), None, BLANK)


def test_command_line_sets_lengths_and_keeps_the_schedules() -> None:
    run = run_of(parse([
        '--recordings', 'recordings', '--out', 'runs/x', '--cache', 'runs/cache', '--preset',
        'small', '--threads', '2', '--vae-steps', '900', '--video-steps', '1500',
        '--viva-steps', '3000',
    ]))  # fmt: skip
    assert (run.recordings, run.out, run.cache) == (
        (Path('recordings'),), Path('runs/x'), Path('runs/cache'),
    )  # fmt: skip
    schedules = (run.plan.vae, run.plan.video, run.plan.viva, run.plan.proprio)
    stages = [(s.steps, s.batch, s.rate, s.warm_up, s.average, s.lowest) for s in schedules]
    assert stages == [
        (900, 16, 2e-3, 100, 0.998, 0.05), (1500, 32, 1e-3, 200, 0.998, 0.05),
        (3000, 32, 1e-3, 200, 0.998, 0.05), (4000, 256, 1e-3, 200, 0.998, 0.05),
    ]  # fmt: skip
    assert (run.threads, run.seed, run.lora, run.head) == (2, 0, 0, 0)
    assert run.hardware == Hardware()
    assert (run.horizon, run.init, run.patience_count) == (None, None, 0)


def test_fine_tuning_ends_after_five_measurements_without_progress() -> None:
    run = run_of(parse([*BASICS, '--preset', 'wan2.2-5b', '--backbone', 'w', '--lora', '4']))
    assert (run.patience_count, run.plan.viva.rate, run.copy_count) == (5, 2e-4, 0)
    assert replace(run, patience=0).patience_count == 0


def test_auto_is_the_default_of_accumulate() -> None:
    given = [run_of(parse([*BASICS, *more])).hardware.accumulate
             for more in ((), ('--accumulate', 'auto'), ('--accumulate', '3'))]  # fmt: skip
    assert given == [None, None, 3]


def test_options_reach_the_run() -> None:
    run = run_of(parse([
        *BASICS, '--cameras', 'head', 'chest', '--tasks', 'lift', '--targets', 'success,value',
        '--precision', 'bf16', '--accumulate', '4', '--checkpointing', '--device', 'cpu',
        '--backbone', 'wan', '--embeddings', 'texts', '--lora', '16',
    ]))  # fmt: skip
    assert (run.cameras, run.tasks) == (('head', 'chest'), ('lift',))
    assert run.targets == ('value', 'success')  # in the order of the frames
    assert run.hardware == Hardware('cpu', 'bf16', 4, checkpointing=True)
    assert (run.backbone, run.embeddings, run.lora) == (Path('wan'), Path('texts'), 16)
    assert (run.plan.vae.steps, run.plan.video.steps) == (0, 0)  # the backbone replaces them


@pytest.fixture
def begun(tmp_path: Path, make_slide_data: Callable[..., Data]) -> Path:
    """Return the checkpoint of a run on slide episodes 1 and 2."""
    train_on(run_in(tmp_path / 'begun'), make_slide_data(range(1, 3)), None, BLANK)
    return tmp_path / 'begun' / 'checkpoint'


def write_split(folder: Path, *episodes: Episode) -> None:
    names = [write_slide(folder, episode).name for episode in episodes]
    (folder / 'split.json').write_text(json.dumps({'train': names, 'validation': []}))


def continued(folder: Path, begun: Path, *options: str) -> TrainConfig:
    return run_of(parse([
        '--recordings', str(folder / 'r'), '--out', str(folder / 'more'), '--preset', 'tiny',
        '--init', str(begun), '--viva-steps', '2', '--proprio-steps', '0', '--batch', '2',
        *options,
    ]))  # fmt: skip


def test_run_continues_from_a_checkpoint(tmp_path: Path, begun: Path) -> None:
    episode = slide_episode(4)
    label = replace(episode.label or Label('', True), task='push')
    small = replace(episode.joints, positions=0.5 * episode.joints.positions)
    more = {**episode.cameras, 'chest': episode.cameras['head']}
    write_split(tmp_path / 'r', replace(episode, label=label, joints=small, cameras=more))
    run = continued(tmp_path, begun, '--learning-rate', '1e-6')
    model = train(run)
    before, after = checkpoint.read(begun), checkpoint.read(run.out / 'checkpoint')
    assert model.config.tasks == ('push',)
    assert model.config.cameras == BLANK.cameras
    assert after.model.ranges == before.model.ranges  # not those of half the movement
    assert torch.equal(after.model.latents_mean, before.model.latents_mean)
    for name, weight in after.model.state_dict().items():
        if name not in ('text', 'noise'):
            torch.testing.assert_close(weight, before.model.state_dict()[name], atol=1e-4, rtol=0)
    assert after.provenance['init']['fingerprint'] == before.fingerprint
    assert after.provenance['init']['episode_seeds'] == [1, 2]
    identities = [one.provenance['episode_identities']['train'] for one in (before, after)]
    assert (len(identities[0]), len(identities[1])) == (1, 2)  # slide episodes move alike
    assert set(identities[0]) < set(identities[1])  # what --init was trained on is not unseen
    assert not (run.out / 'vae.state').exists()
    assert not (run.out / 'video.state').exists()
    train(continued(tmp_path, begun, '--learning-rate', '1e-6'))  # resumes
    other = replace(run, init=run.out / 'checkpoint')
    with raises('run-differs', 'init'):
        train(other)


def test_validation_episode_that_init_was_trained_on_is_named(
    tmp_path: Path, begun: Path, make_slide_data: Callable[..., Data]
) -> None:
    run, hold = continued(tmp_path, begun), make_slide_data(range(2, 5))
    others = [{**label, 'identities': [label['name']]} for label in hold.labels]
    hold = replace(hold, labels=[hold.labels[0], *others[1:]])
    (found,) = verdict.seen_before(run, hold)
    assert found.startswith('1 of 3 validation episodes were training episodes of --init')
    assert 'episode_000002' in found
    assert verdict.seen_before(run, replace(hold, labels=others)) == []
    # A checkpoint of an earlier version names none: they stay unknown in the new one.
    old = tmp_path / 'old'
    shutil.copytree(begun, old)
    content = json.loads((old / 'model.json').read_text())
    del content['provenance']['episode_identities']
    (old / 'model.json').write_text(json.dumps(content))
    run = replace(run, init=old)
    (found,) = verdict.seen_before(run, hold)
    assert 'does not name its training episodes' in found
    assert checkpointing.all_identities(run, hold, None) is None


def test_checkpoint_keeps_its_horizon_and_targets(tmp_path: Path, begun: Path) -> None:
    content = json.loads((begun / 'model.json').read_text())
    del content['config']['horizon']  # as the first version wrote it
    content['config'] |= {'horizon_steps': 10, 'control_rate': 25.0}
    (begun / 'model.json').write_text(json.dumps(content))
    write_split(tmp_path / 'r', slide_episode(4))
    assert sources.find(continued(tmp_path, begun)).blank.horizon == 0.4
    changed = sources.find(continued(tmp_path, begun, '--horizon', '0.2')).blank
    assert changed.horizon == 0.2
    assert changed.targets == ('proprio', 'value')


@pytest.mark.parametrize(('options', 'named'), [
    ('--preset small', ('preset tiny, not small', 'set --preset tiny')),
    ('--targets proprio,value,success', ('targets proprio,value, not', 'leave out --targets')),
    ('--cameras head', ('cameras head left_wrist right_wrist, not head', 'set --cameras')),
])  # fmt: skip
def test_init_with_another_model_is_refused(
    tmp_path: Path, begun: Path, options: str, named: tuple[str, ...]
) -> None:
    write_split(tmp_path / 'r', slide_episode(4))
    with raises('init-differs', begun, *named):
        train(continued(tmp_path, begun, *options.split()))
    assert not (tmp_path / 'more').exists()


def test_init_with_another_robot_is_refused_by_name(tmp_path: Path, begun: Path) -> None:
    content = json.loads((begun / 'model.json').read_text())
    for names in (content['config']['joint_names'], content['ranges']['names']):
        names[1] = 'left_thumb'
    content['config']['cameras'][0] = 'chest'
    (begun / 'model.json').write_text(json.dumps(content))
    write_split(tmp_path / 'r', slide_episode(4))
    with raises('init-differs', 'cameras chest', 'joints left_thumb', 'train without --init'):
        train(continued(tmp_path, begun))


def test_joints_far_outside_of_the_trained_ranges_are_refused(tmp_path: Path, begun: Path) -> None:
    episode = slide_episode(4)
    for factor, refused in ((1.04, False), (1.06, True)):  # of ranges from 0 to 1
        positions = episode.joints.positions * [1.0, factor, 1.0]
        joints = replace(episode.joints, positions=positions)
        folder = tmp_path / str(factor)
        write_split(folder / 'r', replace(episode, joints=joints))
        if not refused:
            sources.gather(continued(folder, begun))
            continue
        named = ('left_gripper 0 to 1.06 (trained 0 to 1)', '5 %', '1 of 1 episodes: ')
        with raises('init-joint-range', begun, *named):
            sources.gather(continued(folder, begun))
        run = replace(continued(folder, begun), cache=folder / 'new')
        with raises('init-joint-range', begun, *named):  # of a plan, before an image is decoded
            found = sources.find(run)
            check(run, found, survey_of(run, found))
        assert not (folder / 'new').exists()


def test_joints_that_are_not_finite_are_refused_by_name(tmp_path: Path, begun: Path) -> None:
    episode = slide_episode(4)
    positions = episode.joints.positions.copy()
    positions[3, 1] = np.nan
    broken = replace(episode.joints, positions=positions)
    write_split(tmp_path / 'r', replace(episode, joints=broken))
    named = ('positions of left_gripper are not finite in 1 of 1 episodes: ', 'leave these')
    run = continued(tmp_path, begun)
    found = sources.find(run)
    with raises('training-joints-not-finite', *named, str(tmp_path / 'r')):
        check(run, found, survey_of(run, found))
    with raises('training-joints-not-finite', *named):
        sources.gather(run)
    write_slide(tmp_path / 'v/r/train', slide_episode(5))
    write_slide(tmp_path / 'v/r/validation', replace(episode, joints=broken))
    with raises('training-joints-not-finite', *named):
        sources.gather(replace(run, recordings=(tmp_path / 'v/r',), cache=tmp_path / 'v/c'))


def test_init_that_is_no_whole_model_is_refused(tmp_path: Path, begun: Path) -> None:
    write_split(tmp_path / 'r', slide_episode(4))
    with raises('checkpoint-missing', tmp_path / 'none', 'RUN/checkpoint'):
        train(continued(tmp_path, tmp_path / 'none'))
    content = json.loads((begun / 'model.json').read_text())
    (begun / 'model.json').write_text(json.dumps({**content, 'kind': 'early_exit'}))
    with raises('init-kind', begun, 'early_exit', 'without --head'):
        train(continued(tmp_path, begun))
    del content['config']['shift']
    (begun / 'model.json').write_text(json.dumps(content))
    with raises('init-config', begun, 'shift'):
        train(continued(tmp_path, begun))


def test_best_state_and_verdict_are_in_checkpoint_and_run(
    tmp_path: Path, make_slide_data: Callable[..., Data], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    learn, hold = make_slide_data(range(1, 4)), make_slide_data(range(5, 7))
    errors = iter([0.5, 0.2, 0.4, 0.6, 0.2])  # the last after the training
    figures = losses.figures
    monkeypatch.setattr(losses, 'figures', lambda data, values, forecasts: {
        **figures(data, values, forecasts), 'value_error': next(errors)
    })  # fmt: skip
    schedules = plan(4, LENGTHS)
    schedules = replace(schedules, viva=replace(schedules.viva, measure_every=1, average=0.0))
    out = tmp_path / 'run'
    train_on(run_in(out, plan=schedules), learn, hold, BLANK)
    provenance = checkpoint.read(out / 'checkpoint').provenance
    assert (provenance['step'], provenance['steps']) == (2, 4)
    assert provenance['held_out']['value_error'] == 0.2
    best = load_file(out / 'viva.best.state')
    for name, weight in weights_of(out).items():
        if name.startswith('transformer.'):
            assert torch.equal(best[f'weight/{name.removeprefix("transformer.")}'], weight)
    verdict = json.loads((out / 'run.json').read_text())['starts'][-1]['verdict']
    assert verdict == provenance['verdict']
    assert 'task slide: too few failures: 1 of 3 attempts; record at least 10' in verdict
    said = capsys.readouterr().err
    assert all(f'viva train: {text}' in said for text in verdict)
    assert (out / 'curve.png').stat().st_size > 5000


def test_value_stage_draws_tasks_equally(
    tmp_path: Path, make_slide_data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = make_slide_data(range(1, 5))
    labels = [{**label, 'task': 'slide' if k else 'push'} for k, label in enumerate(learn.labels)]
    learn, drawn = replace(learn, labels=labels), []  # 6 moments of push, 18 of slide
    loss = ViVa.loss

    def counted(self: ViVa, images: Tensor, proprio: Tensor, goals: object, task: Tensor,
                source: object) -> object:  # fmt: skip
        drawn.extend(task.tolist())  # type: ignore[attr-defined]
        return loss(self, images, proprio, goals, task, source)

    monkeypatch.setattr(ViVa, 'loss', counted)
    schedules = plan(100, {**LENGTHS, 'vae': 1, 'video': 0})
    train_on(run_in(tmp_path / 'run', plan=schedules), learn, None, BLANK)
    # Binomial with n = 400 and p = 1/2 has a deviation of 10; drawn by moments it would be 100.
    assert len(drawn) == 400
    assert 150 < drawn.count(0) < 250
