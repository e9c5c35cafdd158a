# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Variants to time: each model in each treatment, with the same observation.

The value-only model and the classifier have random weights: their time does not depend on them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn

from benchmarks.speed.classifier import BinClassifier
from viva_ros.core.errors import EngineError
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import EngineInfo
from viva_ros.engine.backend import kinds
from viva_ros.engine.factory import load
from viva_ros.engine.preprocessing import pack, unpack
from viva_ros.export.graph import CheckpointSource, make_graph, run_of
from viva_ros.model import checkpoint, latents
from viva_ros.model.inference import LeanViVa
from viva_ros.model.pretrained import unfold
from viva_ros.model.viva import ViVa, to_pixels


class StockViVa(nn.Module):
    """Module with the outputs of ``ViVa.forward``, without its optimizations."""

    def __init__(self, viva: ViVa) -> None:
        super().__init__()
        self.viva = viva
        self.vae = unfold(viva.vae, viva.config.vae).eval()
        self.scheduler = FlowMatchEulerDiscreteScheduler(shift=viva.config.shift)

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor, ...]:
        """Estimate all outputs; as ``ViVa.forward``."""
        viva = self.viva
        pixels = to_pixels(images.flatten(0, 1))[:, :, None]  # (B V, 3, 1, H, W)
        raw = self.vae.encode(pixels).latent_dist.mode()[:, :, 0]
        views = viva.normalise_latents(raw).unflatten(0, images.shape[:2])
        clean = latents.conditioning(viva.normalise_joints(proprio), views)
        noise = viva.noise.expand(len(images), *viva.noise.shape)
        self.scheduler.set_timesteps(1)
        for time in self.scheduler.timesteps:
            video = torch.cat([clean, noise], dim=2)
            tau = time.expand(len(images)) / 1000.0
            velocity = viva.velocity(video, tau, viva.targets.count, task)
            flow = velocity[:, :, -viva.targets.count :]
            noise = self.scheduler.step(flow, time, noise, return_dict=False)[0]
        return viva.read(noise)


MODELS: Final = ('viva', 'value only', 'classifier')
CAMERA_SIZE: Final = (128, 128)  # height, width, px: of the simulated cameras
Run = Callable[[Observation], Estimate]


@dataclass(frozen=True)
class Contestant:
    """
    One model in one treatment.

    :param model: one of MODELS
    :param treatment: 'stock eager', 'lean eager', 'graph' or 'engine KIND'
    """

    model: str
    treatment: str
    run: Run

    @property
    def name(self) -> str:
        """Return the name in tables."""
        return f'{self.model}, {self.treatment}'


@dataclass(frozen=True)
class Networks:
    """The modules of the variants, to count operations: model to (stock, lean)."""

    info: EngineInfo
    modules: Mapping[str, tuple[nn.Module, nn.Module]]


def make_networks(folder: Path, models: Collection[str] = MODELS) -> Networks:
    """
    Build models with the sizes of a checkpoint.

    :raises EngineError: if the folder has no ViVa checkpoint
    """
    read = checkpoint.read(folder)
    viva = read.model
    if not isinstance(viva, ViVa):
        raise EngineError('bench-no-viva', f'{folder} has no ViVa: name the folder of an engine')
    config = viva.config
    info = EngineInfo(
        config.cameras, config.joint_names, config.horizon, config.image_size, config.tasks,
        read.fingerprint, 'bench',
    )  # fmt: skip
    modules = {model: make_forms(model, viva) for model in models}
    for stock, lean in modules.values():
        stock.eval(), lean.eval()
    return Networks(info, modules)


def make_forms(model: str, viva: ViVa) -> tuple[nn.Module, nn.Module]:
    """Return the stock and the lean form of one of MODELS; those of the classifier are equal."""
    if model == 'classifier':
        classifier = BinClassifier(viva.config, viva.ranges)
        return classifier, classifier
    if model == 'value only':
        viva = ViVa(replace(viva.config, targets=('value',)), viva.ranges, viva.text)
    return StockViVa(viva), LeanViVa(viva)


def make_contestants(
    networks: Networks, folder: Path, task: str
) -> tuple[list[Contestant], dict[str, str]]:
    """
    Return all variants, and the reason for each missing engine.

    Models without an engine are exported, too, so that all have the same treatments.
    """
    made, index = [], networks.info.tasks.index(task)
    for model, (stock, lean) in networks.modules.items():
        made.append(Contestant(model, 'stock eager', eager(stock, networks.info, index)))
        if lean is not stock:
            made.append(Contestant(model, 'lean eager', eager(lean, networks.info, index)))
        if model != 'viva':
            made.append(Contestant(model, 'engine onnx', graph(model, networks, index)))
    missing: dict[str, str] = {}
    for kind in kinds():
        if kind != 'auto':
            try:
                engine = load(folder, task, kind)
                made.append(Contestant('viva', f'engine {kind}', engine.estimate))
            except EngineError as error:
                missing[kind] = str(error).replace(str(folder), folder.name)
    return made, missing


def eager(module: nn.Module, info: EngineInfo, task: int) -> Run:
    """Run a module by PyTorch, operation by operation."""
    names = _outputs(module)

    def run(observation: Observation) -> Estimate:
        images, proprio = pack([observation], info)
        with torch.inference_mode():
            given = module(
                torch.from_numpy(images), torch.from_numpy(proprio), torch.tensor([task])
            )
        arrays = [tensor.numpy() for tensor in given]
        return unpack(dict(zip(names, arrays, strict=True)), info)[0]

    return run


def graph(model: str, networks: Networks, task: int) -> Run:
    """Run a model's lean form as an exported graph, by onnxruntime."""
    lean, info = networks.modules[model][1], networks.info
    ranges = _ranges(lean)
    source = CheckpointSource(
        'viva', lean, lean, info.cameras, info.image_size, ranges, info.horizon, info.tasks,
        info.fingerprint, {}, _outputs(lean),
    )  # fmt: skip
    run_graph = run_of(make_graph(source))

    def run(observation: Observation) -> Estimate:
        images, proprio = pack([observation], info)
        given = run_graph(
            {'images': images, 'proprio': proprio, 'task': np.array([task], dtype=np.int64)}
        )
        return unpack(given, info)[0]

    return run


def look(info: EngineInfo, seed: int = 0) -> Observation:
    """Return an observation with noise as images: the time does not depend on the content."""
    random = np.random.default_rng(seed)
    images = {
        camera: random.integers(0, 256, (*CAMERA_SIZE, 3), dtype=np.uint8)
        for camera in info.cameras
    }
    return Observation(images, dict.fromkeys(info.joint_names, 0.1), {'images': 1})


def inputs(info: EngineInfo, count: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return the input tensors of a module."""
    images, proprio = pack([look(info)] * count, info)
    task = torch.zeros(count, dtype=torch.int64)
    return torch.from_numpy(images), torch.from_numpy(proprio), task


def _outputs(module: Any) -> tuple[str, ...]:
    return tuple(module.viva.outputs if hasattr(module, 'viva') else module.outputs)


def _ranges(module: Any) -> Any:
    return module.viva.ranges if hasattr(module, 'viva') else module.ranges
