"""A long run of pulumi: what is shown and what it comes to. A change of plugins is tried with the engine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli import pulumi

OUTPUT = """Updating (dev):
@ updating....
 +  aws:s3:Bucket data creating

Resources:
    + 2 created
    1 unchanged

Duration: 3s
"""


class Context:
    """A step that runs nothing and keeps what it is told."""

    def __init__(self, said: str) -> None:
        self.said, self.shown = said, list[str]()

    def progress(self, text: str) -> None:
        self.shown.append(text)

    def command(
        self, *command: str, environment: object, folder: Path, on_line: Callable[[str], None], fix: str
    ) -> str:
        assert (command, fix) == (pulumi.UP, "again")
        for line in self.said.splitlines():
            on_line(line)
        return self.said


@pytest.mark.parametrize(("said", "resources"), [(OUTPUT, "+ 2 created, 1 unchanged"), ("nothing\n", "")])
def test_what_it_says_of_resources_is_returned_and_its_dots_are_not_shown(
    said: str, resources: str, tmp_path: Path
) -> None:
    context = Context(said)
    found = pulumi.run(context, pulumi.UP, {}, tmp_path, "again")  # type: ignore[arg-type] - all that is used of one
    assert found == resources
    assert not [line for line in context.shown if line.startswith("@")]
    assert context.shown[0] == said.splitlines()[0]
