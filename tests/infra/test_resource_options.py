"""Kubernetes objects go with their cluster; what AWS made is deleted for itself."""

import pulumi
from pulumi_aws import kms

from components import objects
from components.manifest import Manifest
from recording import record
from resource_options import after, gone_with


class _Component(pulumi.ComponentResource):
    def __init__(self, opts: pulumi.ResourceOptions) -> None:
        super().__init__("test:index:Component", "component", None, opts)
        child = pulumi.ResourceOptions(parent=self)
        Manifest("namespace", objects.namespace("a", {}), child)
        kms.Key("key", opts=child)


def _build() -> None:
    cluster = kms.Key("cluster")
    options = pulumi.ResourceOptions(transformations=[gone_with(cluster)])
    _Component(after(options, cluster))


def test_objects_below_a_component_are_gone_with_the_cluster() -> None:
    recorded = record(_build)
    cluster = recorded.one("aws:kms/key:Key", "cluster")
    assert recorded.one("kubernetes:core/v1:Namespace", "namespace").deleted_with == cluster.urn
    assert recorded.one("aws:kms/key:Key", "key").deleted_with == ""


def test_what_comes_after_waits() -> None:
    recorded = record(_build)
    cluster = recorded.one("aws:kms/key:Key", "cluster")
    assert recorded.one("test:index:Component", "component").dependencies == (cluster.urn,)
