"""What a VPC reaches without the internet, and what is written down about its traffic."""

from typing import Any

from plugins.aws.calls import Call, Change, Describe, Thing, Wait
from plugins.aws.errors import ApiError
from plugins.aws.fields import pascal
from plugins.aws.network import searched
from plugins.aws.row import Type
from plugins.aws.tagging import ec2

LISTS = ("routeTableIds", "subnetIds", "securityGroupIds")


def _modify_endpoint(thing: Thing) -> None:
    """One call for everything: lists change by what comes and what goes."""
    changes: dict[str, Any] = {}
    for name in LISTS:
        before, after = set(thing.olds.get(name) or ()), set(thing.inputs.get(name) or ())
        member = name[:1].upper() + name[1:]
        changes[f"Add{member}"] = sorted(after - before)
        changes[f"Remove{member}"] = sorted(before - after)
    for name in ("privateDnsEnabled", "policy"):
        if thing.olds.get(name) != thing.inputs.get(name):
            changes |= thing.wanted(name)
    if thing.olds.get("policy") and not thing.inputs.get("policy"):
        changes["ResetPolicy"] = True
    thing.call(
        "modify_vpc_endpoint",
        VpcEndpointId=thing.id,
        **{key: value for key, value in changes.items() if value not in ([], None)},
    )


def _refused(thing: Thing, answer: dict[str, Any]) -> None:
    """Raise for what a call on many things could not do; it answers as if all were well."""
    for item in answer.get("Unsuccessful") or ():
        raise ApiError(thing.subject, str(item["Error"].get("Code")), str(item["Error"].get("Message")))


def _delete_endpoint(thing: Thing) -> None:
    _refused(thing, thing.call("delete_vpc_endpoints", VpcEndpointIds=[thing.id]))


def _create_flow_log(thing: Thing) -> dict[str, Any]:
    answer = thing.call("create_flow_logs", ResourceType="VPC", **thing.wanted())
    _refused(thing, answer)
    return answer


def _delete_flow_log(thing: Thing) -> None:
    _refused(thing, thing.call("delete_flow_logs", FlowLogIds=[thing.id]))


TYPES = (
    Type(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "ec2",
        (
            pascal("vpcId", fixed=True, required=True),
            pascal("serviceName", fixed=True, required=True),
            pascal("vpcEndpointType", fixed=True, default="Gateway"),
            pascal("routeTableIds", kind="set", default=[]),
            pascal("subnetIds", kind="set", default=[]),
            pascal("securityGroupIds", kind="set", live="Groups.*.GroupId", default=[]),
            pascal("privateDnsEnabled", default=False),
            pascal("policy", "PolicyDocument", kind="document"),
        ),
        create=Call("create_vpc_endpoint", body=True),
        identifier="VpcEndpoint.VpcEndpointId",
        created="VpcEndpoint",
        read=(Describe("describe_vpc_endpoints", "VpcEndpoints.0", VpcEndpointIds=["{id}"]),),
        changes=(Change((*LISTS, "privateDnsEnabled", "policy"), _modify_endpoint),),
        delete=_delete_endpoint,
        outputs={"arn": "arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{id}", "ownerId": "OwnerId"},
        tagging=ec2("vpc-endpoint"),
        wait=Wait(
            "State",
            ready=("available",),
            pending=("pending", "Pending"),
            gone=("deleted", "Deleted"),
            lingers=True,
            reason="LastError.Message",
        ),
        unique=("vpcId", "serviceName"),
        search=searched("describe_vpc_endpoints", "VpcEndpoints.*.VpcEndpointId", vpc_id="{vpcId}"),
        patience=600,
    ),
    Type(
        "aws:ec2/flowLog:FlowLog",
        "ec2",
        (
            pascal(
                "vpcId",
                "ResourceIds",
                live="ResourceId",
                fixed=True,
                required=True,
                encode=lambda identifier: [identifier],
            ),
            pascal("trafficType", fixed=True, required=True),
            pascal("logDestinationType", fixed=True, default="cloud-watch-logs"),
            pascal("logDestination", fixed=True, required=True),
            pascal("iamRoleArn", "DeliverLogsPermissionArn", fixed=True),
            pascal("maxAggregationInterval", fixed=True, default=600),
        ),
        create=_create_flow_log,
        identifier="FlowLogIds.0",
        created="",
        read=(Describe("describe_flow_logs", "FlowLogs.0", FlowLogIds=["{id}"]),),
        delete=_delete_flow_log,
        outputs={"arn": "arn:{partition}:ec2:{region}:{account}:vpc-flow-log/{id}"},
        tagging=ec2("vpc-flow-log"),
        # The API takes no second one for the same network and destination.
        unique=("vpcId", "logDestination", "trafficType"),
        search=searched("describe_flow_logs", "FlowLogs.*.FlowLogId", resource_id="{vpcId}"),
    ),
)
