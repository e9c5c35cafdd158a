# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tray lift: success, failure and progress, read from where things are and what they touch."""

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.motion_plan import Segment
from viva_ros.sim.success import Touch, Verdict, tilt
from viva_ros.sim.tray_lift import LIFT
from viva_ros.sim.tray_scene import HANDLE, PLATFORM_HALF, TRAY_HALF

TILTED = np.radians(12.0)
LEVEL = np.radians(6.0)
TOPPLED = np.radians(35.0)
MOVED = 0.014  # m, more than a grasp shifts the tray by itself
AFTER_RELEASE = ('retreat',)


class TrayJudge:
    """Looks at the scene once per control step."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._touch = Touch(model)
        self._tray, self._payload = data.body('tray'), data.body('payload')
        self._platform = data.body('platform')
        self._pinch = [data.site(f'{side}_pinch') for side in ('left', 'right')]
        self._origin = self._tray.xpos.copy()
        self._platform_origin = self._platform.xpos.copy()
        self._payload_origin = self._payload_in_tray()
        self._reach = max(self._distance_to_handles(), 0.1)
        self._carried_at: Array | None = None
        self._since_release = 0

    def look(self, data: mujoco.MjData, segment: Segment) -> Verdict:
        """Judge the present moment."""
        self._touch.look(data)
        held = (self._touch.grip(0, 'tray'), self._touch.grip(1, 'tray'))
        released = segment.phase in AFTER_RELEASE
        self._since_release = self._since_release + 1 if released else 0
        placed = self._placed()
        evidence = self._evidence(segment, held, placed)
        lifted = self._tray.xpos[2] > self._origin[2] + 0.02
        healthy = all(held) and lifted and not evidence and tilt(self._tray.xmat) < LEVEL
        deviated = self._deviated(segment, held)
        return Verdict(self._progress(held, placed), placed, evidence, healthy, deviated)

    def standing(self) -> bool:
        """Whether the payload stands upright on the tray."""
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
