# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from viva_ros.core.files import write_atomically


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


def test_written_file_has_mode_644(tmp_path: Path) -> None:
    write_atomically(tmp_path / 'a', b'')
    assert (tmp_path / 'a').stat().st_mode & 0o777 == 0o644
