# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes stated by persons and recorded ones, and names of recordings in tables."""

from pathlib import Path
from typing import Any

import pytest
from support.errors import raises
from support.foreign_bags import two_arms
from support.lerobot_datasets import write_lerobot

from viva_ros.cli.main import main
from viva_ros.data.conversion.annotations import Outcomes, check_table, read_table
from viva_ros.data.conversion.convert import import_all, names_of
from viva_ros.data.episode import Annotation, Mark, load, save
from viva_ros.data.open import find, identity, open_recording, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import load_map

pytestmark = pytest.mark.fast

MAP = (
    'rate: 10\ntask: fold\ncameras: {top: /top/image/compressed}\njoints: {topic: /joint_states}\n'
)


def outcomes(root: Path) -> dict[str, bool | None]:
    found = [episodes_of(open_recording(path))[0] for path in find([root])]
    return {one.name: one.label and one.label.success for one in found}


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    """Write three bags in folders whose names have a dot, and a map for them."""
    for n in (1, 2, 3):
        two_arms(steps=range(20)).write(tmp_path / f'bags/trial.{n}')
    (tmp_path / 'bags/viva_map.yaml').write_text(MAP)
    return tmp_path / 'bags'


def run(tmp_path: Path, sources: list[Path], *options: str) -> int:
    arguments = ['--map', str(tmp_path / 'bags/viva_map.yaml'), '--out', str(tmp_path / 'set')]
    return main(['import', *map(str, sources), *arguments, *options])


def imported(tmp_path: Path) -> dict[str, bool]:
    from viva_ros.data.lerobot.metadata import open_dataset

    rows = open_dataset(tmp_path / 'set').rows
    return {row['viva/name']: row['success'] for row in rows}


def test_folders_with_a_dot_have_labels_of_their_own(tmp_path: Path, trials: Path) -> None:
    before = [identity(resolve(path)) for path in find([trials])]
    save(trials / 'labels.json', {'trial.2': Annotation(False), 'trial.1': Annotation(True)})
    after = [identity(resolve(path)) for path in find([trials])]
    changed = [new != old for new, old in zip(after, before, strict=True)]
    assert changed == [True, True, False]
    assert outcomes(trials) == {'trial.1': True, 'trial.2': False, 'trial.3': None}
    assert run(tmp_path, [trials]) == 2
    assert imported(tmp_path) == {'trial.1': True, 'trial.2': False}


def test_file_and_folder_of_one_name_share_no_label(tmp_path: Path, trials: Path) -> None:
    (trials / 'trial.2.mcap').write_bytes(next((trials / 'trial.2').glob('*.mcap')).read_bytes())
    save(trials / 'labels.json', {'trial.2': Annotation(False)})
    with raises('recording-same-name', 'trial.2.mcap', "the same name 'trial.2'", 'rename one'):
        outcomes(trials)


def test_rows_of_a_table_name_recordings_by_path(tmp_path: Path, trials: Path) -> None:
    for day, number in (('monday', 1), ('tuesday', 2)):
        (trials / day).mkdir()
        (trials / f'trial.{number}').rename(trials / day / 'run')
    table = tmp_path / 'labels.csv'
    table.write_text('file,success\nrun,true\ntrial.3,no\n')
    assert run(tmp_path, [trials], '--labels', str(table)) == 2
    assert not (tmp_path / 'set').exists()
    table.write_text('file,success\nmonday/run,true\ntuesday/run,false\ntrial.3,no\n')
    assert run(tmp_path, [trials], '--labels', str(table)) == 0
    assert imported(tmp_path) == {'monday/run': True, 'tuesday/run': False, 'trial.3': False}


def test_row_that_names_no_episode_is_said(tmp_path: Path, trials: Path, capsys: Any) -> None:
    table = tmp_path / 'labels.csv'
    table.write_text('file,success\ntrial.1,1\ntrial.2,0\ntrial.3,1\ntrail.2,1\n')
    assert run(tmp_path, [trials], '--labels', str(table)) == 0
    assert f'rows of {table} that name no episode: trail.2' in capsys.readouterr().out


def test_row_that_names_two_recordings_is_refused(tmp_path: Path) -> None:
    table = {'run': None, 'b/run': None}
    paths = [tmp_path / 'a/run', tmp_path / 'b/run']
    with raises('table-row-ambiguous', "'run'", paths[0], paths[1], 'such as a/run'):
        check_table(table, paths)  # type: ignore[arg-type]


def test_row_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'labels.csv'
    path.write_text('file,success\na,yes\nb,no\na,no\n')
    with raises('table-row-twice', path, "'a' in lines 2, 4"):
        read_table(path)


@pytest.mark.parametrize('text', [
    'success: false', 'success:0', 'True: no', 'success: failed to grasp', 'failure: true',
])  # fmt: skip
def test_outcome_with_another_behind_it_is_refused(tmp_path: Path, text: str) -> None:
    bag = two_arms(steps=range(20))
    bag.text('/outcome', text, 400_000_000)
    path = bag.write(tmp_path / 'bags/a')
    (tmp_path / 'bags/viva_map.yaml').write_text(f'{MAP}label: {{topic: /outcome}}\n')
    with raises('outcome-topic-word', text, 'a failure may have its kind behind a colon'):
        open_recording(path)


def test_success_with_a_failure_in_a_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'labels.csv'
    path.write_text('file, success ,failure\n a ,no,slip\nb,yes,slip\n')
    with raises('table-row-failure', 'line 3', "'yes'", "'slip'"):
        read_table(path)
    path.write_text('file, success ,failure\n a ,no,slip\nb,yes,none\n')
    assert list(read_table(path)) == ['a', 'b']


def test_marks_and_task_of_a_person_are_kept(tmp_path: Path, trials: Path) -> None:
    mark = Mark('error', 0.1, 'let go')
    save(trials / 'labels.json', {'trial.1': Annotation(None, 'pick', (mark,))})
    assert run(tmp_path, [trials / 'trial.1'], '--failure') == 0
    label = episodes_of(open_recording(tmp_path / 'set/episode_000000'))[0].label
    assert (label.task, label.success, label.marks) == ('pick', False, (mark,))
    assert label.times == {'manifest': 0.1}


def test_word_of_a_path_rule_is_not_found_within_words(tmp_path: Path, trials: Path) -> None:
    (trials / 'trial.1').rename(trials / 'unsuccessful_1')
    (trials / 'trial.2').rename(trials / 'success_2')
    (trials / 'trial.3').rename(trials / 'not-success_3')
    text = f'{MAP}label: {{path_contains: {{success: success, failure: fail}}}}\n'
    (trials / 'viva_map.yaml').write_text(text)
    assert run(tmp_path, [trials]) == 2
    assert imported(tmp_path) == {'success_2': True}


def test_names_of_two_roots_have_their_root(tmp_path: Path) -> None:
    paths = [tmp_path / 'a/run', tmp_path / 'b/run']
    roots = [tmp_path / 'a', tmp_path / 'b']
    assert list(names_of(paths, roots).values()) == ['a/run', 'b/run']
    assert list(names_of(paths, [tmp_path]).values()) == ['a/run', 'b/run']
    assert list(names_of(paths[:1], roots).values()) == ['run']
    with raises('recordings-same-name', paths[0], paths[1], 'their common folder'):
        names_of(paths, [])
    twins = [tmp_path / 'run', tmp_path / 'run.mcap']
    twins[0].mkdir()
    with raises('recordings-same-name', *twins, 'rename one'):
        names_of(twins, [tmp_path])


def test_folder_of_the_process_has_its_name(
    tmp_path: Path, trials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trials / 'trial.1')
    assert run(tmp_path, [Path('.')], '--success') == 0
    assert imported(tmp_path) == {'trial.1': True}
    assert find([Path('..')]) == find([trials])


def test_dataset_within_a_recording_is_refused(trials: Path) -> None:
    bag = trials / 'trial.1'
    with raises('import-out-inside', bag / 'set', bag, 'another folder'):
        import_all([bag], load_map(trials / 'viva_map.yaml'), Outcomes(), bag / 'set')


def test_recording_that_is_named_twice_is_imported_once(tmp_path: Path, trials: Path) -> None:
    assert run(tmp_path, [trials, trials / 'trial.1'], '--success') == 0
    assert list(imported(tmp_path)) == ['trial.1', 'trial.2', 'trial.3']


@pytest.mark.parametrize('option', ['--success', '--labels'])
def test_statements_of_persons_that_contradict_are_refused(
    tmp_path: Path, trials: Path, capsys: Any, option: str
) -> None:
    save(trials / 'labels.json', {'trial.2': Annotation(False)})
    (tmp_path / 'labels.csv').write_text('file,success\ntrial.1,1\ntrial.2,1\ntrial.3,0\n')
    value = [str(tmp_path / 'labels.csv')] if option == '--labels' else []
    assert run(tmp_path, [trials], option, *value) == 2
    assert 'trial.2: sources of its outcome contradict each other' in capsys.readouterr().out
    assert list(imported(tmp_path)) == ['trial.1', 'trial.3']


def test_outcome_of_the_path_is_by_the_parts_in_the_map(tmp_path: Path, trials: Path) -> None:
    (trials / 'ok_1').mkdir()
    (trials / 'trial.1').rename(trials / 'ok_1/run')
    (trials / 'trial.2').rename(trials / 'bad_2')
    text = f'{MAP}label: {{path_contains: {{success: ok_, failure: [bad_, broken_]}}}}\n'
    (trials / 'viva_map.yaml').write_text(text)
    assert run(tmp_path, [trials]) == 2  # trial.3 has neither
    assert imported(tmp_path) == {'bad_2': False, 'ok_1/run': True}
    with raises('outcome-path', 'bags/trial.3', 'contains none of ok_, bad_, broken_'):
        open_recording(trials / 'trial.3')


def test_corrected_label_is_not_taken_for_a_finished_import(
    tmp_path: Path, trials: Path, capsys: Any
) -> None:
    names = [path.name for path in find([trials])]
    save(trials / 'labels.json', dict.fromkeys(names, Annotation(True)))
    assert run(tmp_path, [trials]) == 0
    save(
        trials / 'labels.json',
        {**dict.fromkeys(names, Annotation(True)), names[0]: Annotation(False)},
    )
    assert run(tmp_path, [trials]) == 2
    assert 'exists already, from other recordings' in capsys.readouterr().err


def test_topic_with_words_of_the_map_is_the_outcome(tmp_path: Path) -> None:
    for n, word in enumerate(('gut', 'schlecht: fiel')):
        bag = two_arms(steps=range(20))
        bag.text('/urteil', word, 400_000_000)
        bag.write(tmp_path / f'bags/{n}')
    text = f'{MAP}label: {{topic: /urteil, true: gut, false: schlecht}}\n'
    (tmp_path / 'bags/viva_map.yaml').write_text(text)
    labels = [episodes_of(open_recording(p))[0].label for p in find([tmp_path / 'bags'])]
    assert [(one.success, one.failure) for one in labels] == [(True, None), (False, 'fiel')]
    (tmp_path / 'bags/viva_map.yaml').write_text(f'{MAP}label: {{topic: /urteil}}\n')
    with raises('outcome-topic-word', "'gut' on topic /urteil", 'true, 1, yes'):
        open_recording(tmp_path / 'bags/0')


def test_several_tasks_of_an_episode_need_one(tmp_path: Path, capsys: Any) -> None:
    root = write_lerobot(tmp_path / 'source', lengths=(6,), frame_columns=None)
    (root / 'meta/tasks.jsonl').write_text(
        '{"task_index": 0, "task": "fold"}\n{"task_index": 1, "task": "put away"}\n'
    )
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = root / 'data/chunk-000/episode_000000.parquet'
    table = pq.read_table(path)
    column = table.schema.get_field_index('task_index')
    pq.write_table(table.set_column(column, 'task_index', pa.array([0, 0, 0, 1, 1, 1])), path)
    command = ['import', str(root), '--success', '--out', str(tmp_path / 'set')]
    assert main(command) == 2
    assert 'has no task but 2 (fold, put away): set --task' in capsys.readouterr().out
    assert main([*command, '--task', 'fold']) == 0


def test_map_with_a_key_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'map.yaml'
    path.write_text('rate: 10\ncameras: {top: /a, top: /b}\n')
    with raises('map-unreadable', path, "'top' is there twice"):
        load_map(path)


def test_outcome_is_required_of_a_source_that_is_named(tmp_path: Path, trials: Path) -> None:
    (trials / 'viva_map.yaml').write_text(f'{MAP}label: {{topic: /none}}\n')
    with raises('outcome-topic-empty', 'no outcome on topic /none', '--labels FILE.csv'):
        open_recording(trials / 'trial.1')
    made = import_all(
        find([trials]), load_map(trials / 'viva_map.yaml'), Outcomes(success=True),
        tmp_path / 'set',
    )  # fmt: skip
    assert not any(row['refused'] for row in made['episodes'])


def test_column_of_a_table_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'labels.csv').write_text('file,success, success\nrun,true,false\n')
    with raises('table-column-twice', tmp_path / 'labels.csv', 'column success twice', 'rename'):
        read_table(tmp_path / 'labels.csv')


def test_column_that_was_read_is_no_remedy(tmp_path: Path, capsys: Any) -> None:
    column = {'success': [True, None]}
    root = write_lerobot(tmp_path / 'data', version='v3.0', episode_columns=column)
    assert main(['import', str(root), '--out', str(tmp_path / 'set')]) == 2
    printed = capsys.readouterr().out
    assert 'has no outcome: set --success' in printed and 'such as' not in printed


def test_recording_with_two_labels_is_refused(trials: Path) -> None:
    label = '{"success": %s, "task": "", "marks": []}'
    both = f'"trial.1": {label % "true"}, "trial.1": {label % "false"}'
    file = trials / 'labels.json'
    file.write_text(f'{{"format": "viva_ros labels 1", "episodes": {{{both}}}}}')
    with raises('labels-unreadable', file, 'trial.1 twice', 'repair it'):
        load(file)


def test_task_of_the_command_replaces_that_of_the_map(tmp_path: Path, trials: Path) -> None:
    assert run(tmp_path, [trials / 'trial.1'], '--success', '--task', 'stack') == 0
    (episode,) = episodes_of(open_recording(tmp_path / 'set/episode_000000'))
    assert episode.label is not None and episode.label.task == 'stack'
