#!/usr/bin/python
"""Define and run one program of a running supervisord, over its Unix socket."""

from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import write_atomically
from supervisor.states import RUNNING_STATES
from supervisor.xmlrpc import SupervisorTransport

DOCUMENTATION = r"""
module: supervised_program
short_description: Run a program under supervisord
options:
  socket: {type: path, required: true}
  name: {type: str, required: true}
  path: {type: path, required: true, description: "Where supervisord reads the program's definition."}
  content: {type: str, required: true}
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
            "path": {"type": "path", "required": True},
            # The environment in it may hold a secret.
            "content": {"type": "str", "required": True, "no_log": True},
            "restart": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    name, path = module.params["name"], Path(module.params["path"])
    new = not path.exists() or path.read_text() != module.params["content"]
    if new and module.check_mode:
        module.exit_json(changed=True)
    if new:
        write_atomically(path, module.params["content"])
    transport = SupervisorTransport(None, None, serverurl=f"unix://{module.params['socket']}")
    supervisor = ServerProxy("http://127.0.0.1", transport=transport).supervisor
    try:
        changed = ensure_running(supervisor, name, module.params["restart"], module.check_mode)
    except (Fault, OSError) as error:
        module.fail_json(msg=f"supervisord, program {name}: {error}")
    module.exit_json(changed=new or changed)


if __name__ == "__main__":
    main()
