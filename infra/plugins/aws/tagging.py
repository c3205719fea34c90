"""How each service takes, tells and changes tags."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from plugins.aws.calls import Call, Step, Thing
from plugins.aws.fields import Field

Tags = dict[str, str]


def pairs(tags: Tags, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as most services take them: a list of keys and values."""
    return [{key: name, value: text} for name, text in sorted(tags.items())]


def unpaired(found: Any, key: str = "Key", value: str = "Value") -> Tags:
    """Tags as Pulumi has them, without those that AWS sets itself."""
    tags = found if isinstance(found, dict) else {item[key]: item[value] for item in found}
    return {name: text for name, text in tags.items() if not name.startswith("aws:")}


@dataclass(frozen=True)
class Tagging:
    """`member` is the parameter of the create call; `put` and `remove` take it and the removed keys as `parameter`s."""

    member: str
    put: Callable[[Thing, Tags], Any]
    remove: Callable[[Thing, list[str]], Any]
    encode: Callable[[Tags], Any] = pairs
    decode: Callable[[Any], Tags] = unpaired
    live: str = "Tags"
    # Where the resource's own description has no tags: the call that tells them.
    read: Step | None = None

    @property
    def field(self) -> Field:
        return Field("tags", self.member, self.live, kind="map", default={}, encode=self.encode, decode=self.decode)

    def change(self, thing: Thing, olds: Tags, news: Tags) -> None:
        if gone := sorted(olds.keys() - news.keys()):
            self.remove(thing, gone)
        if changed := {key: value for key, value in news.items() if olds.get(key) != value}:
            self.put(thing, changed)


def _by_calls(
    put: str, untag: str, keys: str, tags: str, encode: Callable[[Tags], Any], **about: str
) -> dict[str, Any]:
    return {
        "put": lambda thing, news: thing.call(put, **thing.fill(about), **{tags: encode(news)}),
        "remove": lambda thing, gone: thing.call(untag, **thing.fill(about), **{keys: gone}),
        "encode": encode,
    }


def ec2(resource_type: str) -> Tagging:
    """Tags of EC2, given at creation with the kind of thing that they are for."""
    return Tagging(
        "TagSpecifications",
        put=lambda thing, news: thing.call("create_tags", Resources=[thing.id], Tags=pairs(news)),
        remove=lambda thing, gone: thing.call("delete_tags", Resources=[thing.id], Tags=[{"Key": key} for key in gone]),
        encode=lambda tags: [{"ResourceType": resource_type, "Tags": pairs(tags)}] if tags else [],
    )


def iam(noun: str, **about: str) -> Tagging:
    """Tags of IAM, which has a pair of calls for each kind of thing."""
    return Tagging("Tags", **_by_calls(f"tag_{noun}", f"untag_{noun}", "TagKeys", "Tags", pairs, **about))


def by_arn(arn: str, *, as_pairs: bool = False, read: bool = False) -> Tagging:
    """Tags of the services that tag any of their things by its ARN."""
    encode: Callable[[Tags], Any] = pairs if as_pairs else dict
    calls = _by_calls("tag_resource", "untag_resource", "tagKeys", "tags", encode, resourceArn=arn)
    listing = Call("list_tags_for_resource", resourceArn=arn) if read else None
    return Tagging("tags", **calls, live="tags", read=listing)
