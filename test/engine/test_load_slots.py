# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Slots among real processes; engines of other tests may load at the same time."""

import errno
import os
import socket
import subprocess
import sys
import time

import pytest

from viva_ros.engine import load_slots

HOLD = """
import sys
from viva_ros.engine import load_slots
load_slots.NAME = sys.argv[1]
slots = [load_slots.take_slot() for _ in range(load_slots.slot_count())]
print(all(slots), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def name(monkeypatch, tmp_path) -> str:
    """Use slots of this test alone."""
    made = f'viva_ros_test_{os.getpid()}_{tmp_path.name}'
    monkeypatch.setattr(load_slots, 'NAME', made)
    return made


def test_slot_count_is_half_of_the_cores_at_least_one(monkeypatch):
    for cores, count in ((1, 1), (2, 1), (3, 1), (8, 4)):
        monkeypatch.setattr(os, 'sched_getaffinity', lambda _, n=cores: set(range(n)))
        assert load_slots.slot_count() == count


def test_killed_process_frees_its_slots(name):
    line = [sys.executable, '-c', HOLD, name]
    other = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == 'True\n'
    assert load_slots.take_slot() is None
    other.kill()
    other.communicate()
    slot = load_slots.take_slot()
    assert slot is not None
    slot.close()


def test_slot_lasts_as_long_as_the_process_that_loads(name, monkeypatch):
    monkeypatch.setattr(load_slots, 'slot_count', lambda: 1)
    with load_slots.take_slot() as slot:
        child = subprocess.Popen(
            [sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, pass_fds=[slot.fileno()]
        )
    assert load_slots.take_slot() is None, 'the child has a copy'
    child.communicate(b'\n')
    end = time.monotonic() + 30.0
    while (slot := load_slots.take_slot()) is None:
        assert time.monotonic() < end
    slot.close()


def test_engine_loads_where_abstract_names_are_refused(name, monkeypatch):
    class Refused(socket.socket):
        def bind(self, address):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(socket, 'socket', Refused)
    slots = [load_slots.take_slot() for _ in range(9)]
    assert all(slots)
    for slot in slots:
        slot.close()
