# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of the stages, and metrics on validation recordings."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viva_ros.console.progress import bar
from viva_ros.core.observation import Array
from viva_ros.core.returns import latent_from_value, value_from_return
from viva_ros.metrics.ranking import auroc, spearman
from viva_ros.model import noise
from viva_ros.model.cost import encoding_chunk
from viva_ros.model.early_exit import EarlyExit
from viva_ros.model.latents import IMAGES, Goals
from viva_ros.model.proprio import ProprioModel
from viva_ros.model.viva import ViVa, to_pixels
from viva_ros.training.augmentation import AugmentSettings, augment, change, draw, drop_views
from viva_ros.training.cache import Data
from viva_ros.training.config import TrainConfig
from viva_ros.training.dataset import task_weights
from viva_ros.training.distributed import Workers
from viva_ros.training.trainer import Losses

KL_WEIGHT = 1e-4
EDGE_WEIGHT = 0.5
COPY_SEED = 1000  # added to the seed of a run and the number of a copy


def take(array: NDArray[np.generic], rows: Tensor) -> Tensor:
    """Return rows of an array, which may be on disk: they are read in ascending order."""
    order = torch.argsort(rows)
    sorted_rows = torch.from_numpy(np.asarray(array[rows[order].numpy()]))
    return sorted_rows[torch.argsort(order)]


@dataclass(frozen=True)
class VaeLoss:
    """Reconstruction error of single views and their edges, and a small KL divergence."""

    model: ViVa
    data: Data
    settings: AugmentSettings

    def __call__(self, batch: int, source: noise.Source) -> Losses:
        """Return losses of a batch of views."""
        rows = noise.integers(len(self.data.images), batch, source)
        views = noise.integers(self.data.images.shape[1], batch, source)
        images = take(self.data.images, rows)[torch.arange(batch), views].to(self.model.device)
        pixels = augment(to_pixels(images), self.settings, source)
        mean, logvar = self.model.vae.moments(pixels)
        drawn = mean + (0.5 * logvar).exp() * noise.normal(mean.shape, source, mean.device)
        made = self.model.vae.reconstruct(drawn)
        pixel, edge = (made - pixels).abs().mean(), _edge_error(made, pixels)
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        total = pixel + EDGE_WEIGHT * edge + KL_WEIGHT * divergence
        return {'total': total, 'pixel': pixel, 'edge': edge, 'divergence': divergence}


def _edge_error(made: Tensor, pixels: Tensor) -> Tensor:
    error = made - pixels
    down = (error[:, :, 1:] - error[:, :, :-1]).abs().mean()
    return down + (error[:, :, :, 1:] - error[:, :, :, :-1]).abs().mean()


def encode_all(
    model: ViVa, data: Data, settings: AugmentSettings | None = None, source: noise.Source = None
) -> NDArray[np.float16]:
    """
    Return the raw latents of all views: (N, V, C, H, W).

    :param settings: augment the views before they are encoded; None: as recorded
    """
    model.eval()
    shape = (*data.images.shape[:2], *model.config.latent_shape)
    out = np.empty(shape, dtype=np.float16)
    size = max(1, encoding_chunk(model.config) // data.images.shape[1])
    starts = range(0, len(out), size)
    with torch.inference_mode():
        for start in bar(starts, 'encoding', total=len(starts)):
            images = torch.from_numpy(np.array(data.images[start : start + size]))
            pixels = to_pixels(images.flatten(0, 1).to(model.device))
            if settings is not None:
                pixels = augment(pixels, settings, source)
            latent = model.vae.encode(pixels).float().cpu().unflatten(0, images.shape[:2])
            out[start : start + size] = latent.numpy()
    return out


def set_statistics(model: ViVa, raw: NDArray[np.float16]) -> None:
    """Set mean and standard deviation of each latent channel from the training views."""
    model.latents_mean.copy_(torch.from_numpy(raw.mean(axis=(0, 1, 3, 4), dtype=np.float64)))
    model.latents_std.copy_(torch.from_numpy(raw.std(axis=(0, 1, 3, 4), dtype=np.float64)))


@dataclass(frozen=True)
class VideoLoss:
    """
    Generation of clips of one camera, conditioned on the first frame.

    :param raw: latents of all views from ``encode_all``
    :param spacing: moments between the frames of a clip
    """

    model: ViVa
    data: Data
    raw: NDArray[np.float16]
    spacing: int

    def __call__(self, batch: int, source: noise.Source) -> Losses:
        """Return losses of a batch of clips; the last frame of an episode repeats at its end."""
        first = noise.integers(len(self.raw), batch, source)
        views = noise.integers(self.raw.shape[1], batch, source)
        episode = torch.from_numpy(self.data.episode)
        last = torch.searchsorted(episode, episode[first], right=True) - 1
        steps = torch.arange(self.model.config.clip_frames) * self.spacing
        rows = torch.minimum(first[:, None] + steps, last[:, None])  # (B, F)
        clips = take(self.raw, rows.flatten()).unflatten(0, rows.shape)
        clips = clips[torch.arange(batch), :, views].float()  # (B, F, C, H, W)
        clips = clips.to(self.model.device)
        normal = self.model.normalise_latents(clips.flatten(0, 1)).unflatten(0, rows.shape)
        tasks = torch.from_numpy(self.data.task_index(self.model.config.tasks))
        loss = self.model.video_loss(normal.transpose(1, 2), tasks[first].to(clips.device), source)
        return {'total': loss}


@dataclass(frozen=True)
class Labels:
    """
    Inputs and targets of all moments.

    :param proprio: normalised, (N, J)
    :param future: normalised, one horizon later, (N, J)
    :param latent: v = G - 1, (N,)
    :param failed: 1 if the attempt fails, otherwise 0, (N,)
    :param task: index, (N,)
    """

    proprio: Tensor
    future: Tensor
    latent: Tensor
    failed: Tensor
    task: Tensor

    def goals(self, rows: Tensor, images: Tensor | None = None) -> Goals:
        """Return the targets of some moments."""
        return Goals(self.latent[rows], self.future[rows], self.failed[rows], images)

    @classmethod
    def of(cls, data: Data, model: ViVa | ProprioModel, tasks: tuple[str, ...]) -> 'Labels':
        """Return the labels, with joints normalised by the ranges of a model."""
        ranges = model.ranges
        value = value_from_return(data.returned.astype(np.float64))
        normal = [ranges.normalise(joints) for joints in (data.proprio, data.future)]
        failed = data.failed.astype(np.float64)
        columns = [
            torch.from_numpy(a).float() for a in (*normal, latent_from_value(value), failed)
        ]  # fmt: skip
        columns.append(torch.from_numpy(data.task_index(tasks)))
        return cls(*(column.to(next(iter(model.buffers())).device) for column in columns))


@dataclass(frozen=True)
class ViVaLoss:
    """
    The loss of the whole model on moments; each task is drawn equally often.

    :param copies: raw latents of all views, (N, V, C, H, W) each: as recorded, then augmented;
        a batch takes those of one copy. Empty: views are augmented and encoded in each step
    """

    model: ViVa
    data: Data
    labels: Labels
    settings: AugmentSettings
    copies: Sequence[NDArray[np.float16]] = ()

    def __call__(self, batch: int, source: noise.Source) -> Losses:
        """Return losses of a batch of moments; the VAE is not trained."""
        rows = noise.weighted(self._weights, batch, source)
        with torch.no_grad():
            latents = drop_views(self._views(rows, source), self.settings.drop, source)
        proprio = self.labels.proprio[rows]
        proprio = proprio + self.settings.joints * noise.normal(
            proprio.shape, source, proprio.device
        )  # fmt: skip
        return self.model.loss(
            latents, proprio.clamp(-1.0, 1.0), self.labels.goals(rows, self._later(rows)),
            self.labels.task[rows], source,
        )  # fmt: skip

    @cached_property
    def _weights(self) -> Tensor:
        return torch.from_numpy(self.data.balance())

    @cached_property
    def _rows_ahead(self) -> Tensor:
        return torch.from_numpy(self.data.rows_ahead(self.model.config.horizon))

    def _views(self, rows: Tensor, source: noise.Source) -> Tensor:
        """Return normalised latents of augmented views, (B, V, C, H, W)."""
        if self.copies:
            return self._stored(self.copies[noise.integer(len(self.copies), source)], rows)
        images = take(self.data.images, rows).to(self.model.device)
        views = images.flatten(0, 1)
        changes, size = draw(len(views), source), encoding_chunk(self.model.config)
        parts = [
            self.model.encode_pixels(change(to_pixels(some), self.settings, changed))
            for some, changed in zip(views.split(size), changes.split(size), strict=True)
        ]
        return torch.cat(parts).unflatten(0, images.shape[:2])

    def _later(self, rows: Tensor) -> Tensor | None:
        """Return latents of the views one horizon later, not augmented, if they are a target."""
        if IMAGES not in self.model.config.targets:
            return None
        later = self._rows_ahead[rows]
        with torch.no_grad():
            if self.copies:
                return self._stored(self.copies[0], later)
            return self.model.encode(take(self.data.images, later).to(self.model.device))

    def _stored(self, raw: NDArray[np.float16], rows: Tensor) -> Tensor:
        """Return normalised latents of stored ones, (B, V, C, H, W)."""
        latents = take(raw, rows).to(self.model.device).float()
        return self.model.normalise_latents(latents.flatten(0, 1)).unflatten(0, latents.shape[:2])


@dataclass(frozen=True)
class ProprioLoss:
    """Regression of value and forecast from joints alone; each task is drawn equally often."""

    model: ProprioModel
    labels: Labels
    settings: AugmentSettings

    def __call__(self, batch: int, source: noise.Source) -> Losses:
        """Return losses of a batch of moments, weighted as in ViVa."""
        rows = noise.weighted(self._weights, batch, source)
        proprio = self.labels.proprio[rows]
        drawn = noise.normal(proprio.shape, source, proprio.device)
        noisy = proprio + self.settings.joints * drawn
        value, forecast = self.model.predict(noisy.clamp(-1.0, 1.0), self.labels.task[rows])
        value_error = (value + self.labels.latent[rows]).square().mean()  # V = -v
        forecast_error = (forecast - self.labels.future[rows]).square().mean()
        return {'total': value_error + 0.5 * forecast_error, 'value': value_error}

    @cached_property
    def _weights(self) -> Tensor:
        return torch.from_numpy(task_weights(self.labels.task.cpu().numpy()))


def latent_copies(
    run: TrainConfig, model: ViVa | EarlyExit, data: Data
) -> list[NDArray[np.float16]]:  # fmt: skip
    """Return the raw latents of the training views: as recorded, then augmented."""
    return [stored_latents(run, model, data, 'train', copy) for copy in range(run.copy_count + 1)]


def stored_latents(
    run: TrainConfig, model: ViVa | EarlyExit, data: Data, part: str, copy: int = 0
) -> NDArray[np.float16]:  # fmt: skip
    """
    Return the raw latents of all views, (N, V, C, H, W), on disk.

    :param part: of the recordings, 'train' or 'validation'
    :param copy: 0: views as recorded; above: number of an augmented copy
    """
    name = f'latents_{part}_{copy}.npy' if copy else f'latents_{part}.npy'
    path, workers = run.out / name, Workers(run.hardware)
    with workers.first_goes_ahead():
        if workers.is_first and not _has_rows(path, len(data.images)):
            viva = model.viva if isinstance(model, EarlyExit) else model
            generator = torch.Generator().manual_seed(run.seed + COPY_SEED + copy)
            raw = encode_all(viva, data, run.augment if copy else None, generator)
            temporary = path.with_suffix('.part.npy')
            with temporary.open('wb') as file:
                np.save(file, raw)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    return np.load(path, mmap_mode='r')


def _has_rows(path: Path, count: int) -> bool:
    return path.is_file() and len(np.load(path, mmap_mode='r')) == count


BATCH = 64


def predict(
    model: ViVa | EarlyExit, raw: NDArray[np.float16], labels: Labels,
    workers: Workers | None = None, size: int = BATCH,
) -> tuple[Array, ...]:  # fmt: skip
    """
    Return values, forecasts and probabilities of all moments, the same on all processes.

    :param raw: latents from ``encode_all``, (N, V, C, H, W)
    :param workers: processes that share the moments; None: this process only
    :param size: moments at a time
    :returns: V, (N,); joint positions, (N, J), rad or m, NaN where they are not denoised; with an
        outcome frame also the probability of success, (N,)
    """

    def batch(rows: Tensor) -> tuple[Tensor, ...]:
        views = torch.from_numpy(raw[rows.numpy()].astype(np.float32)).to(model.device)
        latents = model.normalise_latents(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        frames = model.denoise(latents, labels.proprio[rows], labels.task[rows])
        given = dict(zip(model.outputs, model.read(frames), strict=True))
        forecast = given.get('forecast', labels.proprio[rows] * torch.nan)
        return given['value'], forecast, *([given['success']] if 'success' in given else [])

    return in_batches(batch, len(raw), workers, size)


def in_batches(
    batch: Callable[[Tensor], tuple[Tensor, ...]], count: int, workers: Workers | None = None,
    size: int = BATCH,
) -> tuple[Array, ...]:  # fmt: skip
    """Run a function on some rows at a time, shared over the processes, and join the results."""
    rows = torch.arange(count) if workers is None else workers.rows(count)
    with torch.no_grad():  # sharded weights cannot be gathered in inference mode
        parts = [batch(some) for some in rows.split(size)]
    columns = [torch.cat(column).float() for column in zip(*parts, strict=True)]
    if workers is not None:
        columns = [workers.join(column, count) for column in columns]
    return tuple(column.cpu().numpy().astype(np.float64) for column in columns)


def figures(
    data: Data, values: Array, forecasts: Array, success: Array | None = None
) -> dict[str, float]:
    """
    Return the metrics of values and forecasts against the labels.

    With an outcome frame the progress of a failed attempt is not trained, and V ends a failure at
    progress - 1, not at 0 as the label 1 - G: there the error of a value is the probability of
    success.

    :param success: probability, (N,); None without an outcome frame
    :returns: Spearman with time (mean over successes, the last attempt of each), AUROC of the
        outcome by final value, mean absolute error of values, and of forecasts in rad or m
    """
    expected = value_from_return(data.returned.astype(np.float64))
    rows = [np.flatnonzero(data.episode == index) for index in range(len(data.labels))]
    outcomes = np.array([bool(label['success']) for label in data.labels])
    attempts = [mine[data.returned[mine] < 1.0] for mine in rows]  # without the way home
    order = [
        spearman(values[mine], np.arange(len(mine)))
        for mine, well in zip(attempts, outcomes, strict=True) if well and len(mine) > 2
    ]  # fmt: skip
    errors = np.abs(values - expected)
    if success is not None:
        errors = np.where(data.failed, success, errors)
    result = {
        'value_error': float(errors.mean()),
        'forecast_error': float(np.abs(forecasts - data.future).mean()),
    }
    if order:
        result['spearman'] = float(np.mean(order))
    if outcomes.any() and not outcomes.all():
        final = np.array([values[mine[-1]] for mine in rows])
        result['auroc'] = float(auroc(final, outcomes))
    return {name: round(figure, 5) for name, figure in result.items()}
