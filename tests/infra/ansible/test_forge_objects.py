"""The role `forge_objects` on a real Gitea: who has an account, who may merge, and who no longer gets in."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from runner_harness.forge import PASSWORD, Forge, gitea
from settings import ROOT

pytestmark = pytest.mark.tools

ANSIBLE = ROOT / "infra" / "ansible"
REPOSITORY = "platform/ml"
PLATFORM = ("ml-bot", "ml-merge", "ml-proposer")


class Role:
    """The role played by Ansible, with the checkout's own variables and people of the test's."""

    def __init__(self, forge: Forge, folder: Path) -> None:
        self.forge, self.folder = forge, folder
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        for name in ("forge-webhook-secret", "forge-bot-webhook-secret"):
            (self.secrets / name).write_text(name)

    def play(self, people: dict[str, Any], part: str = "main") -> str:
        """What Ansible printed."""
        for name in (*people["owners"], *people.get("members", [])):
            (self.secrets / f"forge-{name}-password").write_text(self.password(name))
        facts = ANSIBLE / "inventories" / "local" / "group_vars" / "all.yml"
        variables = {
            "ansible_python_interpreter": sys.executable,
            "state_dir": str(self.folder),
            "cache_dir": str(self.folder),
            "secrets_dir": str(self.secrets),
            "forge_objects_administrator": "root",
            "forge_objects_administrator_password": PASSWORD,
            "forge_objects_command": ["false"],
            "platform": {
                "kubernetes": {"nodeAddress": "127.0.0.1"},
                "forge": {"url": self.forge.url, "repository": REPOSITORY},
                "argocd": {"nodePort": 30443},
                "people": people,
            },
        }
        role = {"ansible.builtin.import_role": {"name": "forge_objects", "tasks_from": part}}
        play = {"hosts": "all", "gather_facts": False, "vars_files": [str(facts)], "tasks": [role]}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        (self.folder / "variables.yml").write_text(yaml.safe_dump(variables))
        command = [Path(sys.executable).parent / "ansible-playbook", "--inventory=localhost,", "--connection=local"]
        command += [f"--extra-vars=@{self.folder}/variables.yml", str(self.folder / "play.yml")]
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"),
            "ANSIBLE_LIBRARY": str(ANSIBLE / "library"),
            "ANSIBLE_MODULE_UTILS": str(ANSIBLE / "module_utils"),
        }
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @staticmethod
    def password(name: str) -> str:
        return f"{name}-0123456789abcdef"

    def ask(self, path: str, user: str, password: str, method: str = "GET") -> httpx.Response:
        """What the forge answers to an account."""
        url = f"{self.forge.url}/api/v1/{path}"
        return httpx.request(method, url, auth=(user, password), trust_env=False, timeout=30)

    def admin(self, path: str) -> Any:
        return self.ask(path, "root", PASSWORD).json()

    def rule(self) -> Any:
        return self.admin(f"repos/{REPOSITORY}/branch_protections/main")

    def commit(self) -> None:
        """Give main its first commit, as the administrator."""
        body = {"content": base64.b64encode(b"text\n").decode(), "message": "one", "branch": "main"}
        url = f"{self.forge.url}/api/v1/repos/{REPOSITORY}/contents/README.md"
        answer = httpx.post(url, json=body, auth=("root", PASSWORD), trust_env=False, timeout=30)
        assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def role(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Role]:
    folder = tmp_path_factory.mktemp("objects")
    with gitea(folder / "gitea") as forge:
        yield Role(forge, folder)


def test_s2_each_duty_has_an_account_and_main_takes_what_the_bot_merges(role: Role) -> None:
    people = {"owners": ["ada"], "members": ["bob", "carol"]}
    role.play(people)
    role.commit()
    role.play(people, "protection")

    rule = role.rule()
    assert (rule["enable_merge_whitelist"], rule["merge_whitelist_usernames"]) == (True, ["ml-merge"])
    assert (rule["enable_status_check"], rule["status_check_contexts"]) == (True, ["ready"])
    assert rule["block_admin_merge_override"]
    assert not rule["enable_push"]
    for account in (*PLATFORM, "ada", "bob", "carol"):
        found = role.admin(f"repos/{REPOSITORY}/collaborators/{account}/permission")
        assert (found["permission"], found["user"]["is_admin"]) == ("write", False), account
    for name in ("ada", "bob", "carol"):
        assert role.ask(f"repos/{REPOSITORY}", name, role.password(name)).status_code == 200
    tokens = {name: (role.secrets / f"forge-{name}-token").read_text() for name in ("bot", "merge", "proposer")}
    assert len(set(tokens.values())) == 3
    hooks = {hook["config"]["url"]: set(hook["events"]) for hook in role.admin(f"repos/{REPOSITORY}/hooks")}
    assert hooks["https://127.0.0.1:30443/api/webhook"] == {"push"}
    assert {"push", "status", "issue_comment", "pull_request", "pull_request_review"} < hooks[
        "http://127.0.0.1:30444/webhook"
    ]


def test_playing_it_again_changes_nothing(role: Role) -> None:
    assert "changed=0" in role.play({"owners": ["ada"], "members": ["bob", "carol"]})


def test_s2_who_leaves_the_list_loses_tokens_and_access(role: Role) -> None:
    made = httpx.post(
        f"{role.forge.url}/api/v1/users/carol/tokens",
        json={"name": "own", "scopes": ["write:repository"]},
        auth=("carol", role.password("carol")),
        trust_env=False,
        timeout=30,
    ).json()
    headers = {"Authorization": f"token {made['sha1']}"}
    url = f"{role.forge.url}/api/v1/repos/{REPOSITORY}"
    assert httpx.get(url, headers=headers, trust_env=False, timeout=30).status_code == 200

    role.play({"owners": ["ada"], "members": ["bob"]})

    assert httpx.get(url, headers=headers, trust_env=False, timeout=30).status_code == 401
    assert role.ask(f"repos/{REPOSITORY}", "carol", role.password("carol")).status_code == 404
    assert role.admin("users/carol/tokens") == []
    assert role.ask(f"repos/{REPOSITORY}", "bob", role.password("bob")).status_code == 200
    # Listed again, the account is as it was, with its own password.
    role.play({"owners": ["ada"], "members": ["bob", "carol"]})
    assert role.ask(f"repos/{REPOSITORY}", "carol", role.password("carol")).status_code == 200


def test_a_main_that_was_protected_before_there_was_a_bot_is_given_to_it_by_its_own_step(role: Role) -> None:
    before = {
        "enable_merge_whitelist": False,
        "merge_whitelist_usernames": [],
        "status_check_contexts": ["quality-gate"],
    }
    url = f"{role.forge.url}/api/v1/repos/{REPOSITORY}/branch_protections/main"
    assert httpx.patch(url, json=before, auth=("root", PASSWORD), trust_env=False, timeout=30).status_code == 200
    people = {"owners": ["ada"], "members": ["bob", "carol"]}
    role.play(people)
    assert role.rule()["status_check_contexts"] == ["quality-gate"]
    role.play(people, "bot")
    rule = role.rule()
    assert (rule["merge_whitelist_usernames"], rule["status_check_contexts"]) == (["ml-merge"], ["ready"])
