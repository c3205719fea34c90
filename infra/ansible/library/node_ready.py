#!/usr/bin/python
"""Wait until a node reports Ready by the kubelet that runs now.

What the API holds after a start is what the last kubelet reported before the stop, so Ready alone proves nothing: the
report must be younger than the kubelet's process.
"""

import json
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.processes import is_service, process_table

DOCUMENTATION = r"""
module: node_ready
short_description: Wait until a node is Ready
options:
  kubectl: {type: list, elements: str, required: true}
  node: {type: str, required: true}
  paths: {type: list, elements: path, required: true, description: Where the platform's files are.}
  timeout: {type: int, required: true, description: Seconds.}
"""
POLL_SECONDS = 0.5


def started_at(pid: int, proc: Path = Path("/proc")) -> datetime:
    """When a process began, to the second."""
    ticks = int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
    boot = next(line for line in (proc / "stat").read_text().splitlines() if line.startswith("btime "))
    return datetime.fromtimestamp(int(boot.split()[1]) + ticks // os.sysconf("SC_CLK_TCK"), UTC)


def verdict(node: dict[str, Any], since: datetime) -> str:
    """Empty when the node is Ready by a report not older than `since`, else what is missing."""
    ready = next((entry for entry in node["status"].get("conditions", []) if entry["type"] == "Ready"), None)
    if ready is None or datetime.fromisoformat(ready["lastHeartbeatTime"]) < since:
        return "kubelet has not reported yet"
    return "" if ready["status"] == "True" else ready["message"]


def missing(kubectl: list[str], node: str, paths: list[str]) -> str:
    """Empty when the node is Ready, else what is missing."""
    table = process_table()
    kubelets = [pid for pid, one in table.items() if "kubelet" in one.programs and is_service(one, paths)]
    if not kubelets:
        return "kubelet does not run"
    result = subprocess.run(
        [*kubectl, "get", "node", node, "--output=json", "--request-timeout=5s"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        return result.stderr.strip().splitlines()[-1] if result.stderr.strip() else "the API server does not answer"
    return verdict(json.loads(result.stdout), started_at(kubelets[0]))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kubectl": {"type": "list", "elements": "str", "required": True},
            "node": {"type": "str", "required": True},
            "paths": {"type": "list", "elements": "path", "required": True},
            "timeout": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    deadline = time.monotonic() + (0 if module.check_mode else given["timeout"])
    while lacking := missing(given["kubectl"], given["node"], given["paths"]):
        if time.monotonic() > deadline:
            if module.check_mode:
                module.exit_json(changed=True)
            module.fail_json(
                msg=f"node {given['node']} is not Ready after {given['timeout']} s: {lacking}. See logs/kubelet.log."
            )
        time.sleep(POLL_SECONDS)
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
