# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that versions of YAML read differently are refused; of other software they are texts."""

import pytest

from viva_ros.robot.yaml_reader import compose_yaml, parse_yaml

DIFFERENT = (
    '010', '-010', '+07', '00', '09', '0_1', '0o10', '0b11', '-0x1F', '0x1_0', '1_000', '1_0.5',
    '1__0', '12_',
)  # fmt: skip
#: Texts in PyYAML, numbers in YAML 1.2 and rcl.
REAL = ('1e3', '1E5', '1.5e3', '-.5', '+.5', '5e+3')
EQUAL = {
    '0': 0, '-0': 0, '+5': 5, '-12': -12, '0x1F': 31, '0xff': 255, '0.10': 0.1, '01.5': 1.5,
    '.5': 0.5, '5.': 5.0, '1.0e+3': 1000.0, '.5e-3': 0.0005, 'true': True, 'null': None,
    'v010': 'v010', 'a_1': 'a_1', '1.2.3': '1.2.3', '0x': '0x', '1e': '1e', '.': '.',
    '"010"': '010', "'1e3'": '1e3', '"0o10"': '0o10',
}  # fmt: skip


@pytest.mark.parametrize('form', ['a: {}', '{}: a', '[1, {}]', '{{a: [{{b: {}}}]}}', '{}'])
@pytest.mark.parametrize('text', [*DIFFERENT, *REAL])
def test_number_with_two_readings_is_refused_with_a_remedy(text: str, form: str) -> None:
    with pytest.raises(ValueError, match='put it in quotes') as caught:
        parse_yaml(form.format(text))
    assert repr(text) in str(caught.value)
    for quoted in (f'"{text}"', f"'{text}'"):  # the remedy
        parse_yaml(form.format(quoted))


@pytest.mark.parametrize('text', EQUAL)
def test_scalar_with_one_reading_is_read(text: str) -> None:
    found = parse_yaml(f'a: {text}')['a']
    assert found == EQUAL[text] and type(found) is type(EQUAL[text])


@pytest.mark.parametrize('text', DIFFERENT)
def test_parameter_with_two_readings_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='put it in quotes'):
        compose_yaml(f'a: {text}')


@pytest.mark.parametrize('text', [*REAL, *EQUAL, '1:30', '2026-12-01', 'yes'])
def test_parameter_that_rcl_reads_is_kept(text: str) -> None:
    compose_yaml(f'a: {text}')


@pytest.mark.parametrize('text', [*DIFFERENT, *REAL, '1:30', '1:30.5', '2026-12-01'])
def test_scalar_of_other_software_is_a_text(text: str) -> None:
    assert parse_yaml(f'a: {text}', is_written=True) == {'a': text}
