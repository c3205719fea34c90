#!/usr/bin/python
"""Remove from a host the network devices and firewall rules that a cluster leaves behind."""

import re
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: cluster_network
short_description: Remove a cluster's network devices, firewall rules and address sets
options:
  address: {type: str, required: true, description: The node address on the loopback device.}
  bridge: {type: str, required: true, description: The pods' bridge; devices attached to it go too.}
  chain_prefixes: {type: list, elements: str, required: true}
  set_prefixes: {type: list, elements: str, required: true, description: Of sets of addresses that the chains used.}
"""
FAMILIES = ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy")
NET = Path("/sys/class/net")


def removal(saved: str, prefixes: tuple[str, ...]) -> str:
    """What `iptables-restore --noflush` must read to remove the chains of `prefixes` and every rule that jumps there.

    `saved` is the output of `iptables-save`. Rules of others stay untouched. Empty when nothing has to be done.
    """
    script = []
    for table in re.findall(r"^\*(\w+)\n(.*?)^COMMIT$", saved, re.M | re.S):
        name, body = table
        chains = [line[1:].split()[0] for line in body.splitlines() if line.startswith(":")]
        ours = [chain for chain in chains if chain.startswith(prefixes)]
        if not ours:
            continue
        foreign_jumps = []
        for rule in (line for line in body.splitlines() if line.startswith("-A ")):
            target = re.search(r" -[jg] (\S+)", rule)
            if rule.split()[1] not in ours and target and target[1] in ours:
                foreign_jumps.append("-D" + rule[2:])
        script += [f"*{name}", *(f"-F {chain}" for chain in ours), *foreign_jumps]
        script += [*(f"-X {chain}" for chain in ours), "COMMIT"]
    return "\n".join(script) + "\n" if script else ""


def clean_firewall(family: str, prefixes: tuple[str, ...], dry_run: bool) -> bool:
    """Remove the chains from one firewall family. Returns whether there was anything to remove."""
    if not shutil.which(f"{family}-save"):
        return False
    saved = subprocess.run([f"{family}-save"], capture_output=True, text=True, check=False).stdout
    script = removal(saved, prefixes)
    if script and not dry_run:
        subprocess.run(
            [f"{family}-restore", "--noflush", "--wait"], input=script, text=True, capture_output=True, check=True
        )
    return bool(script)


def clean_sets(prefixes: tuple[str, ...], dry_run: bool) -> list[str]:
    """Destroy the address sets of `prefixes`, which no rule uses any more. Returns their names."""
    if not shutil.which("ipset"):
        return []
    listed = subprocess.run(["ipset", "list", "-name"], capture_output=True, text=True, check=False).stdout
    names = [name for name in listed.split() if name.startswith(prefixes)]
    if names and not dry_run:
        script = "".join(f"destroy {name}\n" for name in names)
        subprocess.run(["ipset", "restore", "-exist"], input=script, capture_output=True, text=True, check=True)
    return names


def devices(bridge: str) -> list[str]:
    """The bridge and what is attached to it, the attached ones first."""
    if not (NET / bridge).exists():
        return []
    ports = NET / bridge / "brif"
    return [*(port.name for port in sorted(ports.iterdir())), bridge] if ports.is_dir() else [bridge]


def has_address(trie: str, address: str) -> bool:
    """Whether `trie` (text of /proc/net/fib_trie) lists `address` as the host's own."""
    return bool(re.search(rf"-- {re.escape(address)}\n\s+/32 host LOCAL", trie))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "bridge": {"type": "str", "required": True},
            "chain_prefixes": {"type": "list", "elements": "str", "required": True},
            "set_prefixes": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    prefixes = tuple(module.params["chain_prefixes"])
    done = []
    try:
        if has_address(Path("/proc/net/fib_trie").read_text(), module.params["address"]):
            done.append(module.params["address"])
            if not module.check_mode:
                command = ["ip", "address", "delete", f"{module.params['address']}/32", "dev", "lo"]
                subprocess.run(command, capture_output=True, text=True, check=True)
        for device in devices(module.params["bridge"]):
            done.append(device)
            if not module.check_mode:
                # Deleting a namespace deletes its end of a pair in the background, so the device may be gone by now.
                subprocess.run(["ip", "link", "delete", device], capture_output=True, check=False)
        for family in FAMILIES:
            if clean_firewall(family, prefixes, module.check_mode):
                done.append(f"chains of {family}")
        done += clean_sets(tuple(module.params["set_prefixes"]), module.check_mode)
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"{' '.join(error.cmd)}: {error.stderr.strip()}")
    module.exit_json(changed=bool(done), removed=done)


if __name__ == "__main__":
    main()
