# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of other users, and files that are exchanged while they are read."""

import hashlib
import os
import shlex
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.core import trusted_files
from viva_ros.core.errors import CalibrationError, EngineError, UntrustedError
from viva_ros.core.trusted_files import OpenFolder

STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')


def read(folder: Path, name: str = 'a') -> bytes:
    return OpenFolder(folder).open(name).read(1000)


def command(text: str) -> list[str]:
    """Return the command that an error proposes, without sudo."""
    return shlex.split(text.partition("run '")[2].rpartition("'")[0].removeprefix('sudo '))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / 'up' / 'own'
    made.mkdir(parents=True)
    (made / 'a').write_bytes(b'content')
    return made


def test_content_size_and_hash_are_those_of_the_file(folder: Path) -> None:
    file = OpenFolder(folder).open('a')
    assert (file.read(7), file.size) == (b'content', 7)
    assert file.sha256 == hashlib.sha256(b'content').hexdigest()
    assert file.path.read_bytes() == b'content'
    assert OpenFolder(folder).names() == ['a']
    with raises('file-too-large', folder / 'a', 7, 6):
        file.read(6)


def test_folder_and_file_of_a_name_are_opened_once(folder: Path) -> None:
    opened = OpenFolder(folder)
    file = opened.open('a')
    folder.rename(folder.with_name('moved'))
    folder.mkdir()
    (folder / 'a').write_bytes(b'another')
    assert file.read(100) == opened.open('a').read(100) == b'content'
    assert read(folder) == b'another'


@pytest.mark.parametrize('mode', [0o002, 0o020])
@pytest.mark.parametrize('place', ['a', '.', '..', '../..'])
@as_root
def test_file_that_others_can_write_is_refused(folder: Path, place: str, mode: int) -> None:
    path = Path(os.path.normpath(folder / place))
    os.chown(path, -1, STRANGER)
    path.chmod(path.stat().st_mode | mode)
    code = 'file-world-writable' if mode == 0o002 else 'file-group-writable'
    with raises(code, path, 'chmod', of=EngineError) as caught:
        read(folder)
    assert isinstance(caught.value, CalibrationError)
    subprocess.run(command(str(caught.value)), check=True)
    assert read(folder) == b'content'


@pytest.mark.parametrize('place', ['a', '.', '..'])
@as_root
def test_file_of_other_user_is_refused(folder: Path, place: str) -> None:
    path = Path(os.path.normpath(folder / place))
    os.chown(path, STRANGER, -1)
    with raises('file-owner', path, STRANGER, 'sudo chown', of=UntrustedError) as caught:
        read(folder)
    subprocess.run(command(str(caught.value)), check=True)
    assert read(folder) == b'content'


@as_root
def test_link_of_other_user_is_refused_anywhere_in_a_path(folder: Path) -> None:
    link = folder.parent.parent / 'link'
    link.symlink_to(folder.parent)
    assert read(link / 'own') == b'content'
    os.lchown(link, STRANGER, -1)
    with raises('file-owner', link, STRANGER, 'chown -h') as caught:
        read(link / 'own')
    subprocess.run(command(str(caught.value)), check=True)
    assert read(link / 'own') == b'content'


def test_target_of_a_link_is_checked_too(folder: Path, tmp_path: Path) -> None:
    (tmp_path / 'links').mkdir()
    for name, target in (('absolute', folder), ('relative', Path('../up/own'))):
        (tmp_path / 'links' / name).symlink_to(target)
        assert read(tmp_path / 'links' / name) == b'content'
    folder.parent.chmod(0o777)
    for name in ('absolute', 'relative'):
        with raises('file-world-writable', folder.parent):
            read(tmp_path / 'links' / name)
    (tmp_path / 'loop').symlink_to('loop')
    with pytest.raises(OSError, match='symbolic links'):
        OpenFolder(tmp_path / 'loop')


def test_sticky_ancestor_is_accepted(folder: Path) -> None:
    folder.parent.chmod(0o1777)
    assert read(folder) == b'content'


def test_relative_path_and_dots_are_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert read(Path('own')) == read(Path('own/../own')) == b'content'
    monkeypatch.chdir(folder)
    assert read(Path('.')) == b'content'


@pytest.mark.parametrize('kind', ['FIFO', 'folder', 'link', 'socket', 'device'])
@pytest.mark.timeout(60)
def test_entry_that_is_no_file_is_refused_without_waiting(folder: Path, kind: str) -> None:
    path = folder / 'b'
    if kind == 'FIFO':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'link':
        path.symlink_to('/etc/hostname')
    elif kind == 'socket':
        socket.socket(socket.AF_UNIX).bind(str(path))
    else:
        try:
            os.mknod(path, 0o20600, os.makedev(1, 5))  # /dev/zero, which never ends
        except PermissionError:
            pytest.skip('only root can make a device')
    with raises('file-not-regular', path, kind, 'regular file'):
        read(folder, 'b')


def test_remedy_for_links_gives_a_folder_that_is_accepted(folder: Path, tmp_path: Path) -> None:
    (tmp_path / 'snapshot').mkdir()
    (tmp_path / 'snapshot' / 'a').symlink_to(folder / 'a')
    with raises('file-not-regular', 'cp -rL') as caught:
        read(tmp_path / 'snapshot')
    copy = str(caught.value).partition("by '")[2].partition("'")[0]
    subprocess.run(shlex.split(copy.replace('NEW', str(tmp_path / 'new'))), check=True)
    assert read(tmp_path / 'new') == b'content'


@pytest.mark.parametrize('name', ['', '.', '..', '../a', '/etc/passwd', 'b/c', 'a\0b'])
def test_name_outside_of_the_folder_is_refused(folder: Path, name: str) -> None:
    with raises('file-outside-folder', repr(name)):
        OpenFolder(folder).open(name)


def test_missing_folder_and_file_raise_os_error(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OpenFolder(folder / 'none')
    with pytest.raises(NotADirectoryError):
        OpenFolder(folder / 'a')
    with pytest.raises(FileNotFoundError, match=str(folder / 'none')):
        OpenFolder(folder).open('none')


def test_write_while_a_library_reads_is_found(folder: Path) -> None:
    file = OpenFolder(folder).open('a')
    assert file.sha256
    file.check_unchanged()
    (folder / 'a').write_bytes(b'another')
    os.utime(folder / 'a', ns=(1, 1))
    with raises('file-changed', folder / 'a'):
        file.check_unchanged()


def test_exchange_between_check_and_read_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is exchanged by one of a stranger after its owner was checked."""
    checked = trusted_files.check_status

    def then_exchange(place: str, status: os.stat_result) -> None:
        checked(place, status)
        if place == str(folder / 'a'):
            (folder / 'b').write_bytes(b'of a stranger')
            (folder / 'b').rename(folder / 'a')

    monkeypatch.setattr(trusted_files, 'check_status', then_exchange)
    assert read(folder) == b'content'
    assert (folder / 'a').read_bytes() == b'of a stranger'


def test_exchanged_folders_never_mix(tmp_path: Path) -> None:
    """Two folders are exchanged all the time: name and content of one folder stay together."""
    for name in ('x', 'y'):
        (tmp_path / name).mkdir()
        for part in ('a', 'b'):
            (tmp_path / name / part).write_bytes(name.encode())
    over = threading.Event()

    def exchange() -> None:
        while not over.is_set():
            (tmp_path / 'x').rename(tmp_path / 'z')
            (tmp_path / 'y').rename(tmp_path / 'x')
            (tmp_path / 'z').rename(tmp_path / 'y')

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for _ in range(3000):
            try:
                opened = OpenFolder(tmp_path / 'x')
            except FileNotFoundError:
                continue
            assert opened.open('a').read(9) == opened.open('b').read(9)
            opened.close()
    finally:
        over.set()
        thread.join()
