# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes in the files of LeRobot datasets, as pyarrow and this package read them."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from support.errors import raises
from support.foreign_robot import write_bag
from support.lerobot_datasets import write_lerobot

from viva_ros.cli.label import main, write_success
from viva_ros.core.file_lock import ExclusiveLock
from viva_ros.data import episode
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import import_all
from viva_ros.data.episode import Annotation, Label, Mark
from viva_ros.data.lerobot.metadata import JOURNAL
from viva_ros.data.lerobot.outcome_writer import LOCK, exclusive, write_outcomes
from viva_ros.data.open import find, identity, open_recording, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import LabelRule

VERSIONS = ('v2.0', 'v2.1', 'v3.0')
STATISTIC = {
    'min': [0.0], 'max': [1.1], 'mean': [0.5], 'std': [0.3], 'count': [12], 'q99': [1.0],
}  # fmt: skip


def annotate(root: Path, *outcomes: bool | None) -> None:
    annotations = {
        f'episode_{n:06d}': Annotation(one) for n, one in enumerate(outcomes) if one is not None
    }
    episode.save(root / 'labels.json', annotations)


def write(root: Path) -> None:
    assert main([str(root), '--write-success']) == 0


def frames(root: Path) -> pa.Table:
    return pa.concat_tables(map(pq.read_table, sorted((root / 'data').rglob('*.parquet'))))


def successes(root: Path) -> list[int]:
    """Return the rows of the dataset in which the task is done."""
    return np.flatnonzero(frames(root)['next.success']).tolist()


def episode_rows(root: Path) -> list[dict[str, Any]]:
    lines = root / 'meta/episodes.jsonl'
    if lines.exists():
        return [json.loads(line) for line in lines.open()]
    rows = pq.read_table(root / 'meta/episodes/chunk-000/file-000.parquet').to_pylist()
    return [dict(row) for row in rows]


def labels(root: Path) -> list[Label | None]:
    return [episodes_of(open_recording(path))[0].label for path in find([root])]


def content(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob('*') if p.is_file()}


@pytest.mark.parametrize('version', VERSIONS)
def test_outcomes_are_columns_of_frames_and_episodes(tmp_path: Path, version: str) -> None:
    root = write_lerobot(tmp_path / 'set', version=version)
    before, rows = frames(root), episode_rows(root)
    annotate(root, True, False)
    write(root)
    after = frames(root)
    assert after['next.success'].type == pa.bool_()
    assert successes(root) == [11]  # of 12 and 9 rows
    assert after.drop_columns('next.success').equals(before)
    assert episode_rows(root) == [{**rows[0], 'success': True}, {**rows[1], 'success': False}]
    feature = json.loads((root / 'meta/info.json').read_text())['features']['next.success']
    assert feature == {'dtype': 'bool', 'shape': [1], 'names': None}
    (root / 'labels.json').unlink()
    assert [one and one.success for one in labels(root)] == [True, False]


def test_corrected_outcomes_are_written_again(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    annotate(root, True, True)
    write(root)
    known = [identity(resolve(path)) for path in find([root])]
    write(root)
    assert [identity(resolve(path)) for path in find([root])] == known  # no file is changed
    annotate(root, True, False)
    write(root)
    annotate(root, True, True)  # as before, but the files differ
    now = [identity(resolve(path)) for path in find([root])]
    assert (now[0] == known[0], now[1] == known[1]) == (True, False)
    (root / 'labels.json').unlink()
    assert [one and one.success for one in labels(root)] == [True, False]


@pytest.mark.medium
def test_label_of_own_dataset_is_equal_without_annotation(tmp_path: Path, foreign_map) -> None:
    bags = [write_bag(tmp_path / f'b{n}', seconds=2.0, success=n == 0) for n in range(2)]
    import_all(
        bags, foreign_map, Outcomes(rule=LabelRule(topic='/acme/outcome')), tmp_path / 'set'
    )
    root = tmp_path / 'set'
    marks = (Mark('milestone', 0.4), Mark('error', 1.2, 'it slips'))
    corrected = {
        'episode_000000': Annotation(False, '', marks),
        'episode_000001': Annotation(True),
    }
    episode.save(root / 'labels.json', corrected)
    before = labels(root)
    assert [(one.success, one.times) for one in before if one] == [
        (False, {'manifest': 1.2}), (True, {}),
    ]  # fmt: skip
    write(root)
    (root / 'labels.json').unlink()
    assert labels(root) == before


def test_statistics_describe_the_outcomes(tmp_path: Path) -> None:
    new = write_lerobot(tmp_path / 'new', version='v3.0', episode_columns={
        f'stats/timestamp/{name}': [values, values] for name, values in STATISTIC.items()
    })  # fmt: skip
    old = write_lerobot(tmp_path / 'old')
    del (without := dict(STATISTIC))['q99']
    lines = [json.dumps({'episode_index': n, 'stats': {'timestamp': without}}) for n in range(2)]
    (old / 'meta/episodes_stats.jsonl').write_text('\n'.join(lines) + '\n')
    (new / 'meta/stats.json').write_text(json.dumps({'timestamp': STATISTIC}))
    for root in (new, old):
        annotate(root, True, False)
        write(root)
    rows = pq.read_table(new / 'meta/episodes/chunk-000/file-000.parquet').to_pylist()
    name = 'stats/next.success/'
    assert [(one[f'{name}max'], one[f'{name}count']) for one in rows] == [
        ([1.0], [12]),
        ([0.0], [9]),
    ]
    assert {key for key in rows[0] if key.startswith(name)} == {f'{name}{n}' for n in STATISTIC}
    whole = json.loads((new / 'meta/stats.json').read_text())
    assert whole['timestamp'] == STATISTIC
    assert whole['next.success']['mean'] == pytest.approx([1 / 21])
    assert whole['next.success']['count'] == [21]
    described = [json.loads(line) for line in (old / 'meta/episodes_stats.jsonl').open()]
    assert described[1]['stats']['next.success'] == {
        'min': [0.0], 'max': [0.0], 'mean': [0.0], 'std': [0.0], 'count': [9],
    }  # fmt: skip


def test_frames_with_the_outcome_keep_their_values(tmp_path: Path) -> None:
    ends = [0] * 8 + [1] * 4 + [0, 0, 1, 1, 0, 0, 0, 0, 0]  # the second is not clear
    root = write_lerobot(
        tmp_path / 'set', version='v3.0', frame_columns={'next.success': ends},
        episode_columns={'success': ['success', 'failure']},
    )  # fmt: skip
    annotate(root, True, False)
    write(root)
    assert successes(root) == [8, 9, 10, 11]
    assert [one['success'] for one in episode_rows(root)] == [True, False]


def test_contradicting_columns_get_the_annotated_outcome(tmp_path: Path) -> None:
    root = write_lerobot(
        tmp_path / 'set', lengths=(5,), frame_columns={'next.success': [False] * 4 + [True]},
        episode_columns={'success': [False]},
    )  # fmt: skip
    assert labels(root) == [None]
    annotate(root, False)
    write(root)
    (root / 'labels.json').unlink()
    assert [one and one.success for one in labels(root)] == [False]


def test_episode_without_outcome_refuses_the_dataset(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    annotate(root, True)
    before = content(root)
    with raises('outcomes-incomplete', root, '1 episodes', f'viva label {root} --unlabelled'):
        write(root)
    assert content(root) == before


def test_rows_of_a_file_in_any_order_get_their_outcome(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', version='v3.0')
    path = root / 'data/chunk-000/file-000.parquet'
    table = pq.read_table(path).take(pa.array(range(20, -1, -1)))
    features = {'info': {'features': {'index': {'dtype': 'int64', '_type': 'Value'}}}}
    table = table.replace_schema_metadata({'huggingface': json.dumps(features)})
    pq.write_table(table, path, compression='zstd', row_group_size=5)
    annotate(root, True, True)
    write(root)
    found = pq.read_table(path)
    rows = [row for row, one in enumerate(found['next.success'].to_pylist()) if one]
    assert found['index'].take(pa.array(rows)).to_pylist() == [20, 11]
    described = json.loads(found.schema.metadata[b'huggingface'])['info']['features']
    assert described['next.success'] == {'dtype': 'bool', '_type': 'Value'}
    file = pq.ParquetFile(path)
    assert (file.num_row_groups, file.metadata.row_group(0).column(0).compression) == (5, 'ZSTD')


def test_failure_before_the_journal_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    root = write_lerobot(tmp_path / 'set')
    annotate(root, True, False)
    before = content(root)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('viva_ros.data.lerobot.outcome_writer._write_text', full)
    with raises('outcomes-unwritable', 'No space left', 'free disk space'):
        write(root)
    assert content(root) == before


def test_interrupted_renames_are_refused_then_completed(tmp_path: Path, monkeypatch) -> None:
    root = write_lerobot(tmp_path / 'set')
    annotate(root, True, False)
    rename, done = Path.replace, []

    def stop_after_two(path: Path, target: Path) -> Path:
        if path.suffix == '.viva_new' and len(done) == 2:
            raise KeyboardInterrupt
        done.append(target)
        return rename(path, target)

    monkeypatch.setattr(Path, 'replace', stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        write_success(root, Console())
    monkeypatch.undo()
    with raises('dataset-interrupted', root, f'viva label {root} --write-success'):
        find([root])
    write(root)
    assert not (root / JOURNAL).exists()
    assert not list(root.rglob('*.viva_new'))
    assert successes(root) == [11]
    (root / 'labels.json').unlink()
    assert [one and one.success for one in labels(root)] == [True, False]


def test_protected_and_linked_files_are_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', version='v3.0')
    annotate(root, True, False)
    path = root / 'meta/episodes/chunk-000/file-000.parquet'
    os.chmod(path, 0o444)
    with raises('outcomes-read-only', path, f'chmod -R u+w {root}'):
        write(root)
    os.chmod(path, 0o644)
    path.rename(tmp_path / 'blob')
    path.symlink_to(tmp_path / 'blob')
    with raises('outcomes-link', path, tmp_path / 'blob', f'cp -rL {root}'):
        write(root)
    assert not list(root.rglob('*.viva_new'))
    assert 'next.success' not in frames(root).column_names


def test_rule_of_a_map_that_would_differ_is_refused(tmp_path: Path) -> None:
    words = {'verdict': ['good', 'bad']}
    root = write_lerobot(tmp_path / 'set', version='v3.0', episode_columns=words)
    rule = 'label: {column: verdict, true: [good], false: [bad]}\n'
    (root / 'viva_map.yaml').write_text(rule)
    write(root)
    assert [one['success'] for one in episode_rows(root)] == [True, False]
    assert [one and one.success for one in labels(root)] == [True, False]
    annotate(root, False)
    with raises('label-rule-differs', 'viva_map.yaml', 'episode_000000', 'failure', 'remove'):
        write(root)
    annotate(root)
    (root / 'viva_map.yaml').write_text('label: {column: success, true: [true], false: [bad]}\n')
    with raises('label-rule-differs'):
        write(root)


def test_recordings_that_are_no_dataset_are_refused(tmp_path: Path) -> None:
    write_bag(tmp_path / 'bag', seconds=0.5)
    with raises('label-no-dataset', tmp_path / 'bag', 'viva import'):
        write(tmp_path / 'bag')


def test_second_writer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_lerobot(tmp_path / 'set')
    annotate(root, True, False)
    with exclusive(root):
        with raises('outcomes-locked', root, 'wait for its end'):
            write_success(root, Console())
        assert (root / LOCK).exists()
    own = ExclusiveLock.__init__

    def late(*arguments: Any) -> None:  # the owner ends after the file is opened
        own(*arguments)
        (root / LOCK).unlink()

    with monkeypatch.context() as patched:
        patched.setattr(ExclusiveLock, '__init__', late)
        with raises('outcomes-locked', 'has just written'):
            write_success(root, Console())
    write(root)
    assert not (root / LOCK).exists()


# Datasets of others


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a folder outside of the dataset, with a file and one that could replace it."""
    folder = tmp_path / 'other'
    folder.mkdir()
    (folder / 'x').write_text('old')
    (folder / '.x.viva_new').write_text('of a stranger')
    return folder


@pytest.mark.parametrize(
    'journal',
    [
        '["../other/x"]', '["{other}/x"]', '["meta/info.json", "../other/x"]', '["link/x"]',
        '["meta/../../other/x"]', '["circle/x"]', '[""]', '["."]', '["meta"]', '["meta/none"]',
        '["a\\u0000b"]', '[1]', '{{"meta/info.json": 1}}', '"meta/info.json"', '', '[' * 100_000,
        '["meta/info.json"', '[NaN]', b'\xff',
    ],
)  # fmt: skip
def test_journal_of_a_stranger_touches_nothing(
    tmp_path: Path, victim: Path, journal: str | bytes
) -> None:
    root = write_lerobot(tmp_path / 'a set')
    annotate(root, True, False)
    (root / 'link').symlink_to(victim)
    (root / 'circle').symlink_to(root / 'circle')
    (root / 'meta/.info.json.viva_new').write_text('{}')
    data = journal if isinstance(journal, bytes) else journal.format(other=victim).encode()
    (root / JOURNAL).write_bytes(data)
    before = content(tmp_path)
    with raises('outcomes-journal', root / JOURNAL) as caught:
        write_success(root, Console())
    assert content(tmp_path) == before
    subprocess.run(shlex.split(str(caught.value).split('"')[-2]), check=True)
    write(root)
    assert successes(root) == [11] and content(victim) == before_of(before, 'other')


def before_of(found: dict[str, bytes], folder: str) -> dict[str, bytes]:
    """Return the part of a content that is in a folder."""
    start = f'{folder}/'
    return {name[len(start) :]: data for name, data in found.items() if name.startswith(start)}


def test_links_in_a_dataset_are_not_followed_by_a_write(tmp_path: Path, victim: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    annotate(root, True, False)
    before = content(victim)
    (root / 'meta/.info.json.viva_new').symlink_to(victim / 'x')
    write(root)
    assert content(victim) == before and successes(root) == [11]
    annotate(root, False, False)
    (root / LOCK).symlink_to(victim / 'new')
    with raises('outcomes-lock-kind', root / LOCK, 'delete it') as caught:
        write_success(root, Console())
    assert content(victim) == before
    subprocess.run(shlex.split(str(caught.value).split('"')[-2]), check=True)
    os.mkfifo(root / LOCK)
    with raises('outcomes-lock-kind', root / LOCK):
        write_success(root, Console())
    (root / LOCK).unlink()
    (root / 'meta').rename(victim / 'meta')
    (root / 'meta').symlink_to(victim / 'meta')
    before = content(victim)
    with raises('outcomes-link', root / 'meta', victim / 'meta', f'cp -rL {root}'):
        write_success(root, Console())
    assert content(victim) == before


def test_json_of_others_is_read_by_the_guard(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    annotate(root, True, False)
    (path,) = sorted((root / 'data').rglob('*.parquet'))[:1]
    table = pq.read_table(path)
    deep = {**(table.schema.metadata or {}), b'huggingface': b'[' * 100_000}
    pq.write_table(table.replace_schema_metadata(deep), path)
    before = content(root)
    with raises('outcomes-unreadable', root, 'levels'):
        write_success(root, Console())
    pq.write_table(table, path)
    (root / 'meta/stats.json').write_text('{"a": 1, "a": 2}')
    with raises('outcomes-unreadable', root, 'a twice'):
        write_success(root, Console())
    assert content(root).keys() - before.keys() == {'meta/stats.json'}


def test_table_above_the_limits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_lerobot(tmp_path / 'set')
    annotate(root, True, False)
    known = {number: one for number, one in enumerate(labels(root)) if one is not None}
    monkeypatch.setattr('viva_ros.data.table_limits.EXPANDED', 8)
    before = content(root)
    with raises('outcomes-unreadable', root, 'values'):
        write_outcomes(root, known, lambda paths, _: paths)
    assert content(root) == before
