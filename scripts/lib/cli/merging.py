"""Whether main is given to the bot, and who has to approve: read from the forge, as its administrator."""

import json
from typing import Any

from cli import health, people
from cli.health import Check
from mlplatform.pulls.rules import MERGER
from settings import Cluster, Paths, People, SettingsError

NAME = "merging"
READY = "ready"


def check(cluster: Cluster, paths: Paths) -> Check:
    """Whether the bot alone merges into main."""
    try:
        login = people.administrator(paths)
    except SettingsError as error:
        return Check(NAME, False, str(error), "scripts/up")
    url = f"{cluster.forge.url}/api/v1/repos/{cluster.forge.repository}/branch_protections/main"
    text = health.content(url, login.basic, limit=65536)
    try:
        rule: dict[str, Any] = json.loads(text)
    except ValueError:
        return Check(NAME, False, "main is not protected, or the forge does not say", "scripts/up protects it")
    if found := problems(rule):
        fix = "scripts/up gives main to the bot, once the forge's main has apps/bot"
        return Check(NAME, False, f"main takes more than what {MERGER} merges: {'; '.join(found)}", fix)
    return Check(NAME, True, said(cluster.people))


def problems(rule: dict[str, Any]) -> list[str]:
    """What of main's protection, as the forge's API shows it, lets more than the bot merge."""
    found = []
    if not rule.get("enable_merge_whitelist") or rule.get("merge_whitelist_usernames") != [MERGER]:
        found.append(f"its merge whitelist is not {MERGER} alone")
    if rule.get("merge_whitelist_teams"):
        found.append("a team may merge")
    if not rule.get("enable_status_check") or rule.get("status_check_contexts") != [READY]:
        found.append(f"it does not ask for the status {READY}")
    if not rule.get("block_admin_merge_override"):
        found.append("administrators may merge past it")
    if rule.get("enable_push") or rule.get("enable_force_push"):
        found.append("it may be pushed to")
    return found


def said(people: People) -> str:
    """Who must approve, in words."""
    if people.approvals == 0:
        return f"{MERGER} merges what a listed person asks for; approvals: 0, nobody else has to approve"
    count = "1 other person" if people.approvals == 1 else f"{people.approvals} other people"
    return f"{MERGER} merges what {count} approved"
