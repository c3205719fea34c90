"""The pull requests that take back merges that nobody allowed.

The bot alone merges, and reports what others merged (`merge_bot.audit`). The account that merges must propose nothing,
so the one that proposes opens these; they are judged and approved like any other.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from urllib.parse import quote

import forge
from ci import environment, git
from ci.evidence import MAIN
from ci.failure import Failure
from forge import Forge, ForgeError, PullRequest
from forge.http import Session
from mlplatform.pulls import gitea, merges
from mlplatform.pulls.model import Comment, Merge
from mlplatform.pulls.rules import MERGER

# Of main's newest commits. What is older than that was looked at by the runs before.
MOST = 50


class Reader:
    """What a Gitea authenticated of main's merges."""

    def __init__(self, url: str, repository: str, token: str) -> None:
        self._session = Session(f"{url}/api/v1", forge.Token(token))
        self._repository = f"/repos/{repository}"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def since(self) -> datetime | None:
        """When the bot's account was made, `None` where there is none."""
        answer = self._session.find(f"/users/{quote(MERGER)}")
        return None if answer is None else gitea.moment(answer["created"])

    def merge(self, sha: str) -> Merge | None:
        """The merge that made a commit of main, `None` of another commit."""
        answer = self._session.find(f"{self._repository}/commits/{sha}/pull")
        return None if answer is None else gitea.merge(answer, MAIN)

    def comments(self, number: int) -> list[Comment]:
        """The comments of a pull request."""
        return [gitea.comment(one) for one in self._session.pages(f"{self._repository}/issues/{number}/comments")]


def look(place: environment.Place, token: str, repository: git.Repository, *, everything: bool) -> None:
    """`propose` for main's commit that is checked out, where a bot merges at all: on Gitea.

    What fails in it is said and keeps nothing else from being done: the bot has reported the merge with its own means.
    """
    if place.kind != "gitea":
        return
    tip = repository.commit("HEAD")
    assert tip is not None
    reader, remote = Reader(place.url, place.repository, token), git.Remote(place.clone_url, token)
    with closing(reader), closing(place.connect(token)) as client:
        try:
            propose(client, reader, repository, remote, tip, everything=everything)
        except (Failure, ForgeError) as error:
            print(f"warning: not all that was merged without the bot is proposed for revert: {error}")


def unallowed(reader: Reader, commits: Sequence[str], everything: bool) -> Iterator[Merge]:
    """The merges among main's `commits`, the newest first, that nobody allowed.

    Unless `everything` is to be looked at, those since the newest one that the bot made.
    """
    since = reader.since()
    if since is None:
        # Without a bot, people merge.
        return
    for sha in commits:
        if (merge := reader.merge(sha)) is None:
            continue
        finding = merges.look(merge, since, reader.comments)
        if finding is None and not everything:
            return
        if finding and finding.record is None:
            yield merge


def propose(
    client: Forge, reader: Reader, repository: git.Repository, remote: git.Remote, tip: str, *, everything: bool
) -> None:
    """Have one pull request for each merge that nobody allowed and that main, whose commit is `tip`, is not rid of.

    One that a person closed is not opened again. Raises `Failure` and `ForgeError`.
    """
    for merge in unallowed(reader, repository.first_parents(tip, MOST), everything):
        _propose(client, repository, remote, tip, merge)


def _propose(client: Forge, repository: git.Repository, remote: git.Remote, tip: str, merge: Merge) -> None:
    what = f"#{merge.number}, which {merge.account or 'a deleted account'} merged without the bot,"
    tree = repository.without(merge.sha, tip)
    if tree == repository.tree(tip):
        print(f"{MAIN} is rid of {what} already")
        return
    branch = f"revert/{merge.sha[:12]}"
    if known := _known(client, branch, title(merge)):
        state = "is open" if known.open else "was merged" if known.merged else "was closed: reopen it if it is wanted"
        print(f"#{known.number}, which takes back {what} {state}: {known.url}")
        return
    if tree is None:
        print(f"{what} is not taken back without a person: the bot's comment there has the commands")
        return
    commit = repository.commit_tree(tip, f"{title(merge)}\n", tree, git.PROPOSER)
    # A run that ended before it opened the pull request left its branch.
    repository.push(remote, commit, branch, replace=True)
    try:
        opened = client.create_pull_request(title(merge), body(merge), branch, MAIN)
    except ForgeError as error:
        # Another run has just opened it.
        if error.status != 409:
            raise
    else:
        print(f"#{opened.number} {opened.title}: {opened.url}")


def _known(client: Forge, branch: str, wanted: str) -> PullRequest | None:
    """The pull request of this branch or title that this account opened, whatever became of it."""
    account = client.account()
    for pulls in (client.pull_requests(MAIN), client.closed_pull_requests(MAIN)):
        for pull in pulls:
            # Others may change the title, and the forge forgets the name of a branch that was deleted.
            if pull.author == account and (pull.head_branch == branch or pull.title == wanted):
                return pull
    return None


def title(merge: Merge) -> str:
    """What merging it does. No other merge has it."""
    return f"Revert #{merge.number} ({merge.sha[:12]}), which nobody allowed"


def body(merge: Merge) -> str:
    """The pull request's text."""
    return (
        f"`{merge.account or 'a deleted account'}` merged #{merge.number} into {MAIN} ({merge.sha}). Only `{MERGER}` "
        "may, and no administrator left a record of it (`docs/runbooks/main-is-locked-out.md`), so nobody was asked "
        "for an approval.\n\nMerging this takes back what it changed; what came after it stays. To keep it, close this "
        "and say here why: it is not proposed again.\n"
    )
