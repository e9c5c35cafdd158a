# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises
from support.recordings import make_label, write_recording
from support.slides import slide_episode, write_slide

from viva_ros.cli.main import main
from viva_ros.data.episode import Episode, Frames, Joints, Label
from viva_ros.data.open import inside, open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.split import (
    PARTS,
    SelectedRecordings,
    check_copies,
    check_disjoint,
    contents_of,
    identities_of,
    select,
    split,
)
from viva_ros.training.sources import split_all

MAP = """\
rate: {rate}
robot: small
task: tray_lift
cameras: {{head: /head/image_raw/compressed, wrist: /wrist/image_raw/compressed}}
joints: [{{topic: /joint_states}}]
limits: {{max_gap: 0.5, max_skew: 0.2}}
"""
GOLDEN = {
    'train': ['01', '02', '05', '06', '07', '08', '09', '10', '12', '15'], 'validation': [],
    'calibration': ['11', '14', 'tray/episode_000007_retry'], 'test': ['00', '03', '04', '13'],
}  # fmt: skip


def touch(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f'episode_{seed:06d}.mcap' for seed in range(count)]
    paths += [folder / f'episode_{seed:06d}_retry.mcap' for seed in range(0, count, 4)]
    for path in paths:
        path.touch()
    return sorted(paths)


def write_split(folder: Path, text: str) -> Path:
    for name in 'abcd':
        (folder / f'{name}.mcap').touch()
    (folder / 'split.json').write_text(text)
    return folder / 'split.json'


def test_split_file_defines_the_parts(tmp_path: Path) -> None:
    parts = {'train': ['a.mcap', 'c.mcap'], 'validation': ['b.mcap'], 'test': ['d.mcap']}
    write_split(tmp_path, json.dumps(parts))
    found = split(tmp_path)
    assert [path.name for path in found['train']] == ['a.mcap', 'c.mcap']
    assert [path.name for path in found['validation']] == ['b.mcap']
    assert found['test'] == [tmp_path / 'd.mcap']
    assert found['calibration'] == []


def test_subfolders_define_the_parts(tmp_path: Path) -> None:
    train = touch(tmp_path / 'train', 100)
    test = touch(tmp_path / 'test', 10)
    touch(tmp_path / 'other', 10)
    found = split(tmp_path)
    assert (found['calibration'], found['test']) == ([], test)
    assert sorted(found['train'] + found['validation']) == train
    assert 3 <= len(found['validation']) <= 20  # 8 % of 125


def test_hash_split_leaves_calibration_and_test_parts(tmp_path: Path) -> None:
    everything = touch(tmp_path, 200)
    found = split(tmp_path)
    used = len(found['train']) + len(found['validation'])
    assert 0.6 * len(everything) < used < 0.8 * len(everything)


def test_retry_is_in_the_part_of_its_episode(tmp_path: Path) -> None:
    touch(tmp_path, 200)
    found = split(tmp_path)
    seeds = {part: {path.name[:14] for path in paths} for part, paths in found.items()}
    assert not seeds['train'] & seeds['validation']
    unused = {path.name[:14] for path in tmp_path.glob('*.mcap')
              if path not in found['train'] and path not in found['validation']}  # fmt: skip
    assert not unused & (seeds['train'] | seeds['validation'])


def test_split_is_deterministic(tmp_path: Path) -> None:
    touch(tmp_path, 50)
    assert split(tmp_path) == split(tmp_path)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with raises('training-recordings-missing', tmp_path, 'viva record'):
        split_all([tmp_path])


def test_folder_without_a_training_part_is_told_what_to_name(tmp_path: Path) -> None:
    names = [path.name for path in touch(tmp_path, 4)]
    (tmp_path / 'split.json').write_text(json.dumps({'test': names}))
    with raises('training-recordings-missing', tmp_path, '"train" in its split.json'):
        split_all([tmp_path])


def test_recording_in_two_training_folders_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / 'inner', 20)
    for folders in ([tmp_path, tmp_path], [tmp_path, tmp_path / 'inner']):
        with raises('training-recording-twice', tmp_path / 'inner', 'name each folder once'):
            split_all(folders)


def test_subfolder_with_its_own_split_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / 'tray' / 'train', 6)
    touch(tmp_path / 'tray' / 'test', 6)
    touch(tmp_path / 'cube', 20)
    with raises('training-split-below', tmp_path / 'tray', f'--recordings {tmp_path / "tray"}'):
        split_all([tmp_path])
    found = split_all([tmp_path / 'tray', tmp_path / 'cube'])  # the remedy
    assert not any('test' in ref.path.parts for refs in found.values() for ref in refs)
    (tmp_path / 'split.json').write_text(json.dumps({'train': ['tray/test/episode_000000.mcap']}))
    assert len(split_all([tmp_path])['train']) == 1  # named one by one


def test_unreadable_split_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'split.json').write_text('{')
    with raises('split-unreadable', tmp_path / 'split.json'):
        split(tmp_path)


@pytest.mark.parametrize(
    ('text', 'code', 'words'),
    [
        ('{"train": ["a.mcap"], "tests": ["b.mcap"]}', 'split-parts', ('train, tests', 'test: ')),
        ('["a.mcap"]', 'split-parts', ("['a.mcap']",)),
        ('{"train": "a.mcap"}', 'split-names', ("'a.mcap' for train", 'a list')),
        ('{"train": ["a.mcap", 7]}', 'split-names', ('7', 'a list')),
        ('{"train": ["e.mcap"]}', 'split-recording-missing', ('e.mcap for train', 'correct')),
        ('{"test": ["/a.mcap"]}', 'split-recording-missing', ('/a.mcap for test',)),
        ('{"train": ["a.mcap", "a.mcap"]}', 'split-recording-twice', ('a.mcap twice',)),
        (
            '{"train": ["a.mcap"], "test": ["./a.mcap"]}', 'split-recording-twice',
            ('./a.mcap twice, for train and for test', 'take one'),
        ),
        ('{"train": ["a.mcap"], "train": []}', 'split-unreadable', ('train twice', 'write it')),
    ],
)  # fmt: skip
def test_invalid_split_file_is_refused(
    tmp_path: Path, text: str, code: str, words: tuple[str, ...]
) -> None:
    with raises(code, write_split(tmp_path, text), *words):
        split(tmp_path)


def test_validation_subfolder_is_held_out(tmp_path: Path) -> None:
    train, held = touch(tmp_path / 'train', 60), touch(tmp_path / 'validation', 4)
    found = split(tmp_path)
    assert (found['train'], found['validation']) == (train, held)  # none is drawn by hash
    assert select([tmp_path], 'validation').recordings == held


def test_tasks_in_subfolders_are_split_independently(tmp_path: Path) -> None:
    train = touch(tmp_path / 'train' / 'tray_lift', 100)
    train += touch(tmp_path / 'train' / 'cube_transfer', 100)
    touch(tmp_path / 'test' / 'tray_lift', 10)
    found = split(tmp_path)
    assert sorted(found['train'] + found['validation']) == sorted(train)
    held = [{p.name[:14] for p in found['validation'] if p.parent.name == task}
            for task in ('tray_lift', 'cube_transfer')]  # fmt: skip
    assert all(held)
    assert held[0] != held[1]  # the same seeds, drawn for each task
    kept = {(p.parent.name, p.name[:14]) for p in found['train']}
    assert not kept & {(p.parent.name, p.name[:14]) for p in found['validation']}


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / 'elsewhere', 20)
    (tmp_path / 'r' / 'train').mkdir(parents=True)
    (tmp_path / 'r' / 'train' / 'slide').symlink_to(tmp_path / 'elsewhere')
    assert len(split(tmp_path / 'r')['train']) > 10


def test_folder_of_test_recordings_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / 'test', 100)
    with raises('training-recordings-missing', tmp_path):
        split_all([tmp_path])


def test_draws_of_the_hash_split_never_change(tmp_path: Path) -> None:
    """The first episodes of a folder: an engine of any version was trained on these."""
    names = [f'episode_{seed:06d}' for seed in range(16)] + ['tray/episode_000007_retry']
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f'{name}.mcap').touch()
    found = {part: [str(p.relative_to(tmp_path))[:-5].removeprefix('episode_0000') for p in paths]
             for part, paths in split(tmp_path).items()}  # fmt: skip
    assert found == GOLDEN
    (tmp_path / 'train').mkdir()
    for path in list(tmp_path.glob('*.mcap')):
        path.rename(tmp_path / 'train' / path.name)
    held = [path.stem for path in split(tmp_path)['validation']]
    assert held == ['episode_000000']  # drawn by name, not by folder


def test_parts_hold_each_recording_once(tmp_path: Path) -> None:
    everything = touch(tmp_path, 200)
    found = split(tmp_path)
    assert tuple(found) == PARTS
    assert sorted(path for paths in found.values() for path in paths) == everything
    shares = {part: len(paths) / len(everything) for part, paths in found.items()}
    assert shares == pytest.approx(
        {'train': 0.64, 'validation': 0.06, 'calibration': 0.15, 'test': 0.15}, abs=0.06
    )


def test_part_selects_what_training_left(tmp_path: Path) -> None:
    everything = touch(tmp_path, 100)
    trained = [ref.path for refs in split_all([tmp_path]).values() for ref in refs]
    notes: list[str] = []
    left = [select([tmp_path], part, note=notes.append).recordings
            for part in ('calibration', 'test')]  # fmt: skip
    assert sorted([*trained, *left[0], *left[1]]) == everything
    assert notes[0] == f'{tmp_path}: {len(left[0])} of 125 recordings, part calibration'
    # Without a part, the whole folder: it does not say that it is divided.
    assert select([tmp_path], None, 'test').recordings == everything


def test_divided_folder_gives_the_suited_part(tmp_path: Path) -> None:
    parts = {part: touch(tmp_path / part, 4) for part in ('train', 'calibration', 'test')}
    notes: list[str] = []
    for suited in ('calibration', 'test'):
        selected = select([tmp_path], None, suited, note=notes.append)
        assert selected.recordings == parts[suited]
    assert len(notes) == 2
    assert select([tmp_path], 'test', 'calibration').recordings == parts['test']
    assert select([tmp_path / 'train'], None, 'test').recordings == parts['train']
    assert select(parts['train'][:1], None, 'test').recordings == parts['train'][:1]
    assert len(select([tmp_path], None).recordings) == 15


def test_part_all_selects_every_recording(tmp_path: Path) -> None:
    everything = touch(tmp_path / 'train', 4) + touch(tmp_path / 'test', 4)
    assert sorted(select([tmp_path], 'all', 'test').recordings) == sorted(everything)


def test_unknown_training_requires_a_part_of_a_hashed_folder(tmp_path: Path) -> None:
    hashed, test = tmp_path / 'mine', tmp_path / 'bags' / 'test' / 'fold'
    paths = touch(hashed, 40)
    touch(test, 4)
    touch(tmp_path / 'divided' / 'calibration', 4)
    notes: list[str] = []
    with raises(
        'part-required',
        'engines/old',
        hashed,
        '--part calibration',
        'select the whole',
        '--part all',
    ):
        select([hashed], None, 'calibration').check_untrained({}, None, 'engines/old', print)
    # The remedies help, and other recordings do not need a part.
    for given, part in (
        ([hashed], 'calibration'), ([hashed], 'all'), (paths, None), ([test], None),
        ([test.parent], None), ([tmp_path / 'divided'], None),
    ):  # fmt: skip
        selected = select(given, part, 'calibration')
        selected.check_untrained({}, None, 'engines/old', notes.append)
    assert len(notes) == 6
    select([hashed], None, 'calibration').check_untrained({}, [], 'engines/new', notes.append)
    assert len(notes) == 6


def test_empty_part_names_what_the_folder_has(tmp_path: Path) -> None:
    touch(tmp_path / 'train', 4)
    touch(tmp_path / 'test', 3)
    with raises('part-empty', tmp_path, 'calibration', '4 for test', '--calibration-part'):
        select([tmp_path], None, 'calibration', '--calibration-part')
    with raises('recordings-missing', tmp_path / 'calibration'):
        (tmp_path / 'calibration').mkdir()
        select([tmp_path / 'calibration'], 'test')


def test_part_of_a_single_recording_is_refused(tmp_path: Path) -> None:
    path = touch(tmp_path, 1)[0]
    with raises('part-of-recording', path, '--part test', 'name its folder'):
        select([path], 'test')


def test_identity_survives_another_name_container_and_label(tmp_path: Path) -> None:
    episode = slide_episode(1)
    path = write_slide(tmp_path, episode)
    copy = tmp_path / 'elsewhere' / 'renamed.mcap'
    copy.parent.mkdir()
    shutil.copy(path, copy)
    assert episodes_of(open_recording(copy))[0].identity == episode.identity
    joints = episode.joints
    turned = Joints(joints.stamps + 5, joints.names[::-1], joints.positions[:, ::-1])
    rounded = replace(joints, positions=joints.positions.astype(np.float32).astype(float))
    for same in (turned, rounded):
        other = replace(episode, name='x', joints=same, label=None, cameras={})
        assert other.identity == episode.identity
    assert len(episode.identity) == 16


def test_identity_differs_with_joints_rate_and_order(tmp_path: Path) -> None:
    episode = slide_episode(1)
    names, stamps, positions = (
        episode.joints.names, episode.joints.stamps, episode.joints.positions,
    )  # fmt: skip
    changed = [
        Joints(stamps, names[:2], positions[:, :2]),
        Joints(stamps[::2], names, positions[::2]),
        Joints(stamps, names, positions[::-1]),
        Joints(stamps, ('x', *names[1:]), positions),
    ]
    found = {replace(episode, joints=joints).identity for joints in changed}
    assert len(found | {episode.identity}) == 5
    empty = replace(episode, joints=Joints(stamps[:0], names, positions[:0]))
    assert empty.identity == ''
    assert identities_of([empty, episode]) == {episode.identity}


def test_retry_is_found_in_the_episode_that_joins_it() -> None:
    """A joined episode has the attempt, the way home and the retry; frames begin later."""
    joined = slide_episode(1)
    stamps, positions = joined.joints.stamps, joined.joints.positions
    head = joined.cameras['head']
    later = {'head': Frames(head.stamps[1:], head.images[1:])}  # 0.1 s, 5 joint states
    label = Label('slide', True, 'retry_slip', 1, {'retry': 0.2, 'attempt': 0.4})
    joined = replace(joined, label=label, cameras=later)
    alone = Joints(stamps[15:] + 7, joined.joints.names, positions[15:])
    retry = replace(joined, joints=alone, label=None)
    assert joined.identities == {joined.identity, retry.identity}
    assert retry.identities == {retry.identity}


def test_opening_identifies_an_episode_that_was_cut(tmp_path: Path) -> None:
    """The opening has 128 rows at 50 Hz, from the first that moves; 2.56 s."""
    rows = np.cumsum(np.random.default_rng(1).normal(size=(200, 2)), axis=0)
    rows[:9] = rows[9]
    base = slide_episode(1)

    def episode(rows: np.ndarray, jitter: float = 0.0) -> Episode:
        times = 0.02 * (np.arange(len(rows)) + jitter * np.sin(np.arange(len(rows))))
        joints = Joints((times * 1e9).astype(np.int64), ('a', 'b'), rows)
        return replace(base, joints=joints, label=None)

    whole = episode(rows)
    assert len(whole.identities) == 2
    for other in (episode(rows[:138]), episode(rows[5:150]), episode(rows[:170], 0.2)):
        assert len(whole.identities & other.identities) == 1
    moved = rows.copy()
    moved[137] += 1e-3
    for other in (episode(rows[:137]), episode(moved), episode(rows[10:]), episode(rows[::2])):
        assert not whole.identities & other.identities
    still = episode(np.ones((200, 2)))
    assert still.identities == {still.identity}


def test_joined_episode_is_in_the_part_of_its_episode(tmp_path: Path) -> None:
    for path in touch(tmp_path, 60):
        path.with_stem(f'{path.stem.removesuffix("_retry")}_joined').touch()
    for paths in split(tmp_path).values():
        names = {path.stem for path in paths}
        assert all(f'{name[:14]}_joined' in names and name[:14] in names for name in names)


def test_untrained_recordings_pass_and_trained_are_named(tmp_path: Path) -> None:
    everything = touch(tmp_path, 40)
    parts = split(tmp_path)
    seen = {path: {path.stem} for path in everything}
    trained = {path.stem for path in (*parts['train'], *parts['validation'])}
    selected = select([tmp_path], None, 'calibration')
    notes: list[str] = []
    count = f'{len(trained)} of 50 recordings'
    with raises('recordings-trained', count, 'engines/mine', '.mcap, ...', '--part calibration'):
        selected.check_untrained(seen, trained, 'engines/mine', notes.append)
    # The remedy of the text helps.
    left = select([tmp_path], 'calibration', 'calibration')
    left.check_untrained(
        {p: seen[p] for p in left.recordings}, trained, 'engines/mine', notes.append
    )
    assert notes == []


def test_remedy_proposes_no_part_that_was_trained_on(tmp_path: Path) -> None:
    everything = touch(tmp_path, 40)
    seen = {path: {path.stem} for path in everything}
    for given, part in (([tmp_path], None), ([tmp_path], 'calibration'), (everything, None)):
        selected = select(given, part, 'calibration')
        with raises('recordings-trained', ': leave them out, or use other recordings'):
            selected.check_untrained(
                seen, {path.stem for path in selected.recordings}, 'mine', print
            )


def test_unknown_training_is_a_warning(tmp_path: Path) -> None:
    touch(tmp_path, 4)
    notes: list[str] = []
    selected = select([tmp_path], 'all', 'calibration')
    selected.check_untrained({}, None, 'engines/old', notes.append)
    assert len(notes) == 1
    assert 'engines/old' in notes[0] and 'export it again' in notes[0]


@pytest.mark.parametrize('given', [['recs/tray'], ['recs/tray', 'recs/cube'], ['recs/x/cloth']])
@pytest.mark.parametrize('part', ['calibration', 'test', None])
def test_remedy_names_the_folder_that_training_split(
    tmp_path: Path, given: list[str], part: str | None
) -> None:
    recs = tmp_path / 'recs'
    for task in ('tray', 'cube', 'x/cloth'):
        touch(recs / task, 60)
    parts = split(recs)
    seen = {path: {str(path)} for paths in parts.values() for path in paths}
    trained = {str(path) for path in (*parts['train'], *parts['validation'])}
    selected = select([tmp_path / one for one in given], part, 'test', task_option='--task')
    rule = re.escape(f'training left: name {recs} with --part test and --task') + '$'
    with raises('recordings-trained') as caught:
        selected.check_untrained(seen_of(selected, seen), trained, 'engines/mine', print)
    assert re.search(rule, str(caught.value))
    # The remedy of the text helps.
    left = select([recs], 'test', 'test')
    left.check_untrained(seen_of(left, seen), trained, 'engines/mine', print)
    assert any(path.is_relative_to(tmp_path / given[0]) for path in left.recordings)


def seen_of(selected: SelectedRecordings, seen: dict[Path, set[str]]) -> dict[Path, set[str]]:
    return {path: seen[path] for path in selected.recordings}


def test_remedy_finds_a_divided_folder_above(tmp_path: Path) -> None:
    """As if recs/train/tray was named for recs; an unrelated split.json is above."""
    (tmp_path / 'split.json').write_text('{"folds": 5}')
    train, left = touch(tmp_path / 'recs/train/tray', 40), touch(tmp_path / 'recs/test/tray', 2)
    seen = {path: {str(path)} for path in (*train, *left)}
    selected = select([tmp_path / 'recs/train/tray'], 'calibration', 'calibration')
    with raises('recordings-trained', f'left: name {tmp_path / "recs"} with --part test'):
        selected.check_untrained(
            seen_of(selected, seen), {str(path) for path in train}, 'mine', print
        )
    # One copy is no split, whatever the hash of a folder above.
    others = ': leave them out, or use other recordings, or name the folder that training was'
    selected = select([tmp_path / 'recs/train/tray'], 'train', 'calibration')
    with raises('recordings-trained', others):
        first = {str(selected.recordings[0])}
        selected.check_untrained(seen_of(selected, seen), first, 'mine', print)


def test_part_by_hash_of_unknown_training_is_warned_about(tmp_path: Path) -> None:
    touch(tmp_path / 'recs/tray', 40)
    touch(tmp_path / 'recs/test/tray', 4)
    notes: list[str] = []
    for given, part in (('tray', 'test'), ('tray', 'all'), ('test', None)):
        selected = select([tmp_path / 'recs' / given], part, 'test')
        selected.check_untrained({}, None, 'engines/old', notes.append)
    rule = f'only if training was given {tmp_path / "recs/tray"} itself, no folder inside or above'
    assert [rule in text for text in notes] == [True, False, False]


@pytest.mark.parametrize('part', ['train', 'validation'])
def test_remedy_for_a_trained_part_names_another(tmp_path: Path, part: str) -> None:
    """As if `--part train` was typed for `--part test`, which is empty here."""
    train, left = touch(tmp_path / 'train', 40), touch(tmp_path / 'calibration', 2)
    trained = [path.stem + path.parent.name for path in train]
    selected = select([tmp_path], part, 'test')
    seen = {path: {path.stem + path.parent.name} for path in (*train, *left)}
    used = {path: seen[path] for path in selected.recordings}
    count = f'{len(used)} of {len(used)} '
    with raises('recordings-trained', count, 'training left with --part calibration'):
        selected.check_untrained(used, trained, 'engines/mine', print)
    (chosen,) = [select([tmp_path], 'calibration', 'test')]
    chosen.check_untrained({p: seen[p] for p in chosen.recordings}, trained, 'mine', print)


def test_calibration_recordings_are_refused_and_unknown_ones_warned_about(tmp_path: Path) -> None:
    everything = touch(tmp_path, 40)
    parts = split(tmp_path)
    seen = {path: {path.stem} for path in everything}
    used = {'a.json': [path.stem for path in parts['calibration']]}
    notes: list[str] = []
    count = f'{len(parts["calibration"])} of 50 recordings'
    with raises('recordings-calibrated', count, 'a.json was made with', 'left with --part test'):
        select([tmp_path], None, 'test').check_uncalibrated(seen, used, notes.append)
    rest = select([tmp_path], 'test', 'test')
    rest.check_uncalibrated({p: seen[p] for p in rest.recordings}, used, notes.append)
    with raises('recordings-calibrated', '1 of 1', 'leave them out, or use other recordings'):
        given = select(parts['calibration'][:1], None, 'test')
        given.check_uncalibrated({p: seen[p] for p in given.recordings}, used, print)
    assert notes == []
    rest.check_uncalibrated(seen, {'a.json': None, 'b.json': None}, notes.append)
    assert len(notes) == 1
    assert 'a.json, b.json' in notes[0] and "run 'viva calibrate' again" in notes[0]


def test_joined_episode_is_no_copy_of_its_attempt() -> None:
    """They share the opening, not the whole; one motion with two failures is two episodes."""
    attempt = slide_episode(1, frames=60)
    rows = attempt.joints.positions
    stamps = np.arange(len(rows) + 90) * 20_000_000
    joints = Joints(stamps, attempt.joints.names, np.concatenate([rows, rows[:90]]))
    joined = replace(attempt, joints=joints)
    assert attempt.identities & joined.identities
    slip = replace(attempt, label=replace(attempt.label, failure='slip'))
    still = replace(attempt, joints=Joints(joints.stamps[:0], joints.names, rows[:0]))
    episodes = {Path(name): contents_of([one]) for name, one in (
        ('attempt', attempt), ('joined', joined), ('slip', slip), ('a', still), ('b', still),
    )}  # fmt: skip
    check_copies(episodes)
    for copy in (replace(attempt, name='x'), replace(attempt, label=None)):
        with raises('recordings-copied', '1 of 6', 'copies: c of attempt: leave'):
            check_copies({**episodes, Path('c'): contents_of([copy])})


def test_copied_test_recording_is_found_in_the_calibration() -> None:
    calibrating = {Path('c/a'): {'1'}, Path('c/b'): {'2'}}
    check_disjoint(calibrating, {Path('t/a'): {'3'}, Path('t/b'): set()})
    with raises('evaluation-overlap', '1 of 2', Path('t/b')):
        check_disjoint(calibrating, {Path('t/a'): {'3'}, Path('t/b'): {'2'}})
    with raises('evaluation-overlap', '1 of 1', Path('c/a')):
        check_disjoint(calibrating, {Path('c/a'): set()})


def test_identity_survives_an_import_at_the_rate_of_the_joints(tmp_path: Path) -> None:
    """At a lower rate it is another episode, which names the one that it was made of."""
    worth = [-0.5 + 0.02 * step for step in range(40)]
    bag = write_recording(tmp_path / 'a.mcap', worth, label=make_label())
    found = {}
    for rate in (10, 5):
        recipe, out = tmp_path / f'{rate}.yaml', tmp_path / f'dataset_{rate}'
        recipe.write_text(MAP.format(rate=rate))
        command = ['import', str(bag), '--map', str(recipe), '--out', str(out), '--success']
        assert main(command) == 0
        found[rate] = episodes_of(open_recording(inside(out)[0]))[0]
    read = episodes_of(open_recording(bag))[0]
    assert found[10].identity == read.identity
    assert found[5].identity != read.identity
    assert read.identities <= found[5].identities
    contents = {Path(str(rate)): contents_of([one]) for rate, one in found.items()}
    with raises('recordings-copied', '2 of 3', '10 of a, 5 of a'):
        check_copies({Path('a'): contents_of([read]), **contents})
    assert found[5].identity in found[5].identities
    again, recipe = tmp_path / 'again', tmp_path / 'again.yaml'
    recipe.write_text('rate: 2\nlimits: {max_gap: 0.5, max_skew: 0.2}\n')
    command = ['import', str(tmp_path / 'dataset_5'), '--map', str(recipe), '--out', str(again)]
    assert main(command) == 0
    last = episodes_of(open_recording(inside(again)[0]))[0]
    assert found[5].identities <= last.identities
    assert last.origins[0] == found[5].origins[0] == read.identity
