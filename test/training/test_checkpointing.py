# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from support.errors import raises

from viva_ros.console.provenance import revision
from viva_ros.model.config import preset
from viva_ros.training import checkpointing
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig, plan
from viva_ros.training.distributed import Hardware, Workers
from viva_ros.training.sources import of_episodes

LENGTHS = {'vae': 2, 'video': 2, 'viva': 2, 'proprio': 2}
CONFIG = preset('tiny', ('head',), ('a',), ('slide',))


def begin(run: TrainConfig, learn: Data) -> None:
    content = checkpointing.describe(run, CONFIG, learn, None)
    checkpointing.begin(run, content, Workers(run.hardware))


def test_resumed_run_with_other_settings_is_refused(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = make_slide_data(range(1, 3))
    run = TrainConfig((tmp_path,), tmp_path, 'tiny', 0, plan(2, LENGTHS), tmp_path)
    begin(run, learn)
    begin(replace(run, hardware=Hardware('cpu', accumulate=2)), learn)
    assert [start['hardware']['accumulate'] for start in checkpointing.started(tmp_path)] == [
        None, 2,
    ]  # fmt: skip
    with raises('run-differs', tmp_path / 'run.json', 'seed 0', 'now it is 1', '--out'):
        begin(replace(run, seed=1), learn)
    with raises('run-differs', 'plan.head.batch 2', 'now it is 3'):
        begin(replace(run, plan=plan(3, LENGTHS)), learn)
    with raises('run-differs', 'episodes'):
        begin(run, of_episodes(learn, [1]))
    for changed in (
        replace(learn, failed=~learn.failed), replace(learn, images=255 - learn.images[:]),
        replace(learn, proprio=learn.proprio + 0.1),
    ):  # fmt: skip
        with raises('run-differs', 'training_data', 'another --out', f'--cache {tmp_path}'):
            begin(run, changed)
    assert len(checkpointing.started(tmp_path)) == 2


def test_run_of_an_earlier_version_continues(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn = make_slide_data(range(1, 3))
    run = TrainConfig((tmp_path,), tmp_path, 'tiny', 0, plan(2, LENGTHS), tmp_path)
    begin(run, learn)
    content = json.loads((tmp_path / 'run.json').read_text())
    del content['config']['objective']  # which that version did not write
    (tmp_path / 'run.json').write_text(json.dumps(content))
    begin(run, learn)
    assert len(checkpointing.started(tmp_path)) == 2


def test_resumed_run_with_other_validation_data_is_refused(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    learn, hold = make_slide_data(range(1, 3)), make_slide_data(range(3, 4))
    run = TrainConfig((tmp_path,), tmp_path, 'tiny', 0, plan(2, LENGTHS), tmp_path)
    content = checkpointing.describe(run, CONFIG, learn, hold)
    checkpointing.begin(run, content, Workers(run.hardware))
    other = checkpointing.describe(run, CONFIG, learn, replace(hold, failed=~hold.failed))
    with raises('run-differs', 'validation_data'):
        checkpointing.begin(run, other, Workers(run.hardware))


def test_run_file_records_command_and_environment(
    tmp_path: Path, make_slide_data: Callable[..., Data]
) -> None:
    run = TrainConfig((tmp_path,), tmp_path, 'tiny', 0, plan(2, LENGTHS), tmp_path)
    begin(run, make_slide_data(range(1, 2)))
    content = json.loads((tmp_path / 'run.json').read_text())
    assert content['config']['preset'] == 'tiny'
    assert content['starts'][0]['environment']['libraries']['torch']
    assert content['starts'][0]['command'].startswith('viva train')
    assert checkpointing.environment()['cores'] >= 1


def test_revision_is_that_of_the_source_with_dirty_flag(tmp_path: Path) -> None:
    package = tmp_path / 'package'
    package.mkdir()
    (package / 'a.py').write_text('1')

    def git(*command: str) -> str:
        author = ('-c', 'user.name=n', '-c', 'user.email=e@e')
        done = subprocess.run(['git', '-C', str(tmp_path), *author, *command],
                              capture_output=True, text=True, check=True)  # fmt: skip
        return done.stdout.strip()

    assert revision(package) is None
    git('init', '-q')
    git('add', 'package')
    git('commit', '-qm', 'one')
    head = git('rev-parse', 'HEAD')
    assert revision(package) == {'revision': head, 'dirty': False}
    (package / 'a.py').write_text('2')
    assert revision(package) == {'revision': head, 'dirty': True}
    inner = package / 'site' / 'package'
    inner.mkdir(parents=True)
    assert revision(inner) is None  # installed inside another repository
