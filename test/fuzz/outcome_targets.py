# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets into which `viva label --write-success` writes: nothing outside of them may change."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from support.lerobot_datasets import write_lerobot

from fuzz import mutation, table_mutation
from fuzz.target import Target, in_folder
from viva_ros.data.episode import Label
from viva_ros.data.lerobot.metadata import JOURNAL
from viva_ros.data.lerobot.outcome_writer import finish, write_outcomes

LABELS: Final = {0: Label('t', True), 1: Label('t', False)}
OLD, NEW = 'old', 'of a stranger'
JOURNALS: Final = (['meta/info.json'], ['meta/info.json', '../victim/x'], ['link/x'])


def dataset(folder: Path, version: str) -> Path:
    """Write a dataset, with a link to a folder in which a journal could rename a file."""
    root = write_lerobot(folder / version, (3, 3), version)
    victim = folder / 'victim'
    victim.mkdir(exist_ok=True)
    (victim / 'x').write_text(OLD)
    (victim / '.x.viva_new').write_text(NEW)
    (root / 'link').symlink_to(victim)
    (root / JOURNAL).write_text('[]')
    return root


def guarded(write: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return a writer that fails if it touches the other folder."""

    def check(root: Path) -> None:
        try:
            write(root)
        finally:
            found = {one.name: one.read_text() for one in (root.parent / 'victim').iterdir()}
            assert found == {'x': OLD, '.x.viva_new': NEW}, 'a file outside has changed'

    return check


def write_labels(root: Path) -> None:
    write_outcomes(root, LABELS, lambda paths, _: paths)


def old_dataset(folder: Path) -> Path:
    return dataset(folder, 'v2.1')


def new_dataset(folder: Path) -> Path:
    return dataset(folder, 'v3.0')


FILE: Final = 'chunk-000/file-000.parquet'
OUTCOMES: Final = {
    'outcome_journal': Target(
        'journal of outcomes in LeRobot',
        lambda folder: [json.dumps(one).encode() for one in JOURNALS],
        in_folder(old_dataset, JOURNAL, guarded(finish))[1], mutation.of_json,
    ),
    'outcome_info': Target(
        'LeRobot, info.json, outcomes are written',
        *in_folder(old_dataset, 'meta/info.json', guarded(write_labels)), mutation.of_json,
    ),
    'outcome_rows': Target(
        'LeRobot, rows, outcomes are written',
        *in_folder(new_dataset, f'data/{FILE}', guarded(write_labels)),
        table_mutation.of_parquet,
    ),
    'outcome_episodes': Target(
        'LeRobot, table of episodes, outcomes are written',
        *in_folder(new_dataset, f'meta/episodes/{FILE}', guarded(write_labels)),
        table_mutation.of_parquet,
    ),
}  # fmt: skip
