# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model that feels only the joints: what it detects, no camera was needed for."""

import torch

from benchmarks.ablation.baseline import Contender, Material
from viva_ros.model.proprio import ProprioModel
from viva_ros.training.losses import ProprioLoss


def proprio(material: Material) -> Contender:
    """Give the perceptron."""
    torch.manual_seed(material.seed)
    model = ProprioModel(material.ranges, len(material.config.tasks))
    labels = material.labels(material.config)
    return Contender(model, model, ProprioLoss(model, labels, material.augment))
