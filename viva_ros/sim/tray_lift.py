# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Tray lift: two arms lift a tray with an upright payload and place it on a platform.

The plan is made once, from where things really are.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.failures import Fault
from viva_ros.sim.kinematics import Hand
from viva_ros.sim.motion_plan import Hands, Plan
from viva_ros.sim.tray_scene import HANDLE, TRAY_HALF

SQUEEZE = 0.0006  # how much narrower than the handle the hands close, m
OPEN, CLOSED = 0.066, 0.0
PITCH = 1.05  # rad
LIFT = 0.12  # m
ABOVE = np.array([0.0, 0.0, 0.085])  # of the handles, before coming down, m


def make_plan(data: mujoco.MjData, start: Hands, fault: Fault, rng: np.random.Generator) -> Plan:
    """Return the whole plan from where tray and platform are now, bent by the fault."""
    speed = rng.uniform(0.85, 1.2) * fault.speed
    seconds = {name: length * rng.uniform(0.93, 1.07) / speed for name, length in _SECONDS.items()}
    grasp = grasp_of(data)
    hold = grasp[0].opening
    grasp = _each(grasp, lambda hand: hand.moved(rng.normal(0.0, 0.0012, 3)))
    place = _place_hands(data, rng.normal(0.0, 0.002, 2), hold)
    above = _each(grasp, lambda hand: hand.moved(ABOVE + rng.normal(0.0, 0.008, 3)))
    carry_height = np.array([0.0, 0.0, LIFT + rng.normal(0.0, 0.008)])
    plan = Plan(start)
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


def set_down(plan: Plan, grasp: Hands) -> None:
    """Bring what both hands still hold back to where it was picked up."""
    high = _each(grasp, lambda hand: hand.moved(np.array([0.0, 0.0, LIFT])))
    up = [
        replace(now, position=np.append(now.position[:2], max(now.position[2], top.position[2])))
        for now, top in zip(plan.end, high, strict=True)
    ]
    plan.move('put back', 0.8, up, (True, True))
    plan.move('put back', 1.8, high, (True, True))
    plan.move('put back', 1.4, grasp, (True, True))


def grasp_of(data: mujoco.MjData) -> Hands:
    """Hands at the handles of the tray as it is."""
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
    plan: Plan, seconds: dict[str, float], above: Hands, grasp: Hands, fault: Fault
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
