"""Which refusals of the API server pass by themselves."""

import pytest

from runner_controller.kube import KubeError


@pytest.mark.parametrize(
    ("status", "message", "passing"),
    [
        (0, "GET pods: ConnectError", True),
        (401, "Unauthorized", True),
        (429, "slow down", True),
        (500, "etcdserver: leader changed", True),
        (403, 'pods is forbidden: User "x" cannot list resource "pods"', True),
        (403, 'pods "a" is forbidden: violates PodSecurity "restricted:latest"', False),
        (403, 'pods "a" is forbidden: exceeded quota', False),
        (404, "not found", False),
        (409, "already exists", False),
        (422, "invalid", False),
    ],
)
def test_passing(status: int, message: str, passing: bool) -> None:
    assert KubeError(message, status).passing is passing
