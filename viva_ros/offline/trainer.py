# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The training loop: AdamW, warm-up and cosine, clipped gradients, averaged weights.

Its whole state, random numbers included, is written every so many steps, so that a run which was
stopped goes on exactly as if it had not been.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.offline.progress import new_bar

BETAS: Final = (0.9, 0.95)
WEIGHT_DECAY: Final = 0.01
CLIP: Final = 1.0
LOWEST: Final = 0.05  # of the learning rate, at the end


@dataclass(frozen=True)
class Schedule:
    """
    Length and pace of one stage.

    :param average: decay of the averaged weights
    :param save_every: steps between states written
    :param measure_every: steps between held-out figures
    """

    steps: int
    batch: int
    rate: float
    warm_up: int
    average: float = 0.998
    save_every: int = 200
    measure_every: int = 500

    def rate_at(self, step: int) -> float:
        """Give the learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * (LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * done)))


Losses = Mapping[str, Tensor]


class Stage:
    """
    One stage of training a module.

    :param loss: gives named losses of a batch drawn with a generator; 'total' is minimised
    :param measure: gives figures of the module with averaged weights
    """

    def __init__(
        self, name: str, module: nn.Module, schedule: Schedule, folder: Path, seed: int,
        loss: Callable[[int, torch.Generator], Losses],
        measure: Callable[[], Mapping[str, float]] = dict,
    ) -> None:  # fmt: skip
        self.name, self.module, self.schedule = name, module, schedule
        self._loss, self._measure = loss, measure
        self._state, self._curve = folder / f'{name}.state', folder / 'curve.jsonl'
        self._generator = torch.Generator().manual_seed(seed)
        self._parameters = dict(module.named_parameters())
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(), lr=schedule.rate, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
        self._average = {n: p.detach().clone() for n, p in self._parameters.items()}
        self._step = 0

    def run(self, until: int | None = None) -> None:
        """
        Train, from the state written last, and leave the averaged weights in the module.

        :param until: stop there and write the state, as if stopped
        """
        end = min(self.schedule.steps, until or self.schedule.steps)
        self._resume()
        started, first = time.monotonic(), self._step
        with new_bar(self.name, self.schedule.steps, self._step) as progress:
            while self._step < end:
                losses = self._train_step()
                self._note(losses, started, first)
                total = float(losses['total'].detach())
                text = f'{self.name} {total:.4f}'
                progress.update(progress.task_ids[0], completed=self._step, description=text)
                if self._step % self.schedule.save_every == 0 or self._step == end:
                    self._save()
        self._swap()

    def _train_step(self) -> Losses:
        self.module.train()
        for group in self._optimiser.param_groups:
            group['lr'] = self.schedule.rate_at(self._step)
        losses = self._loss(self.schedule.batch, self._generator)
        self._optimiser.zero_grad(set_to_none=True)
        losses['total'].backward()
        nn.utils.clip_grad_norm_(self._parameters.values(), CLIP)
        self._optimiser.step()
        self._step += 1
        decay = min(self.schedule.average, (1 + self._step) / (10 + self._step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self._average.values()), list(self._parameters.values()), 1 - decay
            )
        return losses

    def _note(self, losses: Losses, started: float, first: int) -> None:
        """Append a line to the curve: losses often, held-out figures sometimes."""
        step, every = self._step, self.schedule.measure_every
        measuring = step % every == 0 or step == self.schedule.steps
        if not measuring and step % max(1, every // 10) != 0:
            return
        row: dict[str, Any] = {'stage': self.name, 'step': step}
        row['seconds_a_step'] = round((time.monotonic() - started) / (step - first), 4)
        row |= {name: round(float(value.detach()), 6) for name, value in losses.items()}
        if measuring:
            self._swap()
            self.module.eval()
            with torch.no_grad():
                row |= self._measure()
            self._swap()
        with self._curve.open('a', encoding='utf-8') as file:
            file.write(json.dumps(row) + '\n')

    def _swap(self) -> None:
        """Exchange the weights with the averaged ones."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                kept = parameter.clone()
                parameter.copy_(self._average[name])
                self._average[name].copy_(kept)

    def _save(self) -> None:
        state = {f'weight/{n}': p.detach() for n, p in self._parameters.items()}
        state |= {f'average/{n}': p for n, p in self._average.items()}
        for name, parameter in self._parameters.items():
            moments = self._optimiser.state[parameter]
            state |= {f'adam/{name}/{key}': value for key, value in moments.items()}
        state['random'] = self._generator.get_state()
        metadata = {'step': str(self._step), 'schedule': repr(self.schedule)}
        content = {key: value.contiguous().clone() for key, value in state.items()}
        write_atomically(self._state, save(content, metadata))

    def _resume(self) -> None:
        if not self._state.is_file():
            return
        with safe_open(self._state, 'pt') as file:
            metadata, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata['schedule'] != repr(self.schedule):
            raise RecordingError(
                f'{self._state} was trained by {metadata["schedule"]}, now asked for is '
                f'{self.schedule}: choose another --out, or delete it'
            )
        self._step = int(metadata['step'])
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(state[f'weight/{name}'])
                self._average[name].copy_(state[f'average/{name}'])
                keys = ('step', 'exp_avg', 'exp_avg_sq')
                moments = {key: state[f'adam/{name}/{key}'] for key in keys}
                self._optimiser.state[parameter] = moments
        self._generator.set_state(state['random'])
        self._forget_later_rows()

    def _forget_later_rows(self) -> None:
        """Drop rows of the curve that were written after the state was."""
        if not self._curve.is_file():
            return
        lines = self._curve.read_text(encoding='utf-8').splitlines()
        rows = [json.loads(line) for line in lines]
        kept = [r for r in rows if r['stage'] != self.name or r['step'] <= self._step]
        write_atomically(self._curve, ''.join(json.dumps(row) + '\n' for row in kept))
