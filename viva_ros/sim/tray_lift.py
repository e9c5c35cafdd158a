# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Tray lift: two arms lift a tray with an upright payload and place it on a platform.

The layout is drawn from the seed; the plan is made once from where things really are.
"""

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.failures import Fault
from viva_ros.sim.kinematics import Hand
from viva_ros.sim.plan import Hands, Plan

HANDLE = np.array([0.138, 0.0, 0.045])  # where to grip, in the tray's frame, m
SQUEEZE = 0.0006  # how much narrower than the handle the hands close, m
OPEN, CLOSED = 0.066, 0.0
PITCH = 1.05  # rad
LIFT = 0.12  # m
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
    """A random layout within reach of both arms."""
    def colour(palette: tuple[tuple[float, ...], ...]) -> Array:
        return np.clip(np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 0.02, 3), 0, 1)

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


def make_plan(
    data: mujoco.MjData, start: Hands, fault: Fault, rng: np.random.Generator
) -> Plan:
    """The whole plan from where tray and platform are now, bent by the fault."""
    speed = rng.uniform(0.85, 1.2) * fault.speed
    seconds = {name: length * rng.uniform(0.93, 1.07) / speed for name, length in _SECONDS.items()}
    grasp = grasp_of(data)
    hold = grasp[0].opening
    grasp = _each(grasp, lambda hand: hand.moved(rng.normal(0.0, 0.0012, 3)))
    place = _place_hands(data, rng.normal(0.0, 0.002, 2), hold)
    above = _each(grasp, lambda hand: hand.moved(np.array([0, 0, 0.085]) + rng.normal(0, 0.008, 3)))
    carry_height = np.array([0.0, 0.0, LIFT + rng.normal(0.0, 0.008)])
    plan = Plan(start)
    _grasp(plan, seconds, above, grasp, fault)
    lifted = _each(grasp, lambda hand: hand.moved(carry_height))
    over = _each(place, lambda hand: hand.moved(carry_height + fault.place_offset * [1, 1, 0]))
    down = _each(place, lambda hand: hand.moved(fault.place_offset))
    opening = [CLOSED if miss and not fault.regrasp else hold for miss in fault.misses]
    missing = _each_indexed(fault.grasp_offsets if not fault.regrasp else (np.zeros(3),) * 2)
    for phase, hands in (('lift', lifted), ('carry', over), ('lower', down)):
        left, right = (
            hand.moved(missing[i]).opened(opening[i]) for i, hand in enumerate(hands)
        )
        plan.move(phase, seconds[phase], left, right, (True, True))
    down = plan.end
    plan.move('release', seconds['release'], *(_each(down, lambda hand: hand.opened(OPEN))))
    plan.move('retreat', seconds['retreat'], *_retreat(down))
    plan.timing = fault.timing(plan, OPEN, lag_phase='lift')
    return plan


def set_down(plan: Plan, grasp: Hands) -> None:
    """Bring what both hands still hold back to where it was picked up."""
    high = _each(grasp, lambda hand: hand.moved(np.array([0.0, 0.0, LIFT])))
    up = [
        replace(now, position=np.append(now.position[:2], max(now.position[2], top.position[2])))
        for now, top in zip(plan.end, high, strict=True)
    ]
    plan.move('put back', 0.8, *up, (True, True))
    plan.move('put back', 1.8, *high, (True, True))
    plan.move('put back', 1.4, *grasp, (True, True))


def grasp_of(data: mujoco.MjData) -> Hands:
    """Hands at the handles of the tray as it is."""
    hold = 2.0 * data.model.geom('handle0').size[1] - SQUEEZE
    return _hands(data.body('tray').xpos, data.body('tray').xmat.reshape(3, 3), hold)


_SECONDS = {
    'reach': 1.7, 'descend': 1.1, 'close': 0.7, 'check': 0.5, 'reopen': 0.6, 'rise': 0.8,
    'lift': 1.3, 'carry': 1.9, 'lower': 1.2, 'release': 0.5, 'retreat': 0.9,
}  # fmt: skip


def _each(hands, change):
    left, right = (change(hand) for hand in hands)
    return left, right


def _each_indexed(offsets):
    return tuple(offsets)


def _hands(position: Array, rotation: Array, opening: float) -> Hands:
    yaw = float(np.arctan2(rotation[1, 0], rotation[0, 0]))
    left = Hand(position + rotation @ (HANDLE * [-1, 1, 1]), yaw, PITCH, opening)
    right = Hand(position + rotation @ HANDLE, yaw + np.pi, PITCH, opening)
    return left, right


def _place_hands(data: mujoco.MjData, error: Array, hold: float) -> Hands:
    platform = data.body('platform').xpos
    top = 2.0 * platform[2] + TRAY_HALF[2] + 0.001
    return _hands(np.array([*(platform[:2] + error), top]), np.eye(3), hold)


def _grasp(plan: Plan, seconds: dict[str, float], above: Hands, grasp: Hands, fault: Fault) -> None:
    wrong = [hand.moved(off) for hand, off in zip(grasp, fault.grasp_offsets, strict=True)]
    ends = [CLOSED if miss else grasp[0].opening for miss in fault.misses]
    first = [hand.moved(off).opened(OPEN) for hand, off in zip(above, fault.grasp_offsets, strict=True)]
    plan.move('reach', seconds['reach'], *first)
    plan.move('descend', seconds['descend'], *(hand.opened(OPEN) for hand in wrong))
    plan.move('close', seconds['close'], *(h.opened(end) for h, end in zip(wrong, ends, strict=True)))
    if not fault.regrasp:
        return
    plan.move('check', seconds['check'], *plan.end, (True, True))
    plan.move('reopen', seconds['reopen'], *(hand.opened(OPEN) for hand in wrong))
    plan.move('rise', seconds['rise'], *(hand.opened(OPEN) for hand in above))
    plan.move('descend', seconds['descend'], *(hand.opened(OPEN) for hand in grasp))
    plan.move('close', seconds['close'], *grasp)


def _retreat(down: Hands) -> Hands:
    left, right = down
    up = np.array([-0.05, 0.0, 0.07])
    return left.moved(up).opened(OPEN), right.moved(up * [-1, 1, 1]).opened(OPEN)


def _add_tray(spec: mujoco.MjSpec, layout: Layout, rgba: Array) -> None:
    yaw = layout.tray_yaw / 2
    body = spec.worldbody.add_body(
        name='tray', pos=[*layout.tray, TRAY_HALF[2] + 0.0005], quat=[np.cos(yaw), 0, 0, np.sin(yaw)]
    )
    body.add_freejoint(name='tray')
    box = mujoco.mjtGeom.mjGEOM_BOX
    x, y, z = TRAY_HALF
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

