# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Ground truth of an episode: success, failure and their times.

Three times bound how early a monitor can detect a failure: the first wrong command or perturbation
(``inject``), the first difference that a camera can see (``visible``) and the first physical
evidence (``manifest``).
"""

from dataclasses import dataclass

from viva_ros.sim.failures import Disturbance, Fault
from viva_ros.sim.motion_plan import MotionPlan
from viva_ros.sim.success import SceneVerdict

SUCCESS_HELD = 0.5  # s
STALLED = 2.5  # s; longer than any pause


@dataclass(frozen=True)
class Truth:
    """
    Ground truth at one time; times in s since the start of the episode.

    :param failure: injected mode, whether or not it led to a failure
    :param attempt: 1 plus the number of retries
    :param progress: in [0, 1]; falls when the object is lost
    :param success: the goal has been reached and held
    :param failed: evidence of a failure in this attempt without a recovery
    :param inject_time: first wrong command or perturbation
    :param visible_time: first difference between the scene and the expectation of the plan
    :param manifest_time: first physical evidence
    :param evidence: of the failure, in words
    """

    time: float
    task: str
    seed: int
    failure: str
    phase: str
    attempt: int
    progress: float
    success: bool
    failed: bool
    inject_time: float | None
    visible_time: float | None
    manifest_time: float | None
    evidence: str = ''


class Record:
    """
    Collects verdicts into the ground truth.

    :param period: time between two verdicts, s
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._inject: float | None = None
        self._visible: float | None = None
        self._manifest: float | None = None
        self.start_attempt()

    @property
    def success(self) -> bool:
        """Whether the goal has been held long enough."""
        return self._held >= SUCCESS_HELD

    def start_attempt(self) -> None:
        """Reset progress and evidence; the times of the first failure are kept."""
        self._progress = 0.0
        self._held = 0.0
        self._evidence = ''

    def expect(self, now: float, fault: Fault, plan: MotionPlan, disturbance: Disturbance) -> None:
        """Set the time at which a plan that starts now injects its fault."""
        first = min(_command_time(fault, plan), disturbance.slip_time, disturbance.push_time)
        self._inject = now + first if first < float('inf') else None
        self._visible = self._manifest = None

    def update(
        self, verdict: SceneVerdict, now: float, stalled_for: float, going_home: bool
    ) -> None:
        """Add the verdict of one control step."""
        if going_home:
            self._progress = min(verdict.progress, 0.1)
            return
        self._progress = verdict.progress
        self._held = self._held + self._period if verdict.placed else 0.0
        stalled = 'the arms have stopped' if stalled_for > STALLED else ''
        evidence = verdict.evidence or stalled
        if evidence:
            self._evidence = evidence
            self._manifest = now if self._manifest is None else self._manifest
        elif verdict.healthy or self.success or self._evidence == 'the arms have stopped':
            self._evidence = ''
        injected = self._inject is not None and now >= self._inject
        if self._visible is None and injected and (verdict.deviated or evidence):
            self._visible = now

    def truth(
        self, time: float, task: str, seed: int, failure: str, phase: str, attempt: int
    ) -> Truth:
        """Return the ground truth at a time."""
        return Truth(
            time, task, seed, failure, phase, attempt, self._progress, self.success,
            bool(self._evidence) and not self.success,
            self._inject, self._visible, self._manifest, self._evidence,
        )  # fmt: skip


def _command_time(fault: Fault, plan: MotionPlan) -> float:
    times = [float('inf'), plan.timing.freeze_at, plan.timing.lag_from]
    times += [at for at in plan.timing.release_at if at is not None]
    if any(offset.any() for offset in fault.grasp_offsets):
        times.append(0.0)
    if fault.place_offset.any():
        times.append(plan.when('carry', 0.0))
    return min(times)
