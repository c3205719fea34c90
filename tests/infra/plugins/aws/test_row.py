"""The engine behind every row: names, patience, and what a create that fails half-way leaves."""

import re
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from plugins.aws.calls import Call, Change, Describe, Wait
from plugins.aws.fields import camel, local
from plugins.aws.provider import Aws
from plugins.aws.row import UNKNOWN, ApiRow, Auto, Type
from plugins.aws.tagging import by_arn
from plugins.server import Deadline, InitializationError, ProviderError
from plugins.wire import differences

THING = Type(
    "aws:test/bigThing:BigThing",
    "test",
    (
        camel("name", fixed=True),
        camel("size", default=1),
        camel("mode", later=True, default="off"),
        camel("places", kind="set"),
        local("force"),
    ),
    create=Call("create_thing", body=True),
    identifier="{name}",
    read=(Describe("describe_thing", "thing", name="{id}"),),
    changes=(
        Change(("size",), Call("resize_thing", body=("size",), name="{id}")),
        Change(("mode",), Call("set_mode", body=("mode",), name="{id}"), unset=Call("clear_mode", name="{id}")),
    ),
    delete=Call("delete_thing", name="{id}"),
    outputs={"arn": "arn", "revision": "revision"},
    tagging=by_arn("{arn}"),
    wait=Wait("status", ready=("ACTIVE",), pending=("CREATING",), lingers=True, reason="why"),
    auto=Auto(limit=20),
    unique=("name",),
    volatile=("revision",),
)
LIVE = {"name": "n", "arn": "arn:n", "revision": 1, "status": "ACTIVE", "size": 1, "mode": "off", "tags": {}}


def error(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class Client:
    """Answers each operation with what it is told to, in turn, the last for ever; and keeps the calls."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers, self.calls = {"describe_thing": [{"thing": LIVE}], **answers}, list[tuple[str, dict[str, Any]]]()

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.calls.append((operation, parameters))
            answers = self.answers.get(operation, [{}])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def named(self) -> list[str]:
        return [operation for operation, _ in self.calls if operation != "describe_thing"]


def row(client: Client) -> ApiRow:
    aws = Aws()
    aws._clients["test"] = client
    return ApiRow(aws, THING)


def thing(**changed: Any) -> dict[str, Any]:
    return {"thing": {**LIVE, **changed}}


def test_a_name_is_made_from_the_resources_and_kept() -> None:
    made = row(Client()).completed("a-very-long-resource-name", {"size": 2}, {})
    assert re.fullmatch(r"a-very-long--[0-9a-f]{7}", made["name"])
    assert made["__defaults"] == ["name"]
    again = row(Client()).completed("a-very-long-resource-name", {"size": 3}, made)
    assert again["name"] == made["name"]
    assert row(Client()).completed("x", {}, {})["name"] != row(Client()).completed("x", {}, {})["name"]
    assert row(Client()).completed("x", {"name": "mine"}, {}) == {"name": "mine"}


def test_the_order_of_a_set_is_no_change() -> None:
    inputs = row(Client()).completed("x", {"name": "n", "places": ["a", "b"]}, {"name": "n", "places": ["b", "a"]})
    assert inputs["places"] == ["b", "a"]


def test_only_a_name_of_the_programs_own_is_in_the_way_of_its_successor() -> None:
    olds = {"name": "n"}
    assert row(Client()).same_identity(olds, {"name": "n"})
    assert not row(Client()).same_identity(olds, {"name": "m"})
    assert not row(Client()).same_identity(olds, {"name": "n", "__defaults": ["name"]})
    assert not list(differences({"name": "n"}, {"name": "n", "__defaults": ["name"]}))


def test_a_preview_knows_all_but_what_an_update_changes() -> None:
    outputs = row(Client()).foreseen({"size": 1, "arn": "a", "revision": 1}, {"size": 2})
    assert outputs == {"size": 2, "arn": "a", "revision": UNKNOWN}


def test_a_create_waits_and_sets_what_has_a_call_of_its_own() -> None:
    client = Client(describe_thing=[thing(status="CREATING"), thing(mode="on")])
    identifier, outputs = row(client).create(
        {"name": "n", "mode": "on", "tags": {"a": "b"}, "force": True}, Deadline(5)
    )
    assert client.calls[0] == ("create_thing", {"name": "n", "tags": {"a": "b"}})
    assert client.named() == ["create_thing", "set_mode"]
    assert (identifier, outputs["arn"], outputs["tagsAll"]) == ("n", "arn:n", {"a": "b"})


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"describe_thing": [thing(status="CREATE_FAILED", why="no room")]}, "big thing n is CREATE_FAILED: no room"),
        ({"describe_thing": [thing(status="CREATING")]}, "big thing n is CREATING after 1 s"),
        ({"set_mode": [error("Refused", "bad mode")]}, r"big thing n: bad mode \(Refused\)"),
    ],
)
def test_what_was_created_and_is_not_right_is_kept(answers: dict[str, list[Any]], reason: str) -> None:
    with pytest.raises(InitializationError, match=reason) as failed:
        row(Client(**answers)).create({"name": "n", "mode": "on"}, Deadline(0.6))
    assert failed.value.identifier == "n"


def test_what_was_kept_is_finished_by_the_next_update() -> None:
    client, inputs = Client(), {"name": "n", "mode": "on", "size": 1}
    row(client).update("n", inputs, inputs, Deadline(5))
    assert client.named() == ["set_mode"], "and nothing that is right already"


@pytest.mark.parametrize("code", ["LimitExceeded", "AccessDenied"])
def test_a_create_that_is_refused_leaves_nothing(code: str) -> None:
    client = Client(create_thing=[error(code, "not authorized, or too many")])
    with pytest.raises(ProviderError, match=rf"big thing n: not authorized, or too many \({code}\)"):
        row(client).create({"name": "n"}, Deadline(5))
    assert client.named() == ["create_thing"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidParameterException", "The role arn:x cannot be assumed by the service"),
        ("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
        ("MalformedPolicyDocument", "Invalid principal in policy"),
        ("OperationAborted", "A conflicting conditional operation is in progress"),
    ],
)
def test_what_is_not_known_everywhere_yet_is_tried_again(code: str, message: str) -> None:
    client = Client(create_thing=[error(code, message), {}])
    row(client).create({"name": "n"}, Deadline(5))
    assert client.named() == ["create_thing", "create_thing"]


def test_a_delete_waits_for_others_to_let_go_and_for_the_thing_to_be_gone() -> None:
    answers = [thing(status="DELETING"), error("ResourceNotFoundException")]
    client = Client(delete_thing=[error("DependencyViolation"), {}], describe_thing=answers)
    row(client).delete("n", {"name": "n"}, Deadline(5))
    assert client.named() == ["delete_thing", "delete_thing"]


def test_a_delete_says_what_is_still_there() -> None:
    with pytest.raises(ProviderError, match="big thing n is still DELETING after 0 s; run the command again"):
        row(Client(describe_thing=[thing(status="DELETING")])).delete("n", {"name": "n"}, Deadline(0.3))
    used = Client(delete_thing=[error("DependencyViolation", "has interfaces")])
    with pytest.raises(ProviderError, match="big thing n: has interfaces"):
        row(used).delete("n", {"name": "n"}, Deadline(0.3))


def test_cancelling_ends_the_wait() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(InitializationError, match="is CREATING"):
        row(Client(describe_thing=[thing(status="CREATING")])).create({"name": "n"}, Deadline(60, cancelled))


def test_an_update_calls_for_what_changed_and_nothing_else() -> None:
    client = Client()
    olds = {"name": "n", "size": 1, "mode": "on", "tags": {"a": "1", "b": "2"}}
    row(client).update("n", olds, {"name": "n", "size": 1, "tags": {"a": "3"}}, Deadline(5))
    assert [call for call in client.calls if call[0] != "describe_thing"] == [
        ("clear_mode", {"name": "n"}),
        ("untag_resource", {"resourceArn": "arn:n", "tagKeys": ["b"]}),
        ("tag_resource", {"resourceArn": "arn:n", "tags": {"a": "3"}}),
    ]


def test_a_property_that_is_left_out_gets_the_apis_default_back() -> None:
    client = Client()
    row(client).update("n", {"name": "n", "size": 3}, {"name": "n"}, Deadline(5))
    assert client.calls[1] == ("resize_thing", {"name": "n", "size": 1})


def test_an_update_of_what_is_gone_says_so() -> None:
    gone = Client(describe_thing=[error("ResourceNotFoundException")])
    with pytest.raises(ProviderError, match="big thing n is gone; run  pulumi refresh"):
        row(gone).update("n", {"name": "n"}, {"name": "n", "size": 2}, Deadline(5))


def test_tags_with_braces_are_plain_text() -> None:
    client = Client()
    row(client).update("n", {"name": "n"}, {"name": "n", "tags": {"a": "{arn}"}}, Deadline(5))
    assert client.calls[1] == ("tag_resource", {"resourceArn": "arn:n", "tags": {"a": "{arn}"}})


def test_tags_that_somebody_added_are_drift() -> None:
    tagged = Client(describe_thing=[thing(tags={"by": "hand", "aws:eks:cluster": "x"})])
    now, _ = row(tagged).read("n", {"name": "n"}, {}) or ({}, {})
    assert now == {"name": "n", "tags": {"by": "hand"}}


def test_only_what_has_these_tags_is_found() -> None:
    client = Client(describe_thing=[thing(tags={"a": "b"})])
    assert row(client).find({"name": "n", "tags": {"a": "b"}}) == ["n"]
    assert row(client).find({"name": "n", "tags": {"a": "c"}}) == []
    assert row(Client(describe_thing=[error("NotFound")])).find({"name": "n"}) == []
