# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What is to be said about a run: warnings before it starts, a verdict and a plot at its end.

Each finding is a sentence with its figures and a remedy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.console.palette import BLUE, GREY, ORANGE
from viva_ros.core.files import replace_atomically
from viva_ros.core.foreign_text import plotted
from viva_ros.data.episode import RETRY_TIME
from viva_ros.model import checkpoint
from viva_ros.training.config import TrainConfig, plan, too_short
from viva_ros.training.dataset import Data
from viva_ros.training.trainer import curve_rows

AIM: Final = 'value_error'  # metric that chooses the best state
PLOT: Final = 'curve.png'
FEW: Final = 10  # episodes of an outcome
FEW_SHARE: Final = 0.05  # of all episodes
RISE: Final = 0.10  # of the smallest held-out error
GAIN: Final = 0.03  # of the held-out error, within the last fifth of the steps
LATE: Final = 0.8  # share of the steps after which a gain is late


def before(run: TrainConfig, learn: Data, hold: Data | None, horizon: float) -> list[str]:
    """
    Return the warnings before a run starts.

    :param learn: training moments
    :param hold: validation moments
    :param horizon: of the forecast, s
    """
    found = [*length(run, len(learn.images)), *outcomes(learn.labels)]
    found += [*held(len(hold.labels) if hold else 0), *seen_before(run, hold)]
    spans = [1e-9 * float(track.stamps[-1] - track.stamps[0]) for track in learn.tracks]
    short = sum(span < horizon for span in spans)
    if short:
        found.append(
            f'{short} of {len(spans)} episodes are shorter than the horizon of {horizon:g} s: '
            'their forecast is the last pose; '
            f'--horizon {max(0.01, math.floor(100 * min(spans)) / 100):g} avoids it'
        )
    return found


def length(run: TrainConfig, moments: int) -> list[str]:
    """Return a warning if the last stage is too short for its data."""
    name = run.last_stage
    if not getattr(run.plan, name).steps and run.init is None:
        other = '' if run.head else ', or train from the checkpoint with --init'  # takes no head
        return [
            f'--{name}-steps is 0: the value is not trained, and the checkpoint returns random '
            f'values: leave out --{name}-steps{other}'
        ]
    usual = getattr(plan(None, {}, run.preset).settled(moments), name)
    text = too_short(name, getattr(run.plan.settled(moments), name), moments, usual)
    return [text] if text else []


def seen_before(run: TrainConfig, hold: Data | None) -> list[str]:
    """Return a warning about validation episodes that the checkpoint of --init was trained on."""
    if run.init is None:
        return []
    provenance = checkpoint.read_description(run.init)['provenance']
    if provenance.get('episode_identities') is None:
        return [
            f'--init {run.init} does not name its training episodes: whether the validation '
            'episodes are among them, and later those of a calibration or test, cannot be '
            'checked; train it again'
        ]
    known = set(provenance['episode_identities'].get('train', []))
    labels = [] if hold is None else hold.labels
    again = [label['name'] for label in labels if known & set(label['identities'])]
    if not again:
        return []
    return [
        f'{len(again)} of {len(labels)} validation episodes were training episodes of --init '
        f'{run.init} ({", ".join(again[:3])}): the held-out figures are too good; name others as '
        'validation in split.json'
    ]


def outcomes(labels: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    Return warnings about training episodes with too few failures or successes, by task.

    An attempt that is given up for a retry counts as a failure, once if it is an episode too.
    """
    found = []
    for task in sorted({label['task'] for label in labels}):
        of_task = [label for label in labels if label['task'] == task]
        mine = [bool(label['success']) for label in of_task]
        failed = {one for label in of_task if not label['success'] for one in label['identities']}
        given_up = sum(
            RETRY_TIME in label.get('times', {}) and not failed & set(label['identities'])
            for label in of_task
        )
        good = sum(mine)
        bad = len(mine) - good + given_up
        where = f'task {task}: '
        if not bad:
            found.append(
                where + f'all {good} episodes are successes: the value learns progress alone and '
                'is not trained to fall on a failure: record failures, or label them with '
                "'viva label'"
            )
        elif not good:
            found.append(
                where
                + f'all {len(mine)} episodes are failures: no progress towards success is learnt, '
                "and 'viva calibrate' needs successes: record successes, or label them with "
                "'viva label'"
            )
        else:
            for kind, count in (('failures', bad), ('successes', good)):
                if count < FEW or count < FEW_SHARE * (good + bad):
                    found.append(
                        where + f'too few {kind}: {count} of {good + bad} attempts; record at '
                        f'least {max(FEW, round(FEW_SHARE * (good + bad)))}'
                    )
    return found


def held(count: int) -> list[str]:
    """Return a warning about missing or few validation episodes."""
    if not count:
        return [
            'no validation recordings: the last state is kept, and overfitting stays unseen; '
            'train with more recordings, or name some as validation in split.json'
        ]
    if count < FEW:
        return [
            f'few validation episodes: {count}; the held-out figures say little below {FEW}'
        ]  # fmt: skip
    return []


@dataclass(frozen=True)
class Curve:
    """
    Curve of one stage.

    :param steps: of the training losses, (N,)
    :param losses: (N,)
    :param held_steps: of the held-out errors, (M,)
    :param errors: AIM on validation recordings, (M,)
    """

    steps: np.ndarray
    losses: np.ndarray
    held_steps: np.ndarray
    errors: np.ndarray

    @classmethod
    def read(cls, folder: Path, stage: str) -> 'Curve':
        """Return the curve of a stage from the folder of a run; empty if it has no rows."""
        rows = [row for row in curve_rows(folder) if row['stage'] == stage]
        measured = [row for row in rows if row.get(AIM) is not None]
        columns = (
            [row['step'] for row in rows], [row['total'] for row in rows],
            [row['step'] for row in measured], [row[AIM] for row in measured],
        )  # fmt: skip
        return cls(*(np.array(column, dtype=np.float64) for column in columns))

    def loss_near(self, step: float) -> float:
        """Return the mean training loss of the three rows up to a step."""
        upto = self.losses[self.steps <= step]
        return float(upto[-3:].mean()) if len(upto) else float('nan')


def after(curve: Curve, stage: str) -> list[str]:
    """
    Return what a curve says about the length of its stage.

    Overfitted: the last held-out error is above the smallest by more than RISE, while the training
    loss fell. Too short: the error fell by more than GAIN within the last fifth of the steps.
    """
    if len(curve.errors) == 0 or not np.isfinite(curve.errors).any():
        return []
    best = int(np.nanargmin(curve.errors))
    step, least, last = int(curve.held_steps[best]), curve.errors[best], curve.errors[-1]
    end = int(curve.held_steps[-1])
    fell = curve.loss_near(end) < curve.loss_near(step)
    if last > (1 + RISE) * least and fell:
        return [
            f'overfitted after step {step}: the held-out error rose from {least:.4f} to '
            f'{last:.4f} at step {end}, while the training loss fell; the state of step {step} is '
            'kept: more steps do not help, more recordings do'
        ]
    early = curve.errors[curve.held_steps <= LATE * end]
    if step == end and len(early) and least < (1 - GAIN) * np.nanmin(early):
        return [
            f'still improving at the end: the held-out error fell by '
            f'{100 * (1 - least / np.nanmin(early)):.0f} % within the last fifth: train longer, '
            f'--{stage}-steps {2 * end} in another --out'
        ]
    return [f'the held-out error is smallest at step {step} of {end}: {least:.4f}']


def draw(curve: Curve, stage: str, best: int, path: Path) -> None:
    """
    Plot training loss and held-out error over the steps.

    :param best: step of the state that is kept, 0: none was measured
    :param path: PNG file
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.0), layout='constrained')
    axes = figure.subplots()
    axes.spines[['top', 'right']].set_visible(False)
    axes.plot(curve.steps, curve.losses, color=GREY, lw=1.2, label='training loss')
    axes.set(xlabel=f'step of stage {plotted(stage)}', ylabel='training loss', yscale='log')
    lines = axes.get_lines()
    if len(curve.errors):
        other = axes.twinx()
        other.spines['top'].set_visible(False)
        other.plot(curve.held_steps, curve.errors, color=BLUE, marker='o', ms=4, lw=1.8,
                   label='held-out error of the value')  # fmt: skip
        other.set(ylabel='mean absolute error of the value', ylim=(0, None))
        lines = [*lines, *other.get_lines()]
        if best:
            lines.append(axes.axvline(best, color=ORANGE, lw=1.4, ls='--',
                                      label=f'kept: step {best:d}'))  # fmt: skip
    axes.legend(handles=lines, frameon=False, loc='upper right')
    replace_atomically(path, lambda part: figure.savefig(part, format='png', dpi=120))
