# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data and budget of a comparison, the same for all contenders."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.ablation.entries import Entry
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.data.open import inside
from viva_ros.data.split import split
from viva_ros.training.trainer import Schedule

PLAN: Final = 'plan.json'
PARTS: Final = ('calibration', 'test')
#: Settings that no training depends on.
AFTERWARDS: Final = ('out', 'cache', 'values', 'processes', 'repeats', 'alpha', 'test')
#: What a plan has of one machine only, or of the pixels, which another renderer changes slightly.
LOCAL: Final = ('recordings', 'moments')
WARM_UP: Final = 200


@dataclass(frozen=True)
class Budget:
    """
    Settings of a comparison; equal settings produce equal figures.

    :param recordings: folder with the subfolders train, calibration and test
    :param out: folder of the runs
    :param cache: folder of the decoded training data
    :param steps: training steps of ViVa and of contenders with a similar cost of a step
    :param copies: augmented copies of the training views, in addition to the recorded views
    :param alpha: share of successes that may raise an alarm
    :param limit: largest number of recordings of each part and task; 0: all
    :param processes: worker processes, one thread each
    :param repeats: number of seeds of the entries that repeat
    :param rate: learning rate of all entries; 0: that of each
    :param test: subfolder of the test recordings
    :param values: folder of the estimates; None: in ``out``
    """

    recordings: Path
    out: Path
    cache: Path
    preset: str = 'small'
    seed: int = 0
    steps: int = 1500
    batch: int = 32
    vae_steps: int = 1600
    video_steps: int = 1500
    copies: int = 2
    alpha: float = 0.05
    limit: int = 0
    processes: int = 2
    repeats: int = 1
    rate: float = 0.0
    test: str = 'test'
    values: Path | None = None

    @property
    def shared(self) -> Path:
        """Folder of the models and data that all contenders share."""
        return self.out / 'shared'

    def schedule(self, entry: Entry) -> Schedule:
        """Return the schedule of a contender."""
        steps = self.steps * entry.longer
        return Schedule(
            steps,
            self.batch * entry.wider,
            self.rate or entry.rate,
            min(WARM_UP, max(1, steps // 5)),
        )

    def paths(self, part: str) -> list[Path]:
        """
        Return the recordings of a part: 'train', 'calibration' or 'test'.

        :raises RecordingError: if there are none
        """
        if part == 'train':
            found = split(self.recordings)['train']
        else:
            found = inside(self.recordings / (self.test if part == 'test' else part))
        if self.limit:
            folders = sorted({path.parent for path in found})
            found = [p for f in folders for p in [q for q in found if q.parent == f][: self.limit]]
        if not found:
            folder = self.recordings / (self.test if part == 'test' else part)
            raise RecordingError(
                'compare-recordings', f'{folder} has no recordings: run "viva record"'
            )
        return found

    def keep(self, **found: str) -> None:
        """
        Write what the trainings depend on, or compare it with that of the earlier runs.

        What the plan of the earlier runs lacks is added to it.

        :param found: more that they depend on, such as the digest of the data
        :raises ConfigurationError: if the plans differ
        """
        self.out.mkdir(parents=True, exist_ok=True)
        path, plan = self.out / PLAN, {**self._plan(), **found}
        begun = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
        changed = [name for name in plan if name in begun and begun[name] != plan[name]]
        if changed:
            was, now = ({name: p[name] for name in changed} for p in (begun, plan))
            raise ConfigurationError(
                'compare-begun',
                f'{path} was started with {was}, this run has {now}: choose another --out',
            )
        if not plan.keys() <= begun.keys():
            write_atomically(path, json.dumps({**begun, **plan}, indent=1) + '\n')

    def begun(self) -> dict[str, Any]:
        """Return what the trainings depend on, without what is of this machine only."""
        plan = json.loads((self.out / PLAN).read_text(encoding='utf-8'))
        return {name: value for name, value in plan.items() if name not in LOCAL}

    def settings(self) -> dict[str, Any]:
        """Return all settings but the folders of the runs, for the report."""
        folders = ('out', 'cache', 'values')
        kept = {name: value for name, value in asdict(self).items() if name not in folders}
        return {**kept, 'recordings': str(self.recordings)}

    def _plan(self) -> dict[str, Any]:
        kept = replace(self, recordings=self.recordings.resolve()).settings()
        return {name: value for name, value in kept.items() if name not in AFTERWARDS}
