"""Auto Mode's engine is switched on where its controller looks."""

from components import auto_network_policy


def test_s1_auto_modes_controller_is_told_to_enforce() -> None:
    document = auto_network_policy.document()
    assert document["metadata"] == {"name": "amazon-vpc-cni", "namespace": "kube-system"}
    assert document["data"] == {"enable-network-policy-controller": "true"}
