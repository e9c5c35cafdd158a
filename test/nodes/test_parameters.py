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

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import flatten, setting
from viva_ros.nodes import parameters as parameter_names
from viva_ros.nodes.lifecycle import SUCCESS, ManagedNode
from viva_ros.nodes.parameters import Parameters, refused_names, unrelated_names
from viva_ros.nodes.settings import SETTINGS


@dataclass(frozen=True)
class Inner:
    window: float = setting(2.0, 'Span, s.', above=0.0)
    share: float = setting(0.5, 'Share.', at_least=0.0, at_most=1.0, live=True)


@dataclass(frozen=True)
class Outer:
    autostart: bool = setting(False, 'Configure and activate without being asked.')
    names: tuple[str, ...] = setting(('',), 'Names.')
    mode: str = setting('fast', 'How.', choices=('fast', 'slow'))
    count: int = setting(3, 'How many.', at_least=0, at_most=9)
    budget: int = setting(2, 'How often.', at_least=0, live=True)
    inner: Inner = field(default_factory=Inner)


class Live(ManagedNode[Outer]):
    """Notes what it is told while it is configured."""

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


def test_settings_become_parameters_with_dotted_names_and_descriptions(make_node):
    node = make_node()
    assert Parameters(node, Outer()).read() == Outer()
    described = node.describe_parameter('inner.window')
    assert described.description == 'Span, s.'
    assert described.additional_constraints == 'above 0'
    assert node.describe_parameter('mode').additional_constraints == "one of 'fast', 'slow'"
    assert node.describe_parameter('budget').additional_constraints.endswith(
        'may change while configured'
    )


def test_types_are_fixed_and_ranges_are_exactly_what_is_accepted(make_node):
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
def test_every_parameter_has_a_fixed_type_and_every_limit_a_range(make_node, name):
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


# Given at the start.


def test_start_values_are_read_and_a_whole_number_will_do_for_a_real_one(make_node):
    node = make_node(names=['a', 'b'], inner__window=5)
    assert Parameters(node, Outer()).read() == Outer(names=('a', 'b'), inner=Inner(5.0))


def test_an_empty_list_which_rcl_gives_no_type_is_an_empty_list(make_node):
    node = make_node()
    node._parameter_overrides['names'] = Parameter('names', Parameter.Type.NOT_SET)
    assert Parameters(node, Outer(names=('a',))).read() == Outer(names=('',))


def test_a_start_value_of_another_type_is_named_when_read(make_node):
    parameters = Parameters(make_node(count='many'), Outer())
    with pytest.raises(ConfigurationError, match=r"count is 'many', must be a whole number$"):
        parameters.read()


def test_a_text_that_yaml_takes_for_a_number_is_told_how_to_write(make_node):
    parameters = Parameters(make_node(mode=5), Outer())
    with pytest.raises(ConfigurationError, match='mode is 5, must be a text: put it in quotes'):
        parameters.read()


@pytest.mark.parametrize('names', ['a', [1, 2], [True]])
def test_a_list_of_something_else_is_named_when_read(make_node, names):
    parameters = Parameters(make_node(names=names), Outer())
    with pytest.raises(ConfigurationError, match=r'names is .*, must be a list of texts'):
        parameters.read()


def test_all_that_does_not_fit_is_named_and_mended_one_after_the_other(make_node):
    node = make_node(count='many', inner__window=-1.0)
    parameters = Parameters(node, Outer())
    with pytest.raises(ConfigurationError, match=r"count is 'many'.*; inner.window is -1.0"):
        parameters.read()
    assert put(node, 'count', 4).successful
    with pytest.raises(ConfigurationError, match=r'^inner.window is -1.0, must be above 0$'):
        parameters.read()
    assert put(node, 'inner.window', 1.0).successful
    assert parameters.read() == Outer(count=4, inner=Inner(1.0))


# Names.


def test_a_name_that_is_nearly_a_parameter_is_refused_and_any_other_warned_of(
    make_node, monkeypatch
):
    node = make_node(inner__windw=1.0, elsewhere=2)
    said = []
    monkeypatch.setattr(node, 'get_logger', lambda: SimpleNamespace(warning=said.append))
    parameters = Parameters(node, Outer())
    assert said == ["parameters that this node does not have: 'elsewhere'"]
    with pytest.raises(ConfigurationError, match=r"'inner.windw': is 'inner.window' meant\?"):
        parameters.read()


def test_a_name_in_a_group_of_ours_is_refused_with_those_there_are():
    (told,) = refused_names(['inner.speed'], ['count', 'inner.share', 'inner.window'])
    assert "no parameter 'inner.speed', must be one of inner.share, inner.window;" in told


def test_a_renamed_parameter_is_refused_with_its_new_name(monkeypatch):
    monkeypatch.setitem(parameter_names.RENAMED, 'old', "'new: <value>'")
    assert refused_names(['old'], ['new']) == [
        "there is no parameter 'old' any more: use 'new: <value>'"
    ]
    assert refused_names(['old'], ['old', 'new']) == [], 'a node that still has it'


def test_names_of_our_other_nodes_and_of_strangers_are_let_be():
    supervisor = {info.name for info in flatten(SETTINGS['supervisor'])}
    others = ['transport', 'camera_topics', 'limits.before', 'image_height', 'rate']
    assert refused_names(others, supervisor) == []
    assert unrelated_names(others, supervisor) == []
    strangers = ['max_rate', 'footprint', 'base_frame', 'controller.gain', 'timeout', 'tasks_left']
    assert refused_names(strangers, supervisor) == []
    assert unrelated_names(strangers, supervisor) == sorted(strangers)


# Changed.


def test_a_whole_number_will_do_for_a_real_one_later_too(make_node):
    node = make_node()
    parameters = Parameters(node, Outer())
    assert put(node, 'inner.window', 5).successful
    assert node.get_parameter('inner.window').type_ == Parameter.Type.DOUBLE
    assert parameters.read().inner.window == 5.0


def test_a_refused_change_leaves_all_as_it_was(make_node):
    node = make_node()
    parameters = Parameters(node, Outer())
    both = [Parameter('count', value=4), Parameter('inner.window', value=math.nan)]
    result = node.set_parameters_atomically(both)
    assert not result.successful and 'inner.window' in result.reason
    assert parameters.read() == Outer()


def test_a_further_check_can_refuse(make_node):
    def check(settings):
        raise ConfigurationError('not now')

    node = make_node()
    Parameters(node, Outer(), check)
    result = put(node, 'count', 4)
    assert (result.successful, result.reason) == (False, 'not now')


def test_parameters_of_others_are_not_checked(make_node):
    node = make_node()
    Parameters(node, Outer(), lambda _: pytest.fail('asked'))
    node.declare_parameter('another', 1)
    assert put(node, 'another', 2).successful


# Live.


def test_a_live_parameter_is_applied_while_a_node_is_configured(live):
    assert put(live, 'budget', 5).successful
    assert put(live, 'inner.share', 1).successful
    assert live.applied == [Outer(budget=5), Outer(budget=5, inner=Inner(share=1.0))]
    assert live.settings == live.parameters.read() == live.applied[-1]


def test_any_other_is_refused_with_the_reason_and_those_that_are_live(live):
    result = put(live, 'count', 4)
    assert not result.successful
    assert result.reason == (
        'count cannot change, read when configuring: deactivate and clean up the node first; '
        'only budget, inner.share may change now'
    )
    assert live.applied == [] and live.settings == Outer()


def test_of_several_at_once_none_is_applied_if_one_is_not_live(live):
    both = [Parameter('budget', value=5), Parameter('count', value=4)]
    assert not live.set_parameters_atomically(both).successful
    assert live.applied == [] and live.parameters.read() == Outer()


def test_what_a_later_check_refuses_is_not_applied(live):
    refusal = rclpy.node.SetParametersResult(successful=False, reason='another says no')
    live.add_on_set_parameters_callback(lambda _: refusal)
    assert put(live, 'budget', 5).reason == 'another says no'
    assert live.applied == [] and live.settings == Outer()


def test_the_value_that_a_parameter_has_is_no_change(live):
    assert put(live, 'count', 3).successful and put(live, 'budget', 2).successful
    assert live.applied == []


def test_after_clean_up_all_may_change_and_hold_from_the_next_configure_on(live):
    assert live.trigger_deactivate() == live.trigger_cleanup() == SUCCESS
    assert put(live, 'count', 4).successful and put(live, 'budget', 7).successful
    assert live.applied == []
    assert live.trigger_configure() == SUCCESS
    assert live.settings == Outer(count=4, budget=7)
