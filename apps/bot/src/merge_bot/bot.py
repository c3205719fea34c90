"""One turn: judge every open pull request, say what is missing, bring up to date, merge, and look for merges that
nobody allowed. The forge is the only record: a turn begins with what the forge says and can be repeated or cut off.
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from merge_bot.activity import Activity
from merge_bot.api import Api, ForgeError
from merge_bot.audit import Audit
from merge_bot.health import Health
from merge_bot.reader import Candidate, Reader
from merge_bot.settings import Settings, secret
from mlplatform.pulls import gitea
from mlplatform.pulls.model import Push, pushes_of
from mlplatform.pulls.rules import CI_WORKFLOW, Rules
from mlplatform.pulls.verdict import Verdict, ready

READY = "ready"
MOST_DESCRIPTION = 250
# How long others wait for the gate's word on a branch that was brought up to date.
TURN = timedelta(minutes=30)
# Gitea says so while it still tries whether a branch merges.
TRY_AGAIN = "try again later"
MOST_TRIES = 60

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Judged:
    candidate: Candidate
    verdict: Verdict

    @property
    def number(self) -> int:
        return self.candidate.pull.number


class Bot:
    """Merges what is ready."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._api = Api(settings.forge_url, settings.repository, lambda: secret(settings.token_file))
        self._reader = Reader(self._api)
        self._activity = Activity(self._api)
        self._audit = Audit(self._api, self._reader)
        # What could not be judged and was said so, by head.
        self._told: dict[str, str] = {}
        self._tries: Counter[str] = Counter()
        # Branches that did not merge with a main: asking again changes nothing until one of the two moves.
        self._conflicts: set[tuple[str, str]] = set()
        # Whether main checks itself, by its commit.
        self._checks = ("", False)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def turn(self) -> bool:
        """Look at everything once; whether there is more to do at once. Raises ForgeError and SettingsError."""
        main = self._reader.main()
        if not main:
            return False
        rules = self._rules(main)
        pushes = self._activity.refresh()
        judged = [one for one in (self._judge(entry, main, pushes, rules) for entry in self._reader.open()) if one]
        self._health.open.set(len(judged))
        again = self._advance(judged, main, pushes, rules)
        self._audit.look(pushes, rules)
        return again

    def _rules(self, main: str) -> Rules:
        """What is asked now. A main from before the repository checked itself has nobody who sets that status."""
        if self._checks[0] != main:
            self._checks = (main, self._reader.has(CI_WORKFLOW, main))
        rules = self._settings.rules()
        return rules.with_checks() if self._checks[1] else rules

    def _judge(self, entry: dict[str, Any], main: str, pushes: list[Push], rules: Rules) -> _Judged | None:
        try:
            candidate = self._reader.complete(entry, main, pushes, rules)
        except Exception as error:
            # Whatever one pull request holds, it must not hold up the others.
            self._health.errors.inc()
            _log.warning("#%s cannot be judged: %r", entry.get("number"), error)
            self._tell(entry, error, rules)
            return None
        verdict = ready(candidate.pull, rules)
        if not verdict.ready:
            self._say(candidate, "pending", f"missing: {'; '.join(verdict.missing)}", rules)
        return _Judged(candidate, verdict)

    def _tell(self, entry: dict[str, Any], error: Exception, rules: Rules) -> None:
        """Say once that a pull request cannot be judged."""
        head = str(entry["head"]["sha"])
        why = str(error) if isinstance(error, ForgeError) else type(error).__name__
        if self._told.get(head) != why:
            candidate = Candidate(gitea.pull(entry, self._settings.repository), behind=False, url="")
            if self._say(candidate, "pending", f"missing: it cannot be read: {why}", rules):
                self._told[head] = why

    def _advance(self, judged: list[_Judged], main: str, pushes: list[Push], rules: Rules) -> bool:
        """Merge the first that is ready and up to date; else bring the first that is ready up to date."""
        queue = sorted((one for one in judged if one.verdict.ready), key=_order)
        ahead = self._ahead(judged, rules)
        merged = updated = again = False
        for one in queue:
            candidate = one.candidate
            key = (candidate.pull.head, main)
            if not candidate.behind and not (merged or again):
                merged, again = self._merge(one, pushes, rules)
            elif not candidate.behind and again:
                continue
            elif key in self._conflicts:
                self._say(candidate, "pending", "missing: it conflicts with main: merge main into the branch", rules)
            elif ahead or merged or updated or again:
                first = f" after #{ahead}" if ahead else ""
                self._say(candidate, "pending", f"approved; waits its turn to be brought up to date{first}", rules)
            else:
                updated = self._update(one, key, rules)
        return merged or updated or again

    def _ahead(self, judged: list[_Judged], rules: Rules) -> int:
        """The pull request that was brought up to date and whose judgement is awaited, 0 where there is none."""
        now = time.time()
        for one in judged:
            pull = one.candidate.pull
            last = pull.pushes[-1] if pull.pushes else None
            # The lock that the judge commits belongs to the same turn.
            if not one.verdict.only_waits or last is None or last.account not in (rules.merger, rules.judge):
                continue
            if any(push.account == rules.merger for push in pull.pushes) and now - last.time.timestamp() < TURN.seconds:
                return pull.number
        return 0

    def _merge(self, one: _Judged, pushes: list[Push], rules: Rules) -> tuple[bool, bool]:
        """Merge; whether that was done, and whether it is to be tried again at once."""
        pull = one.candidate.pull
        # What was read belongs to one head only if the branch did not move meanwhile, there and back.
        if pushes_of(pull.branch, self._activity.refresh()) != pushes_of(pull.branch, pushes):
            return False, True
        people = " and ".join(one.verdict.approved_by)
        if not self._say(one.candidate, "success", f"approved by {people}", rules):
            return False, False
        try:
            request = {"Do": "merge", "head_commit_id": pull.head}
            self._api.call("POST", f"pulls/{pull.number}/merge", request)
        except ForgeError as error:
            self._tries[pull.head] += 1
            if TRY_AGAIN in error.detail.lower() and self._tries[pull.head] <= MOST_TRIES:
                return False, True
            self._health.errors.inc()
            _log.warning("#%d was not merged: %s", pull.number, error)
            return False, False
        self._health.merges.inc()
        _log.info("merged #%d at %s, approved by %s", pull.number, pull.head, people)
        del self._tries[pull.head]
        return True, False

    def _update(self, one: _Judged, key: tuple[str, str], rules: Rules) -> bool:
        """Merge main into the branch."""
        pull = one.candidate.pull
        self._say(one.candidate, "pending", "approved; is being brought up to date with main", rules)
        try:
            self._api.call("POST", f"pulls/{pull.number}/update", parameters={"style": "merge"})
        except ForgeError as error:
            if error.status == 409:
                self._conflicts = {known for known in self._conflicts if known[1] == key[1]} | {key}
                self._say(
                    one.candidate, "pending", "missing: it conflicts with main: merge main into the branch", rules
                )
            else:
                self._health.errors.inc()
                _log.warning("#%d was not brought up to date: %s", pull.number, error)
            return False
        self._health.updates.inc()
        _log.info("brought #%d up to date with main", pull.number)
        return True

    def _say(self, candidate: Candidate, state: str, description: str, rules: Rules) -> bool:
        """Set the status `ready` of the head, unless that is what it says; whether it stands."""
        if len(description) > MOST_DESCRIPTION:
            description = f"{description[: MOST_DESCRIPTION - 3]}..."
        if candidate.ready_said == (rules.merger, state, description):
            return True
        body = {"context": READY, "state": state, "description": description, "target_url": candidate.url}
        try:
            self._api.call("POST", f"statuses/{candidate.pull.head}", body)
        except ForgeError as error:
            self._health.errors.inc()
            _log.warning("#%d: the status was not set: %s", candidate.pull.number, error)
            return False
        _log.info("#%d %s: %s: %s", candidate.pull.number, candidate.pull.head[:10], state, description)
        return True


def _order(one: _Judged) -> tuple[float, int]:
    at = one.verdict.approved_at
    return (at.timestamp() if at else 0.0, one.number)
