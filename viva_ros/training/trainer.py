# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The training loop: AdamW, warm-up and cosine schedule, gradient clipping, averaged weights.

The full state, including the random generator, is written at a fixed interval of steps; a resumed
run has the same weights as one without interruption. The averaged weights with the smallest
error on validation recordings are kept beside the state, which names their step; they are the
result of the stage. A better state is written to another file than the one that the last state
names: a run that is killed before the next state still has the earlier one.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from viva_ros.console.progress import new_bar
from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.training.checkpointing import StateFile
from viva_ros.training.config import Schedule
from viva_ros.training.distributed import (
    Losses,
    LossFunction,
    Workers,
    local,
    spread_like,
    whole,
)

CURVE = 'curve.jsonl'
EVENTS = 'tensorboard'


def curve_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the curve of a run; a row is left out if a kill has torn it."""
    path, found = folder / CURVE, []
    for line in path.read_text(encoding='utf-8').splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        found.append(row)
    return found


class MetricLog:
    """
    Metrics of one stage, in ``curve.jsonl`` and ``tensorboard/STAGE`` of the run's folder.

    :param step: from which the stage resumes; later rows of a killed run are deleted
    """

    def __init__(self, folder: Path, stage: str, step: int) -> None:
        self._stage, self._path = stage, folder / CURVE
        self._delete_after(step)
        self._writer = SummaryWriter(str(folder / EVENTS / stage), purge_step=step + 1)

    def add(
        self, step: int, pace: Mapping[str, float], losses: Mapping[str, float],
        held_out: Mapping[str, float],
    ) -> None:  # fmt: skip
        """
        Append a row.

        :param pace: mean duration of a step in s, learning rate
        :param held_out: metrics on validation recordings; empty between measurements
        """
        parts = {'pace': pace, 'loss': losses, 'held_out': held_out}
        for part, figures in parts.items():
            for name, figure in figures.items():
                self._writer.add_scalar(f'{part}/{name}', figure, step)
        self._writer.flush()
        row: dict[str, Any] = {'stage': self._stage, 'step': step}
        for figures in parts.values():
            row |= figures
        try:
            with self._path.open('a', encoding='utf-8') as file:
                file.write(json.dumps(row) + '\n')
        except OSError as error:
            error.filename = str(self._path)  # the error of a full disk has no file name
            raise

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()

    def _delete_after(self, step: int) -> None:
        if not self._path.is_file():
            return
        kept = [
            row for row in curve_rows(self._path.parent)
            if row['stage'] != self._stage or row['step'] <= step
        ]  # fmt: skip
        write_atomically(self._path, ''.join(f'{json.dumps(row)}\n' for row in kept))


__all__ = ['Losses', 'Schedule', 'TrainStage']

BETAS: Final = (0.9, 0.95)
WEIGHT_DECAY: Final = 0.01
CLIP: Final = 1.0
RATED: Final = ('viva', 'head')  # stages with the rate of --learning-rate
MOMENTS: Final = ('step', 'exp_avg', 'exp_avg_sq')  # of AdamW


class TrainStage:
    """
    One stage of training a module; only parameters that require a gradient are trained.

    :param name: of the stage and its files
    :param folder: of the run
    :param loss: returns named losses of a batch drawn with a generator; 'total' is minimised
    :param measure: returns metrics of the module with averaged weights
    :param workers: processes of the run; None: this process only
    :param aim: metric of ``measure``, smallest in the best state; '': the last state is kept
    :param patience: measurements without a better state after which the stage ends; 0: no limit
    """

    def __init__(
        self, name: str, module: nn.Module, schedule: Schedule, folder: Path, seed: int,
        loss: LossFunction, measure: Callable[[], Mapping[str, float]] = dict,
        workers: Workers | None = None, aim: str = '', patience: int = 0,
    ) -> None:  # fmt: skip
        self.name, self.module, self.schedule = name, module, schedule
        self._workers = workers or Workers()
        self._workers.check(schedule.batch)
        self._workers.place(module)
        self._loss, self._measure, self._folder = loss, measure, folder
        self._generator = torch.Generator().manual_seed(seed)
        self._parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(), lr=schedule.rate, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
        self._average: dict[str, Tensor] = {}
        if schedule.average:
            self._average = {n: local(p).clone() for n, p in self._parameters.items()}
        parts = self._workers.count if self._workers.is_spread(module) else 1
        self._state, *self._best_states = (
            StateFile(folder, one, self._workers.rank, parts, self._workers.wait)
            for one in (name, f'{name}.best', f'{name}.best2')
        )
        self._aim, self._patience = aim, patience
        self._step, self._best_step, self._best = 0, 0, math.inf
        self._best_file = self._saved_file = 0  # of the best states: the last, that of the state
        self._has_saved_best = False

    def run(self, until: int | None = None) -> None:
        """
        Train from the last state on, and leave the best averaged weights in the module.

        :param until: step at which to write the state and stop; None: the end of the schedule
        """
        end = min(self.schedule.steps, until or self.schedule.steps)
        self._resume()
        if self._step < end and not self._is_stuck():
            self._train(end)
        self._swap()
        if self._step == self.schedule.steps or self._is_stuck():
            self._load_best()

    @property
    def steps(self) -> tuple[int, int]:
        """Step of the weights that the stage returns, and the number of steps trained."""
        return self._best_step or self._step, self._step

    def _train(self, end: int) -> None:
        shared = self._workers.share(self.module, self._loss)
        curve = MetricLog(self._folder, self.name, self._step) if self._workers.is_first else None
        started, first = time.monotonic(), self._step
        with new_bar(self.name, self.schedule.steps, self._step, curve is not None) as progress:
            while self._step < end:
                losses = self._train_step(shared)
                self._log(losses, curve, started, first)
                total = float(losses['total'].detach())
                text = f'{self.name} {total:.4f}'
                progress.update(progress.task_ids[0], completed=self._step, description=text)
                stuck = self._is_stuck()
                if self._step % self.schedule.save_every == 0 or self._step == end or stuck:
                    self._save()
                if stuck:
                    break
        if curve is not None:
            curve.close()

    def _train_step(self, loss: LossFunction) -> Losses:
        self.module.train()
        for group in self._optimiser.param_groups:
            group['lr'] = self.schedule.rate_at(self._step)
        self._optimiser.zero_grad(set_to_none=True)
        losses = self._workers.backward(loss, self.module, self.schedule.batch, self._generator)
        norm = whole(nn.utils.clip_grad_norm_(self._parameters.values(), CLIP))
        if not math.isfinite(float(norm)):  # the same on all processes
            raise RecordingError('training-diverged', self._diverged())
        self._optimiser.step()
        self._step += 1
        if self._average:
            decay = min(self.schedule.average, (1 + self._step) / (10 + self._step))
            weights = [local(p) for p in self._parameters.values()]
            with torch.no_grad():
                torch._foreach_lerp_(list(self._average.values()), weights, 1 - decay)
        return losses

    def _diverged(self) -> str:
        rate = self.schedule.rate_at(self._step)
        remedy = (
            f'lower --learning-rate, such as {self.schedule.rate / 10:g}, in another --out'
            if self.name in RATED else 'check the images and the joint positions of the recordings'
        )  # fmt: skip
        return (
            f'stage {self.name} diverged at step {self._step + 1}: its gradient is not finite at '
            f'a learning rate of {rate:.3g}; no checkpoint is written: {remedy}'
        )

    def _log(self, losses: Losses, curve: MetricLog | None, started: float, first: int) -> None:
        """Append a row to the curve: losses at each tenth of the interval of held-out metrics."""
        step, every = self._step, self.schedule.measure_every
        measuring = step % every == 0 or step == self.schedule.steps
        if not measuring and step % max(1, every // 10) != 0:
            return
        pace = {
            'seconds_a_step': round((time.monotonic() - started) / (step - first), 4),
            'rate': self.schedule.rate_at(step - 1),
        }
        means = {name: round(value, 6) for name, value in self._workers.mean(losses).items()}
        held_out: Mapping[str, float] = {}
        if measuring:
            self._swap()
            self.module.eval()
            with torch.no_grad(), self._workers.autocast():
                held_out = self._measure()
            self._keep_best(held_out)
            self._swap()
        if curve is not None:
            curve.add(step, pace, means, held_out)

    def _keep_best(self, held_out: Mapping[str, float]) -> None:
        """Write the weights in the module if they are better than all before; NaN never is."""
        figure = held_out.get(self._aim, math.inf)
        if not figure < self._best:
            return
        self._best, self._best_step = figure, self._step
        self._best_file = 1 - self._saved_file if self._has_saved_best else self._saved_file
        weights = {f'weight/{n}': local(p) for n, p in self._parameters.items()}
        self._best_states[self._best_file].write(
            self._step, weights, {self._aim: repr(figure)}
        )  # fmt: skip

    def _load_best(self) -> None:
        found = self._best_states[self._best_file].read() if self._best_step else None
        if found is None:
            return
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                local(parameter).copy_(found[1][f'weight/{name}'])

    def _is_stuck(self) -> bool:
        """Return whether the last measurements, as many as the patience, had no better state."""
        every = self.schedule.measure_every
        if not self._patience or not self._best_step or self._step % every:
            return False
        return self._step // every - self._best_step // every >= self._patience

    def _swap(self) -> None:
        """Exchange the weights with the averaged ones."""
        with torch.no_grad():
            for name, average in self._average.items():
                weight = local(self._parameters[name])
                kept = weight.clone()
                weight.copy_(average)
                average.copy_(kept)

    def _save(self) -> None:
        state = {f'weight/{n}': local(p) for n, p in self._parameters.items()}
        state |= {f'average/{n}': p for n, p in self._average.items()}
        for name, parameter in self._parameters.items():
            moments = self._optimiser.state[parameter]
            state |= {f'adam/{name}/{key}': local(value) for key, value in moments.items()}
        state['random'] = self._generator.get_state()
        about = {'schedule': repr(self.schedule), 'best': str(self._best_step)}
        self._state.write(self._step, state, about)
        self._saved_file, self._has_saved_best = self._best_file, self._best_step > 0

    def _resume(self) -> None:
        found = self._state.read()
        if found is None:
            return
        metadata, state = found
        if metadata['schedule'] != repr(self.schedule):
            raise RecordingError(
                'stage-schedule-differs',
                f'{self._folder} has a state of stage {self.name} trained with '
                f'{metadata["schedule"]}, now the schedule is {self.schedule}: choose another '
                '--out, or delete it',
            )
        self._check_names(state)
        self._step = int(metadata['step'])
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                local(parameter).copy_(state[f'weight/{name}'])
                self._optimiser.state[parameter] = {
                    key: spread_like(self._moment(state, name, key), parameter) for key in MOMENTS
                }
            for name, average in self._average.items():
                average.copy_(state[f'average/{name}'])
        self._generator.set_state(state['random'])
        if self._aim:
            self._resume_best(metadata)

    def _resume_best(self, metadata: Mapping[str, str]) -> None:
        """
        Return to the best state that a state names; a later one will be measured again.

        :raises RecordingError: if it is missing
        """
        found = [file.about() for file in self._best_states]
        steps = [int(about['step']) if self._aim in about else 0 for about in found]
        named = int(metadata.get('best', steps[0] if steps[0] <= self._step else 0))
        if not named:
            return
        if named not in steps:
            raise RecordingError(
                'best-state-missing',
                f'{self._folder} has no best state of step {named}, which the state of stage '
                f'{self.name} names: restore {self.name}.best*.state*, or delete '
                f'{self.name}.state* to train the stage again',
            )
        index = steps.index(named)
        self._best, self._best_step = float(found[index][self._aim]), named
        self._best_file = self._saved_file = index
        self._has_saved_best = True

    def _moment(self, state: Mapping[str, Tensor], name: str, key: str) -> Tensor:
        moment = state[f'adam/{name}/{key}']
        return moment if key == 'step' else moment.to(self._workers.device)

    def _check_names(self, state: Mapping[str, Tensor]) -> None:
        names = {key.removeprefix('weight/') for key in state if key.startswith('weight/')}
        differ = sorted(names ^ set(self._parameters))
        if differ:
            raise RecordingError(
                'stage-weights-differ',
                f'{self._folder} has a state of stage {self.name} of other weights '
                f'({", ".join(differ[:3])}): choose another --out, or delete it',
            )
