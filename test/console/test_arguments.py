# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of commands follow the dataclass that declares them."""

import argparse
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.cli.completion import CommandArgument, read_arguments
from viva_ros.console.arguments import add_options, read_options
from viva_ros.core.settings import required, setting, validate


@dataclass(frozen=True)
class Toy:
    inputs: tuple[Path, ...] = field(metadata=required('What to read.'))
    rate: float = setting(5.0, 'Sampling rate, Hz.', above=0.0, at_most=100.0)
    mode: str = setting('fast', 'Method.', choices=('fast', 'slow'))
    folder: Path | None = setting(None, 'Folder; default: the working folder.')
    names: tuple[str, ...] = setting((), 'Which; 50 % by default.')
    dry_run: bool = setting(False, 'Write nothing.')


def parser_of(settings: type, *names: str, **changes) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(formatter_class=lambda prog: argparse.HelpFormatter(
        prog, width=300, max_help_position=100
    ))  # fmt: skip
    add_options(parser, settings, *names, **changes)
    return parser


def help_of(settings: type, *names: str) -> str:
    return ' '.join(parser_of(settings, *names).format_help().split())


def test_help_has_description_range_and_default_of_the_field() -> None:
    """Options of three types before and after a change of their declarations."""
    before = help_of(Toy, 'rate', 'mode', 'names')
    assert '--rate RATE Sampling rate, Hz (above 0 and at most 100; default: 5.0)' in before
    assert '--mode {fast,slow} Method (default: fast)' in before
    assert 'Which; 50 % by default' in before
    changed = dataclasses.make_dataclass('Changed', [
        ('rate', float, setting(7.5, 'Rate of the samples, Hz.', at_least=1.0)),
        ('mode', str, setting('exact', 'Solver.', choices=('exact', 'slow'))),
        ('names', tuple[str, ...], setting(('left', 'right'), 'Arms.')),
    ], frozen=True)  # fmt: skip
    after = help_of(changed)
    assert '--rate RATE Rate of the samples, Hz (at least 1; default: 7.5)' in after
    assert '--mode {exact,slow} Solver (default: exact)' in after
    assert 'Arms (default: left right)' in after
    args = parser_of(changed).parse_args([])
    assert changed(**read_options(args, changed)) == changed()
    assert (args.rate, args.mode, args.names) == (7.5, 'exact', ['left', 'right'])


def test_options_create_the_dataclass() -> None:
    command = ['--inputs', 'a', 'b', '--rate', '2', '--folder', 'out', '--names', 'x', '--dry-run']
    args = parser_of(Toy).parse_args(command)
    made = Toy(**read_options(args, Toy))
    assert made == Toy((Path('a'), Path('b')), 2.0, 'fast', Path('out'), ('x',), True)
    validate(made)
    plain = Toy(**read_options(parser_of(Toy).parse_args(['--inputs', 'a']), Toy))
    assert plain == Toy((Path('a'),))


def test_value_out_of_range_is_refused_by_the_dataclass() -> None:
    args = parser_of(Toy).parse_args(['--inputs', 'a', '--rate', '101'])
    with raises('setting-out-of-range', 'rate', 101.0, 'above 0 and at most 100'):
        validate(Toy(**read_options(args, Toy)))


@pytest.mark.parametrize(
    ('command', 'text'),
    [
        ([], 'the following arguments are required: --inputs'),
        (['--inputs', 'a', '--rate', 'fast'], "argument --rate: invalid float value: 'fast'"),
        (['--inputs', 'a', '--mode', 'best'], "argument --mode: invalid choice: 'best'"),
    ],
)
def test_malformed_command_line_exits_with_2(command: list[str], text: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parser_of(Toy).parse_args(command)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_flags_and_keywords_replace_those_of_the_setting() -> None:
    parser = parser_of(
        Toy, 'inputs', 'mode', 'names', flags={'inputs': 'inputs', 'mode': '--engine'},
        keywords={'names': {'action': 'append', 'nargs': None, 'metavar': 'NAME'}},
    )  # fmt: skip
    args = parser.parse_args(['a', '--engine', 'slow', '--names', 'x', '--names', 'y'])
    made = Toy(**read_options(args, Toy))
    assert made == Toy((Path('a'),), mode='slow', names=('x', 'y'))
    assert parser.parse_args(['a']).names == []  # a default is not changed by appending


def test_field_without_description_has_no_option() -> None:
    plain = dataclasses.make_dataclass('Plain', [('rate', float, field(default=1.0))])
    with pytest.raises(ValueError, match='rate is no setting'):
        parser_of(plain)


@pytest.mark.parametrize(
    ('module', 'flag', 'choices'),
    [
        ('viva_ros.cli.train', '--device', ('auto', 'cpu', 'cuda')),
        ('viva_ros.cli.train', '--precision', ('fp32', 'bf16')),
        ('viva_ros.cli.export', '--engine',
         ('onnx', 'openvino', 'tensorrt', 'tensorrt_rtx', 'pytorch')),
    ],
)  # fmt: skip
def test_completion_offers_the_choices(module: str, flag: str, choices: tuple[str, ...]) -> None:
    arguments = {flag: one for one in read_arguments(module) for flag in one.flags}
    assert arguments[flag].choices == choices
    assert arguments[flag].takes_value


OPTIONS = {
    'train': '--help --recordings --out --cache --cameras --tasks --preset --seed --targets '
             '--backbone --embeddings --lora --head --device --precision --accumulate --shard '
             '--checkpointing --threads --batch --copies --vae-steps --video-steps --viva-steps '
             '--head-steps --proprio-steps --init --horizon --learning-rate --patience --plan '
             '--gpu --gpus --moments --objective',
    'export': '--help --out --recordings --limit --engine --precision --build-only --capability '
              '--measure',
    'evaluate': '--help --engine --proprio --task --calibration-recordings --scores --alpha '
                '--checks --surrogates --out --report --part --calibration-part --rate',
}  # fmt: skip


@pytest.mark.parametrize('command', OPTIONS)
def test_option_names_are_stable(command: str) -> None:
    arguments = read_arguments(f'viva_ros.cli.{command}')
    assert {one.flags[-1] for one in arguments if one.flags} == set(OPTIONS[command].split())
    assert all(isinstance(one, CommandArgument) and one.text for one in arguments)
