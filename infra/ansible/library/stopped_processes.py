#!/usr/bin/python
"""End the platform's processes: its services, pods and their helpers, and nothing else."""

import os
import signal
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.processes import Process, is_service, owned, process_table

DOCUMENTATION = r"""
module: stopped_processes
short_description: End the platform's processes
options:
  paths: {type: list, elements: path, required: true, description: Where the platform's files and sockets are.}
  services_only:
    type: bool
    description: Only services that no supervisor looks after any more; pods go on.
  pods:
    type: bool
    description: Pods' processes too, whose services have gone; only where every pod of the host is the platform's.
  names: {type: list, elements: str, description: "Only the platform's processes of these names, all where empty."}
  grace_seconds: {type: float, description: Time between asking and killing.}
"""
POLL_SECONDS = 0.1
# These start others again, so they go before all else; supervisord at once, for it would end its services one by one.
FIRST = frozenset({"supervisord", "kubelet"})
# A shim reports its container's end to containerd, so both outlive the containers. A shim does not end when asked.
LAST = frozenset({"containerd", "containerd-shim-runc-v2"})
AT_ONCE = frozenset({"supervisord", "containerd-shim-runc-v2"})


def programs(process: Process) -> set[str]:
    """Names with the one that the kernel cuts off after 15 letters completed."""
    full = {name for name in FIRST | LAST if name[:15] == process.name}
    return process.programs | full


def stages(table: dict[int, Process], pids: set[int]) -> list[list[int]]:
    """`pids` in the order in which they should end."""
    first = [pid for pid in pids if programs(table[pid]) & FIRST]
    last = [pid for pid in pids if programs(table[pid]) & LAST]
    return [first, [pid for pid in pids if pid not in first and pid not in last], last]


def alive(pids: list[int], table: dict[int, Process]) -> list[int]:
    """Those of `pids` that still are the process they were."""
    now = process_table()
    return [pid for pid in pids if pid in now and now[pid].arguments == table[pid].arguments]


def send(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end(pids: list[int], table: dict[int, Process], grace_seconds: float) -> list[int]:
    """Ask, wait, kill. Returns the pids that outlived even that."""
    at_once = [pid for pid in pids if programs(table[pid]) & AT_ONCE]
    send(at_once, signal.SIGKILL)
    send([pid for pid in pids if pid not in at_once], signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while pids and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        pids = alive(pids, table)
    send(pids, signal.SIGKILL)
    for _ in range(50):
        if not pids:
            break
        time.sleep(POLL_SECONDS)
        pids = alive(pids, table)
    return pids


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "services_only": {"type": "bool", "default": False},
            "pods": {"type": "bool", "default": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "grace_seconds": {"type": "float", "default": 5.0},
        },
        supports_check_mode=True,
    )
    given = module.params

    def ours() -> tuple[dict[int, Process], set[int]]:
        table = process_table()
        pids = owned(table, given["paths"], pods=given["pods"])
        if given["services_only"]:
            shim = "containerd-shim-runc-v2"
            pids = {pid for pid in pids if is_service(table[pid], given["paths"]) and shim not in programs(table[pid])}
        if given["names"]:
            pids = {pid for pid in pids if table[pid].programs & set(given["names"])}
        return table, pids

    table, pids = ours()
    ended = sorted(f"{table[pid].name} ({pid})" for pid in pids)
    if pids and not module.check_mode:
        for stage in range(3):
            # Each stage looks again: a process that was being started when the last stage began is found now.
            table, pids = ours()
            left = end(stages(table, pids)[stage], table, given["grace_seconds"])
            if left:
                module.fail_json(
                    msg=f"processes {left} do not end even when killed; they wait for a device or a mount."
                )
    module.exit_json(changed=bool(ended), ended=ended)


if __name__ == "__main__":
    main()
