"""The record of a merge that an administrator made past the rules: a comment on its pull request, written before it."""

from collections.abc import Iterable
from dataclasses import dataclass

from mlplatform.pulls.model import Comment

MARKER = "<!-- ml-platform:merged-anyway -->"
WHO, HEAD, WHY = "- who: ", "- head: ", "- why: "
MOST_WHY = 500


@dataclass(frozen=True, slots=True)
class Record:
    """Who merged which head past the rules, and why."""

    who: str
    head: str
    why: str

    def render(self) -> str:
        """The comment's text."""
        title = "## Merged past the rules"
        text = "An administrator merges this head without the bot (`docs/runbooks/main-is-locked-out.md`)."
        facts = f"{WHO}{one_line(self.who)}\n{HEAD}{self.head}\n{WHY}{one_line(self.why)}"
        return f"{MARKER}\n{title}\n\n{text}\n\n{facts}\n"


def one_line(text: str) -> str:
    """Text as one plain line that mentions nobody and marks up nothing."""
    plain = " ".join(text.split())[:MOST_WHY]
    for character, entity in {"&": "&amp;", "<": "&lt;", "[": "&#91;", "`": "&#96;", "@": "@&#8203;"}.items():
        plain = plain.replace(character, entity)
    return plain


def parse(body: str) -> Record | None:
    """The record in a comment's text, `None` where it is none."""
    text = body.replace("\r\n", "\n")
    if not text.startswith(f"{MARKER}\n"):
        return None
    facts: dict[str, str] = {}
    for line in text.splitlines():
        for key in (WHO, HEAD, WHY):
            if line.startswith(key):
                facts.setdefault(key, line.removeprefix(key).strip())
    if not all(facts.get(key) for key in (WHO, HEAD, WHY)):
        return None
    return Record(facts[WHO], facts[HEAD], facts[WHY])


def find(comments: Iterable[Comment], administrators: frozenset[str], head: str) -> Record | None:
    """The record of `head`'s merge that an administrator wrote and nobody changed."""
    for comment in comments:
        record = parse(comment.body)
        if record and record.head == head and comment.account in administrators and not comment.edited:
            return record
    return None
