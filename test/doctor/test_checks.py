# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import fcntl
import itertools
import os
from functools import partial
from pathlib import Path

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from support.ros import PATIENCE, wait

from viva_ros.cli import doctor
from viva_ros.doctor import checks, shared_memory
from viva_ros.doctor.findings import ERROR, OK, WARN
from viva_ros.nodes import qos

CAMERAS = ('head', 'left_wrist', 'right_wrist')


def segment(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(bytes(1000))
    (folder / f'{name}_el').touch()
    return folder / name


def test_segment_is_dead_if_its_lock_is_free(tmp_path) -> None:
    alive, dead = segment(tmp_path, 'fastdds_aa'), segment(tmp_path, 'fastdds_port7410')
    mutex = tmp_path / 'sem.fastdds_port7410_mutex'
    mutex.touch()
    other = segment(tmp_path, 'of_another_program')
    with open(tmp_path / 'fastdds_aa_el', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert [one.path for one in shared_memory.find_leftovers(tmp_path, young=0.0)] == [dead]
        assert sum(one.size for one in shared_memory.remove_leftovers(tmp_path, young=0.0)) == 1000
        assert shared_memory.find_leftovers(tmp_path, young=0.0) == []
    assert alive.exists() and other.exists()
    assert not dead.exists() and not mutex.exists()
    left = [one.path for one in shared_memory.find_leftovers(tmp_path, young=0.0)]
    assert left == [alive], 'owner ended'


def test_new_segment_is_left_out(tmp_path) -> None:
    segment(tmp_path, 'fastdds_aa')
    assert shared_memory.find_leftovers(tmp_path) == []
    os.utime(tmp_path / 'fastdds_aa_el', (0.0, 0.0))
    assert len(shared_memory.find_leftovers(tmp_path)) == 1


def test_segment_of_a_killed_node_is_found(processes, listener) -> None:
    before = set(shared_memory.SHARED.glob('fastdds_*_el'))
    node = processes.start('viva_ros.nodes', 'supervisor', '--ros-args', '-p', 'autostart:=false')
    wait(lambda: 'supervisor' in listener.get_node_names(), 'the node')
    opened = {
        Path(os.readlink(entry)) for entry in Path(f'/proc/{node.pid}/fd').iterdir()
        if os.path.lexists(entry)
    } - before  # fmt: skip
    locks = {path.name.removesuffix('_el') for path in opened if path.name.endswith('_el')}
    assert locks

    def dead() -> set[str]:
        return {one.path.name for one in shared_memory.find_leftovers(young=0.0)}

    assert not locks & dead()
    node.kill()
    node.wait()
    assert locks <= dead()


def test_engine_check_reports_engine_and_calibration(tmp_path) -> None:
    found, info = checks.engine('', 'tray_lift')
    assert [one.level for one in found] == [OK, OK] and info.cameras == CAMERAS
    (refused,), info = checks.engine(str(tmp_path), 'tray_lift')
    assert (refused.level, info) == (ERROR, None) and refused.remedy


@pytest.mark.parametrize(
    ('profile', 'level'),
    [
        ('', WARN),
        ('<dds><segment_size>524288</segment_size></dds>', WARN),
        ('<dds><segment_size>33554432</segment_size></dds>', OK),
        ('<dds>', ERROR),
    ],
)
def test_small_segments_in_the_profile_are_reported(
    tmp_path, monkeypatch, profile: str, level: str
) -> None:
    path = tmp_path / 'profile.xml'
    path.write_text(profile)
    monkeypatch.setenv(checks.PROFILE_VARIABLE, str(path) if profile else '')
    found = next(one for one in checks.shared_memory() if one.subject == 'segment')
    assert found.level == level
    assert checks.PROFILE_VARIABLE in found.remedy or level == OK


def test_doctor_measures_inputs_and_reports_missing_ones(
    processes, listener, capsys, tmp_path
) -> None:
    (tmp_path / 'level').write_text('160')
    processes.start('fake_source.py', tmp_path, 'head', 'left_wrist', 'joint_states')
    processes.start(
        'fake_monitor.py', '--ros-args', '-p', 'transport:=raw', '-p', 'input_timeout:=0.0'
    )
    wait(lambda: listener.count_publishers('value'), 'the monitor')
    assert doctor.main(['--seconds', '2.5']) == 1
    output = capsys.readouterr().out
    assert 'OK    node /monitor: runs' in output
    assert 'WARN  node /supervisor: does not run on this domain' in output
    assert 'Hz; source_head: best effort, volatile' in output
    assert 'ERROR /right_wrist/image_raw: has no publisher\n      -> start its driver' in output
    assert 'OK    /value: reliable, volatile' in output
    assert 'ERROR /monitor: right_wrist: nothing received on /right_wrist/image_raw' in output


def test_doctor_checks_the_robot_of_its_namespace(processes, listener, capsys, tmp_path) -> None:
    (tmp_path / 'level').write_text('160')
    here = ('--ros-args', '-r', '__ns:=/left')
    processes.start('fake_source.py', tmp_path, *CAMERAS, 'joint_states', *here)
    values = ('-p', 'transport:=raw', '-p', 'input_timeout:=0.0')
    processes.start('fake_monitor.py', *here, *values)
    processes.start('fake_monitor.py', '--ros-args', '-r', '__ns:=/right', *values)
    for robot in ('left', 'right'):
        wait(lambda robot=robot: listener.count_publishers(f'/{robot}/value'), 'the monitor')

    def told(namespace: str, *texts: str) -> str:
        """Return the output; on a loaded machine discovery and first messages may be late."""
        for _ in range(5):
            doctor.main(['--seconds', '2.5', '--namespace', namespace])
            output = capsys.readouterr().out
            if all(text in output for text in texts):
                break
        assert all(text in output for text in texts), output
        return output

    seen = ('OK    node /left/monitor: runs', 'OK    /left/value: reliable', 'Hz; source_head')
    assert 'right/' not in told('left', *seen), 'nothing of the other robot'
    lack = 'ERROR /right/monitor: head: nothing received'
    told('/right/', 'ERROR /right/head/image_raw: has no publisher', lack)

    doctor.main(['--seconds', '1'])
    output = capsys.readouterr().out
    assert 'WARN  node /monitor: runs in another namespace: /left, /right' in output
    assert '-> viva doctor --namespace /left' in output


def test_inputs_that_are_discovered_after_their_monitor_are_checked(
    listener, capsys, monkeypatch
) -> None:
    node = rclpy.create_node('monitor', context=listener.context)
    spin, spins = checks.spin, itertools.count()

    def subscribe_late(executor: SingleThreadedExecutor, seconds: float) -> None:
        spin(executor, seconds)
        (own,) = executor.get_nodes()
        if 'monitor' in own.get_node_names() and next(spins) == 2:  # a second after its discovery
            node.create_subscription(Image, 'top/image_raw', print, qos.IMAGE)

    monkeypatch.setattr(checks, 'spin', subscribe_late)
    monkeypatch.setattr(checks, 'DISCOVERY', PATIENCE)
    doctor.main(['--seconds', '0.5'])
    node.destroy_node()
    assert 'ERROR /top/image_raw: has no publisher' in capsys.readouterr().out


def test_invalid_namespace_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        doctor.main(['--namespace', 'a-b'])
    assert "--namespace is 'a-b', must be a ROS namespace" in capsys.readouterr().err


def test_clean_reports_number_and_size_of_segments(monkeypatch, tmp_path, capsys) -> None:
    segment(tmp_path, 'fastdds_aa')
    os.utime(tmp_path / 'fastdds_aa_el', (0.0, 0.0))
    remove = partial(shared_memory.remove_leftovers, tmp_path)
    monkeypatch.setattr(doctor, 'remove_leftovers', remove)
    assert doctor.main(['--clean']) == 0
    assert '1 segments of dead processes deleted, 0 MiB' in capsys.readouterr().out
