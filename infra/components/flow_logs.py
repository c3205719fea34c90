"""Who talked to whom in a VPC, in CloudWatch."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, ec2, iam

from aws import iam_documents
from aws.owner import Owner
from components.role import role

COMPONENT = "network"
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
WRITE = ("logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents")


@dataclass(frozen=True)
class FlowLogsArgs:
    """`days`: how long the logs are kept."""

    owner: Owner
    vpc_id: pulumi.Input[str]
    days: int


class FlowLogs(pulumi.ComponentResource):
    """The VPC's flow logs, their log group, and the role that may write to it."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = args.owner.tags(COMPONENT)
        group = cloudwatch.LogGroup(name, retention_in_days=args.days, tags=tags, opts=child)
        writer = role(
            name,
            args.owner,
            COMPONENT,
            trust=iam_documents.trust("vpc-flow-logs.amazonaws.com", equals={"aws:SourceAccount": args.owner.account}),
            description="VPC flow logs are written to CloudWatch",
            opts=child,
        )
        policy = group.arn.apply(
            lambda arn: iam_documents.document(iam_documents.allow("WriteLogs", WRITE, [arn, f"{arn}:*"]))
        )
        allowed = iam.RolePolicy(name, role=writer.name, policy=policy, opts=child)
        ec2.FlowLog(
            name,
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=writer.arn,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )
        self.register_outputs({})
