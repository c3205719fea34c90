"""Who pushed what: the repository's activity, kept in memory and brought up to date a page at a time."""

import json
from typing import Any

from merge_bot.api import Api
from mlplatform.pulls import gitea
from mlplatform.pulls.model import Push

# What is older than so many entries is not looked for: a branch that is older is pushed anew.
MOST_PAGES = 100
PATH = "activities/feeds"
KEPT = ("id", "op_type", "ref_name", "created")


class Activity:
    """The pushes that the forge has on record."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._entries: dict[int, dict[str, Any]] = {}
        self._seen: set[int] = set()

    def refresh(self) -> list[Push]:
        """Read what is new; all pushes, oldest first. Raises ForgeError."""
        fresh: list[dict[str, Any]] = []
        for number, page in enumerate(self._api.pages(PATH, most=MOST_PAGES, skip_big=True), 1):
            new = [entry for entry in page if int(entry["id"]) not in self._seen]
            fresh += new
            # Newest first: what is older than an entry that was read has been read too.
            if number == MOST_PAGES or (page and int(page[-1]["id"]) in self._seen):
                break
        # Only now: a reading that broke off in between must not hide what it did not get to.
        for entry in fresh:
            self._seen.add(int(entry["id"]))
            if entry["op_type"] in (gitea.PUSHED, gitea.DELETED):
                self._entries[int(entry["id"])] = _slim(entry)
        return gitea.pushes(list(self._entries.values()))


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an entry: the forge repeats the whole repository in each, and commits' messages may be long."""
    kept = {key: entry.get(key) for key in KEPT}
    kept["act_user"] = {"login": (entry.get("act_user") or {}).get("login")}
    kept["content"] = ""
    if entry.get("content"):
        content = json.loads(entry["content"])
        head = content.get("HeadCommit") or {}
        commits = [{"Sha1": one["Sha1"]} for one in content.get("Commits") or []]
        slim = {"HeadCommit": {"Sha1": head.get("Sha1")}, "Commits": commits, "CompareURL": content.get("CompareURL")}
        kept["content"] = json.dumps(slim)
    return kept
