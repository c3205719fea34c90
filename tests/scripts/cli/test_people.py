"""Who plays which part in the demo."""

import pytest

from cli.people import Cast
from settings import People


@pytest.mark.parametrize(
    ("owners", "members", "approvals", "proposer", "approvers"),
    [
        (["owner"], ["member"], 1, "member", ("owner",)),
        (["ada", "bob"], [], 1, "bob", ("ada",)),
        (["ada"], ["bob", "carol", "dan"], 2, "bob", ("ada", "carol")),
        (["ada"], [], 0, "ada", ()),
    ],
)
def test_a_member_proposes_and_others_approve_owners_first(
    owners: list[str], members: list[str], approvals: int, proposer: str, approvers: tuple[str, ...]
) -> None:
    people = People(owners=owners, members=members, approvals=approvals)
    assert Cast.of(people) == Cast(proposer, approvers)
