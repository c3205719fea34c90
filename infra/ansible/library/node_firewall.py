#!/usr/bin/python
"""Keep machines beside the host away from the node address, pods and cluster services.

Linux answers for an address of any of its devices on all of them, and a node forwards packets: a neighbour that routes
the node address or the pods' range through this host would reach what listens "on the node address only".
"""

import subprocess

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: node_firewall
short_description: Drop packets for a cluster's addresses that come from other machines
options:
  chain: {type: str, required: true}
  inside: {type: list, elements: str, required: true, description: Devices from which packets may come.}
  protected: {type: list, elements: str, required: true, description: Addresses and ranges.}
"""
# Before connection tracking and address translation, so that packets are seen with the addresses they came with.
TABLE = "raw"
HOOK = "PREROUTING"


def rules(chain: str, inside: list[str], protected: list[str]) -> list[str]:
    """The chain's rules as `iptables-save` prints them."""
    accept = [f"-A {chain} -i {device} -j RETURN" for device in inside]
    return accept + [f"-A {chain} -d {one if '/' in one else one + '/32'} -j DROP" for one in protected]


def script(saved: str, chain: str, wanted: list[str]) -> str:
    """What `iptables-restore --noflush` must read; empty when `saved` (from `iptables-save`) is right already."""
    present = saved.splitlines()
    jump = f"-A {HOOK} -j {chain}"
    if jump in present and [line for line in present if line.startswith(f"-A {chain} ")] == wanted:
        return ""
    # Naming a chain with a colon makes it, or empties it.
    lines = [f"*{TABLE}", f":{chain} - [0:0]", *wanted, *([] if jump in present else [jump]), "COMMIT"]
    return "\n".join(lines) + "\n"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "chain": {"type": "str", "required": True},
            "inside": {"type": "list", "elements": "str", "required": True},
            "protected": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    wanted = rules(given["chain"], given["inside"], given["protected"])
    try:
        saved = subprocess.run(["iptables-save", "-t", TABLE], capture_output=True, text=True, check=True).stdout
        change = script(saved, given["chain"], wanted)
        if change and not module.check_mode:
            command = ["iptables-restore", "--noflush", "--wait"]
            subprocess.run(command, input=change, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"{' '.join(error.cmd)}: {error.stderr.strip()}")
    module.exit_json(changed=bool(change))


if __name__ == "__main__":
    main()
