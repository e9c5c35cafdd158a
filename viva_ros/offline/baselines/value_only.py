# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The video model that denoises the value alone: the paper's 'Vid-based', without a forecast."""

from benchmarks.ablation.baseline import Contender, Material
from viva_ros.offline.baselines.viva import viva


def value_only(material: Material) -> Contender:
    """Give ViVa without future proprioception."""
    return viva(material, targets=('value',))
