# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import fcntl
import os
from pathlib import Path

import pytest
from support.ros import wait

from viva_ros.cli import doctor
from viva_ros.doctor import checks as findings
from viva_ros.doctor import shared_memory as leftovers
from viva_ros.doctor.checks import ERROR, OK, WARN

CAMERAS = ('head', 'left_wrist', 'right_wrist')


def segment(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(bytes(1000))
    (folder / f'{name}_el').touch()
    return folder / name


def test_a_segment_whose_lock_is_held_lives_and_one_whose_lock_is_free_is_dead(tmp_path) -> None:
    alive, dead = segment(tmp_path, 'fastdds_aa'), segment(tmp_path, 'fastdds_port7410')
    mutex = tmp_path / 'sem.fastdds_port7410_mutex'
    mutex.touch()
    other = segment(tmp_path, 'of_another_program')
    with open(tmp_path / 'fastdds_aa_el', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert [one.path for one in leftovers.find(tmp_path, young=0.0)] == [dead]
        assert sum(one.size for one in leftovers.remove(tmp_path, young=0.0)) == 1000
        assert leftovers.find(tmp_path, young=0.0) == []
    assert alive.exists() and other.exists()
    assert not dead.exists() and not mutex.exists()
    assert [one.path for one in leftovers.find(tmp_path, young=0.0)] == [alive], 'its owner ended'


def test_a_segment_that_was_just_made_is_let_be(tmp_path) -> None:
    segment(tmp_path, 'fastdds_aa')
    assert leftovers.find(tmp_path) == []
    os.utime(tmp_path / 'fastdds_aa_el', (0.0, 0.0))
    assert len(leftovers.find(tmp_path)) == 1


def test_a_killed_node_leaves_a_segment_which_is_found_and_no_living_one_is(
    processes, listener
) -> None:
    before = set(leftovers.SHARED.glob('fastdds_*_el'))
    node = processes.start('viva_ros.nodes', 'supervisor', '--ros-args', '-p', 'autostart:=false')
    wait(lambda: 'supervisor' in listener.get_node_names(), 'the node')
    mine = {
        Path(os.readlink(entry)) for entry in Path(f'/proc/{node.pid}/fd').iterdir()
        if os.path.lexists(entry)
    } - before  # fmt: skip
    locks = {path.name.removesuffix('_el') for path in mine if path.name.endswith('_el')}
    assert locks

    def dead() -> set[str]:
        return {one.path.name for one in leftovers.find(young=0.0)}

    assert not locks & dead()
    node.kill()
    node.wait()
    assert locks <= dead()


def test_an_engine_and_its_calibration_are_named_or_refused(tmp_path) -> None:
    found, cameras = findings.engine('', 'tray_lift')
    assert [one.level for one in found] == [OK, OK] and cameras == CAMERAS
    (refused,), cameras = findings.engine(str(tmp_path), 'tray_lift')
    assert (refused.level, cameras) == (ERROR, ()) and refused.remedy


@pytest.mark.parametrize(
    ('profile', 'level'),
    [
        ('', WARN),
        ('<dds><segment_size>524288</segment_size></dds>', WARN),
        ('<dds><segment_size>33554432</segment_size></dds>', OK),
        ('<dds>', ERROR),
    ],
)
def test_a_profile_without_room_for_pictures_is_named(
    tmp_path, monkeypatch, profile: str, level: str
) -> None:
    path = tmp_path / 'profile.xml'
    path.write_text(profile)
    monkeypatch.setenv(findings.PROFILE_VARIABLE, str(path) if profile else '')
    found = next(one for one in findings.shared_memory() if one.subject == 'segment')
    assert found.level == level
    assert findings.PROFILE_VARIABLE in found.remedy or level == OK


def test_a_running_robot_is_measured_and_what_is_missing_is_named(
    processes, listener, capsys, tmp_path
) -> None:
    (tmp_path / 'level').write_text('160')
    processes.start('fake_source.py', tmp_path, 'head', 'left_wrist', 'joint_states')
    processes.start(
        'fake_monitor.py', '--ros-args', '-p', 'transport:=raw', '-p', 'input_timeout:=0.0'
    )
    wait(lambda: listener.count_publishers('value'), 'the monitor')
    assert doctor.main(['--seconds', '2.5']) == 1
    said = capsys.readouterr().out
    assert 'OK    node /monitor: runs' in said
    assert 'WARN  node /supervisor: is not on this domain' in said
    assert 'Hz; source_head: best effort, volatile' in said
    assert 'ERROR /right_wrist/image_raw: nobody publishes it\n      -> start its driver' in said
    assert 'OK    /value: reliable, volatile' in said
    assert 'ERROR /monitor: right_wrist: nothing received on /right_wrist/image_raw' in said


def test_of_two_robots_the_one_in_the_namespace_is_looked_at(
    processes, listener, capsys, tmp_path
) -> None:
    (tmp_path / 'level').write_text('160')
    here = ('--ros-args', '-r', '__ns:=/left')
    processes.start('fake_source.py', tmp_path, *CAMERAS, 'joint_states', *here)
    values = ('-p', 'transport:=raw', '-p', 'input_timeout:=0.0')
    processes.start('fake_monitor.py', *here, *values)
    processes.start('fake_monitor.py', '--ros-args', '-r', '__ns:=/right', *values)
    for robot in ('left', 'right'):
        wait(lambda robot=robot: listener.count_publishers(f'/{robot}/value'), 'the monitor')

    doctor.main(['--seconds', '2.5', '--namespace', 'left'])
    said = capsys.readouterr().out
    assert 'OK    node /left/monitor: runs' in said
    assert 'OK    /left/value: reliable' in said and 'Hz; source_head' in said
    assert 'right/' not in said, 'nothing of the other robot'

    doctor.main(['--seconds', '2.5', '--namespace', '/right/'])
    said = capsys.readouterr().out
    assert 'ERROR /right/head/image_raw: nobody publishes it' in said
    assert 'ERROR /right/monitor: head: nothing received' in said

    doctor.main(['--seconds', '1'])
    said = capsys.readouterr().out
    assert 'WARN  node /monitor: is not there, but in /left, /right' in said
    assert '-> viva doctor --namespace /left' in said


def test_a_namespace_that_is_none_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        doctor.main(['--namespace', 'a-b'])
    assert "--namespace is 'a-b', must be one of ROS" in capsys.readouterr().err


def test_deleting_says_how_much(monkeypatch, tmp_path, capsys) -> None:
    segment(tmp_path, 'fastdds_aa')
    os.utime(tmp_path / 'fastdds_aa_el', (0.0, 0.0))
    real = leftovers.remove
    monkeypatch.setattr(leftovers, 'remove', lambda: real(tmp_path))
    assert doctor.main(['--clean']) == 0
    assert '1 segments of dead processes deleted, 0 MiB' in capsys.readouterr().out
