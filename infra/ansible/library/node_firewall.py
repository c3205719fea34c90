#!/usr/bin/python
"""Keep the host's own firewall chains: beside those of others, each called from one hook of one table."""

import shutil
import subprocess
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: node_firewall
short_description: Keep firewall chains with exactly these rules
options:
  chains:
    type: list
    elements: dict
    required: true
    description: >-
      Each with family (iptables or ip6tables), table, hook, name, and rules, written as iptables-save prints them less
      their "-A <name>". A family that the host lacks is left out.
"""


def lines(chain: dict[str, Any]) -> list[str]:
    """The chain's rules as `iptables-save` prints them."""
    return [f"-A {chain['name']} {rule}" for rule in chain["rules"]]


def jump(chain: dict[str, Any]) -> str:
    """The rule that calls the chain."""
    return f"-A {chain['hook']} -j {chain['name']}"


def script(saved: str, chains: list[dict[str, Any]]) -> str:
    """What `iptables-restore --noflush` must read; empty when `saved` (from `iptables-save` of their table) is right.

    `chains`: all of one table. Only those that differ are written.
    """
    present = saved.splitlines()
    wrong = [
        chain
        for chain in chains
        if present.count(jump(chain)) != 1
        or [line for line in present if line.startswith(f"-A {chain['name']} ")] != lines(chain)
    ]
    if not wrong:
        return ""
    # Naming a chain with a colon makes it, or empties it.
    declared = [f":{chain['name']} - [0:0]" for chain in wrong]
    rules = [rule for chain in wrong for rule in lines(chain)]
    jumps = [jump(chain) for chain in wrong if jump(chain) not in present]
    return "\n".join([f"*{wrong[0]['table']}", *declared, *rules, *jumps, "COMMIT"]) + "\n"


def keep(family: str, table: str, chains: list[dict[str, Any]], dry_run: bool) -> bool:
    """Bring the chains of one table in order. Returns whether anything had to be changed."""
    saved = subprocess.run([f"{family}-save", "-t", table], capture_output=True, text=True, check=True).stdout
    change = script(saved, chains)
    if change and not dry_run:
        command = [f"{family}-restore", "--noflush", "--wait"]
        subprocess.run(command, input=change, capture_output=True, text=True, check=True)
    return bool(change)


def main() -> None:
    module = AnsibleModule(
        argument_spec={"chains": {"type": "list", "elements": "dict", "required": True}},
        supports_check_mode=True,
    )
    tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for chain in module.params["chains"]:
        tables.setdefault((chain["family"], chain["table"]), []).append(chain)
    changed = []
    try:
        for (family, table), chains in tables.items():
            if shutil.which(f"{family}-save") and keep(family, table, chains, module.check_mode):
                changed.append(f"{family} {table}")
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"{' '.join(error.cmd)}: {error.stderr.strip()}")
    module.exit_json(changed=bool(changed), tables=changed)


if __name__ == "__main__":
    main()
