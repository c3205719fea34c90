"""The judgement: is a pull request ready to be merged, and if not, what is missing."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mlplatform.pulls.model import Comment, Pull, Review, Status, heads, on_record
from mlplatform.pulls.rules import CI, Rules

APPROVED, CHANGES_REQUESTED = "APPROVED", "REQUEST_CHANGES"
# With either the gate says that main's code cannot judge a change, and that an owner has to. A forge cuts long
# descriptions off at their end.
OWNER_IS_ASKED = ("main cannot judge ", "an owner's approval is asked")
MERGE = "/merge"
STICKY = "<!-- ml-platform:"
MOST_PATHS = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """`missing`: sentences without a full stop, none when ready. `approved_at`: when the last approval that was needed
    was given, `None` as long as one is missing. `only_waits`: nothing but a judgement that is under way is missing.
    """

    missing: tuple[str, ...]
    approved_at: datetime | None = None
    approved_by: tuple[str, ...] = ()
    only_waits: bool = False

    @property
    def ready(self) -> bool:
        return not self.missing


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What the judge says of one head in one context, and since when."""

    state: str
    description: str
    since: datetime

    @property
    def asks_an_owner(self) -> bool:
        return asks_an_owner(self.state, self.description)

    @property
    def stands(self) -> bool:
        return self.state == "success" or self.asks_an_owner


def asks_an_owner(state: str, description: str) -> bool:
    """Whether a status says that main cannot judge, so that an owner has to."""
    start, text = OWNER_IS_ASKED
    return state == "pending" and (description.startswith(start) or text in description)


@dataclass(frozen=True, slots=True)
class _Approval:
    account: str
    time: datetime


def ready(pull: Pull, rules: Rules) -> Verdict:
    """Judge a pull request by every rule."""
    blocks = [*_branch(pull, rules), *_objections(pull, rules)]
    waits, refusals = _gate(pull, rules)
    approvals, without = _approvals(pull, rules)
    asks = _questions(pull, rules)
    enough_at, lacks = _enough(pull, rules, approvals, without, asks)
    missing = (*blocks, *refusals, *waits, *lacks)
    return Verdict(
        missing,
        enough_at,
        tuple(sorted({one.account for one in approvals})) if enough_at else (),
        only_waits=bool(waits) and not (blocks or refusals or lacks),
    )


def _branch(pull: Pull, rules: Rules) -> list[str]:
    """What is wrong with the branch, whatever the gate says of it."""
    found = []
    if pull.fork:
        found.append("it comes from a fork: a member pushes the branch to this repository")
    if pull.draft:
        found.append("it is a draft")
    if not pull.fork and not on_record(pull.pushes, pull.head):
        found.append(
            f"the forge's record does not say who pushed each commit up to {pull.head[:10]}: push the branch under "
            "another name and open a pull request of that"
        )
    platform = {rules.proposer, rules.merger, rules.judge}
    strangers = sorted(_pushers(pull) - platform)
    if pull.author in platform and strangers:
        found.append(
            f"{pull.author} proposes this, but {' and '.join(strangers)} pushed to its branch: close it, and open "
            "one of your own for your change"
        )
    return found


def _objections(pull: Pull, rules: Rules) -> list[str]:
    newest: dict[str, Review] = {}
    for review in sorted(pull.reviews, key=lambda one: one.id):
        if review.state in (APPROVED, CHANGES_REQUESTED) and not review.dismissed:
            newest[review.account] = review
    return [
        f"{account} asks for changes"
        for account, review in sorted(newest.items())
        if review.state == CHANGES_REQUESTED and (account in rules.people.all or review.counts_at_forge)
    ]


def _judgement(pull: Pull, rules: Rules, context: str, sha: str) -> _Judgement | None:
    """What the judge's newest status says, `None` where it has set none; anybody else's count nothing."""
    own = [one for one in pull.statuses if (one.sha, one.account, one.context) == (sha, rules.judge, context)]
    own.sort(key=lambda one: one.id, reverse=True)
    if not own:
        return None
    newest, since = own[0], own[0].time
    for status in own:
        # Said again, it is no new judgement that people would have to approve again.
        if (status.state, status.description) != (newest.state, newest.description):
            break
        since = status.time
    return _Judgement(newest.state, newest.description, since)


def _gate(pull: Pull, rules: Rules) -> tuple[list[str], list[str]]:
    """What the gate has yet to say, and what it says against the head."""
    waits, refusals = [], []
    for context in rules.contexts:
        found = _judgement(pull, rules, context, pull.head)
        if found is None:
            if context in rules.required:
                waits.append(f"{context}: {rules.judge} has not judged {pull.head[:10]} yet")
        elif found.state == "pending" and not found.asks_an_owner:
            waits.append(f"{context}: {found.description or 'pending'}")
        elif not found.stands:
            refusals.append(f"{context}: {found.description or found.state}")
    said = [one for one in pull.statuses if one.sha == pull.head and one.account == rules.judge]
    changed = _changed_since(pull, rules, said)
    if changed and not waits:
        refusals.append(
            f"{rules.judge}'s comment {changed.id} was changed after the judgement it shows, so nobody can tell what "
            "was approved: push a new commit"
        )
    return waits, refusals


def _changed_since(pull: Pull, rules: Rules, said: list[Status]) -> Comment | None:
    """A comment of the judge that was changed after all that it said of the head: it comments first, then judges."""
    last = max((one.time for one in said), default=datetime.max.replace(tzinfo=UTC))
    own = [one for one in pull.comments if one.account == rules.judge and one.updated > last]
    # One that was written later and is no report, such as a word that it is superseded, changes nothing.
    return next((one for one in own if one.edited or one.body.lstrip().startswith(STICKY)), None)


def _judged_at(pull: Pull, rules: Rules, sha: str) -> datetime | None:
    """Since when what people approve of a head stands, `None` while it does not."""
    times = []
    for context in rules.contexts:
        found = _judgement(pull, rules, context, sha)
        if found is None and context in rules.optional:
            continue
        # Whether tests pass is nothing that people approve: it must stand when all is merged, not when they looked.
        if context == CI and not (found and found.asks_an_owner):
            continue
        if found is None or not found.stands:
            return None
        times.append(found.since)
    return max(times)


def _pushers(pull: Pull) -> frozenset[str]:
    return frozenset(push.account for push in pull.pushes)


def _authors(pull: Pull) -> dict[str, str]:
    """Who had a part in the change, by account, and which."""
    part = {account: "wrote a commit of it" for commit in pull.commits for account in commit.people}
    part |= dict.fromkeys(pull.elsewhere | _pushers(pull), "pushed a commit of it")
    return part | {pull.author: "opened it"}


def _approvals(pull: Pull, rules: Rules) -> tuple[list[_Approval], list[str]]:
    """The approvals that count, and why others do not."""
    same = heads(pull.pushes, pull.head, frozenset({rules.judge, rules.merger}))
    judged = {sha: _judged_at(pull, rules, sha) for sha in same}
    if rules.people.approvals == 0:
        return _asked_for(pull, rules, judged), []
    authors = _authors(pull)
    counted: dict[str, _Approval] = {}
    without: dict[str, str] = {}
    decisive = [one for one in pull.reviews if one.state in (APPROVED, CHANGES_REQUESTED)]
    for review in sorted(decisive, key=lambda one: one.id):
        account = review.account
        counted.pop(account, None)
        without.pop(account, None)
        if review.state != APPROVED:
            continue
        since = judged.get(review.commit)
        if review.dismissed:
            without[account] = f"{account}'s approval was dismissed"
        elif account not in rules.people.all:
            without[account] = f"{account} approved, but is no member or owner in cluster.yaml"
        elif account in authors:
            without[account] = f"{account} approved, but {authors[account]}"
        elif review.commit not in judged:
            without[account] = f"{account} approved {review.commit[:10]}, and the branch has changed since"
        elif since is None or review.time < since:
            without[account] = f"{account} approved {review.commit[:10]} before the gate had judged it"
        else:
            counted[account] = _Approval(account, review.time)
    return list(counted.values()), list(without.values())


def _asked_for(pull: Pull, rules: Rules, judged: dict[str, datetime | None]) -> list[_Approval]:
    """Comments `/merge` of listed people, given after this content was judged."""
    times = [time for time in judged.values() if time]
    if not times:
        return []
    found: dict[str, _Approval] = {}
    for comment in pull.comments:
        plain = comment.body.strip() == MERGE and not comment.edited
        if plain and comment.account in rules.people.all and comment.created >= min(times):
            found.setdefault(comment.account, _Approval(comment.account, comment.created))
    return list(found.values())


def _questions(pull: Pull, rules: Rules) -> tuple[str, ...]:
    """The contexts in which the gate asks for an owner."""
    found = {context: _judgement(pull, rules, context, pull.head) for context in rules.contexts}
    return tuple(context for context, one in found.items() if one and one.asks_an_owner)


def _enough(
    pull: Pull, rules: Rules, approvals: list[_Approval], without: list[str], asks: tuple[str, ...]
) -> tuple[datetime | None, list[str]]:
    """When there were enough approvals, and what is missing to them."""
    needed = max(rules.people.approvals, 1)
    owned = rules.owned_of(pull.paths, pull.sections)
    # What the gate asked of an owner must have been asked when he approved: on this head, after its judgement.
    since = _judged_at(pull, rules, pull.head) if asks else None
    by_owners = [one for one in approvals if one.account in rules.people.owners]
    answers = [one for one in by_owners if since is None or one.time >= since]
    lacks = []
    if len(approvals) < needed:
        lacks.append(_lack(rules, needed - len(approvals), without))
    if asks and (not answers or since is None):
        lacks.append(f"an owner's approval of {pull.head[:10]}: {', '.join(asks)} cannot judge this")
    elif owned and not by_owners:
        shown = ", ".join(owned[:MOST_PATHS]) + (", ..." if len(owned) > MOST_PATHS else "")
        lacks.append(f"an owner's approval of {shown}")
    if lacks:
        return None, lacks
    at = sorted(one.time for one in approvals)[needed - 1]
    if asks:
        at = max(at, min(one.time for one in answers))
    elif owned:
        at = max(at, min(one.time for one in by_owners))
    return at, []


def _lack(rules: Rules, count: int, without: list[str]) -> str:
    if rules.people.approvals == 0:
        return f"the comment {MERGE} of a member or owner, given after the gate's judgement"
    asked = "an approval" if count == 1 else f"{count} approvals"
    reasons = f" ({'; '.join(sorted(without))})" if without else ""
    return f"{asked} by somebody else{reasons}"
