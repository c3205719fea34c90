"""CloudWatch Logs: log groups."""

from typing import Any

from plugins.aws.calls import Call, Change, Thing, absent
from plugins.aws.fields import camel, local
from plugins.aws.row import Auto, Type
from plugins.aws.tagging import by_arn

ARN = "arn:{partition}:logs:{region}:{account}:log-group:{id}"
GROUP: dict[str, Any] = {"logGroupName": "{id}"}


def _group(thing: Thing) -> dict[str, Any]:
    for group in thing.pages("describe_log_groups", "logGroups", logGroupNamePrefix=thing.id):
        if group["logGroupName"] == thing.id:
            return dict(group)
    raise absent(thing)


def _delete(thing: Thing) -> None:
    if not thing.inputs.get("skipDestroy"):
        thing.call("delete_log_group", logGroupName=thing.id)


TYPES = (
    Type(
        "aws:cloudwatch/logGroup:LogGroup",
        "logs",
        (
            camel("name", "logGroupName", fixed=True),
            camel("retentionInDays", later=True, default=0),
            camel("kmsKeyId"),
            camel("logGroupClass", fixed=True, default="STANDARD"),
            local("skipDestroy"),
        ),
        create=Call("create_log_group", body=True),
        identifier="{name}",
        created="",
        read=(_group,),
        changes=(
            Change(
                ("retentionInDays",),
                Call("put_retention_policy", body=("retentionInDays",), **GROUP),
                unset=Call("delete_retention_policy", **GROUP),
            ),
            Change(
                ("kmsKeyId",),
                Call("associate_kms_key", body=("kmsKeyId",), **GROUP),
                unset=Call("disassociate_kms_key", **GROUP),
            ),
        ),
        delete=_delete,
        outputs={"arn": ARN},
        tagging=by_arn(ARN, read=True),
        auto=Auto(limit=512),
        unique=("name",),
    ),
)
