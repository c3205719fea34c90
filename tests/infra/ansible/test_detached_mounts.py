"""What is unmounted: everything below our directories, innermost first, nothing beside them and no disk with data."""

from collections.abc import Callable
from types import ModuleType

import yaml

from settings import ROOT

TABLE = """\
21 1 8:1 / / rw - ext4 /dev/vda rw
30 21 0:30 / /srv/state rw - tmpfs tmpfs rw
31 30 0:31 / /srv/state/kubelet/pods/a/volumes/secret rw - tmpfs tmpfs rw
32 21 0:32 / /srv/state-of-another/data rw - tmpfs tmpfs rw
33 21 0:33 / /run/ml-platform/netns/cni-1 rw - nsfs nsfs rw
35 30 8:16 / /srv/state/containerd rw - ext4 /dev/vdb rw
36 30 8:32 / /srv/state/kubelet/disk rw - xfs /dev/vdc rw
37 30 8:1 /srv/data /srv/state/kubelet/pods/a/volume-subpaths/b rw - ext4 /dev/vda rw
34 31 0:34 / /srv/state/kubelet/with\\040space rw - tmpfs tmpfs rw
"""


def test_mounts_below_are_found_innermost_first(library: Callable[[str], ModuleType]) -> None:
    assert library("detached_mounts").mounts_below(TABLE, ["/srv/state", "/run/ml-platform"]) == [
        "/srv/state/kubelet/with space",
        "/srv/state/kubelet/pods/a/volume-subpaths/b",
        "/run/ml-platform/netns/cni-1",
        "/srv/state/kubelet/pods/a/volumes/secret",
    ]


def test_s8_the_state_directory_itself_and_disks_in_it_stay_mounted(library: Callable[[str], ModuleType]) -> None:
    found = library("detached_mounts").mounts_below(TABLE, ["/srv/state", "/srv/state/containerd"])
    assert not {"/srv/state", "/srv/state/containerd", "/srv/state/kubelet/disk"} & set(found)


def test_a_folder_that_the_kubelet_mounted_on_itself_is_unmounted(library: Callable[[str], ModuleType]) -> None:
    own, bound = (
        "40 21 8:1 /srv/own /srv/own rw - ext4 /dev/vda rw\n",
        "41 21 8:1 /data /srv/bound rw - ext4 /dev/vda rw\n",
    )
    on_a_disk = "42 35 8:16 /kubelet /srv/state/containerd/kubelet rw - ext4 /dev/vdb rw\n"
    table = TABLE + own + bound + on_a_disk
    assert library("detached_mounts").mounts_below(table, ["/srv/own", "/srv/bound"]) == ["/srv/own"]
    found = library("detached_mounts").mounts_below(table, ["/srv/state/containerd/kubelet"])
    assert found == ["/srv/state/containerd/kubelet"]


def test_s8_down_unmounts_only_where_containerd_and_kubelet_mount() -> None:
    """A disk for the buckets is none of them: its mount has the disk's data."""
    role = ROOT / "infra" / "ansible" / "roles" / "teardown"
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    expected = ["{{ state_dir }}/containerd", "{{ state_dir }}/kubelet", "{{ run_dir }}"]
    assert defaults["teardown_mounts"] == expected
    (task,) = [task for task in yaml.safe_load((role / "tasks" / "main.yml").read_text()) if "detached_mounts" in task]
    assert task["detached_mounts"] == {"paths": "{{ teardown_mounts }}"}
