"""The chains of the host's firewall, as Ansible fills them in for the cluster `local`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from settings import ROOT, load_local

ANSIBLE = ROOT / "infra" / "ansible"


def rendered(folder: Path) -> Path:
    """A file below `folder` with every chain of the role `node_address`, as JSON."""
    cluster = yaml.safe_load((ROOT / "clusters" / "local" / "cluster.yaml").read_text(encoding="utf-8"))
    result = folder / "chains.json"
    copy = {
        "content": "{{ (node_address_chains + node_address_pod_chains) | to_json }}",
        "dest": str(result),
        "mode": "0600",
    }
    playbook: dict[str, Any] = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            "ansible_python_interpreter": sys.executable,
            "platform": cluster,
            "node_address": cluster["kubernetes"]["nodeAddress"],
            "bot_port": load_local("local").bot.node_port,
            "pod_bridge": "cni0",
            "firewall_chain": "ML-PLATFORM",
        },
        "vars_files": [str(ANSIBLE / "roles" / "node_address" / "defaults" / "main.yml")],
        "tasks": [{"ansible.builtin.copy": copy}],
    }
    (folder / "playbook.yml").write_text(json.dumps([playbook]), encoding="utf-8")
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, folder / "playbook.yml", "-i", "localhost,", "-c", "local"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return result
