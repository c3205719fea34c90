"""Whom the module takes the repository from; what it does to them is tried on a real Gitea (test_forge_objects.py)."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


class Api:
    """Answers by method and path, and keeps what was asked."""

    url = "http://forge/api/v1"

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.asked = answers, list[str]()

    def ask(self, method: str, path: str) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if method == "DELETE":
            return 204, None
        place, _, query = path.partition("?")
        found = self.answers.get(place)
        if found is None:
            return 404, "no such thing"
        page = int(query.rpartition("page=")[2])
        return 200, found[(page - 1) * 50 : page * 50]


@pytest.fixture
def module(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("forge_collaborators")


def test_strangers_are_those_that_are_not_listed_whatever_the_case(module: ModuleType) -> None:
    many = [{"login": f"person-{number:03}"} for number in range(100)]
    api = Api({"repos/ml/p/collaborators": [*many, {"login": "Ada"}, {"login": "eve"}]})
    listed = ["ada", *(one["login"] for one in many)]
    assert module.Forge(api, "ml/p").strangers(listed) == ["eve"]
    assert len(api.asked) == 3


def test_tokens_go_before_access(module: ModuleType) -> None:
    api = Api({"users/eve/tokens": [{"id": 3}, {"id": 4}]})
    module.Forge(api, "ml/p").remove("eve")
    assert [one for one in api.asked if one.startswith("DELETE")] == [
        "DELETE users/eve/tokens/3",
        "DELETE users/eve/tokens/4",
        "DELETE repos/ml/p/collaborators/eve",
    ]


def test_an_answer_that_nobody_expects_is_an_error(module: ModuleType) -> None:
    with pytest.raises(module.ForgeError, match="GET http://forge/api/v1/repos/ml/p/collaborators"):
        module.Forge(Api({}), "ml/p").strangers([])
