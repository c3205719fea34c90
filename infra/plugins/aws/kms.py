"""KMS: keys and their aliases. A deleted key can be rescued until its window is over, and counts as gone."""

from collections.abc import Iterator
from typing import Any

from plugins.aws.calls import Call, Change, Describe, Thing, absent
from plugins.aws.errors import ApiError
from plugins.aws.fields import local, pascal
from plugins.aws.row import Auto, Type
from plugins.aws.tagging import Tagging, pairs, unpaired

WINDOW_DAYS = 30
KEY = Describe("describe_key", "KeyMetadata", KeyId="{id}")
GOING = ("PendingDeletion", "PendingReplicaDeletion")


def tag_pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return pairs(tags, "TagKey", "TagValue")


TAGS = Tagging(
    "Tags",
    put=lambda thing, news: thing.call("tag_resource", KeyId=thing.id, Tags=tag_pairs(news)),
    remove=lambda thing, gone: thing.call("untag_resource", KeyId=thing.id, TagKeys=gone),
    encode=tag_pairs,
    decode=lambda found: unpaired(found, "TagKey", "TagValue"),
    read=lambda thing: {"Tags": list(thing.pages("list_resource_tags", "Tags", KeyId=thing.id))},
)


def _there(thing: Thing) -> dict[str, Any]:
    """Raises ApiError for a key that awaits its deletion: nothing else may be asked of it."""
    found = KEY(thing)
    if found["KeyState"] in GOING:
        raise absent(thing)
    return found


def _details(thing: Thing) -> dict[str, Any]:
    found = {"Rotation": thing.call("get_key_rotation_status", KeyId=thing.id).get("KeyRotationEnabled", False)}
    if thing.inputs.get("policy"):
        found["Policy"] = thing.call("get_key_policy", KeyId=thing.id, PolicyName="default")["Policy"]
    return found


def _switch_rotation(thing: Thing) -> None:
    thing.call(f"{'enable' if thing.inputs.get('enableKeyRotation') else 'disable'}_key_rotation", KeyId=thing.id)


def _schedule_deletion(thing: Thing) -> None:
    if KEY(thing)["KeyState"] in GOING:
        return
    days = thing.inputs.get("deletionWindowInDays") or WINDOW_DAYS
    thing.call("schedule_key_deletion", KeyId=thing.id, PendingWindowInDays=days)


def _same_keys(thing: Thing) -> Iterator[str]:
    """Keys with the wanted tags, among those that we may look at."""
    wanted = thing.inputs.get("tags") or {}
    for key in thing.pages("list_keys", "Keys"):
        try:
            tags = list(thing.pages("list_resource_tags", "Tags", KeyId=key["KeyId"]))
        except ApiError:
            continue
        if unpaired(tags, "TagKey", "TagValue") == wanted:
            yield key["KeyId"]


def _alias(thing: Thing) -> dict[str, Any]:
    for alias in thing.pages("list_aliases", "Aliases"):
        if alias["AliasName"] == thing.id:
            arn = alias["AliasArn"].rpartition(":alias/")[0] + f":key/{alias['TargetKeyId']}"
            # A key may be named by its identifier or by its ARN.
            given = str(thing.inputs.get("targetKeyId", ""))
            target = given if given in (arn, alias["TargetKeyId"]) else alias["TargetKeyId"]
            return {**alias, "TargetKeyId": target, "TargetKeyArn": arn}
    raise absent(thing)


TYPES = (
    Type(
        "aws:kms/key:Key",
        "kms",
        (
            pascal("description", default=""),
            pascal("keyUsage", fixed=True, default="ENCRYPT_DECRYPT"),
            pascal("customerMasterKeySpec", "KeySpec", fixed=True, default="SYMMETRIC_DEFAULT"),
            pascal("multiRegion", fixed=True, default=False),
            pascal("policy", kind="document"),
            pascal("enableKeyRotation", "", live="Rotation", later=True, default=False),
            local("deletionWindowInDays", default=WINDOW_DAYS),
        ),
        create=Call("create_key", body=True),
        identifier="KeyMetadata.KeyId",
        created="KeyMetadata",
        read=(_there, _details),
        changes=(
            Change(("description",), Call("update_key_description", body=("description",), KeyId="{id}")),
            Change(("policy",), Call("put_key_policy", body=("policy",), KeyId="{id}", PolicyName="default")),
            Change(("enableKeyRotation",), _switch_rotation),
        ),
        delete=_schedule_deletion,
        outputs={"arn": "Arn", "keyId": "KeyId"},
        tagging=TAGS,
        search=_same_keys,
    ),
    Type(
        "aws:kms/alias:Alias",
        "kms",
        (pascal("name", "AliasName", fixed=True), pascal("targetKeyId", required=True)),
        create=Call("create_alias", body=True),
        identifier="{name}",
        read=(_alias,),
        changes=(Change(("targetKeyId",), Call("update_alias", body=("name", "targetKeyId"))),),
        delete=Call("delete_alias", AliasName="{id}"),
        outputs={"arn": "AliasArn", "targetKeyArn": "TargetKeyArn"},
        auto=Auto(prefix="alias/"),
        unique=("name",),
        volatile=("targetKeyArn",),
    ),
)
