#!/usr/bin/python
"""Start, restart or stop one program of a running supervisord, over its Unix socket."""

from typing import Any
from xmlrpc.client import Fault, ServerProxy

from ansible.module_utils.basic import AnsibleModule
from supervisor.states import RUNNING_STATES
from supervisor.xmlrpc import SupervisorTransport

DOCUMENTATION = r"""
module: supervised_program
short_description: Start, restart or stop a program under supervisord
options:
  socket: {type: path, required: true}
  name: {type: str, required: true}
  restart: {type: bool, description: Restart it even if its own definition is unchanged.}
"""


def ensure_running(supervisor: Any, name: str, restart: bool, dry_run: bool) -> bool:
    """Make `name` run with its present definition. Returns whether anything changed."""
    added, changed, _removed = supervisor.reloadConfig()[0]
    if name in added:
        if not dry_run:
            supervisor.addProcessGroup(name)
            supervisor.startProcess(name, False)
        return True
    state = supervisor.getProcessInfo(name)["state"]
    if state in RUNNING_STATES and name not in changed and not restart:
        return False
    if dry_run:
        return True
    if state in RUNNING_STATES:
        supervisor.stopProcess(name, True)
    if name in changed:
        supervisor.removeProcessGroup(name)
        supervisor.addProcessGroup(name)
    supervisor.startProcess(name, False)
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "restart": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    transport = SupervisorTransport(None, None, serverurl=f"unix://{module.params['socket']}")
    supervisor = ServerProxy("http://127.0.0.1", transport=transport).supervisor
    try:
        changed = ensure_running(supervisor, name, module.params["restart"], module.check_mode)
    except (Fault, OSError) as error:
        module.fail_json(msg=f"supervisord, program {name}: {error}")
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
