# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs sessions in processes of their own, and goes on after one that a crash has ended."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from support.checkout import checkout_child

from fuzz.session import CURRENT, PLACE, READ, Crash, Summary

FRAME: Final = re.compile(r'File ".*?/viva_ros/(\S+)\.py", line \d+ in (\S+)')
MOST_DEATHS: Final = 200  # of the processes of one run


@dataclass
class Findings:
    """
    Result of a run.

    :param crashes: each signature of a target once, with the shortest input
    :param counts: target and signature to the number of crashes
    """

    summaries: dict[str, Summary] = field(default_factory=dict)
    crashes: dict[tuple[str, str], tuple[Crash, bytes]] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add_crash(self, crash: Crash, data: bytes) -> None:
        key = crash.target, crash.signature
        self.counts[key] = self.counts.get(key, 0) + 1
        if key not in self.crashes or len(data) < len(self.crashes[key][1]):
            self.crashes[key] = crash, data

    def add_summary(self, one: Summary, before: float) -> None:
        """
        Keep the newest summary of a target.

        :param before: seconds of earlier processes of this target
        """
        known = self.summaries.get(one.target, Summary(one.target))
        one.seconds += before
        one.longest, one.memory = max(one.longest, known.longest), max(one.memory, known.memory)
        self.summaries[one.target] = one


def run(
    names: Sequence[str], folder: Path, seed: int = 0, count: int = 0, seconds: float = 0.0,
    module: str = 'fuzz.session',
) -> Findings:  # fmt: skip
    """
    Read changed inputs of targets, one after another.

    :param folder: exists; for files
    :param count: inputs of each target; 0 for no limit
    :param seconds: of each target; 0 for no limit
    :raises RuntimeError: if a process ends before its first case
    """
    findings, left, first, spent = Findings(), list(names), 0, 0.0
    for _ in range(MOST_DEATHS):
        (folder / PLACE).unlink(missing_ok=True)
        limit = seconds - spent if seconds else 0.0
        line = [module, folder, seed, count, limit, first, *left]
        ended = _process(line, folder, findings, (left[0], spent))
        if ended is None:
            return findings
        if not (folder / PLACE).exists():
            raise RuntimeError(f'{left[0]} cannot be fuzzed: {ended}')
        name, number, phase = (folder / PLACE).read_text().split()
        if phase == READ:  # else a library has ended in changing a valid input
            findings.add_crash(death(name, ended), (folder / CURRENT).read_bytes())
        left, first = left[left.index(name) :], int(number) + 1
        findings.summaries.setdefault(name, Summary(name)).cases = first
        known = findings.summaries.get(name)
        spent = known.seconds if known else spent
        if (seconds and spent >= seconds) or (count and first >= count):
            left, first, spent = left[1:], 0, 0.0
        if not left:
            return findings
    return findings


def _process(
    line: Sequence[object], folder: Path, findings: Findings,
    before: tuple[str, float] = ('', 0.0),
) -> str | None:  # fmt: skip
    """
    Run one process; return what it said at its death, None if it came to the end.

    :param line: module and arguments
    :param before: target whose earlier processes took a time, s
    """
    log = folder / 'stderr'
    with log.open('wb') as errors, subprocess.Popen(
        **checkout_child(*line), stdout=subprocess.PIPE, stderr=errors, text=True
    ) as process:  # fmt: skip
        for text in process.stdout or ():
            read = json.loads(text) if text.startswith('{"kind"') else {'kind': ''}
            match read.pop('kind'):
                case 'Summary':
                    spent = before[1] if read['target'] == before[0] else 0.0
                    findings.add_summary(Summary(**read), spent)
                case 'Crash':
                    data = bytes.fromhex(read.pop('data'))
                    findings.add_crash(Crash(**read), data)
    said = log.read_text(errors='replace')
    return None if process.returncode == 0 else f'exit code {process.returncode}\n{said[-20000:]}'


def repeat(paths: Sequence[Path], folder: Path) -> Findings:
    """
    Read the inputs in files, each once.

    :param paths: CORPUS/TARGET/FILE
    :param folder: exists; for files
    """
    findings, first = Findings(), 0
    while first < len(paths):
        line = ['fuzz.corpus_session', folder, first, *paths]
        ended = _process(line, folder, findings)
        if ended is None:
            break
        name, number, _ = (folder / PLACE).read_text().split()
        findings.add_crash(death(name, ended), paths[int(number)].read_bytes())
        first = int(number) + 1
    return findings


def death(name: str, said: str) -> Crash:
    """Return the crash that has ended a process, from its exit code and its last traceback."""
    begin = said.rfind('most recent call first')
    frames = FRAME.findall(said[begin:] if begin >= 0 else '')
    place = f'{frames[0][0].replace("/", ".")}.{frames[0][1]}' if frames else 'the target'
    code = said.partition('\n')[0]
    cause = {'exit code -11': 'SIGSEGV', 'exit code -6': 'SIGABRT', 'exit code -27': 'time',
             'exit code 1': 'wait', 'exit code -9': 'SIGKILL'}.get(code, code)  # fmt: skip
    return Crash(
        name, f'{cause} in {place}', said[max(0, begin - 200) :][:1500] if begin >= 0 else said
    )
