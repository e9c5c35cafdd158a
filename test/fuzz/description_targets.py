# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Descriptions in JSON, YAML, CSV and XML: of engines, robots, labels, splits and parameters."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
from support.foreign_robot import MAP
from support.recordings import INFO, write_recording
from support.scripted_robot import ROBOT

from fuzz import mutation
from fuzz.target import Target, of_file
from viva_ros.bringup.launch_arguments import ParameterFile
from viva_ros.core.detection import thresholds
from viva_ros.core.supervision_memory import SupervisionMemory
from viva_ros.core.urdf import RobotDescription
from viva_ros.data import episode
from viva_ros.data.conversion.annotations import read_table
from viva_ros.data.split import split
from viva_ros.engine.manifest import CHECKSUM, checksum, info_of, read_manifest, trained_episodes
from viva_ros.engine.remote.protocol import from_greeting, greeting
from viva_ros.robot.topic_map import load_map

ROOT: Final = Path(__file__).parents[2]
ENGINE: Final = ROOT / 'engines/viperx_proprio'

MEMORY: Final = {
    'format': 'viva_ros supervision 3', 'asked': [1000.0, 1010.0],
    'operator': {'kind': 'retry_timeout', 'stamp': 1, 'onset': 1, 'episode': 'e', 'text': 'x'},
    'episode': {'id': 'e', 'task': 't', 'used': 1, 'retrying': True, 'begun': False},
    'latched': None,
}  # fmt: skip
LABELS: Final = {
    'format': 'viva_ros labels 1',
    'episodes': {
        'x': {'success': True, 'task': 't', 'marks': [{'kind': 'error', 'time': 1.0, 'text': ''}]}
    },
}
TABLE: Final = 'file,success,failure,task\na,true,,lift\nb,0,slip,lift\n'
URDF: Final = """<robot name="arm"><link name="base"/><link name="hand"/><link name="finger"/>
<joint name="turn" type="revolute"><parent link="base"/><child link="hand"/>
<origin xyz="0 0 1" rpy="0 0 1.5"/><axis xyz="0 0 2"/></joint>
<joint name="grip" type="prismatic"><parent link="hand"/><child link="finger"/>
<axis xyz="0 0 1"/><mimic joint="turn" multiplier="-2" offset="0.5"/></joint></robot>
"""


def texts(*names: str) -> Callable[[Path], list[bytes]]:
    """Return seeds that are files of the repository."""
    return lambda folder: [(ROOT / name).read_bytes() for name in names]


def given(*contents: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [content.encode() for content in contents]


def small_manifest(folder: Path) -> list[bytes]:
    """Return a description of an engine, without most of its training episodes."""
    content = json.loads((ENGINE / 'engine.json').read_text(encoding='utf-8'))
    content['provenance'] = {
        'training': {'episode_identities': {'train': ['a'], 'validation': []}}
    }
    return [sealed(json.dumps(content, indent=1).encode())]


def sealed(data: bytes) -> bytes:
    """Return a description with a valid checksum, if it can have one."""
    try:
        content = json.loads(data)
        content[CHECKSUM] = checksum(content)
        return json.dumps(content).encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return data


def of_manifest(data: bytes, random: Random) -> bytes:
    """Change a description; three of four have a valid checksum."""
    found = mutation.of_json(data, random)
    return found if random.random() < 0.25 else sealed(found)


def read_engine(path: Path) -> None:
    manifest = read_manifest(path.parent)
    info_of(manifest, manifest.kind)
    trained_episodes(path.parent)


def read_split(path: Path) -> None:
    for name in ('a', 'b'):
        if not (path.parent / f'{name}.mcap').exists():
            write_recording(path.parent / f'{name}.mcap', [0.1])
    split(path.parent)


def robot_description(data: bytes, folder: Path) -> None:
    text = data.decode('utf-8', 'replace')
    chain = RobotDescription(text).chain('base', 'finger')
    chain.points(dict.fromkeys(chain.joints, np.array([0.1])))


def contract() -> str:
    """Return the contract of the tests of rosetta."""
    source = (ROOT / 'test/robot/test_rosetta.py').read_text(encoding='utf-8')
    return source.partition('CONTRACT = """\\\n')[2].partition('"""')[0]


def memory(path: Path) -> None:
    SupervisionMemory(path).recall(1020.0, 20)


DESCRIPTIONS: Final = {
    'engine_json': Target(
        'engine.json', small_manifest, of_file('engine.json', read_engine), of_manifest
    ),
    'model_json': Target(
        'model.json of a checkpoint', small_manifest,
        of_file('model.json', lambda path: trained_episodes(path.parent)), mutation.of_json,
    ),
    'calibration': Target(
        'calibration_TASK.json', texts('engines/viperx/calibration_tray_lift.json'),
        of_file('calibration.json', thresholds.load), mutation.of_json,
    ),
    'labels_json': Target(
        'labels.json', given(json.dumps(LABELS)), of_file('labels.json', episode.load),
        mutation.of_json,
    ),
    'labels_csv': Target(
        'labels.csv', given(TABLE), of_file('labels.csv', read_table), mutation.of_text
    ),
    'split': Target(
        'split.json', given('{"train": ["a.mcap"], "test": ["b.mcap"]}'),
        of_file('split.json', read_split), mutation.of_json,
    ),
    'robot_file': Target(
        'robot file (map)', given(ROBOT, MAP), of_file('robot.yaml', load_map), mutation.of_text
    ),
    'rosetta': Target(
        'contract of rosetta', given(contract()), of_file('contract.yaml', load_map),
        mutation.of_text,
    ),
    'parameters': Target(
        'parameter file', texts('config/monitor.yaml', 'config/supervisor.yaml'),
        of_file('parameters.yaml', lambda path: ParameterFile(path).of('/monitor')),
        mutation.of_text,
    ),
    'memory': Target(
        'memory of the supervisor', given(json.dumps(MEMORY)), of_file('memory.json', memory),
        mutation.of_json,
    ),
    'urdf': Target('URDF', given(URDF), robot_description, mutation.of_text),
    'greeting': Target(
        'greeting of an engine server', lambda folder: [greeting(INFO, 'tray_lift')],
        lambda data, folder: asdict(from_greeting(data, 'tray_lift')), mutation.of_json,
    ),
}  # fmt: skip
