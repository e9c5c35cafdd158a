# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import setting
from viva_ros.nodes.params import Parameters


@dataclass(frozen=True)
class Inner:
    window: float = setting(2.0, 'Span, s.', above=0.0)


@dataclass(frozen=True)
class Outer:
    names: tuple[str, ...] = setting(('',), 'Names.')
    count: int = setting(3, 'How many.', at_least=0, at_most=9)
    inner: Inner = field(default_factory=Inner)


@pytest.fixture
def make_node(domain):
    context = Context()
    rclpy.init(context=context)
    nodes = []

    def make(**overrides):
        given = [Parameter(name.replace('__', '.'), value=v) for name, v in overrides.items()]
        node = rclpy.create_node('tested', context=context, parameter_overrides=given)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_settings_become_parameters_with_dotted_names_and_descriptions(make_node):
    node = make_node()
    assert Parameters(node, Outer()).read() == Outer()
    descriptor = node.describe_parameter('inner.window')
    assert descriptor.description == 'Span, s.'
    assert descriptor.additional_constraints == 'above 0'


def test_start_values_are_read_and_a_whole_number_will_do_for_a_real_one(make_node):
    node = make_node(names=['a', 'b'], inner__window=5)
    assert Parameters(node, Outer()).read() == Outer(('a', 'b'), 3, Inner(5.0))


def test_a_start_value_of_another_type_is_named_when_read(make_node):
    parameters = Parameters(make_node(count='many'), Outer())
    with pytest.raises(ConfigurationError, match=r"count is 'many', must be a whole number"):
        parameters.read()


@pytest.mark.parametrize('names', ['a', [1, 2], [True]])
def test_a_list_of_something_else_is_named_when_read(make_node, names):
    parameters = Parameters(make_node(names=names), Outer())
    with pytest.raises(ConfigurationError, match=r'names is .*, must be a list of texts'):
        parameters.read()


def test_what_does_not_fit_is_mended_one_after_the_other(make_node):
    node = make_node(count='many', inner__window=-1.0)
    parameters = Parameters(node, Outer())
    assert node.set_parameters([Parameter('count', value=4)])[0].successful
    with pytest.raises(ConfigurationError, match=r'inner.window is -1.0'):
        parameters.read()
    assert node.set_parameters([Parameter('inner.window', value=1.0)])[0].successful
    assert parameters.read() == Outer(count=4, inner=Inner(1.0))


def test_a_name_that_is_nearly_a_parameter_is_warned_of(make_node, monkeypatch):
    node = make_node(inner__windw=1.0, elsewhere=2)
    said = []
    monkeypatch.setattr(node, 'get_logger', lambda: SimpleNamespace(warning=said.append))
    Parameters(node, Outer())
    assert said == ["there is no parameter 'inner.windw', it is ignored: is 'inner.window' meant?"]


def test_a_start_value_out_of_range_is_named_when_read(make_node):
    parameters = Parameters(make_node(inner__window=-1.0), Outer())
    with pytest.raises(ConfigurationError, match=r'inner.window is -1.0, must be above 0'):
        parameters.read()


def test_a_refused_change_names_the_reason_and_leaves_all_as_it_was(make_node):
    node = make_node()
    parameters = Parameters(node, Outer())
    both = [Parameter('count', value=4), Parameter('inner.window', value=float('nan'))]
    result = node.set_parameters_atomically(both)
    assert (
        not result.successful and result.reason == 'inner.window is nan, must be finite, above 0'
    )
    assert parameters.read() == Outer()


def test_a_further_check_can_refuse(make_node):
    def check(settings):
        raise ConfigurationError('not now')

    node = make_node()
    Parameters(node, Outer(), check)
    result = node.set_parameters([Parameter('count', value=4)])[0]
    assert (result.successful, result.reason) == (False, 'not now')


def test_parameters_of_others_are_not_checked(make_node):
    node = make_node()
    Parameters(node, Outer(), lambda _: pytest.fail('asked'))
    node.declare_parameter('another', 1)
    assert node.set_parameters([Parameter('another', value=2)])[0].successful
