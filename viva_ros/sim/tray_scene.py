# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tray lift: the tray with its payload and the platform, laid out by the seed."""

from dataclasses import dataclass

import mujoco
import numpy as np

from viva_ros.core.observation import Array

HANDLE = np.array([0.138, 0.0, 0.045])  # where to grip, in the tray's frame, m
TRAY_HALF = np.array([0.105, 0.065, 0.004])
PLATFORM_HALF = np.array([0.085, 0.055])
PAYLOAD_RADIUS, PAYLOAD_HALF = 0.018, 0.047
TRAY_COLOURS = ((0.16, 0.42, 0.66), (0.12, 0.52, 0.50), (0.35, 0.33, 0.62), (0.24, 0.48, 0.30))
PAYLOAD_COLOURS = ((0.90, 0.35, 0.10), (0.85, 0.15, 0.18), (0.95, 0.72, 0.12), (0.80, 0.25, 0.55))
PLATFORM_COLOURS = ((0.80, 0.80, 0.79), (0.55, 0.36, 0.22), (0.40, 0.41, 0.44))


@dataclass(frozen=True)
class Layout:
    """Where everything starts; positions in m, yaw in rad."""

    tray: Array
    tray_yaw: float
    platform: Array
    platform_height: float
    payload: Array
    handle_width: float
    colours: tuple[Array, Array, Array]


def draw_layout(rng: np.random.Generator) -> Layout:
    """Draw a layout within reach of both arms."""

    def colour(palette: tuple[tuple[float, ...], ...]) -> Array:
        shade = np.array(palette[rng.integers(len(palette))])
        return np.clip(shade + rng.normal(0.0, 0.02, 3), 0.0, 1.0)

    return Layout(
        tray=np.array([rng.uniform(-0.02, 0.02), rng.uniform(0.57, 0.63)]),
        tray_yaw=rng.uniform(-0.15, 0.15),
        platform=np.array([rng.uniform(-0.02, 0.02), rng.uniform(0.355, 0.41)]),
        platform_height=rng.uniform(0.025, 0.04),
        payload=np.array([rng.uniform(-0.03, 0.03), rng.uniform(-0.018, 0.018)]),
        handle_width=rng.uniform(0.019, 0.024),
        colours=(colour(TRAY_COLOURS), colour(PAYLOAD_COLOURS), colour(PLATFORM_COLOURS)),
    )


def add_objects(spec: mujoco.MjSpec, layout: Layout) -> None:
    """Put tray, payload and platform into the scene."""
    tray, payload, platform = (np.append(colour, 1.0) for colour in layout.colours)
    _add_tray(spec, layout, tray)
    _add_payload(spec, layout, payload)
    body = spec.worldbody.add_body(
        name='platform', mocap=True, pos=[*layout.platform, layout.platform_height / 2]
    )
    body.add_geom(
        name='platform', type=mujoco.mjtGeom.mjGEOM_BOX, rgba=platform,
        size=[*PLATFORM_HALF, layout.platform_height / 2], friction=[0.8, 0.005, 0.0001],
    )  # fmt: skip


def _add_tray(spec: mujoco.MjSpec, layout: Layout, rgba: Array) -> None:
    yaw = layout.tray_yaw / 2
    body = spec.worldbody.add_body(
        name='tray', pos=[*layout.tray, TRAY_HALF[2] + 0.0005],
        quat=[np.cos(yaw), 0, 0, np.sin(yaw)],
    )  # fmt: skip
    body.add_freejoint(name='tray')
    box = mujoco.mjtGeom.mjGEOM_BOX
    x, y = TRAY_HALF[:2]
    slick = {'friction': [0.6, 0.005, 0.0001]}
    dark = rgba * [0.8, 0.8, 0.8, 1.0]
    body.add_geom(name='tray', type=box, size=TRAY_HALF, rgba=rgba, mass=0.12, **slick)
    for i, sign in enumerate((-1.0, 1.0)):
        body.add_geom(
            name=f'rim_y{i}', type=box, size=[x, 0.003, 0.008], pos=[0, sign * y, 0.006],
            rgba=dark, mass=0.008, **slick,
        )  # fmt: skip
        body.add_geom(
            name=f'rim_x{i}', type=box, size=[0.003, y, 0.008], pos=[sign * x, 0, 0.006],
            rgba=dark, mass=0.008, **slick,
        )  # fmt: skip
        body.add_geom(
            name=f'foot{i}', type=box, size=[0.022, 0.02, 0.004], pos=[sign * (x + 0.022), 0, 0],
            rgba=dark, mass=0.008, **slick,
        )  # fmt: skip
        body.add_geom(
            name=f'handle{i}', type=box, size=[0.013, layout.handle_width / 2, 0.03],
            pos=[sign * HANDLE[0], 0, 0.033], rgba=[0.93, 0.93, 0.9, 1], mass=0.02,
            friction=[1.0, 0.01, 0.0001], priority=2, condim=4,
        )  # fmt: skip


def _add_payload(spec: mujoco.MjSpec, layout: Layout, rgba: Array) -> None:
    yaw = np.array([[np.cos(layout.tray_yaw), -np.sin(layout.tray_yaw)],
                    [np.sin(layout.tray_yaw), np.cos(layout.tray_yaw)]])  # fmt: skip
    height = 2 * TRAY_HALF[2] + PAYLOAD_HALF + 0.001
    body = spec.worldbody.add_body(
        name='payload', pos=[*(layout.tray + yaw @ layout.payload), height]
    )
    body.add_freejoint(name='payload')
    cylinder = mujoco.mjtGeom.mjGEOM_CYLINDER
    body.add_geom(
        name='payload', type=cylinder, size=[PAYLOAD_RADIUS, PAYLOAD_HALF, 0], rgba=rgba,
        mass=0.06, friction=[0.7, 0.005, 0.001], condim=6, priority=1,
    )  # fmt: skip
    for name, size, z, colour in (
        ('band', [PAYLOAD_RADIUS + 0.0005, 0.009, 0], 0.0, [0.97, 0.97, 0.95, 1.0]),
        ('cap', [0.011, 0.006, 0], PAYLOAD_HALF + 0.006, [0.15, 0.15, 0.17, 1.0]),
    ):
        body.add_geom(
            name=name, type=cylinder, size=size, pos=[0, 0, z], rgba=colour, mass=0.0,
            contype=0, conaffinity=0,
        )  # fmt: skip
