# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of an episode: of the plan, and disturbances of the scene (lost friction, pushes)."""

from dataclasses import dataclass, field, replace

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.motion_plan import MotionPlan, Timing

Sides = tuple[bool, bool]
NOMINAL = 'none'


def _zero() -> Array:
    return np.zeros(3)


@dataclass(frozen=True)
class Push:
    """
    A push on one object.

    :param body: name of the object
    :param phase: of the plan, at a ``fraction`` of which the push starts
    :param by: (3,) displacement, m; None topples the object
    :param direction: of a topple, about the vertical, rad
    :param strength: of a topple, in multiples of the force that just tips the object
    :param seconds: duration of a displacement; maximum duration of a topple
    """

    body: str
    phase: str
    fraction: float
    by: Array | None = None
    direction: float = 0.0
    strength: float = 2.0
    seconds: float = 0.5


@dataclass(frozen=True)
class Fault:
    """
    Faults of one episode; the default is none.

    :param grasp_offsets: (3,) of each hand from the grasp, m
    :param misses: hands that close completely, without an object
    :param regrasp: the robot detects the missed grasp and repeats it
    :param place_offset: (3,) from the place for the object, m
    :param speed: factor on the speed of the plan
    :param freeze: phase, fraction of it, and duration of a stop of both arms, s
    :param lag: hand that lifts late (0 left, 1 right), and delay, s
    :param release: phase, fraction and hands that open too early
    :param slip: phase, fraction and hands whose grasp loses friction
    :param push: on an object
    """

    mode: str = NOMINAL
    grasp_offsets: tuple[Array, Array] = field(default_factory=lambda: (_zero(), _zero()))
    misses: Sides = (False, False)
    regrasp: bool = False
    place_offset: Array = field(default_factory=_zero)
    speed: float = 1.0
    freeze: tuple[str, float, float] | None = None
    lag: tuple[int, float] | None = None
    release: tuple[str, float, Sides] | None = None
    slip: tuple[str, float, Sides] | None = None
    push: Push | None = None

    def timing(self, plan: MotionPlan, opening: float, lag_phase: str) -> Timing:
        """
        Return the delays of a plan.

        :param opening: of a hand that releases, m
        :param lag_phase: phase at whose start a late hand begins to lag
        """
        timing = Timing(release_opening=opening)
        if self.freeze:
            phase, fraction, length = self.freeze
            timing = replace(timing, freeze_at=plan.when(phase, fraction), freeze_for=length)
        if self.lag:
            side, lag = self.lag
            timing = replace(timing, lag_side=side, lag_from=plan.when(lag_phase, 0.0), lag=lag)
        if self.release:
            phase, fraction, sides = self.release
            at = plan.when(phase, fraction)
            left, right = (at if side else None for side in sides)
            timing = replace(timing, release_at=(left, right))
        return timing


SLIPPERY = 0.03
PUSH_STIFFNESS, PUSH_DAMPING = 400.0, 30.0  # per kg


class Disturbance:
    """
    Applies the faults that are not in the plan: slips and pushes.

    :param slip_geoms: for each hand, the geoms that lose friction in a slip
    """

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, fault: Fault, plan: MotionPlan,
        slip_geoms: tuple[tuple[str, ...], tuple[str, ...]],
    ) -> None:  # fmt: skip
        self._model, self._data, self._fault = model, data, fault
        self._slip_geoms = slip_geoms
        self._friction = model.geom_friction.copy()
        self.slip_time = plan.when(*fault.slip[:2]) if fault.slip else np.inf
        self.push_time = plan.when(fault.push.phase, fault.push.fraction) if fault.push else np.inf
        self._origin: Array | None = None
        self._toppled = False

    def apply(self, elapsed: float) -> None:
        """
        Disturb the next control step.

        :param elapsed: time since the start of the plan, s
        """
        if self._fault.slip and elapsed >= self.slip_time:
            for names, slips in zip(self._slip_geoms, self._fault.slip[2], strict=True):
                for name in names if slips else ():
                    self._model.geom(name).friction[:] = SLIPPERY, 0.0001, 0.0001
        if self._fault.push:
            self._push(self._fault.push, elapsed - self.push_time)

    def end(self) -> None:
        """Restore friction and remove all forces."""
        self._model.geom_friction[:] = self._friction
        self._data.xfrc_applied[:] = 0.0

    def _push(self, push: Push, since: float) -> None:
        body = self._data.body(push.body)
        if since < 0.0:
            return
        if push.by is None:
            self._topple(push, since)
            return
        if self._origin is None:
            self._origin = body.xpos.copy()
        s = min(since / push.seconds, 1.0)
        target = self._origin + push.by * (s**3 * (10.0 - 15.0 * s + 6.0 * s**2))
        mocap = self._model.body(push.body).mocapid[0]
        if mocap >= 0:
            self._data.mocap_pos[mocap] = target
            return
        mass = self._model.body(push.body).subtreemass[0] + 0.06
        force = PUSH_STIFFNESS * (target - body.xpos) - PUSH_DAMPING * body.cvel[3:]
        force[2] = 0.0
        self._data.xfrc_applied[body.id, :3] = mass * force if s < 1.0 else 0.0

    def _topple(self, push: Push, since: float) -> None:
        body = self._data.body(push.body)
        self._toppled |= body.xmat[8] < np.cos(np.radians(40.0))
        force = np.zeros(6)
        if since < push.seconds and not self._toppled:
            weight = 9.81 * self._model.body(push.body).mass[0]
            across = np.array([np.cos(push.direction), np.sin(push.direction), 0.0])
            force[:3] = 0.25 * push.strength * weight * across
            force[3:] = 0.01 * push.strength * weight * np.cross([0.0, 0.0, 1.0], across)
        self._data.xfrc_applied[body.id] = force
