# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The contract of a policy runner with viva_ros: episodes, ``executing`` and ``retry``.

    hook = Hook(node)
    hook.begin('fold')                     # before the first command of a task
    while not done:
        if hook.retry_wanted:              # the supervisor has seen a failure
            go_home()
            hook.resume()                  # the next attempt begins
        send_the_next_action()
    hook.end()                             # the task is over, however it ended

It publishes ``executing`` ten times a second from the node's executor. Spin that in a thread of
its own if the policy blocks.
"""

from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from viva_ros.srv import StartEpisode


class Hook:
    """Thirty lines between a policy and the supervisor."""

    def __init__(self, node, refusal=lambda: ''):
        """:param refusal: returns why the scene cannot be tried again; '' if it can"""
        self.executing, self.retry_wanted, self._refusal = False, False, refusal
        self._start = node.create_client(StartEpisode, 'supervisor/start_episode')
        self._end = node.create_client(Trigger, 'supervisor/end_episode')
        self._executing = node.create_publisher(Bool, 'executing', 10)
        node.create_service(Trigger, 'retry', self._serve_retry)
        node.create_timer(0.1, self._report)

    def begin(self, task=''):
        """Start an episode; returns a future of the answer, which the policy need not await."""
        self.resume()
        return self._start.call_async(StartEpisode.Request(task=task))

    def resume(self):
        """Execute the task, from the start or again."""
        self.executing, self.retry_wanted = True, False
        self._report()

    def end(self):
        """End the episode; returns a future of the answer."""
        self.executing = self.retry_wanted = False
        self._report()
        return self._end.call_async(Trigger.Request())

    def _report(self):
        self._executing.publish(Bool(data=self.executing))

    def _serve_retry(self, request, response):
        response.message = self._refusal() if self.executing else 'no task is executed'
        response.success = not response.message
        if response.success:
            self.retry_wanted, self.executing = True, False
        self._report()  # before the answer: accepted means that nothing is judged any more
        return response
