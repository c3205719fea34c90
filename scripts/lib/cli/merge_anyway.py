"""Merge a pull request past the rules that protect main, and leave a record of who did it, which head, and why."""

import argparse
import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import forge
from cli import app, console, people
from cli.failure import BadInput, Failure
from forge.http import Session
from mlplatform.pulls import gitea, record
from mlplatform.pulls.record import Record
from settings import Cluster, Paths

MAIN = "main"
RULE = f"branch_protections/{MAIN}"
LEAST_WHY = 10
PATIENCE = 30
SHOWN_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Shown:
    """A record that lies on the forge."""

    number: int
    record: Record
    time: datetime


class Forge:
    """The forge as its administrator sees it."""

    def __init__(self, url: str, repository: str, user: str, password: str) -> None:
        self._session = Session(f"{url}/api/v1", forge.Password(user, password))
        self._repository = f"/repos/{repository}"
        self._user = user

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Call the repository's API. Raises Failure."""
        try:
            return self._session.json(method, f"{self._repository}/{path}", body)
        except forge.ForgeError as error:
            raise Failure(str(error), "docs/runbooks/main-is-locked-out.md has the same steps by hand") from None

    def pull(self, number: int) -> dict[str, Any]:
        """An open pull request into main. Raises BadInput."""
        found = self._session.find(f"{self._repository}/pulls/{number}")
        if found is None:
            raise BadInput(
                f"--pull {number}: there is no such pull request", "scripts/status shows the forge's address"
            )
        if found["state"] != "open" or found["base"]["ref"] != MAIN:
            raise BadInput(f"--pull {number}: it is not open into {MAIN}", "name one that is")
        return dict(found)

    @contextmanager
    def open_to_the_administrator(self) -> Iterator[None]:
        """Lets this account, and no other, merge past main's rule until the block ends."""
        rule = self._session.find(f"{self._repository}/{RULE}")
        if rule is None:
            raise Failure(f"{MAIN} is not protected, so nothing has to be bypassed", "run scripts/up: it protects it")
        before = {key: rule[key] for key in ("merge_whitelist_usernames", "block_admin_merge_override")}
        names = sorted({*(before["merge_whitelist_usernames"] or []), self._user})
        try:
            self.ask("PATCH", RULE, {"merge_whitelist_usernames": names, "block_admin_merge_override": False})
            yield
        finally:
            self._close(before)

    def _close(self, before: dict[str, Any]) -> None:
        try:
            self._session.json("PATCH", f"{self._repository}/{RULE}", before)
        except forge.ForgeError as error:
            raise Failure(
                f"{MAIN} is still open to {self._user}: {error}", "run scripts/up: it puts the protection back"
            ) from None

    def merge(self, number: int, head: str, trailers: str) -> None:
        """Merge past the rule. Raises Failure."""
        request = {"Do": "merge", "head_commit_id": head, "force_merge": True, "MergeMessageField": trailers}
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.ask("POST", f"pulls/{number}/merge", request)
            except Failure as failure:
                # The forge is still trying whether it merges.
                if "try again later" not in failure.message or time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return

    def records(self, since: datetime) -> list[Shown]:
        """The records written or changed since then, newest first. Raises ForgeError."""
        found = []
        entries = self._session.pages(
            f"{self._repository}/issues/comments", {"since": since.isoformat(timespec="seconds")}
        )
        for entry in entries:
            comment = gitea.comment(entry)
            said = record.parse(comment.body)
            if said and comment.account == self._user.casefold() and not comment.edited:
                number = int(str(entry["pull_request_url"] or "0").rpartition("/")[2])
                found.append(Shown(number, said, comment.created))
        return sorted(found, key=lambda one: one.time, reverse=True)


def merge(administrator: Forge, number: int, who: str, why: str) -> Record:
    """Write the record, then merge the head it names. Raises Failure."""
    head = str(administrator.pull(number)["head"]["sha"])
    written = Record(who, head, why)
    # First of all, so that there is no merge without it, whatever happens in between.
    administrator.ask("POST", f"issues/{number}/comments", {"body": written.render()})
    trailers = f"Merged-Anyway-By: {record.one_line(who)}\nMerged-Anyway-Because: {record.one_line(why)}"
    with administrator.open_to_the_administrator():
        administrator.merge(number, head, trailers)
    return written


def connect(cluster: Cluster, paths: Paths) -> Forge:
    """The forge of a cluster, as the administrator. Raises SettingsError where his password is missing."""
    login = people.administrator(paths)
    return Forge(cluster.forge.url, cluster.forge.repository, login.user, login.password)


def recent(cluster: Cluster, paths: Paths) -> list[Shown]:
    """The records of the last 30 days, newest first. Raises ForgeError and SettingsError."""
    administrator = connect(cluster, paths)
    try:
        return administrator.records(datetime.now(UTC) - SHOWN_FOR)
    finally:
        administrator.close()


def _act(arguments: argparse.Namespace) -> int:
    why = " ".join(arguments.why.split())
    if len(why) < LEAST_WHY:
        raise BadInput("--why: too short to tell others anything", f"say in {LEAST_WHY} letters or more what is broken")
    cluster = app.cluster(arguments.cluster)
    administrator = connect(cluster, Paths.from_environment())
    try:
        done = merge(administrator, arguments.pull, arguments.who, why)
    finally:
        administrator.close()
    console.out().print(f"merged #{arguments.pull} at {done.head[:10]}; its record is a comment there", markup=False)
    return 0


def main() -> int:
    """The verb."""
    parser = app.parser(
        "merge-anyway",
        "Merge a pull request past the rules that protect main, as the forge's administrator.\n"
        "For when the gate itself is broken: docs/runbooks/main-is-locked-out.md. Records who, which head and why.",
    )
    parser.add_argument("--pull", type=int, required=True, help="the pull request's number")
    parser.add_argument(
        "--why", required=True, help="what is broken; it stays on the pull request and in main's history"
    )
    login = os.environ.get("SUDO_USER") or getpass.getuser()
    parser.add_argument("--who", default=login, help="who decided it (default: %(default)s)")
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    return app.run(parser, _act)


if __name__ == "__main__":
    raise SystemExit(main())
