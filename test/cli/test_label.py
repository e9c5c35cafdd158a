# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.errors import raises
from support.foreign_robot import write_bag
from support.lerobot_datasets import write_lerobot

from viva_ros.data import episode
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import import_all
from viva_ros.data.episode import Annotation, Label, Mark, judged
from viva_ros.data.open import find, identity, open_recording, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import LabelRule, load_map

pytestmark = pytest.mark.medium


@pytest.fixture
def dataset(tmp_path: Path, foreign_map) -> Path:
    """Return two episodes of 2 s, the second a failure."""
    bags = [write_bag(tmp_path / f'b{n}', seconds=2.0, success=n == 0) for n in range(2)]
    outcome = Outcomes(rule=LabelRule(topic='/acme/outcome'))
    import_all(bags, foreign_map, outcome, tmp_path / 'set')
    return tmp_path / 'set'


def annotate(dataset: Path, *lines: str) -> str:
    done = subprocess.run(
        [sys.executable, '-P', '-m', 'viva_ros.cli.main', 'label', str(dataset)],
        input='\n'.join(lines) + '\n', capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def label(dataset: Path, number: int) -> Label | None:
    return episodes_of(open_recording(dataset / f'episode_{number:06d}'))[0].label


def test_annotations_are_stored_and_read_with_recordings(dataset: Path) -> None:
    before = {p: p.read_bytes() for p in dataset.rglob('*') if p.is_file()}
    shown = annotate(dataset, 'm 0.4', 'e 1.2 it slips', 'f', 's', 'q')
    assert '1 of 2: episode_000000, 1.9 s; ' in shown
    assert 'top 80x64, 30 frames' in shown
    assert 'failure, task lift_block; milestone at 0.4 s; error at 1.2 s it slips' in shown
    assert 'no more episodes' in shown
    first, second = label(dataset, 0), label(dataset, 1)
    assert (first.success, first.times, second.success) == (False, {'manifest': 1.2}, True)
    assert first.marks == (Mark('milestone', 0.4), Mark('error', 1.2, 'it slips'))
    assert {p: p.read_bytes() for p in before} == before


def test_annotation_can_be_undone(dataset: Path) -> None:
    shown = annotate(dataset, 'f', 's', 'q') + annotate(dataset, 'f', 'u', 'n', 'u', 'q')
    assert 'undone: episode_000000' in shown
    assert 'nothing to undo' in shown
    assert label(dataset, 0).success is False  # of the first run


def test_task_of_a_dataset_without_outcomes_is_known(tmp_path: Path) -> None:
    shown = annotate(write_lerobot(tmp_path / 'set'), 's', 'q')
    assert 'success, task fold' in shown
    assert 'has no task' not in shown


def test_invalid_key_is_named_and_not_stored(dataset: Path) -> None:
    shown = annotate(dataset, 'x', 'm 99', 'e soon', 't', 'q')
    assert "'x' is unknown, must be one of: s success, f failure" in shown
    assert "time is '99', must be seconds from 0 to 1.9" in shown
    assert "time is 'soon'" in shown
    assert not (dataset / 'labels.json').exists()


def test_import_reads_labels_and_label_changes_identity(
    tmp_path: Path, dataset: Path, foreign_map, map_file: Path
) -> None:
    before = identity(resolve(dataset / 'episode_000000'))
    annotate(dataset, 'e 1', 'f', 'q')
    assert identity(resolve(dataset / 'episode_000000')) != before
    map_file.write_text('rate: 15\n')
    import_all(find([dataset]), load_map(map_file), Outcomes(), tmp_path / 'again')
    copy = label(tmp_path / 'again', 0)
    assert (copy.success, copy.times) == (False, {'manifest': 1.0})
    assert copy.marks == (Mark('error', 1.0),)


@pytest.mark.parametrize('time', ['"nan"', '"inf"', '"1.0"', 'true', 'null', '1e300'])
def test_time_of_a_mark_must_be_a_number(dataset: Path, time: str) -> None:
    annotate(dataset, 'e 1', 'f', 'q')
    path = dataset / 'labels.json'
    path.write_text(path.read_text().replace('"time": 1.0', f'"time": {time}'))
    with raises('labels-unreadable', path, 'time is', 'must be a'):
        label(dataset, 0)


def test_damaged_labels_file_is_refused_by_name(dataset: Path) -> None:
    (dataset / 'labels.json').write_text(json.dumps({'format': 'viva_ros labels 1'}))
    with raises('labels-unreadable', 'labels.json', 'repair it, or delete it'):
        label(dataset, 0)


@pytest.mark.parametrize(
    ('known', 'verdict', 'expected'),
    [
        (None, Annotation(True, 'fold'), Label('fold', True)),
        (None, Annotation(None, 'fold', (Mark('error', 1.0),)), None),
        (Label('fold', True), None, Label('fold', True)),
        (Label('fold', True, times={'inject': 1.0}), Annotation(False), Label('fold', False)),
        (
            Label('fold', False, 'slip', 4, {'inject': 1.0}), Annotation(False, 'lift'),
            Label('lift', False, 'slip', 4, {'inject': 1.0}),
        ),
    ],
)  # fmt: skip
def test_annotation_overrides_recorded_label(known, verdict, expected) -> None:
    assert judged(known, verdict) == expected


def test_written_annotations_are_read_back(tmp_path: Path) -> None:
    annotations = {
        'a': Annotation(True, 'fold', (Mark('milestone', 1.5, 'x'),)),
        'b:2': Annotation(None),
    }
    episode.save(tmp_path / 'labels.json', annotations)
    assert episode.load(tmp_path / 'labels.json') == annotations
