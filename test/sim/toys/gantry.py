# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot of another package: two gantries of three slides with a gripper, at 25 Hz."""

import mujoco
import numpy as np

from viva_ros.sim.robots.registry import MimicJoint, SimHand, SimRobot, UrdfNames

ARM = """
<body name="{side}_x" pos="{x} 0 0.3" gravcomp="1">
  <joint name="{side}_x" type="slide" axis="1 0 0" range="-1 1"/>
  <geom size="0.02" rgba="0.2 0.3 0.8 1" contype="0" conaffinity="0"/>
  <body name="{side}_y" gravcomp="1">
    <joint name="{side}_y" type="slide" axis="0 1 0" range="-1 1"/>
    <geom size="0.02" contype="0" conaffinity="0"/>
    <body name="{side}_z" gravcomp="1">
      <joint name="{side}_z" type="slide" axis="0 0 1" range="-1 1"/>
      <geom size="0.02" contype="0" conaffinity="0"/>
      <site name="{side}_tip" pos="0.1 0 0"/>
      <body name="{side}_one" pos="0.1 0 0" gravcomp="1">
        <joint name="{side}_one" type="slide" axis="0 1 0" range="0 0.04"/>
        <geom name="{side}_one" type="box" size="0.01 0.002 0.01" pos="0 0.002 0"/>
      </body>
      <body name="{side}_two" pos="0.1 0 0" gravcomp="1">
        <joint name="{side}_two" type="slide" axis="0 -1 0" range="0 0.04"/>
        <geom name="{side}_two" type="box" size="0.01 0.002 0.01" pos="0 -0.002 0"/>
      </body>
    </body>
  </body>
</body>
"""
SIDES, JOINTS = ('left', 'right'), ('x', 'y', 'z', 'one', 'two')
ARMS = ''.join(ARM.format(side=side, x=x) for side, x in zip(SIDES, (-0.4, 0.2), strict=True))
MOTORS = ''.join(
    f'<position joint="{side}_{joint}" kp="500" kv="40"/>' for side in SIDES for joint in JOINTS
)
MODEL = f"""
<mujoco>
  <option timestep="0.004" integrator="implicitfast"/>
  <default><joint armature="0.5"/></default>
  <worldbody>
    <light pos="0 0 2"/>
    <camera name="top" pos="0 0 1.5"/>
    <geom name="table" type="box" size="0.5 0.5 0.02" pos="0 0 -0.02" rgba="0.7 0.6 0.5 1"/>
    {ARMS}
  </worldbody>
  <actuator>{MOTORS}</actuator>
</mujoco>
"""


class GantryJoints:
    """Three slides and the opening of each gantry; each finger moves by half the opening."""

    def __init__(self, model: mujoco.MjModel) -> None:
        names = [f'{side}_{joint}' for side in SIDES for joint in JOINTS]
        self._qpos = np.array([model.joint(name).qposadr[0] for name in names])

    def positions(self, data: mujoco.MjData) -> np.ndarray:
        arms = data.qpos[self._qpos].reshape(2, 5)
        return np.concatenate([arms[:, :3], arms[:, 3:].sum(axis=1, keepdims=True)], 1).ravel()

    def command(self, data: mujoco.MjData, target: np.ndarray) -> None:
        arms = target.reshape(2, 4)
        data.ctrl[:] = np.concatenate([arms[:, :3], arms[:, 3:] / 2, arms[:, 3:] / 2], 1).ravel()

    def place(self, data: mujoco.MjData, target: np.ndarray) -> None:
        self.command(data, target)
        data.qpos[self._qpos] = data.ctrl


ROBOT = SimRobot(
    name='gantry',
    cameras=('top',),
    joint_names=tuple(f'{side}_{joint}' for side in SIDES for joint in ('x', 'y', 'z', 'gripper')),
    make_spec=lambda: mujoco.MjSpec.from_string(MODEL),
    compile=lambda spec: spec.compile(),
    joints=GantryJoints,
    hands=tuple(
        SimHand(
            site=f'{side}_tip', joints=tuple(f'{side}_{joint}' for joint in 'xyz'),
            pads=(f'{side}_one', f'{side}_two'), rest=(0.0, 0.0, 0.0), home=(x, 0.0, 0.3),
        )
        for side, x in zip(SIDES, (-0.3, 0.3), strict=True)
    ),
    gripper_open=0.08,
    home_opening=0.06,
    encoder_noise=(1e-4,) * 8,
    urdf=UrdfNames(
        robot='gantry',
        mimics=tuple(
            MimicJoint(f'{side}_{finger}', f'{side}_gripper', 0.5, 0.0)
            for side in SIDES for finger in ('one', 'two')
        ),
        openings=tuple((f'{side}_gripper', f'{side}_z') for side in SIDES),
    ),
    control_rate=25.0,
)  # fmt: skip
