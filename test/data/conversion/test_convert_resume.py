# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Resumption of an import after a kill or a full disk; no incomplete dataset appears."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.errors import raises
from support.foreign_robot import write_bag

from viva_ros.data.conversion import convert
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import import_all
from viva_ros.data.conversion.workspace import Staging
from viva_ros.robot.topic_map import LabelRule, load_map

pytestmark = pytest.mark.medium

OUTCOME = Outcomes(rule=LabelRule(topic='/acme/outcome'), task='lift_block')
BAGS = 5
RESUME = 'viva import: stopped: run the same command again to go on'


@pytest.fixture
def bags(tmp_path: Path) -> list[Path]:
    return [write_bag(tmp_path / f'bags/b{n}', seed=n, success=n != 1) for n in range(BAGS)]


def content(out: Path) -> dict[str, bytes]:
    """Return all files but the report, which has the command."""
    files = [p for p in sorted(out.rglob('*')) if p.is_file() and p.name != 'import.json']
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def whole_units(folder: Path) -> int:
    return sum(path.parent.suffix != '.tmp' for path in folder.glob('*/unit.json'))


def stopped_after(
    units: int, bags: list[Path], map_file: Path, out: Path, sent: int = signal.SIGKILL
) -> tuple[int, int, str]:  # fmt: skip
    """Stop an import after some units; return number of units, exit code and stderr."""
    command = [
        sys.executable, '-P', '-m', 'viva_ros.cli.main', 'import', *map(str, bags),
        '--map', str(map_file), '--out', str(out),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    folder = out.with_name(f'.{out.name}.part')
    while process.poll() is None and whole_units(folder) < units:
        assert not out.exists()
    process.send_signal(sent)
    text = process.communicate()[1]
    return whole_units(folder), process.returncode, text


def killed_after(units: int, bags: list[Path], map_file: Path, out: Path) -> int:
    return stopped_after(units, bags, map_file, out)[0]


@pytest.mark.slow
def test_ctrl_c_ends_an_import_with_the_command_to_resume(
    tmp_path: Path, bags: list[Path], map_file: Path
) -> None:
    out = tmp_path / 'set'
    kept, code, text = stopped_after(1, bags, map_file, out, signal.SIGINT)
    assert code == 130
    assert text.rstrip().endswith(RESUME), text  # after the progress bar, perhaps on its line
    assert 'Traceback' not in text
    assert 1 <= kept < BAGS
    assert not out.exists()
    assert not list((tmp_path / '.set.part').glob('*.tmp'))


@pytest.mark.slow
def test_import_killed_twice_equals_an_uninterrupted_one(
    tmp_path: Path, bags: list[Path], map_file: Path, monkeypatch
) -> None:
    topic_map, out = load_map(map_file), tmp_path / 'set'
    assert killed_after(1, bags, map_file, out) >= 1
    assert not out.exists()
    kept = killed_after(3, bags, map_file, out)
    made = []
    real = convert._make
    monkeypatch.setattr(convert, '_make', lambda *a: made.append(a[0]) or real(*a))
    if not out.exists():  # else it ended before the signal
        import_all(bags, topic_map, OUTCOME, out)
        assert len(made) == BAGS - kept
    import_all(bags, topic_map, OUTCOME, tmp_path / 'uninterrupted')
    assert content(out) == content(tmp_path / 'uninterrupted')
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith('.')] == []


@pytest.mark.parametrize('where', ['assemble', 'commit'])
def test_import_stopped_during_assembly_resumes(
    tmp_path: Path, bags: list[Path], map_file: Path, monkeypatch, where: str
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    topic_map, out = load_map(map_file), tmp_path / 'set'
    with monkeypatch.context() as patch:
        if where == 'assemble':
            patch.setattr('viva_ros.data.lerobot.writer._episodes', stop)
        else:
            patch.setattr(Staging, 'commit', stop)
        with pytest.raises(KeyboardInterrupt):
            import_all(bags, topic_map, OUTCOME, out)
    assert not out.exists()
    monkeypatch.setattr(convert, '_make', stop)  # all units exist
    assert len(import_all(bags, topic_map, OUTCOME, out)['episodes']) == BAGS
    assert len(pq.read_table(out / 'data/chunk-000/file-000.parquet')) == BAGS * 60


def limited(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize('size', [2_000, 30_000])
def test_full_disk_error_names_folder_and_remedy(
    tmp_path: Path, bags: list[Path], map_file: Path, size: int
) -> None:
    # 2 kB is less than a video, 30 kB less than the joined ones.
    out = tmp_path / 'set'
    command = [
        sys.executable, '-P', '-m', 'viva_ros.cli.main', 'import', *map(str, bags),
        '--map', str(map_file), '--out', str(out),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: limited(size), check=False
    )
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr
    assert 'cannot be written' in done.stderr
    assert 'free disk space and run the same command again' in done.stderr
    assert not out.exists()
    assert not list(tmp_path.glob('.set.part/*.tmp'))
    import_all(bags, load_map(map_file), OUTCOME, out)
    assert len(pq.read_table(out / 'meta/episodes/chunk-000/file-000.parquet')) == BAGS


def test_second_import_into_a_dataset_is_refused(
    tmp_path: Path, bags: list[Path], map_file: Path
) -> None:
    topic_map, out = load_map(map_file), tmp_path / 'set'
    with Staging(out).locked(), raises('workspace-locked', out, 'another --out'):
        import_all(bags, topic_map, OUTCOME, out)


def odd_file_system(monkeypatch: pytest.MonkeyPatch, flock: int, folder_sync: int) -> None:
    """Answer as a network file system does: no flock, no fsync of a folder."""
    real = os.fsync

    def lock(*_: object) -> None:
        raise OSError(flock, os.strerror(flock))

    def fsync(handle: int) -> None:
        if os.path.isdir(f'/proc/self/fd/{handle}'):
            raise OSError(folder_sync, os.strerror(folder_sync))
        real(handle)

    monkeypatch.setattr(fcntl, 'flock', lock)
    monkeypatch.setattr(os, 'fsync', fsync)


@pytest.mark.parametrize('flock', [errno.ENOSYS, errno.ENOLCK])
def test_import_without_flock_and_folder_sync_succeeds(
    tmp_path: Path, bags: list[Path], map_file: Path, monkeypatch, flock: int
) -> None:
    odd_file_system(monkeypatch, flock, errno.EINVAL)
    topic_map, out = load_map(map_file), tmp_path / 'set'
    with Staging(out).locked(), raises('workspace-locked', out, f'process {os.getpid()}'):
        import_all(bags[:1], topic_map, OUTCOME, out)
    assert len(import_all(bags[:1], topic_map, OUTCOME, out)['episodes']) == 1
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith('.')] == []


def test_lock_of_another_host_is_refused_by_path(
    tmp_path: Path, bags: list[Path], map_file: Path, monkeypatch
) -> None:
    odd_file_system(monkeypatch, errno.ENOLCK, errno.EINVAL)
    owner = tmp_path / '.set.part/lock.owner'
    owner.parent.mkdir()
    owner.write_text('{"host": "other", "boot": "", "namespace": "", "pid": 1, "begin": ""}')
    with raises('workspace-lock', tmp_path / 'set', 'host other', owner, 'local disk'):
        import_all(bags[:1], load_map(map_file), OUTCOME, tmp_path / 'set')


@pytest.mark.parametrize(('answer', 'code'), [(errno.EIO, 'workspace-failed'),
                                              (errno.ENOSPC, 'import-unwritable')])  # fmt: skip
def test_only_a_full_disk_is_called_full(
    tmp_path: Path, bags: list[Path], map_file: Path, monkeypatch, answer: int, code: str
) -> None:
    odd_file_system(monkeypatch, errno.ENOSYS, answer)
    with raises(code, tmp_path / '.set.part') as caught:
        import_all(bags[:1], load_map(map_file), OUTCOME, tmp_path / 'set')
    assert ('free disk space' in str(caught.value)) == (answer == errno.ENOSPC)


def test_folder_that_cannot_be_created_is_named(
    tmp_path: Path, bags: list[Path], map_file: Path
) -> None:
    (tmp_path / 'file').touch()
    with raises('workspace-unwritable', tmp_path / 'file/.set.part', 'another disk'):
        import_all(bags[:1], load_map(map_file), OUTCOME, tmp_path / 'file/set')


def test_changed_map_imports_all_recordings_again(
    tmp_path: Path, bags: list[Path], map_file: Path, monkeypatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / 'set'
    with monkeypatch.context() as patch:
        patch.setattr(convert, 'assemble', stop)
        with pytest.raises(KeyboardInterrupt):
            import_all(bags, load_map(map_file), OUTCOME, out)
    map_file.write_text(map_file.read_text().replace('rate: 15', 'rate: 5'))
    import_all(bags, load_map(map_file), OUTCOME, out)
    frames = pq.read_table(out / 'data/chunk-000/file-000.parquet')
    # 3.998 s at 5 Hz are 19 steps, 20 frames an episode.
    assert len(frames) == BAGS * 20
    assert np.isclose(frames['timestamp'][19].as_py(), 3.8)
    assert os.listdir(tmp_path / 'set') and not (tmp_path / '.set.part').exists()
