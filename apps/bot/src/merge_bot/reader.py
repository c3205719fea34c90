"""Reads open pull requests into the model."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from merge_bot.api import Api, part
from mlplatform.pulls import gitea, sections
from mlplatform.pulls.model import Comment, Pull, Push, heads, pushes_of
from mlplatform.pulls.rules import Rules

MAIN = "main"
# Earlier heads that an approval may have been given on.
MOST_HEADS = 20


@dataclass(frozen=True)
class Candidate:
    """A pull request and where it stands to main. `ready_said`: what the newest status `ready` of its head says."""

    pull: Pull
    behind: bool
    url: str
    ready_said: tuple[str, str, str] = ("", "", "")


class Reader:
    """Asks the forge for what is judged."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def main(self) -> str:
        """Main's commit, empty where it has none yet."""
        answer = self._api.find(f"branches/{MAIN}")
        return str(answer["commit"]["id"]) if answer else ""

    def has(self, path: str, ref: str) -> bool:
        """Whether a commit has a file."""
        return self._file(path, ref) is not None

    def open(self) -> list[dict[str, Any]]:
        """The open pull requests into main, oldest first, as the forge gives them."""
        entries = [one for page in self._api.pages("pulls", {"state": "open"}, skip_big=True) for one in page]
        return sorted((one for one in entries if one["base"]["ref"] == MAIN), key=lambda one: int(one["number"]))

    def complete(self, entry: dict[str, Any], main: str, pushes: Sequence[Push], rules: Rules) -> Candidate:
        """One of `open` with all that is judged. `pushes`: the repository's."""
        plain = gitea.pull(entry, self._api.repository)
        place = f"pulls/{plain.number}"
        options = {"stat": "false", "verification": "false", "files": "false"}
        commits = tuple(gitea.commit(one) for one in self._api.all(f"{place}/commits", options))
        own = () if plain.fork else pushes_of(plain.branch, pushes)
        shas = {one.sha for one in commits}
        elsewhere = {
            push.account for push in pushes if push.branch != plain.branch and shas & {push.new, *push.commits}
        }
        paths = gitea.paths(self._api.all(f"{place}/files"))
        behind = self._behind(plain.head, main)
        same = heads(own, plain.head, frozenset({rules.judge, rules.merger}))[:MOST_HEADS]
        statuses = tuple(
            gitea.status(one, sha) for sha in same for one in self._api.all(f"commits/{sha}/statuses") if one
        )
        pull = replace(
            plain,
            pushes=own,
            elsewhere=frozenset(elsewhere),
            commits=commits,
            paths=paths,
            sections=self._sections(paths, entry["merge_base"] if behind else main, plain.head, rules),
            reviews=tuple(gitea.review(one) for one in self._api.all(f"{place}/reviews") if one.get("submitted_at")),
            statuses=statuses,
            comments=self.comments(plain.number),
        )
        said = max((one for one in statuses if one.sha == plain.head and one.context == "ready"), key=_id, default=None)
        shown = (said.account, said.state, said.description) if said else ("", "", "")
        return Candidate(pull, behind, str(entry.get("html_url") or ""), shown)

    def comments(self, number: int) -> tuple[Comment, ...]:
        """The comments of a pull request."""
        return tuple(gitea.comment(one) for one in self._api.all(f"issues/{number}/comments"))

    def _behind(self, head: str, main: str) -> bool:
        answer = self._api.call("GET", f"compare/{head}...{main}")
        return int(answer["total_commits"]) > 0

    def _sections(self, paths: tuple[str, ...], before: str, head: str, rules: Rules) -> tuple[str, ...]:
        files = sorted({one.partition(": ")[0] for one in rules.owned_sections} & set(paths))
        return tuple(
            section
            for path in files
            for section in sections.changed(
                path, self._file(path, before), self._file(path, head), rules.owned_sections
            )
        )

    def _file(self, path: str, ref: str) -> bytes | None:
        answer = self._api.find(f"contents/{'/'.join(part(one) for one in path.split('/'))}", {"ref": ref})
        if not isinstance(answer, dict) or answer.get("encoding") != "base64":
            return None
        return base64.b64decode(answer.get("content") or "")


def _id(status: Any) -> int:
    return int(status.id)
