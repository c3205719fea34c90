"""Looks for changes of main that the bot did not merge, and reports those that no administrator answers for."""

import logging
from datetime import datetime
from typing import Any

from merge_bot.api import Api, ForgeError, part
from merge_bot.reader import MAIN, Reader
from mlplatform.pulls import gitea, merges
from mlplatform.pulls.model import Push
from mlplatform.pulls.rules import Rules

MARKER = "<!-- ml-platform:merged-by-another -->"
CONTEXT = "merged-by-bot"
MOST_CLOSED = 50

_log = logging.getLogger(__name__)


class Audit:
    """Looks back at what became of main since the bot's account exists: before that others merged."""

    def __init__(self, api: Api, reader: Reader) -> None:
        self._api = api
        self._reader = reader
        self._since: datetime | None = None
        # What was found in order, or reported: only spares requests.
        self._settled: set[str] = set()

    def look(self, pushes: list[Push], rules: Rules) -> None:
        """Report what is new. Raises ForgeError."""
        if self._since is None:
            self._since = gitea.moment(self._api.call("GET", f"/users/{part(rules.merger)}")["created"])
        known: set[str] = set()
        for entry in self._closed():
            merge = gitea.merge(entry, MAIN)
            if merge is None:
                continue
            known.add(merge.sha)
            if merge.sha not in self._settled and merge.time >= self._since:
                self._merged(merge.number, self._since, rules)
            self._settled.add(merge.sha)
        for push in pushes:
            pushed = push.branch == MAIN and push.old and push.new and push.time >= self._since
            if pushed and push.account != rules.merger and push.new not in known | self._settled:
                self._fail(push.new, f"pushed to main by {push.account}, not merged by {rules.merger}")
                self._settled.add(push.new)

    def _closed(self) -> list[dict[str, Any]]:
        options = {"state": "closed", "sort": "recentupdate"}
        pages = self._api.pages("pulls", options, skip_big=True)
        return next(pages, [])

    def _merged(self, number: int, since: datetime, rules: Rules) -> None:
        # The list does not say who merged.
        merge = gitea.merge(self._api.call("GET", f"pulls/{number}"), MAIN)
        if merge is None:
            return
        finding = merges.look(merge, since, self._reader.comments, rules.merger, rules.administrators)
        if finding is None:
            return
        if finding.record:
            self._set(merge.sha, "success", f"merged past the rules by {finding.record.who}: {finding.record.why}")
            return
        merger = merge.account or "a deleted account"
        self._fail(merge.sha, f"#{number} was merged by {merger}, not by {rules.merger}")
        comments = self._reader.comments(number)
        if not any(one.account == rules.merger and one.body.startswith(MARKER) for one in comments):
            self._api.call("POST", f"issues/{number}/comments", {"body": _report(merge.sha, merger, rules)})
            _log.warning("#%d was merged by %s without a record", number, merger)

    def _fail(self, sha: str, description: str) -> None:
        self._set(sha, "failure", description)

    def _set(self, sha: str, state: str, description: str) -> None:
        try:
            said = [gitea.status(one, sha) for one in self._api.all(f"commits/{sha}/statuses")]
            newest = max((one for one in said if one.context == CONTEXT), key=lambda one: one.id, default=None)
            if newest is None or (newest.state, newest.description) != (state, description):
                self._api.call(
                    "POST", f"statuses/{sha}", {"context": CONTEXT, "state": state, "description": description}
                )
        except ForgeError as error:
            # A commit that main no longer has.
            if error.status not in (404, 422):
                raise


def _report(sha: str, merger: str, rules: Rules) -> str:
    return (
        f"{MARKER}\n## Merged without the bot\n\n"
        f"`{merger}` merged this; only `{rules.merger}` may, and no administrator left a record of it "
        "(`docs/runbooks/main-is-locked-out.md`). Nobody was asked for an approval.\n\n"
        f"`{rules.proposer}` opens a pull request that takes it back, unless what {MAIN} has gained since conflicts. "
        "To keep the merge, close that one and say there why. To take it back by hand:\n\n"
        f"```\ngit fetch origin {MAIN} && git switch -c revert-{sha[:10]} FETCH_HEAD\n"
        f"git revert -m 1 {sha} && git push origin revert-{sha[:10]}\n```\n\n"
        "and open a pull request of that branch. Where the merge was squashed, leave `-m 1` out.\n"
    )
