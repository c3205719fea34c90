"""The facts of a cluster (`clusters/<name>/cluster.yaml`) and the places on this host that hold its state.

Ansible, Pulumi, the scripts and the tests read both from here. This package imports neither Pulumi nor a client
library, so that every verb starts quickly.
"""

from settings.aws import AwsStage
from settings.aws_shared import AwsShared
from settings.errors import SettingsError
from settings.files import AnyCluster, cluster_names, load_cluster, load_local, read_cluster
from settings.local import LocalCluster
from settings.paths import DOMAIN, PROJECT, ROOT, Paths
from settings.people import People
from settings.section import Section
from settings.stack_files import check_stack_file

# What the verbs of one machine call it.
Cluster = LocalCluster

__all__ = [
    "DOMAIN",
    "PROJECT",
    "ROOT",
    "AnyCluster",
    "AwsShared",
    "AwsStage",
    "Cluster",
    "LocalCluster",
    "Paths",
    "People",
    "Section",
    "SettingsError",
    "check_stack_file",
    "cluster_names",
    "load_cluster",
    "load_local",
    "read_cluster",
]
