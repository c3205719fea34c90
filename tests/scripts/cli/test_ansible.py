"""What ansible-playbook prints becomes progress, a note, or one clear failure."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from cli import ansible
from cli.failure import BadInput, Failure
from cli.steps import Context
from settings import Paths

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Include a role.
      ansible.builtin.import_role: {name: %s}
"""
ROLE = """
- name: Do something.
  ansible.builtin.debug: {msg: fine}
- name: Refuse the host.
  ansible.builtin.fail: {msg: %s}
"""


@pytest.fixture
def context() -> Context:
    return Context(io.StringIO(), Console(file=io.StringIO()))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(state=tmp_path / "state", cache=tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of playbooks of the test's own, with the real configuration's inventory."""
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\ninventory = {ansible.FOLDER}/inventories/local\n")
    monkeypatch.setattr(ansible, "FOLDER", tmp_path)
    return tmp_path


def role(folder: Path, name: str, message: str) -> None:
    tasks = folder / "roles" / name / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text(ROLE % message)
    (folder / "site.yml").write_text(PLAY % name)


def test_a_failed_task_is_named_with_its_own_words(context: Context, paths: Paths, folder: Path) -> None:
    role(folder, "registry", "'the disk is full'")
    with pytest.raises(Failure) as failed:
        ansible.playbook(context, "site.yml", "local", paths)
    assert failed.value.message == "registry: Refuse the host: the disk is full"
    assert failed.value.code == 1
    assert context.now == "registry: Refuse the host"


def test_what_preflight_refuses_is_bad_input_with_every_problem(context: Context, paths: Paths, folder: Path) -> None:
    role(folder, "preflight", "['port 3000 is in use by nginx (process 12)', 'too little memory']")
    with pytest.raises(BadInput) as refused:
        ansible.playbook(context, "site.yml", "local", paths)
    assert refused.value.message == "port 3000 is in use by nginx (process 12)\ntoo little memory"


def test_a_playbook_that_changes_nothing_says_so(context: Context, paths: Paths, folder: Path) -> None:
    (folder / "site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.meta: noop\n"
    )
    (folder / "site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: See.\n      ansible.builtin.debug: {msg: x}\n"
    )
    assert ansible.playbook(context, "site.yml", "local", paths) == "nothing changed"


def test_variables_and_a_dry_run_reach_the_playbook(context: Context, paths: Paths, folder: Path) -> None:
    (folder / "site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - name: See.\n      ansible.builtin.fail: {msg: '{{ state_dir }} {{ purge }} {{ ansible_check_mode }}'}\n"
    )
    with pytest.raises(Failure, match=f"{paths.state} True True"):
        ansible.playbook(context, "site.yml", "local", paths, dry_run=True, purge=True)


def test_d14_what_a_playbook_would_change_is_told_by_its_tasks_and_nothing_is_changed(
    context: Context, paths: Paths, folder: Path
) -> None:
    files = [folder / "one", folder / "two => {", folder / "three"]
    for file in files[:2]:
        file.touch()
    (folder / "site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - name: Delete.\n      ansible.builtin.file: {path: '{{ item }}', state: absent}\n"
        f"      loop: {[str(file) for file in files]}\n"
        "    - name: Make.\n      ansible.builtin.file: {path: three, state: touch}\n      when: not purge\n"
    )
    found = ansible.changes(context, "site.yml", "local", paths, purge=True)
    assert [(one.task, one.result["path"]) for one in found] == [("Delete", str(file)) for file in files[:2]]
    assert all(file.exists() for file in files[:2])


def test_a_playbook_that_does_not_parse_fails_with_ansibles_words(context: Context, paths: Paths, folder: Path) -> None:
    (folder / "site.yml").write_text("- hosts: [\n")
    with pytest.raises(Failure) as failed:
        ansible.playbook(context, "site.yml", "local", paths)
    assert any("site.yml" in line for line in failed.value.tail)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('fatal: [localhost]: FAILED! => {"msg": "no"}', "no"),
        ('failed: [localhost] (item=a) => {"msg": "no"}', "no"),
        (
            'fatal: [localhost]: FAILED! => {"msg": "non-zero return code", "stderr": "why"}',
            "non-zero return code\nwhy",
        ),
        ("fatal: [localhost]: FAILED! => {broken", "{broken"),
    ],
)
def test_failures_are_read_from_their_line(line: str, problem: str) -> None:
    output = ansible.Output()
    output.line(line)
    assert output.problem == problem


def test_the_recap_counts_changes() -> None:
    output = ansible.Output()
    output.line("localhost                  : ok=41   changed=7    unreachable=0    failed=0")
    assert output.changed == 7
