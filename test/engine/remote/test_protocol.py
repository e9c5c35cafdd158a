# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sockets: what is deleted, and where they are created."""

import os
import re
import socket
import stat
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.core.errors import EngineError, UntrustedError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.remote import protocol
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.server import Server

STRANGER = 12345
INFO = EngineInfo((), ('waist',), 1.0, (1, 1), ('lift',), 'f' * 16, 'fake')
as_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')


class Half:
    info = INFO

    def estimate(self, observation: Observation) -> Estimate:
        return Estimate(0.5, {})

    def close(self) -> None:
        pass


def serve(address: Path) -> Server:
    return Server(Half(), 'lift', address, 0.0, 1)


def make(kind: str, path: Path) -> None:
    if kind == 'file':
        path.write_bytes(b'weeks of work')
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'fifo':
        os.mkfifo(path)
    else:
        path.symlink_to(path.with_name('target'))
        path.with_name('target').write_bytes(b'weeks of work')


@pytest.mark.parametrize('kind', ['file', 'folder', 'fifo', 'link'])
def test_address_that_is_no_socket_is_not_deleted(address: Path, kind: str) -> None:
    make(kind, address)
    before = address.lstat()
    with raises('address-not-socket', address, 'folder of your own', of=EngineError) as caught:
        serve(address)
    assert address.lstat().st_ino == before.st_ino
    if kind in ('file', 'link'):
        assert address.read_bytes() == b'weeks of work'
    with pytest.raises(UntrustedError):
        SharedEngine(address, 'lift', Half, '', 1.0)
    _try_remedy(str(caught.value), address.parent)


def _try_remedy(text: str, home: Path) -> None:
    """Serve at the address that an error proposes, in another home."""
    proposed = re.findall(r"'~/([^']+)'", text)
    assert len(proposed) == 1
    server = serve(home / proposed[0])
    assert stat.S_IMODE((home / proposed[0]).parent.stat().st_mode) == 0o700
    server.close()


def test_socket_of_a_killed_server_is_replaced(address: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(address))
    server = serve(address)
    assert stat.S_IMODE(address.stat().st_mode) == 0o600
    server.close()
    assert not address.exists()


@pytest.mark.parametrize('kind', ['file', 'socket'])
def test_end_of_server_deletes_its_own_socket_only(address: Path, kind: str) -> None:
    server = serve(address)
    address.unlink()
    other = None
    if kind == 'file':
        address.write_bytes(b'weeks of work')
    else:
        other = serve(address)
    server.close()
    assert address.exists()
    if other:
        other.close()
        assert not address.exists()


def test_long_address_can_be_served(tmp_path: Path) -> None:
    address = tmp_path / ('long' * 40) / 'engine.sock'  # a name has 108 bytes at most
    server = serve(address)
    server.close()
    assert stat.S_IMODE(address.parent.stat().st_mode) == 0o700


@as_root
def test_socket_of_other_user_is_neither_deleted_nor_used(address: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(address))
    os.chown(address, STRANGER, -1)
    for act in (serve, lambda at: SharedEngine(at, 'lift', Half, '', 1.0)):
        with raises('address-owner', address, STRANGER, of=EngineError):
            act(address)
    assert address.exists()


@as_root
@pytest.mark.parametrize('what', ['folder', 'link', 'parent'])
def test_socket_folder_of_other_user_is_refused(tmp_path: Path, what: str) -> None:
    folder = tmp_path / 'a' / 'own'
    folder.mkdir(parents=True, mode=0o700)
    if what == 'link':
        (tmp_path / 'link').symlink_to(folder)
        os.lchown(tmp_path / 'link', STRANGER, -1)
        folder = tmp_path / 'link'
    else:
        os.chown(folder if what == 'folder' else folder.parent, STRANGER, -1)
    with raises('file-owner', STRANGER, 'chown', of=EngineError):
        serve(folder / 'engine.sock')


def test_sticky_folder_is_no_place_for_a_socket(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with raises('socket-folder-writable', tmp_path, f'chmod go-w {tmp_path}', of=EngineError):
        serve(tmp_path / 'engine.sock')
    tmp_path.chmod(tmp_path.stat().st_mode & ~0o022)  # the remedy
    serve(tmp_path / 'engine.sock').close()


@pytest.mark.parametrize('kind', ['file', 'folder', 'dangling link', 'writable'])
def test_unsafe_default_address_makes_monitor_use_its_own_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(tmp_path))
    address = protocol.address_of(protocol.AUTO)
    if kind == 'dangling link':
        address.parent.symlink_to('/nowhere')
    else:
        address.parent.mkdir(mode=0o700)
        address.parent.chmod(0o777 if kind == 'writable' else 0o700)
    if kind in ('file', 'folder'):
        make(kind, address)
    engine = SharedEngine(address, 'lift', Half, '', 1.0)
    assert not engine.is_served and engine.state.startswith('in this process (fake): ')
    assert str(address if kind != 'writable' else address.parent) in engine.state
    assert engine.estimate(Observation({}, {'waist': 0.0}, {})).value == 0.5
    engine.close()


@pytest.mark.parametrize('kind', ['file', 'dangling link'])
def test_folder_that_cannot_be_created_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / 'own'
    if kind == 'file':
        folder.write_bytes(b'weeks of work')
    else:
        folder.symlink_to('/nowhere')
    with raises('socket-folder-unusable', folder, of=EngineError) as caught:
        serve(folder / 'engine.sock')
    assert folder.is_symlink() or folder.read_bytes() == b'weeks of work'
    _try_remedy(str(caught.value), tmp_path)
