"""What goes from a cluster before the cluster, and in which order."""

from typing import Any

import pytest

from cli import teardown
from cli.teardown import Target, phases


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "apps"}, **more}


def order() -> list[str]:
    return [phase.kind.partition(".")[0] for phase in phases(argocd_runs=True)]


def test_what_makes_things_anew_goes_before_the_things() -> None:
    kinds = order()
    assert kinds[:3] == ["applications", "applicationsets", "applications"]
    assert kinds.index("applications") < kinds.index("services") < kinds.index("nodepools")
    # Volumes are detached and load balancers emptied by controllers that run on nodes.
    assert kinds.index("persistentvolumes") < kinds.index("nodepools")
    assert kinds.index("ingresses") < kinds.index("nodepools")


def test_the_root_goes_first_and_alone_and_the_sets_leave_their_applications() -> None:
    root, sets, applications = phases(argocd_runs=True)[:3]
    documents = [named("root"), named("classifier-dev")]
    assert root.targets(documents) == [Target("applications.argoproj.io", "apps", "root")]
    assert root.finalizer == ""
    assert sets.cascade == "orphan"
    assert [one.name for one in applications.targets(documents)] == ["root", "classifier-dev"]
    assert applications.finalizer == "resources-finalizer.argocd.argoproj.io"


def test_nobody_is_left_to_honour_a_finalizer_where_argocd_does_not_run() -> None:
    assert {phase.finalizer for phase in phases(argocd_runs=False)} == {""}


@pytest.mark.parametrize(
    ("picks", "document", "chosen"),
    [
        (teardown.has_load_balancer, named("a", spec={"type": "LoadBalancer"}), True),
        (teardown.has_load_balancer, named("a", spec={"type": "ClusterIP"}), False),
        (teardown.has_load_balancer, named("a"), False),
        (teardown.holds_volume, named("a", spec={"volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}), True),
        (teardown.holds_volume, named("a", spec={"volumes": [{"emptyDir": {}}]}), False),
        (teardown.holds_volume, named("a", spec={}), False),
        (teardown.is_deleted_with_claim, named("a", spec={"persistentVolumeReclaimPolicy": "Delete"}), True),
        (teardown.is_deleted_with_claim, named("a", spec={"persistentVolumeReclaimPolicy": "Retain"}), False),
        (teardown.is_own_pool, named("gpu"), True),
        (teardown.is_own_pool, named("system"), False),
        (teardown.is_own_pool, named("general-purpose"), False),
    ],
)
def test_only_what_has_something_outside_of_the_cluster_is_chosen(
    picks: Any, document: dict[str, Any], chosen: bool
) -> None:
    assert picks(document) is chosen


def test_nodes_of_the_built_in_pools_are_not_waited_for() -> None:
    def claim(pool: str) -> dict[str, Any]:
        return {"metadata": {"name": f"{pool}-x", "labels": {"karpenter.sh/nodepool": pool}}}

    phase = phases(argocd_runs=True)[-1]
    assert not phase.deletes
    assert [one.name for one in phase.targets([claim("system"), claim("gpu")])] == ["gpu-x"]
