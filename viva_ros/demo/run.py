# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the demo: robot, monitor and supervisor as three processes, two or more episodes."""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from viva_ros.core.detection.thresholds import calibration_file
from viva_ros.core.errors import VivaError
from viva_ros.core.events import Level
from viva_ros.demo import summary, view
from viva_ros.demo.events import DemoSession
from viva_ros.demo.watcher import ServiceCaller, Watcher
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import read_calibration
from viva_ros.engine.resources import engine_folder
from viva_ros.nodes.settings import MonitorSettings

EPISODE_LIMIT = 90.0  # s; twice the time of a failure, two retries and the return
START_LIMIT = 60.0  # s; for a cold start


@dataclass(frozen=True)
class DemoEpisode:
    """One episode: title, seed and injected failure."""

    name: str
    title: str
    seed: int
    failure: str


class EpisodeRunner:
    """Starts episodes and waits for their end; calls ``tick(title)`` ten times a second."""

    def __init__(
        self,
        watcher: Watcher,
        services: ServiceCaller,
        session: DemoSession,
        tick: Callable[[str], None],
    ) -> None:
        self._watcher, self._services = watcher, services
        self._session, self._tick = session, tick

    def wait_until_ready(self) -> None:
        """Wait for the robot's ground truth and the first known value."""
        self._wait(
            lambda: bool(self._session.known()) and self._session.now is not None,
            START_LIMIT,
            'starting robot, monitor and supervisor',
            'no value arrived',
        )

    def play(self, part: DemoEpisode, task: str, settle: float) -> DemoSession:
        """
        Run one episode to its end and return its data.

        The end is success, NEEDS_OPERATOR, or a finished plan without a retry within ``settle`` s.
        """
        values = {'task': task, 'seed': part.seed, 'failure': part.failure}
        self._services.set_parameters('sim', values)
        if self._session.level == Level.NEEDS_OPERATOR:  # from the episode before
            self._services.trigger('supervisor/acknowledge')
        self._services.trigger('start')  # the robot starts the episode
        start = self._watcher.stamp()
        self._wait(
            lambda: self._over(start, settle), EPISODE_LIMIT, part.title, 'the episode did not end'
        )
        return self._session.since(start)

    def _over(self, start: int, settle: float) -> bool:
        part = self._session.since(start)
        if part.now is None or part.now.time > (part.now.stamp - start) * 1e-9 + 1.0:
            return False
        if any(alert.level == Level.NEEDS_OPERATOR for alert in part.alerts):
            return True
        ended = next((m.stamp for m in reversed(part.truths) if not m.done), part.now.stamp)
        held = (part.now.stamp - ended) * 1e-9
        return part.now.done and held > (1.0 if part.now.success else settle)

    def _wait(self, condition: Callable[[], bool], limit: float, title: str, problem: str) -> None:
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                text = f'{problem} within {limit:.0f} s ({title}): see the log files'
                raise VivaError('demo-timeout', text)
            self._tick(title)
            time.sleep(0.1)


def check_engine(engine_path: str, task: str) -> None:
    """
    Load engine and thresholds as the nodes do, so that errors appear before the start.

    :raises VivaError: naming the mismatch
    """
    folder = engine_folder(engine_path, task)
    engine = load(folder, task)
    engine.close()
    calibration = read_calibration(calibration_file(folder, task))
    rate = MonitorSettings().rate  # the demo starts the monitor with its default
    calibration.check(engine.info.fingerprint, task, calibration.rules, rate)


def isolate() -> None:
    """Isolate the demo: a random domain, and discovery on this machine only."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.SystemRandom().randint(1, 101)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')


@dataclass(frozen=True)
class DemoPlan:
    """
    Parameters of a demo run.

    :param failure: injected in every second episode
    :param seed: seed of the first layout
    :param engine: folder; None: the shipped engine
    :param headless: print lines instead of a live view
    :param duration: run further episodes until this time after the first values, s
    """

    task: str
    failure: str
    seed: int
    engine: Path | None = None
    headless: bool = False
    duration: float = 0.0


def unwatched(processes: Mapping[str, int]) -> Callable[[], None]:
    """Return a callback that does nothing; see ``run``."""
    return lambda: None


def run(
    plan: DemoPlan,
    out: Path,
    console: Console,
    watch: Callable[[Mapping[str, int]], Callable[[], None]] = unwatched,
) -> tuple[DemoSession, dict[str, list[summary.DemoCheck]]]:
    """
    Run and record two episodes, and further ones until the duration is over.

    :param watch: called with process ids by node name; returns a callback for each tick
    :returns: received data, and checks by episode
    :raises VivaError: if a node ends
    """
    from viva_ros.bringup.processes import started
    from viva_ros.demo.watcher import watching

    session = DemoSession()
    options: dict[str, Any] = {'task': plan.task}
    if plan.engine:
        options['engine'] = str(plan.engine)
    with (
        started('demo', options, log_folder=out) as nodes,
        watching(out / 'recording.mcap', session) as (watcher, services),
        showing(session, watcher.stamp, console, plan.headless) as tick,
    ):
        on_tick = watch({name: process.pid for name, process in nodes.processes.items()})

        def step(title: str) -> None:
            tick(title)
            on_tick()

        player = EpisodeRunner(watcher, services, session, guarded(step, nodes.ended))
        player.wait_until_ready()
        end = time.monotonic() + plan.duration
        good, bad = (part(plan, number) for number in (0, 1))
        checks = {
            good.name: summary.good_checks(player.play(good, plan.task, settle=1.0)),
            bad.name: summary.failure_checks(player.play(bad, plan.task, settle=12.0)),
        }
        for number in count(2):
            if time.monotonic() >= end:
                break
            player.play(part(plan, number), plan.task, settle=12.0)
        on_tick()
    return session, checks


def part(plan: DemoPlan, number: int) -> DemoEpisode:
    """Return the nth episode: even ones are good, odd ones fail."""
    failure = plan.failure if number % 2 else 'none'
    title = f'a failure: {failure}' if number % 2 else 'a good episode'
    return DemoEpisode('failure' if number % 2 else 'good', title, plan.seed + number, failure)


def guarded(
    tick: Callable[[str], None], ended: Callable[[], dict[str, int]]
) -> Callable[[str], None]:
    """Return a tick that raises VivaError when a node has ended."""

    def check(title: str) -> None:
        if codes := ended():
            ended_nodes = ', '.join(f'{name} (exit code {code})' for name, code in codes.items())
            raise VivaError('demo-node-ended', f'{ended_nodes} ended: see its log file')
        tick(title)

    return check


@contextmanager
def showing(
    session: DemoSession, stamp: Callable[[], int], console: Console, headless: bool
) -> Iterator[Callable[[str], None]]:
    """Show the session while it runs: a live view, or plain lines."""
    if headless or not console.is_terminal:
        yield plain(session, console)
        return
    with Live(console=console, screen=True, refresh_per_second=8) as live:
        yield lambda title: live.update(view.render(session, title, stamp()))


def plain(session: DemoSession, console: Console) -> Callable[[str], None]:
    """Return a tick that prints a line for each new title and alert."""
    shown: dict[str, Any] = {'title': '', 'alerts': 0}

    def tick(title: str) -> None:
        if title != shown['title']:
            console.print(f'== {title}')
            shown['title'] = title
        for alert in session.alerts[shown['alerts'] :]:
            console.print(view.line(alert))
        shown['alerts'] = len(session.alerts)

    return tick


def draw(out: Path) -> None:
    """Plot the recording."""
    from viva_ros.visualization.plot import plot

    plot(out / 'recording.mcap', out / 'plot.png')


def report(console: Console, result: dict[str, Any], out: Path) -> None:
    """Print the checks, the figures and the output folder."""
    for name, checks in result['checks'].items():
        console.print(name, style='bold')
        for check in checks:
            mark, style = ('yes', 'green') if check['passed'] else ('NO ', 'red')
            console.print(f'  {mark}', style=style, end=' ')
            console.print(f'{check["name"]}: {check["seen"]}')
    latency = result['latency_ms']
    console.print(
        f'{result["values"]} values at {result["rate_hz"]} Hz, {result["unknown"]} unknown; '
        f'stamp to publish p50 {latency["p50"]} ms, p95 {latency["p95"]} ms'
    )
    console.print(f'recording.mcap, plot.png and summary.json are in {out}')
