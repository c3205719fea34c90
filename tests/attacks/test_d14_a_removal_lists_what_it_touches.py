"""D14: `scripts/down` lists all that it takes off a host before it does, and takes nothing else.

Tried on a host made of namespaces, with the verb and the playbook as they are.
"""

import os
from pathlib import Path

import pytest
import yaml

import removal_sandbox
from settings import ROOT, load_local

pytestmark = [pytest.mark.attacks, pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces as root")]

GROUP_VARS = ROOT / "infra" / "ansible" / "inventories" / "local" / "group_vars" / "all.yml"
# The verb's own: its lock, its log, and what useradd and userdel keep of the files that they change.
OWN = ("/run/ml-platform-lock", "/var/lib/ml-platform/logs", "/etc/.pwd.lock")


def is_listed(path: str, words: set[str]) -> bool:
    return any(str(one) in words for one in (Path(path), *Path(path).parents))


@pytest.mark.parametrize("options", [(), ("--purge", "--yes", "--keep-cache")], ids=["down", "purge"])
def test_d14_all_that_a_removal_touches_is_listed_before_and_nothing_else_goes(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    address = load_local("local").kubernetes.node_address
    accounts = yaml.safe_load(GROUP_VARS.read_text())["service_accounts"]
    found = removal_sandbox.down(tmp_path, *options, address=address, account=accounts["forge"])
    said = found["said"]
    listed = said[said.index("This goes off the host") : said.index("Take the platform off the host")]
    words = {word.strip("(),:") for word in listed.split()}
    gone = {kind: set(there) - set(found["after"][kind]) for kind, there in found["before"].items()}

    unlisted = {path for path in gone["files"] if not is_listed(path, words) and not path.startswith(OWN)}
    # The folder itself, once all that is listed in it has gone.
    assert unlisted <= {"/var/lib/ml-platform", "/var/lib/ml-platform/.ml-platform-state"}
    assert not [mount for mount in gone["mounts"] if not is_listed(mount, words)]
    assert gone["processes"] == {"versitygw"} <= words
    assert gone["addresses"] == {address} <= words
    assert gone["devices"] == {"cni0"} <= words
    assert gone["sets"] == {"KUBE-SRC-A"} <= words
    assert gone["parameters"] == {"net.ipv4.ip_forward=1"}
    assert "net.ipv4.ip_forward" in words
    assert gone["chains"] == {"KUBE-FORWARD"}
    assert "chains of iptables" in listed
    assert {"/etc/kubernetes", "/etc/ml-platform.json", "/run/ml-platform", "/var/lib/kubelet"} <= gone["files"]
    assert "/sys/fs/cgroup/kubepods" in gone["files"]
    assert not [path for path in gone["files"] if "theirs" in path]

    link = str(ROOT / "clusters" / "Pulumi.local.yaml")
    if options:
        assert accounts["forge"] in gone["accounts"] <= words
        assert {link, "/var/lib/ml-platform"} <= gone["files"]
    else:
        assert "all data stays" in said
        assert gone["accounts"] == set()
        kept = {path for path in found["before"]["files"] if path.startswith(str(removal_sandbox.STATE))}
        assert gone["files"] & {link, *kept} == {str(removal_sandbox.STATE / "up.json")}
