"""A removal's list names everything, in a line for each task."""

from mlplatform.host.removal import Change, lines

FOLDERS = ["/srv/state", "/run"]


def test_d14_everything_that_a_task_changes_is_in_its_line() -> None:
    files = [f"/etc/file-{number}" for number in range(40)]
    changes = [
        Change("Remove files", {"changed": True, "removed": files}),
        Change("Put the parameters back", {"changed": True, "parameters": ["kernel.panic", "vm.panic_on_oom"]}),
    ]
    assert lines(changes, FOLDERS) == [
        f"Remove files: {', '.join(files)}",
        "Put the parameters back: kernel.panic, vm.panic_on_oom",
    ]


def test_d14_a_loop_is_one_line_and_names_files_rather_than_what_is_made_of_them() -> None:
    units = [{"item": name, "path": f"/etc/systemd/system/{name}.service"} for name in ("gitea", "kubelet")]
    changes = [
        *(Change("Delete the units", unit) for unit in units),
        Change("Delete the accounts", {"item": "forge", "changed": True}),
        Change("Delete the accounts", {"item": "registry", "name": "registry"}),
    ]
    assert lines(changes, FOLDERS) == [
        "Delete the units: /etc/systemd/system/gitea.service, /etc/systemd/system/kubelet.service",
        "Delete the accounts: forge, registry",
    ]


def test_d14_many_processes_and_mounts_are_counted() -> None:
    ended = ["gitea (12)", *(f"containerd-shim (odd) ({pid})" for pid in range(30))]
    pods = [f"/srv/state/kubelet/pods/{number}/volumes" for number in range(50)]
    changes = [
        Change("End processes", {"ended": ended}),
        Change("Unmount", {"mounts": [*pods, "/run/ml/netns/a", "/run/ml/netns/b", "/srv/state/kubelet", "/mnt"]}),
    ]
    assert lines(changes, FOLDERS) == [
        "End processes: 30 containerd-shim (odd), gitea",
        "Unmount: 1 in /mnt, 2 in /run/ml, 51 in /srv/state/kubelet",
    ]


def test_d14_devices_of_pods_and_sets_of_addresses_are_counted() -> None:
    names = ["cni0", *(f"veth{number:08x}" for number in range(9)), *(f"KUBE-DST-{number:016}" for number in range(40))]
    assert lines([Change("Remove devices", {"removed": names})], FOLDERS) == [
        "Remove devices: cni0, 40 KUBE-DST-*, 9 veth*"
    ]


def test_d14_a_task_that_names_nothing_is_listed_by_its_own_name() -> None:
    assert lines([Change("Have systemd forget the units", {"changed": True, "removed": []})], FOLDERS) == [
        "Have systemd forget the units"
    ]
