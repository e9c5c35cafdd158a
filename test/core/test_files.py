# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import errno
import os
from pathlib import Path

import pytest

from viva_ros.core.files import remedy, sync, write_atomically


def test_text_is_written_as_utf8_and_replaces_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / 'a.json'
    target.write_text('old')
    write_atomically(target, 'Wörter')
    assert target.read_bytes() == b'W\xc3\xb6rter'
    assert os.listdir(tmp_path) == ['a.json']


def test_reader_sees_the_old_file_until_the_write_is_complete(tmp_path, monkeypatch) -> None:
    target = tmp_path / 'a.bin'
    write_atomically(target, b'old')
    contents = []
    real = os.fsync

    def record_then_sync(handle: int) -> None:
        contents.append(target.read_bytes())
        real(handle)

    monkeypatch.setattr(os, 'fsync', record_then_sync)
    write_atomically(target, b'new')
    assert contents == [b'old', b'new']  # file before the rename, folder after it


def test_full_disk_keeps_old_file_and_no_temporary_file(tmp_path, monkeypatch) -> None:
    target = tmp_path / 'a.bin'
    write_atomically(target, b'old')

    def full(handle: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        write_atomically(target, b'new')
    assert target.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.bin']


def test_error_names_the_file_and_not_its_temporary_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / 'missing' / 'a', b'new')
    assert caught.value.filename == str(tmp_path / 'missing' / 'a')


def test_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'a')
    with pytest.raises(OSError, match=r'named pipe .* must be a regular file') as caught:
        write_atomically(tmp_path / 'a', b'new')
    assert caught.value.filename == str(tmp_path / 'a') and (tmp_path / 'a').is_fifo()


def test_written_file_has_mode_644(tmp_path: Path) -> None:
    write_atomically(tmp_path / 'a', b'')
    assert (tmp_path / 'a').stat().st_mode & 0o777 == 0o644


def refuse_folders(monkeypatch: pytest.MonkeyPatch, answer: int) -> None:
    """Let fsync of a folder fail."""
    real = os.fsync

    def fsync(handle: int) -> None:
        if os.path.isdir(f'/proc/self/fd/{handle}'):
            raise OSError(answer, os.strerror(answer))
        real(handle)

    monkeypatch.setattr(os, 'fsync', fsync)


@pytest.mark.parametrize('answer', [errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS])
def test_folder_that_cannot_be_flushed_is_written(tmp_path: Path, monkeypatch, answer) -> None:
    refuse_folders(monkeypatch, answer)
    write_atomically(tmp_path / 'a', b'new')
    assert (tmp_path / 'a').read_bytes() == b'new'


@pytest.mark.parametrize('answer', [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_folder_whose_flush_fails_is_an_error(tmp_path: Path, monkeypatch, answer) -> None:
    refuse_folders(monkeypatch, answer)
    with pytest.raises(OSError, match=str(tmp_path)) as caught:
        sync(tmp_path)
    assert caught.value.errno == answer


def test_file_that_cannot_be_flushed_is_an_error(tmp_path: Path, monkeypatch) -> None:
    def fsync(handle: int) -> None:
        raise OSError(errno.EINVAL, 'Invalid argument')

    monkeypatch.setattr(os, 'fsync', fsync)
    with pytest.raises(OSError, match='Invalid argument'):
        write_atomically(tmp_path / 'a', b'new')


def test_file_system_without_modes_is_written(tmp_path: Path, monkeypatch) -> None:
    def chmod(path: Path, mode: int) -> None:
        raise OSError(errno.EPERM, 'Operation not permitted')

    monkeypatch.setattr(Path, 'chmod', chmod)
    write_atomically(tmp_path / 'a', b'new')
    assert (tmp_path / 'a').read_bytes() == b'new'


@pytest.mark.parametrize(
    ('answer', 'text'),
    [(errno.ENOSPC, 'free disk space'), (errno.EDQUOT, 'free disk space'),
     (errno.EROFS, 'another folder'), (errno.EIO, 'network connection')],
)  # fmt: skip
def test_remedy_fits_the_error(answer: int, text: str) -> None:
    assert text in remedy(OSError(answer, ''))
