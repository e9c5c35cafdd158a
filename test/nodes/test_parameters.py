# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import rclpy
from rcl_interfaces.msg import ParameterType
from rclpy.context import Context
from rclpy.parameter import Parameter
from support.errors import raises

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import flatten, setting
from viva_ros.nodes.lifecycle import SUCCESS, ManagedNode
from viva_ros.nodes.parameters import RENAMED, Parameters, refused_names, unrelated_names
from viva_ros.nodes.settings import SETTINGS


@dataclass(frozen=True)
class Inner:
    window: float = setting(2.0, 'Span, s.', above=0.0)
    share: float = setting(0.5, 'Share.', at_least=0.0, at_most=1.0, live=True)


@dataclass(frozen=True)
class Outer:
    autostart: bool = setting(False, 'Configure and activate at the start.')
    names: tuple[str, ...] = setting(('',), 'Names.')
    mode: str = setting('fast', 'How.', choices=('fast', 'slow'))
    count: int = setting(3, 'How many.', at_least=0, at_most=9)
    budget: int = setting(2, 'How often.', at_least=0, live=True)
    inner: Inner = field(default_factory=Inner)


class Live(ManagedNode[Outer]):
    """Stores the settings that are applied."""

    def __init__(self, context: Context) -> None:
        super().__init__('live', Outer(), context=context)
        self.applied: list[Outer] = []

    def setup(self, settings: Outer, prepared: None = None) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def teardown(self) -> None: ...

    def apply(self, settings: Outer) -> None:
        assert self.settings == settings
        self.applied.append(settings)


@pytest.fixture
def context(domain) -> Iterator[Context]:
    made = Context()
    rclpy.init(context=made)
    yield made
    rclpy.try_shutdown(context=made)


@pytest.fixture
def make_node(context):
    nodes = []

    def make(**overrides):
        given = [Parameter(name.replace('__', '.'), value=v) for name, v in overrides.items()]
        node = rclpy.create_node('tested', context=context, parameter_overrides=given)
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()


@pytest.fixture
def live(context) -> Iterator[Live]:
    node = Live(context)
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    yield node
    node.close()
    node.destroy_node()


def put(node, name: str, value: object):
    return node.set_parameters([Parameter(name, value=value)])[0]


# Declared.


def test_settings_are_declared_with_dotted_names(make_node):
    node = make_node()
    assert Parameters(node, Outer()).read() == Outer()
    described = node.describe_parameter('inner.window')
    assert described.description == 'Span, s.'
    assert described.additional_constraints == 'above 0'
    assert node.describe_parameter('mode').additional_constraints == "one of 'fast', 'slow'"
    assert node.describe_parameter('budget').additional_constraints.endswith(
        'may change while configured'
    )


def test_declared_ranges_equal_accepted_values(make_node):
    node = make_node()
    Parameters(node, Outer())
    (window,) = node.describe_parameter('inner.window').floating_point_range
    assert (window.from_value, window.to_value) == (math.nextafter(0, 1), sys.float_info.max)
    (share,) = node.describe_parameter('inner.share').floating_point_range
    assert (share.from_value, share.to_value) == (0.0, 1.0)
    (count,) = node.describe_parameter('count').integer_range
    assert (count.from_value, count.to_value) == (0, 9)
    assert put(node, 'inner.window', window.from_value).successful
    assert not put(node, 'inner.window', 0.0).successful
    assert not put(node, 'inner.window', math.inf).successful
    assert not put(node, 'count', 10).successful
    assert not put(node, 'mode', 'medium').successful
    assert not put(node, 'mode', 7).successful


@pytest.mark.parametrize('name', SETTINGS)
def test_every_parameter_has_static_type_and_range(make_node, name):
    node = make_node()
    parameters = Parameters(node, SETTINGS[name])
    for info in parameters._declared.values():
        described = node.describe_parameter(info.name)
        assert not described.dynamic_typing
        if type(info.default) is float:
            assert described.type == ParameterType.PARAMETER_DOUBLE
            assert len(described.floating_point_range) == 1, info.name
        if type(info.default) is int:
            assert described.type == ParameterType.PARAMETER_INTEGER
            assert len(described.integer_range) == 1, info.name


# Start values.


def test_start_integer_is_read_as_float(make_node):
    node = make_node(names=['a', 'b'], inner__window=5)
    assert Parameters(node, Outer()).read() == Outer(names=('a', 'b'), inner=Inner(5.0))


def test_untyped_empty_list_is_an_empty_list(make_node):
    node = make_node()
    node._parameter_overrides['names'] = Parameter('names', Parameter.Type.NOT_SET)
    assert Parameters(node, Outer(names=('a',))).read() == Outer(names=('',))


def test_start_value_of_wrong_type_fails_read(make_node):
    parameters = Parameters(make_node(count='many'), Outer())
    with raises('parameter-invalid', 'count', "'many'", 'a whole number'):
        parameters.read()


def test_number_for_text_names_quotes_as_remedy(make_node):
    parameters = Parameters(make_node(mode=5), Outer())
    with raises('parameter-invalid', 'mode is 5', 'put it in quotes'):
        parameters.read()


@pytest.mark.parametrize('names', ['a', [1, 2], [True]])
def test_list_of_wrong_type_fails_read(make_node, names):
    parameters = Parameters(make_node(names=names), Outer())
    with raises('parameter-invalid', 'names is', 'a list of texts'):
        parameters.read()


def test_invalid_start_values_are_all_named_until_set(make_node):
    node = make_node(count='many', inner__window=-1.0)
    parameters = Parameters(node, Outer())
    with raises('parameter-invalid', "count is 'many'", 'inner.window is -1.0'):
        parameters.read()
    assert put(node, 'count', 4).successful
    with raises('parameter-invalid', 'inner.window is -1.0', 'above 0'):
        parameters.read()
    assert put(node, 'inner.window', 1.0).successful
    assert parameters.read() == Outer(count=4, inner=Inner(1.0))


# Names.


def test_misspelt_name_fails_and_foreign_name_warns(make_node, monkeypatch):
    node = make_node(inner__windw=1.0, elsewhere=2)
    warnings = []
    monkeypatch.setattr(node, 'get_logger', lambda: SimpleNamespace(warning=warnings.append))
    parameters = Parameters(node, Outer())
    assert warnings == ["parameters that this node does not have: 'elsewhere'"]
    with raises('parameter-unknown', "'inner.windw'", "'inner.window'"):
        parameters.read()


def test_unknown_name_in_known_group_lists_the_group():
    (text,) = refused_names(['inner.speed'], ['count', 'inner.share', 'inner.window'])
    assert "no parameter 'inner.speed', must be one of inner.share, inner.window;" in text


def test_renamed_parameter_fails_with_new_name(monkeypatch):
    monkeypatch.setitem(RENAMED, 'old', "'new: <value>'")
    assert refused_names(['old'], ['new']) == ["parameter 'old' was removed: use 'new: <value>'"]
    assert refused_names(['old'], ['old', 'new']) == [], 'a node with a parameter of that name'


@pytest.mark.parametrize(
    ('node', 'old', 'new'),
    [
        ('monitor', 'hang_after', 'estimate_timeout'),
        ('monitor', 'sync.stale', 'sync.max_age'),
        ('monitor', 'picture.black_below', 'image.black_below'),
        ('monitor', 'picture.saturated_above', 'image.saturated_above'),
        ('monitor', 'picture.uniform_below', 'image.uniform_below'),
        ('monitor', 'picture.frozen_after', 'image.frozen_after'),
        ('monitor', 'picture.frozen_travel', 'image.frozen_joint_motion'),
        ('supervisor', 'alarm.margin', 'alarm.hysteresis'),
        ('supervisor', 'retry.hourly', 'retry.hourly_budget'),
        ('supervisor', 'rules.foresight_window', 'rules.forecast_residual_window'),
        ('supervisor', 'rules.gap', 'rules.max_gap'),
        ('supervisor', 'robot.word_timeout', 'robot.report_timeout'),
    ],
)
def test_old_name_fails_with_one_error_that_names_the_new(node, old, new):
    declared = {info.name for info in flatten(SETTINGS[node])}
    assert new in declared
    (text,) = refused_names([old], declared)
    assert text.startswith(f"parameter '{old}' was removed: use '{new}: ")


def test_names_of_other_nodes_are_accepted():
    supervisor = {info.name for info in flatten(SETTINGS['supervisor'])}
    others = ['transport', 'camera_topics', 'limits.before', 'image_height', 'rate']
    assert refused_names(others, supervisor) == []
    assert unrelated_names(others, supervisor) == []
    strangers = ['max_rate', 'footprint', 'base_frame', 'controller.gain', 'timeout', 'tasks_left']
    assert refused_names(strangers, supervisor) == []
    assert unrelated_names(strangers, supervisor) == sorted(strangers)


# Changed.


def test_set_integer_is_converted_to_float(make_node):
    node = make_node()
    parameters = Parameters(node, Outer())
    assert put(node, 'inner.window', 5).successful
    assert node.get_parameter('inner.window').type_ == Parameter.Type.DOUBLE
    assert parameters.read().inner.window == 5.0


def test_rejected_change_keeps_all_values(make_node):
    node = make_node()
    parameters = Parameters(node, Outer())
    both = [Parameter('count', value=4), Parameter('inner.window', value=math.nan)]
    result = node.set_parameters_atomically(both)
    assert not result.successful and 'inner.window' in result.reason
    assert parameters.read() == Outer()


def test_check_function_can_reject_change(make_node):
    def check(settings):
        raise ConfigurationError('test-rejected', 'not now')

    node = make_node()
    Parameters(node, Outer(), check)
    result = put(node, 'count', 4)
    assert (result.successful, result.reason) == (False, 'not now')


def test_foreign_parameters_are_not_checked(make_node):
    node = make_node()
    Parameters(node, Outer(), lambda _: pytest.fail('checked'))
    node.declare_parameter('another', 1)
    assert put(node, 'another', 2).successful


# Live.


def test_live_parameter_is_applied_while_configured(live):
    assert put(live, 'budget', 5).successful
    assert put(live, 'inner.share', 1).successful
    assert live.applied == [Outer(budget=5), Outer(budget=5, inner=Inner(share=1.0))]
    assert live.settings == live.parameters.read() == live.applied[-1]


def test_static_parameter_is_rejected_while_configured(live):
    result = put(live, 'count', 4)
    assert not result.successful
    assert result.reason == (
        'count cannot change, read when configuring: deactivate and clean up the node first; '
        'only budget, inner.share may change now'
    )
    assert live.applied == [] and live.settings == Outer()


def test_atomic_change_with_static_parameter_is_rejected(live):
    both = [Parameter('budget', value=5), Parameter('count', value=4)]
    assert not live.set_parameters_atomically(both).successful
    assert live.applied == [] and live.parameters.read() == Outer()


def test_change_rejected_by_later_callback_is_not_applied(live):
    refusal = rclpy.node.SetParametersResult(successful=False, reason='another says no')
    live.add_on_set_parameters_callback(lambda _: refusal)
    assert put(live, 'budget', 5).reason == 'another says no'
    assert live.applied == [] and live.settings == Outer()


def test_unchanged_value_is_not_applied(live):
    assert put(live, 'count', 3).successful and put(live, 'budget', 2).successful
    assert live.applied == []


def test_static_parameter_changes_after_cleanup(live):
    assert live.trigger_deactivate() == live.trigger_cleanup() == SUCCESS
    assert put(live, 'count', 4).successful and put(live, 'budget', 7).successful
    assert live.applied == []
    assert live.trigger_configure() == SUCCESS
    assert live.settings == Outer(count=4, budget=7)
