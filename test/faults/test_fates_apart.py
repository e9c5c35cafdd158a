# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Row 30 of the fault table: an auxiliary process that dies never ends monitor and supervisor."""

import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress

import psutil
import pytest
from std_msgs.msg import Header
from support.ros import PATIENCE, wait

from viva_ros.nodes import qos

#: `viva up monitor`, whose delays are those of a test.
UP = """
from dataclasses import replace
from viva_ros.cli import up
from viva_ros.nodes import registry
programs, arguments = registry.LAUNCHES['monitor']
quick = replace(registry.AUXILIARY, delay=0.1, longest=0.2)
registry.LAUNCHES['monitor'] = (
    tuple(replace(p, respawn=quick) if p.name == 'black_box' else p for p in programs), arguments
)
up.main(['monitor'])
"""


@pytest.fixture
def bringup(domain, tmp_path):
    with (tmp_path / 'up.log').open('wb') as log:
        process = subprocess.Popen(
            [sys.executable, '-P', '-c', UP], stdout=log, stderr=subprocess.STDOUT
        )
    yield process
    process.terminate()
    process.wait(PATIENCE)
    print((tmp_path / 'up.log').read_text(errors='replace')[-3000:])


def nodes_of(process: subprocess.Popen[bytes]) -> dict[str, psutil.Process]:
    found = {}
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):  # it ends at this moment
            line = child.cmdline()
            if 'viva_ros.nodes' in line:
                found[line[line.index('viva_ros.nodes') + 1]] = child
    return found


def boxes_of(
    process: subprocess.Popen[bytes], killed: Collection[int], found: list[psutil.Process]
) -> bool:
    """Add a black box that was not killed yet; return whether there is one."""
    box = nodes_of(process).get('black_box')
    if box is not None and box.pid not in killed:
        found.append(box)
    return bool(found)


def test_black_box_killed_six_times_ends_alone(bringup, listener, tmp_path):
    beats = {
        name: listener.listen(Header, f'{name}/heartbeat', qos.HEARTBEAT)
        for name in ('monitor', 'supervisor')
    }
    wait(lambda: all(beats.values()), 'heartbeats')
    watch = {name: nodes_of(bringup)[name].pid for name in beats}
    killed: set[int] = set()
    while len(killed) < 6:
        found: list[psutil.Process] = []
        wait(lambda found=found: boxes_of(bringup, killed, found), f'box {len(killed) + 1}')
        killed.add(found[0].pid)
        found[0].kill()
    log = tmp_path / 'up.log'
    wait(lambda: 'failed 6 times in a row' in log.read_text(errors='replace'), 'the last line')
    assert 'black_box (exit code -9) failed 6 times in a row and is not started again' in (
        log.read_text(errors='replace')
    )
    counts = {name: len(found) for name, found in beats.items()}
    wait(lambda: all(len(beats[n]) > counts[n] + 5 for n in beats), 'further heartbeats')
    assert {name: nodes_of(bringup)[name].pid for name in beats} == watch
    assert 'black_box' not in nodes_of(bringup) and bringup.poll() is None
