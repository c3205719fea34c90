"""Rules that every playbook and role follows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import ROOT, load_local

FOLDER = ROOT / "infra" / "ansible"
ROLES = sorted(path for path in (FOLDER / "roles").iterdir() if path.is_dir())
TASK_FILES = [*FOLDER.glob("*.yml"), *FOLDER.glob("roles/*/tasks/*.yml")]
OWN_MODULES = {path.stem for path in (FOLDER / "library").glob("*.py")}
KEYWORDS = {
    "always",
    "args",
    "block",
    "changed_when",
    "check_mode",
    "delay",
    "environment",
    "failed_when",
    "loop",
    "loop_control",
    "name",
    "no_log",
    "register",
    "rescue",
    "retries",
    "tags",
    "until",
    "vars",
    "when",
}


def tasks(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if "hosts" in entry:
            yield from tasks(entry["tasks"])
            continue
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part, []))


def every_task() -> list[Any]:
    return [
        pytest.param(task, id=f"{path.relative_to(FOLDER)}: {task.get('name')}")
        for path in sorted(TASK_FILES)
        for task in tasks(yaml.safe_load(path.read_text()))
    ]


@pytest.mark.parametrize("task", every_task())
def test_a_task_is_named_by_a_sentence_and_uses_a_full_module_name(task: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z].*\.", task["name"])
    actions = set(task) - KEYWORDS
    if "block" in task:
        assert not actions
    else:
        (action,) = actions
        assert action.startswith("ansible.builtin.") or action in OWN_MODULES


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_specifies_every_variable_of_its_own(role: Path) -> None:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    assert all(spec["short_description"].endswith(".") for spec in specs.values())
    entry_points = {path.stem for path in (role / "tasks").glob("*.yml")}
    assert set(specs) <= entry_points
    defaults = role / "defaults" / "main.yml"
    variables = yaml.safe_load(defaults.read_text()) if defaults.exists() else {}
    assert all(name.startswith(f"{role.name}_") for name in variables)
    specified = {name for spec in specs.values() for name in spec.get("options", {})}
    missing = set(variables) - specified
    assert not missing, f"{role.name}: argument_specs.yml lacks {sorted(missing)}"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yml")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_modes_are_quoted(path: Path) -> None:
    assert not re.search(r"mode: *0?[0-7]{3}", path.read_text())


def test_no_fact_of_the_cluster_is_repeated() -> None:
    kubernetes = load_local("local").kubernetes
    facts = [kubernetes.node_address, kubernetes.pod_cidr, kubernetes.service_cidr]
    for path in [*FOLDER.rglob("*.yml"), *FOLDER.rglob("*.j2"), *FOLDER.rglob("*.py")]:
        assert not [fact for fact in facts if fact in path.read_text()], path


def test_every_module_is_used_and_documented() -> None:
    text = "".join(path.read_text() for path in TASK_FILES)
    for path in (FOLDER / "library").glob("*.py"):
        assert f"  {path.stem}:\n" in text, f"{path.name} is used nowhere"
        assert f"module: {path.stem}\n" in path.read_text()


def test_every_kernel_parameter_that_is_set_is_recorded() -> None:
    def defaults(role: str) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load((FOLDER / "roles" / role / "defaults" / "main.yml").read_text())
        return document

    node = defaults("node_address")
    changed = {*node["node_address_kernel_parameters"], *node["node_address_kernel_minimums"]}
    assert changed <= set(defaults("preflight")["preflight_kernel_parameters"])


def test_s18_each_unprivileged_service_has_an_account_of_its_own() -> None:
    """What runs as an account is not reached from another service, and its files move before it starts."""
    accounts = yaml.safe_load((FOLDER / "inventories" / "local" / "group_vars" / "all.yml").read_text())
    names = accounts["service_accounts"]
    assert len({*names.values(), accounts["former_account"], "root"}) == 5
    for role, account in (("registry", "registry"), ("object_store", "object_store"), ("forge", "forge")):
        steps = yaml.safe_load((FOLDER / "roles" / role / "tasks" / "main.yml").read_text())
        users = {step["vars"]["supervision_user"] for step in steps if "supervision_user" in step.get("vars", {})}
        assert users == {f"{{{{ service_accounts.{account} }}}}"}
        assert steps[0]["ansible.builtin.include_role"]["tasks_from"] == "account"
        assert steps[-1]["ansible.builtin.include_role"]["tasks_from"] == "service"
