# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest
import torch

from benchmarks.speed.classifier import BinClassifier
from viva_ros.model.viva import ViVa


def classify(tiny_viva: ViVa) -> BinClassifier:
    model = BinClassifier(tiny_viva.config, tiny_viva.ranges).eval()
    with torch.no_grad():
        model.head[1].weight.zero_()
        model.head[1].bias.zero_()
    return model


def test_the_classifier_gives_the_mean_of_its_bins(tiny_viva: ViVa) -> None:
    model = classify(tiny_viva)
    images = torch.zeros(1, 3, 32, 32, 3, dtype=torch.uint8)
    inputs = (images, torch.zeros(1, 3), torch.zeros(1, dtype=torch.long))
    with torch.no_grad():
        assert float(model(*inputs)[0]) == pytest.approx(0.0, abs=1e-6)  # the mean of 0 to 2 is 1
        model.head[1].bias[[30, 130]] = 40.0  # G = 0.3 and 1.3, half each
        assert float(model(*inputs)[0]) == pytest.approx(1 - 0.8, abs=1e-5)


def test_returns_fall_into_the_nearest_of_201_bins(tiny_viva: ViVa) -> None:
    bins = classify(tiny_viva).bins(torch.tensor([0.0, 0.004, 0.506, 1.0, 1.999, 2.0]))
    assert bins.tolist() == [0, 0, 51, 100, 200, 200]
