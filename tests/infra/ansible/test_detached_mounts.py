"""What is unmounted: everything below our directories, innermost first, nothing beside them."""

from collections.abc import Callable
from types import ModuleType

TABLE = """\
21 1 8:1 / / rw - ext4 /dev/vda rw
30 21 0:30 / /srv/state rw - tmpfs tmpfs rw
31 30 0:31 / /srv/state/kubelet/pods/a/volumes/secret rw - tmpfs tmpfs rw
32 21 0:32 / /srv/state-of-another/data rw - tmpfs tmpfs rw
33 21 0:33 / /run/ml-platform/netns/cni-1 rw - nsfs nsfs rw
34 31 0:34 / /srv/state/kubelet/with\\040space rw - tmpfs tmpfs rw
"""


def test_mounts_below_are_found_innermost_first(library: Callable[[str], ModuleType]) -> None:
    assert library("detached_mounts").mounts_below(TABLE, ["/srv/state", "/run/ml-platform"]) == [
        "/srv/state/kubelet/with space",
        "/run/ml-platform/netns/cni-1",
        "/srv/state/kubelet/pods/a/volumes/secret",
        "/srv/state",
    ]
