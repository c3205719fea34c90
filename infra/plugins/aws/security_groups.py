"""EC2's security groups and their rules, one resource a rule."""

from collections.abc import Iterable, Iterator
from typing import Any

from plugins.aws.calls import Call, Change, Describe, Thing, absent
from plugins.aws.fields import Field, dig, pascal
from plugins.aws.network import searched
from plugins.aws.row import Auto, Type
from plugins.aws.tagging import ec2
from plugins.server import Problem

GROUP = Describe("describe_security_groups", "SecurityGroups.0", GroupIds=["{id}"])
RULE = (
    pascal("ipProtocol", required=True),
    pascal("fromPort"),
    pascal("toPort"),
    pascal("description"),
    pascal("cidrIpv4", pinned=True),
    pascal("cidrIpv6", pinned=True),
    pascal("prefixListId", pinned=True),
    pascal("referencedSecurityGroupId", "ReferencedGroupId", live="ReferencedGroupInfo.GroupId", pinned=True),
)
# A rule inside a group, which is only ever seen where somebody added one.
PERMISSION = (
    pascal("protocol", "IpProtocol"),
    pascal("fromPort"),
    pascal("toPort"),
    pascal("cidrBlocks", live="IpRanges.*.CidrIp", kind="set"),
    pascal("securityGroups", live="UserIdGroupPairs.*.GroupId", kind="set"),
)
# How the call that creates rules takes what the other calls have in one piece.
SOURCES = {
    "CidrIpv4": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "PrefixListId": ("PrefixListIds", "PrefixListId"),
    "ReferencedGroupId": ("UserIdGroupPairs", "GroupId"),
}


def _revoke_all(thing: Thing) -> None:
    """Take away every rule, among them the one to everywhere that AWS gives each new group."""
    group = GROUP(thing)
    for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        if group.get(key):
            thing.call(f"revoke_security_group_{direction}", GroupId=thing.id, IpPermissions=group[key])


def _default_group(thing: Thing) -> dict[str, Any]:
    by = [{"Name": "vpc-id", "Values": [thing.inputs["vpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    found = dig(thing.call("describe_security_groups", Filters=by), "SecurityGroups.0")
    if not isinstance(found, dict):
        raise absent(thing)
    return found


def _adopt_default(thing: Thing) -> dict[str, Any]:
    group = _default_group(thing)
    thing.id = group["GroupId"]
    _revoke_all(thing)
    if tags := thing.inputs.get("tags"):
        tagging = thing.type.tagging
        assert tagging
        tagging.put(thing, tags)
    return group


def _only_emptied(inputs: dict[str, Any]) -> Iterable[Problem]:
    for name in ("ingress", "egress"):
        if inputs.get(name):
            yield Problem(name, "the offline plugin only empties a default group; give rules to a group of their own")


def _new_rule(thing: Thing) -> dict[str, Any]:
    rule = thing.wanted(*(one.name for one in RULE))
    permission: dict[str, Any] = {key: rule.pop(key) for key in ("IpProtocol", "FromPort", "ToPort") if key in rule}
    described = {"Description": rule.pop("Description")} if "Description" in rule else {}
    for source, value in rule.items():
        listed, key = SOURCES[source]
        permission[listed] = [{key: value, **described}]
    given = thing.wanted("securityGroupId", "tags")
    return thing.call(f"authorize_security_group_{_direction(thing)}", **given, IpPermissions=[permission])


def _modify_rule(thing: Thing) -> None:
    rule = {"SecurityGroupRuleId": thing.id, "SecurityGroupRule": thing.wanted(*(one.name for one in RULE))}
    thing.call("modify_security_group_rules", **thing.wanted("securityGroupId"), SecurityGroupRules=[rule])


def _direction(thing: Thing) -> str:
    return "ingress" if thing.type.token.endswith("IngressRule") else "egress"


def _same_rules(thing: Thing) -> Iterator[str]:
    wanted = thing.wanted("ipProtocol", "fromPort", "toPort", "cidrIpv4", "cidrIpv6", "prefixListId")
    by = [{"Name": "group-id", "Values": [thing.inputs["securityGroupId"]]}]
    for rule in thing.pages("describe_security_group_rules", "SecurityGroupRules", Filters=by):
        same = all(rule.get(key) == value for key, value in wanted.items())
        if same and rule["IsEgress"] == (_direction(thing) == "egress"):
            yield rule["SecurityGroupRuleId"]


def _rule(direction: str) -> Type:
    return Type(
        f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule",
        "ec2",
        (pascal("securityGroupId", "GroupId", fixed=True, required=True), *RULE),
        create=_new_rule,
        identifier="SecurityGroupRules.0.SecurityGroupRuleId",
        created="SecurityGroupRules.0",
        read=(Describe("describe_security_group_rules", "SecurityGroupRules.0", SecurityGroupRuleIds=["{id}"]),),
        changes=(Change(tuple(one.name for one in RULE), _modify_rule),),
        delete=Call(
            f"revoke_security_group_{direction.lower()}", GroupId="{securityGroupId}", SecurityGroupRuleIds=["{id}"]
        ),
        outputs={
            "arn": "arn:{partition}:ec2:{region}:{account}:security-group-rule/{id}",
            "securityGroupRuleId": "SecurityGroupRuleId",
        },
        tagging=ec2("security-group-rule"),
        # The API takes no second rule that allows the same.
        unique=("securityGroupId", *(one.name for one in RULE if one.name != "description")),
        search=_same_rules,
    )


def _emptied(name: str, live: str) -> Field:
    return pascal(name, "", live=live, kind="objects", fields=PERMISSION)


TYPES = (
    Type(
        "aws:ec2/securityGroup:SecurityGroup",
        "ec2",
        (
            pascal("name", "GroupName", fixed=True),
            pascal("description", fixed=True, default="Managed by Pulumi"),
            pascal("vpcId", fixed=True, required=True),
        ),
        create=lambda thing: thing.call(
            "create_security_group", **{"Description": "Managed by Pulumi", **thing.wanted()}
        ),
        identifier="GroupId",
        created="",
        read=(GROUP,),
        delete=Call("delete_security_group", GroupId="{id}"),
        outputs={"arn": "arn:{partition}:ec2:{region}:{account}:security-group/{id}"},
        tagging=ec2("security-group"),
        auto=Auto(),
        unique=("name", "vpcId"),
        after=_revoke_all,
        search=searched("describe_security_groups", "SecurityGroups.*.GroupId", group_name="{name}", vpc_id="{vpcId}"),
    ),
    Type(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "ec2",
        (
            pascal("vpcId", fixed=True, required=True),
            _emptied("ingress", "IpPermissions"),
            _emptied("egress", "IpPermissionsEgress"),
        ),
        create=_adopt_default,
        identifier="GroupId",
        created="",
        read=(GROUP,),
        changes=(Change(("ingress", "egress"), _revoke_all),),
        delete=None,  # it lives and dies with its VPC
        tagging=ec2("security-group"),
        also=_only_emptied,
        search=lambda thing: [_default_group(thing)["GroupId"]],
    ),
    _rule("Ingress"),
    _rule("Egress"),
)
