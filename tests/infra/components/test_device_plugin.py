"""The device plugin runs on the GPU nodes, with no more than it needs."""

from aws import gpu
from components.device_plugin import IMAGE, DevicePlugin, DevicePluginArgs, daemon_set
from recording import record


def test_it_runs_on_gpu_nodes_only() -> None:
    pod = daemon_set(IMAGE)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == gpu.LABELS
    assert pod["tolerations"] == [{"key": gpu.RESOURCE, "operator": "Exists", "effect": "NoSchedule"}]


def test_it_reaches_the_kubelets_sockets_and_nothing_else() -> None:
    pod = daemon_set(IMAGE)["spec"]["template"]["spec"]
    assert [volume["hostPath"]["path"] for volume in pod["volumes"]] == ["/var/lib/kubelet/device-plugins"]
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_its_version_is_pinned() -> None:
    assert IMAGE.rpartition(":")[2].startswith("v")


def test_it_is_one_object() -> None:
    recorded = record(
        lambda: (DevicePlugin("one", DevicePluginArgs(IMAGE)), DevicePlugin("two", DevicePluginArgs(IMAGE)))
    )
    assert len(set(recorded.urns())) == len(recorded) == 4
