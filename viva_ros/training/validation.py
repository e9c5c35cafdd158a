# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a model in training, on recordings that it does not learn from."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viva_ros.core.observation import Array
from viva_ros.core.returns import value_from_return
from viva_ros.metrics.ranking import auroc, spearman
from viva_ros.model.viva import ViVa
from viva_ros.training.cache import Data
from viva_ros.training.losses import Labels

BATCH = 64


def predict(model: ViVa, raw: NDArray[np.float16], labels: Labels) -> tuple[Array, Array]:
    """
    Give values and forecasts of all moments.

    :param raw: latents from ``encode_all``, (N, V, C, H, W)
    :returns: V, (N,); joint positions, (N, J), rad or m, NaN where they are not denoised
    """

    def batch(rows: slice) -> tuple[Tensor, ...]:
        views = torch.from_numpy(raw[rows].astype(np.float32)).to(model.device)
        latents = model.normalise_latents(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        frames = model.denoise(latents, labels.proprio[rows], labels.task[rows])
        given = dict(zip(model.outputs, model.read(frames), strict=True))
        return given['value'], given.get('forecast', labels.proprio[rows] * torch.nan)

    return in_batches(batch, len(raw))


def in_batches(batch: Callable[[slice], tuple[Tensor, ...]], count: int) -> tuple[Array, Array]:
    """Run a function on slices and join what it gives."""
    with torch.no_grad():  # weights that are spread cannot be gathered in inference mode
        parts = [batch(slice(start, start + BATCH)) for start in range(0, count, BATCH)]
    columns = [torch.cat(column).float().cpu() for column in zip(*parts, strict=True)]
    values, forecasts = (column.numpy() for column in columns)
    return values.astype(np.float64), forecasts.astype(np.float64)


def figures(data: Data, values: Array, forecasts: Array) -> dict[str, float]:
    """
    Compare with the labels.

    :returns: Spearman with time (mean over successes), AUROC of the outcome by final value, mean
        absolute error of values, and of forecasts in rad or m
    """
    expected = value_from_return(data.returned.astype(np.float64))
    rows = [np.flatnonzero(data.episode == index) for index in range(len(data.labels))]
    success = np.array([bool(label['success']) for label in data.labels])
    order = [
        spearman(values[mine], np.arange(len(mine)))
        for mine, well in zip(rows, success, strict=True) if well and len(mine) > 2
    ]  # fmt: skip
    result = {
        'value_error': float(np.abs(values - expected).mean()),
        'forecast_error': float(np.abs(forecasts - data.future).mean()),
    }
    if order:
        result['spearman'] = float(np.mean(order))
    if success.any() and not success.all():
        final = np.array([values[mine[-1]] for mine in rows])
        result['auroc'] = float(auroc(final, success))
    return {name: round(figure, 5) for name, figure in result.items()}
