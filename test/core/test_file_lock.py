# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Locks of files, with flock and on file systems without it."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from viva_ros.core import file_lock
from viva_ros.core.file_lock import ExclusiveLock

ANSWERS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)
HOLD = """
import errno, fcntl, sys, time
from pathlib import Path
from viva_ros.core.file_lock import ExclusiveLock
def flock(*_):
    raise OSError(errno.ENOSYS, 'Function not implemented')
if sys.argv[2] == 'without':
    fcntl.flock = flock
path = Path(sys.argv[1])
lock = ExclusiveLock(path.open('w'), path)
print('locked', flush=True)
time.sleep(60)
"""


def refuse_flock(monkeypatch: pytest.MonkeyPatch, answer: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(fcntl, 'flock', flock)


@pytest.fixture(params=['with', 'without'])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == 'without':
        refuse_flock(monkeypatch, errno.ENOSYS)
    return str(request.param)


@pytest.fixture
def holder(tmp_path: Path, kind: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that holds the lock."""
    command = [sys.executable, '-c', HOLD, str(tmp_path / 'lock'), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b'locked\n'
        yield process
        process.kill()


def lock(path: Path) -> ExclusiveLock:
    return ExclusiveLock(path.open('w'), path)


def test_second_lock_of_a_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'lock'
    with path.open('w') as file:
        held = ExclusiveLock(file, path)
        with pytest.raises(BlockingIOError, match='holds the lock'):
            lock(path)
        held.release()
    lock(path).release()
    assert os.listdir(tmp_path) == ['lock']


def test_lock_of_another_process_is_refused(tmp_path: Path, holder) -> None:
    with pytest.raises(BlockingIOError, match='holds the lock'):
        lock(tmp_path / 'lock')


def test_lock_of_a_killed_process_is_taken(tmp_path: Path, holder) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock(tmp_path / 'lock').release()
    assert os.listdir(tmp_path) == ['lock']


@pytest.mark.parametrize('answer', ANSWERS)
def test_file_system_without_flock_has_a_lock(tmp_path: Path, monkeypatch, answer: int) -> None:
    refuse_flock(monkeypatch, answer)
    held = lock(tmp_path / 'lock')
    content = json.loads((tmp_path / 'lock.owner').read_text())
    assert content['pid'] == os.getpid()
    with pytest.raises(BlockingIOError, match=f'process {os.getpid()}'):
        lock(tmp_path / 'lock')
    held.release()
    assert os.listdir(tmp_path) == ['lock']


def test_other_error_of_flock_is_raised(tmp_path: Path, monkeypatch) -> None:
    refuse_flock(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match='Input/output error'):
        lock(tmp_path / 'lock')


def test_access_denied_by_flock_is_a_held_lock(tmp_path: Path, monkeypatch) -> None:
    refuse_flock(monkeypatch, errno.EACCES)
    with pytest.raises(BlockingIOError):
        lock(tmp_path / 'lock')


@pytest.mark.parametrize('key', ['host', 'boot', 'namespace'])
def test_lock_of_another_machine_is_refused_by_path(tmp_path: Path, monkeypatch, key: str) -> None:
    refuse_flock(monkeypatch, errno.ENOLCK)
    owner = tmp_path / 'lock.owner'
    owner.write_text(json.dumps({**file_lock._describe(), key: 'other', 'pid': 2**30}))
    with pytest.raises(OSError, match='delete this file') as caught:
        lock(tmp_path / 'lock')
    assert not isinstance(caught.value, BlockingIOError)
    assert caught.value.filename == str(owner)
    owner.unlink()  # the remedy
    lock(tmp_path / 'lock').release()


def test_lock_without_a_name_is_refused_by_path(tmp_path: Path, monkeypatch) -> None:
    refuse_flock(monkeypatch, errno.ENOLCK)
    (tmp_path / 'lock.owner').touch()
    with pytest.raises(OSError, match=r'lock\.owner'):
        lock(tmp_path / 'lock')


def test_lock_of_a_reused_process_id_is_taken(tmp_path: Path, monkeypatch) -> None:
    refuse_flock(monkeypatch, errno.ENOLCK)
    owner = tmp_path / 'lock.owner'
    owner.write_text(json.dumps({**file_lock._describe(), 'begin': '1'}))
    lock(tmp_path / 'lock').release()
    assert not owner.exists()


def test_lock_that_another_process_clears_is_refused(tmp_path: Path, monkeypatch) -> None:
    refuse_flock(monkeypatch, errno.ENOLCK)
    dead = {**file_lock._describe(), 'pid': 2**30}
    (tmp_path / 'lock.owner').write_text(json.dumps(dead))
    guard = tmp_path / 'lock.owner.clear'
    guard.touch()
    with pytest.raises(OSError, match='delete this file') as caught:
        lock(tmp_path / 'lock')
    assert caught.value.filename == str(guard)
    assert json.loads((tmp_path / 'lock.owner').read_text()) == dead


def test_release_keeps_the_lock_of_another_process(tmp_path: Path, monkeypatch) -> None:
    refuse_flock(monkeypatch, errno.ENOLCK)
    held = lock(tmp_path / 'lock')
    (tmp_path / 'lock.owner').write_text('of another')
    held.release()
    assert (tmp_path / 'lock.owner').read_text() == 'of another'
