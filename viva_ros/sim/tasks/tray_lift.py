# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tray lift: both arms lift a tray with a payload and put it on a platform."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.failures import NOMINAL, Fault, Push, Sides
from viva_ros.sim.kinematics import Hand
from viva_ros.sim.motion_plan import Hands, MotionPlan, Segment
from viva_ros.sim.scene import Scene
from viva_ros.sim.success import SceneVerdict, Touch, tilt
from viva_ros.sim.tasks.registry import Task

HANDLE = np.array([0.138, 0.0, 0.045])  # grasp in the frame of the tray, m
TRAY_HALF = np.array([0.105, 0.065, 0.004])
PLATFORM_HALF = np.array([0.085, 0.055])
PAYLOAD_RADIUS, PAYLOAD_HALF = 0.018, 0.047
TRAY_COLOURS = ((0.16, 0.42, 0.66), (0.12, 0.52, 0.50), (0.35, 0.33, 0.62), (0.24, 0.48, 0.30))
PAYLOAD_COLOURS = ((0.90, 0.35, 0.10), (0.85, 0.15, 0.18), (0.95, 0.72, 0.12), (0.80, 0.25, 0.55))
PLATFORM_COLOURS = ((0.80, 0.80, 0.79), (0.55, 0.36, 0.22), (0.40, 0.41, 0.44))


@dataclass(frozen=True)
class TrayLayout:
    """Poses at the start; positions in m, yaw in rad."""

    tray: Array
    tray_yaw: float
    platform: Array
    platform_height: float
    payload: Array
    handle_width: float
    colours: tuple[Array, Array, Array]


def draw_layout(rng: np.random.Generator) -> TrayLayout:
    """Draw a layout within reach of both arms."""

    def colour(palette: tuple[tuple[float, ...], ...]) -> Array:
        shade = np.array(palette[rng.integers(len(palette))])
        return np.clip(shade + rng.normal(0.0, 0.02, 3), 0.0, 1.0)

    return TrayLayout(
        tray=np.array([rng.uniform(-0.02, 0.02), rng.uniform(0.57, 0.63)]),
        tray_yaw=rng.uniform(-0.15, 0.15),
        platform=np.array([rng.uniform(-0.02, 0.02), rng.uniform(0.355, 0.41)]),
        platform_height=rng.uniform(0.025, 0.04),
        payload=np.array([rng.uniform(-0.03, 0.03), rng.uniform(-0.018, 0.018)]),
        handle_width=rng.uniform(0.019, 0.024),
        colours=(colour(TRAY_COLOURS), colour(PAYLOAD_COLOURS), colour(PLATFORM_COLOURS)),
    )


def add_objects(spec: mujoco.MjSpec, layout: TrayLayout) -> None:
    """Add tray, payload and platform."""
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


def _add_tray(spec: mujoco.MjSpec, layout: TrayLayout, rgba: Array) -> None:
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


def _add_payload(spec: mujoco.MjSpec, layout: TrayLayout, rgba: Array) -> None:
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


SQUEEZE = 0.0006  # the hands close to this much less than the width of a handle, m
OPEN, CLOSED = 0.066, 0.0
PITCH = 1.05  # rad
LIFT = 0.12  # m
ABOVE = np.array([0.0, 0.0, 0.085])  # of the hands over the handles, before they descend, m


def make_plan(
    scene: Scene, start: Hands, fault: Fault, rng: np.random.Generator
) -> MotionPlan:  # fmt: skip
    """Return the plan from the present positions of tray and platform, with the fault."""
    data = scene.data
    speed = rng.uniform(0.85, 1.2) * fault.speed
    seconds = {name: length * rng.uniform(0.93, 1.07) / speed for name, length in _SECONDS.items()}
    grasp = grasp_of(data)
    hold = grasp[0].opening
    grasp = _each(grasp, lambda hand: hand.moved(rng.normal(0.0, 0.0012, 3)))
    place = _place_hands(data, rng.normal(0.0, 0.002, 2), hold)
    above = _each(grasp, lambda hand: hand.moved(ABOVE + rng.normal(0.0, 0.008, 3)))
    carry_height = np.array([0.0, 0.0, LIFT + rng.normal(0.0, 0.008)])
    plan = MotionPlan(start)
    _grasp(plan, seconds, above, grasp, fault)
    lifted = _each(grasp, lambda hand: hand.moved(carry_height))
    over = _each(place, lambda hand: hand.moved(carry_height + fault.place_offset * [1, 1, 0]))
    down = _each(place, lambda hand: hand.moved(fault.place_offset))
    opening = [CLOSED if miss and not fault.regrasp else hold for miss in fault.misses]
    missing = (np.zeros(3), np.zeros(3)) if fault.regrasp else fault.grasp_offsets
    for phase, hands in (('lift', lifted), ('carry', over), ('lower', down)):
        ends = [hand.moved(missing[i]).opened(opening[i]) for i, hand in enumerate(hands)]
        plan.move(phase, seconds[phase], ends, (True, True))
    down = plan.end
    plan.move('release', seconds['release'], _each(down, lambda hand: hand.opened(OPEN)))
    plan.move('retreat', seconds['retreat'], _retreat(down))
    plan.timing = fault.timing(plan, OPEN, lag_phase='lift')
    return plan


def set_down(plan: MotionPlan, grasp: Hands) -> None:
    """Append the return of the tray, held by both hands, to its grasp."""
    high = _each(grasp, lambda hand: hand.moved(np.array([0.0, 0.0, LIFT])))
    up = [
        replace(now, position=np.append(now.position[:2], max(now.position[2], top.position[2])))
        for now, top in zip(plan.end, high, strict=True)
    ]
    plan.move('put back', 0.8, up, (True, True))
    plan.move('put back', 1.8, high, (True, True))
    plan.move('put back', 1.4, grasp, (True, True))


def grasp_of(data: mujoco.MjData) -> Hands:
    """Return the hands at the handles of the tray."""
    hold = 2.0 * data.model.geom('handle0').size[1] - SQUEEZE
    return _hands(data.body('tray').xpos, data.body('tray').xmat.reshape(3, 3), hold)


_SECONDS = {
    'reach': 1.7, 'descend': 1.1, 'close': 0.7, 'check': 0.5, 'reopen': 0.6, 'rise': 0.8,
    'lift': 1.3, 'carry': 1.9, 'lower': 1.2, 'release': 0.5, 'retreat': 0.9,
}  # fmt: skip


def _each(hands: Hands, change: Callable[[Hand], Hand]) -> Hands:
    return change(hands[0]), change(hands[1])


def _hands(position: Array, rotation: Array, opening: float) -> Hands:
    yaw = float(np.arctan2(rotation[1, 0], rotation[0, 0]))
    left = Hand(position + rotation @ (HANDLE * [-1, 1, 1]), yaw, PITCH, opening)
    right = Hand(position + rotation @ HANDLE, yaw + np.pi, PITCH, opening)
    return left, right


def _place_hands(data: mujoco.MjData, error: Array, hold: float) -> Hands:
    platform = data.body('platform').xpos
    top = 2.0 * platform[2] + TRAY_HALF[2] + 0.001
    return _hands(np.array([*(platform[:2] + error), top]), np.eye(3), hold)


def _grasp(
    plan: MotionPlan, seconds: dict[str, float], above: Hands, grasp: Hands, fault: Fault
) -> None:
    offsets = fault.grasp_offsets
    wrong = [hand.moved(offsets[i]) for i, hand in enumerate(grasp)]
    closed = [hand.opened(CLOSED) if fault.misses[i] else hand for i, hand in enumerate(wrong)]
    first = [hand.moved(offsets[i]) for i, hand in enumerate(above)]
    plan.move('reach', seconds['reach'], _opened(first))
    plan.move('descend', seconds['descend'], _opened(wrong))
    plan.move('close', seconds['close'], closed)
    if not fault.regrasp:
        return
    plan.move('check', seconds['check'], plan.end, (True, True))
    plan.move('reopen', seconds['reopen'], _opened(wrong))
    plan.move('rise', seconds['rise'], _opened(above))
    plan.move('descend', seconds['descend'], _opened(grasp))
    plan.move('close', seconds['close'], grasp)


def _opened(hands: Sequence[Hand]) -> list[Hand]:
    return [hand.opened(OPEN) for hand in hands]


def _retreat(down: Hands) -> Hands:
    left, right = down
    up = np.array([-0.05, 0.0, 0.07])
    return left.moved(up).opened(OPEN), right.moved(up * [-1, 1, 1]).opened(OPEN)


FAILURES = (
    'slip', 'missed_grasp', 'premature_release', 'misalignment', 'asynchronous_lift', 'stall',
    'nudge', 'payload_tips', 'platform_moved',
)  # fmt: skip
VARIATIONS = (
    NOMINAL, 'pause', 'slow', 'recovered_missed_grasp', 'recovered_stall', 'near_miss',
)  # fmt: skip
CAMERA_ONLY = frozenset({'slip', 'nudge', 'payload_tips', 'platform_moved'})
BOTH: Sides = (True, True)
ONE: tuple[Sides, Sides] = ((True, False), (False, True))
PHASES = ('reach', 'descend', 'lift', 'carry', 'lower')  # of a stop


def draw_fault(mode: str, rng: np.random.Generator) -> Fault:
    """
    Return the fault of a mode, its sizes and times drawn.

    Sizes are such that a failure nearly always fails and often leaves the payload upright, so that
    a retry is possible.
    """
    return _DRAW[mode](rng)


def _slip(rng: np.random.Generator) -> Fault:
    return Fault('slip', slip=('lift', rng.uniform(0.3, 0.65), (True, True)))


def _missed_grasp(rng: np.random.Generator) -> Fault:
    return Fault('missed_grasp', **_miss(rng))


def _miss(rng: np.random.Generator) -> dict[str, Any]:
    sides: Sides = BOTH if rng.random() < 0.75 else ONE[rng.integers(2)]
    if rng.random() < 0.5:
        offset = np.array([0.0, 0.0, rng.uniform(0.05, 0.07)])
    else:
        offset = np.array([0.0, rng.choice([-1.0, 1.0]) * rng.uniform(0.065, 0.08), 0.0])
    return {'grasp_offsets': tuple(offset * miss for miss in sides), 'misses': sides}


def _premature_release(rng: np.random.Generator) -> Fault:
    phase, fraction = ('lift', rng.uniform(0.3, 0.7))
    if rng.random() < 0.35:
        phase, fraction = 'carry', rng.uniform(0.1, 0.7)
    sides: Sides = BOTH if rng.random() < 0.65 else ONE[rng.integers(2)]
    return Fault('premature_release', release=(phase, fraction, sides))


def _misalignment(rng: np.random.Generator) -> Fault:
    # Half over the edge of the platform, so that it tips, or next to it, so that it drops.
    away = rng.uniform(0.085, 0.115) if rng.random() < 0.35 else rng.uniform(0.132, 0.15)
    offset = np.array([rng.uniform(-0.02, 0.02), away, 0.0])
    return Fault('misalignment', place_offset=offset)


def _asynchronous_lift(rng: np.random.Generator) -> Fault:
    return Fault('asynchronous_lift', lag=(int(rng.integers(2)), rng.uniform(1.0, 1.6)))


def _stall(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('stall', freeze=(phase, rng.uniform(0.2, 0.8), float('inf')))


def _nudge(rng: np.random.Generator) -> Fault:
    by = np.array([rng.uniform(-0.01, 0.01), rng.uniform(0.065, 0.09), 0.0])
    return Fault('nudge', push=Push('tray', 'reach', rng.uniform(0.3, 0.85), by))


def _payload_tips(rng: np.random.Generator) -> Fault:
    phase = ('lift', 'carry', 'carry', 'lower')[rng.integers(4)]
    direction, fraction = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 0.8)
    return Fault('payload_tips', push=Push('payload', phase, fraction, None, direction, 2.5, 1.0))


def _platform_moved(rng: np.random.Generator) -> Fault:
    away = rng.uniform(0.09, 0.115) if rng.random() < 0.35 else rng.uniform(0.132, 0.15)
    by = np.array([rng.uniform(-0.03, 0.03), -away, 0.0])
    return Fault('platform_moved', push=Push('platform', 'carry', rng.uniform(0.0, 0.7), by))


def _pause(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('pause', freeze=(phase, rng.uniform(0.1, 0.9), rng.uniform(1.0, 2.3)))


def _slow(rng: np.random.Generator) -> Fault:
    return Fault('slow', speed=rng.uniform(0.55, 0.75))


def _recovered_missed_grasp(rng: np.random.Generator) -> Fault:
    return Fault('recovered_missed_grasp', regrasp=True, **_miss(rng))


def _recovered_stall(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('recovered_stall', freeze=(phase, rng.uniform(0.2, 0.8), rng.uniform(3.2, 4.5)))


def _near_miss(rng: np.random.Generator) -> Fault:
    kind = rng.integers(4)
    if kind == 0:
        return Fault('near_miss', lag=(int(rng.integers(2)), rng.uniform(0.1, 0.2)))
    if kind == 1:
        direction = rng.uniform(-np.pi, np.pi)
        push = Push('payload', 'carry', rng.uniform(0.2, 0.8), None, direction, 1.3, 0.055)
        return Fault('near_miss', push=push)
    if kind == 2:
        by = np.array([0.0, rng.choice([-1.0, 1.0]) * rng.uniform(0.008, 0.014), 0.0])
        return Fault('near_miss', push=Push('tray', 'reach', rng.uniform(0.3, 0.85), by))
    aside = rng.choice([-1.0, 1.0]) * rng.uniform(0.015, 0.025)
    return Fault('near_miss', place_offset=np.array([0.0, aside, rng.uniform(0.005, 0.015)]))


_DRAW: dict[str, Callable[[np.random.Generator], Fault]] = {
    NOMINAL: lambda rng: Fault(),
    'slip': _slip,
    'missed_grasp': _missed_grasp,
    'premature_release': _premature_release,
    'misalignment': _misalignment,
    'asynchronous_lift': _asynchronous_lift,
    'stall': _stall,
    'nudge': _nudge,
    'payload_tips': _payload_tips,
    'platform_moved': _platform_moved,
    'pause': _pause,
    'slow': _slow,
    'recovered_missed_grasp': _recovered_missed_grasp,
    'recovered_stall': _recovered_stall,
    'near_miss': _near_miss,
}


TILTED = np.radians(12.0)
LEVEL = np.radians(6.0)
TOPPLED = np.radians(35.0)
MOVED = 0.014  # m; a grasp alone shifts the tray by less
AFTER_RELEASE = ('retreat',)


class TrayJudge:
    """Success, evidence of failure and progress of the lift."""

    def __init__(self, scene: Scene) -> None:
        data = scene.data
        self._touch = Touch(scene)
        self._tray, self._payload = data.body('tray'), data.body('payload')
        self._platform = data.body('platform')
        self._pinch = [data.site(hand.site) for hand in scene.robot.hands]
        self._origin = self._tray.xpos.copy()
        self._platform_origin = self._platform.xpos.copy()
        self._payload_origin = self._payload_in_tray()
        self._reach = max(self._distance_to_handles(), 0.1)
        self._carried_at: Array | None = None
        self._since_release = 0

    def update(self, segment: Segment) -> SceneVerdict:
        """Return the verdict on one control step."""
        self._touch.update()
        held = (self._touch.grip(0, 'tray'), self._touch.grip(1, 'tray'))
        released = segment.phase in AFTER_RELEASE
        self._since_release = self._since_release + 1 if released else 0
        placed = self._placed()
        evidence = self._evidence(segment, held, placed)
        lifted = self._tray.xpos[2] > self._origin[2] + 0.02
        healthy = all(held) and lifted and not evidence and tilt(self._tray.xmat) < LEVEL
        deviated = self._deviated(segment, held)
        return SceneVerdict(self._progress(held, placed), placed, evidence, healthy, deviated)

    def standing(self) -> bool:
        """Return whether the payload stands upright on the tray."""
        inside = np.abs(self._payload_in_tray()) < [TRAY_HALF[0], TRAY_HALF[1], 0.08]
        return bool(inside.all()) and tilt(self._payload.xmat) < TOPPLED

    def _placed(self) -> bool:
        offset = np.abs(self._tray.xpos - self._platform.xpos)
        over = offset[0] < PLATFORM_HALF[0] and offset[1] < PLATFORM_HALF[1]
        touching = self._touch.between('tray', 'platform')
        touching = touching and not self._touch.between('tray', 'world')
        free = not (self._touch.hand_on(0, 'tray') or self._touch.hand_on(1, 'tray'))
        level = tilt(self._tray.xmat) < LEVEL
        return bool(over and touching and free and level and self.standing())

    def _evidence(self, segment: Segment, held: tuple[bool, bool], placed: bool) -> str:
        if not self.standing():
            return 'the payload has fallen'
        if tilt(self._tray.xmat) > TILTED:
            return 'the tray is tilted'
        for side, grip, hold in zip(('left', 'right'), segment.grips, held, strict=True):
            if grip and not hold:
                return f'the {side} hand holds nothing'
        if segment.phase in ('carry', 'over') and self._tray.xpos[2] < self._origin[2] + 0.03:
            return 'the tray is not lifted'
        if self._since_release > 15 and not placed and not any(held):
            return 'the tray is not on the platform'
        return ''

    def _deviated(self, segment: Segment, held: tuple[bool, bool]) -> bool:
        if np.abs(self._platform.xpos - self._platform_origin).max() > MOVED:
            return True
        if np.abs(self._payload_in_tray() - self._payload_origin).max() > MOVED:
            return True
        if tilt(self._payload.xmat) > np.radians(10.0):
            return True
        if segment.phase in ('reach', 'descend'):
            return bool(np.linalg.norm(self._tray.xpos - self._origin) > MOVED)
        if not all(segment.grips):
            return False
        relative = self._tray.xpos - 0.5 * (self._pinch[0].xpos + self._pinch[1].xpos)
        if self._carried_at is None:
            self._carried_at = relative
        return bool(np.linalg.norm(relative - self._carried_at) > MOVED)

    def _progress(self, held: tuple[bool, bool], placed: bool) -> float:
        if placed:
            return 1.0
        if not self.standing():
            return 0.0
        if not all(held):
            near = 1.0 - min(self._distance_to_handles() / self._reach, 1.0)
            on_top = self._touch.between('tray', 'platform') and tilt(self._tray.xmat) < LEVEL
            return 0.95 if on_top and not any(held) else 0.3 * near
        whole = max(float(np.linalg.norm((self._platform.xpos - self._origin)[:2])), 0.05)
        left = float(np.linalg.norm((self._platform.xpos - self._tray.xpos)[:2]))
        carried = np.clip(1.0 - left / whole, 0.0, 1.0)
        height = np.clip((self._tray.xpos[2] - self._origin[2]) / LIFT, 0.0, 1.0)
        lowered = (1.0 - height) * np.clip((carried - 0.8) / 0.2, 0.0, 1.0)
        return float(0.35 + 0.15 * max(height, carried) + 0.3 * carried + 0.12 * lowered)

    def _payload_in_tray(self) -> Array:
        return np.asarray(self._tray.xmat.reshape(3, 3).T @ (self._payload.xpos - self._tray.xpos))

    def _distance_to_handles(self) -> float:
        rotation = self._tray.xmat.reshape(3, 3)
        handles = [self._tray.xpos + rotation @ (HANDLE * [sign, 1, 1]) for sign in (-1, 1)]
        pairs = zip(handles, self._pinch, strict=True)
        return float(np.mean([np.linalg.norm(handle - hand.xpos) for handle, hand in pairs]))


REACH_X, REACH_Y = 0.08, (0.28, 0.76)  # of the middle of the tray, m
TURNED = 0.5  # rad


def recover(scene: Scene, way: MotionPlan, plan: MotionPlan) -> None:
    """If both hands hold the tray, return it to its grasp."""
    touch = Touch(scene)
    touch.update()
    if touch.grip(0, 'tray') and touch.grip(1, 'tray'):
        closes = [segment for segment in plan.segments if segment.phase == 'close']
        set_down(way, closes[-1].end)


def refusal(scene: Scene) -> str:
    """Return why no retry is possible; '' if one is."""
    tray = scene.data.body('tray')
    if not TrayJudge(scene).standing():
        return 'the payload no longer stands on the tray: put it back by hand'
    touch = Touch(scene)
    touch.update()
    if touch.grip(0, 'tray') and touch.grip(1, 'tray'):
        return ''
    x, y, z = tray.xpos
    if z < -0.05:
        return 'the tray has fallen off the table: put it back by hand'
    if abs(x) > REACH_X or not REACH_Y[0] < y < REACH_Y[1]:
        return f'the tray is at x {x:.2f} m, y {y:.2f} m, out of reach: put it back by hand'
    if tilt(tray.xmat) > TILTED:
        return f'the tray is tilted by {np.degrees(tilt(tray.xmat)):.0f} deg: put it flat by hand'
    if abs(np.arctan2(tray.xmat[3], tray.xmat[0])) > TURNED:
        return 'the tray is turned too far: turn it back by hand'
    return ''


TASK = Task(
    name='tray_lift',
    failures=FAILURES, variations=VARIATIONS, camera_only=CAMERA_ONLY,
    slip_geoms=(('handle0',), ('handle1',)),
    demo_seed=90001,
    draw_fault=draw_fault, draw_layout=draw_layout, add_objects=add_objects, make_plan=make_plan,
    judge=TrayJudge,
    recover=recover,
    refusal=refusal,
)  # fmt: skip
