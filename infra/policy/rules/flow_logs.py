"""Every network records who talked to whom."""

from collections.abc import Iterator

from policy.resources import Stack
from policy.rule import Finding, Rule, Verdict, expect
from policy.tokens import FLOW_LOG, VPC


def check(stack: Stack) -> Iterator[Verdict]:
    for vpc in stack.of(VPC):
        logs = [log for log in stack.of(FLOW_LOG) if log.belongs_to(vpc, "vpcId")]
        if not logs:
            yield Finding(vpc, "id", "has no FlowLog", "add one for it with trafficType ALL")
        for log in logs:
            yield from expect(log, ("trafficType",), "ALL", "set it to ALL")


RULE = Rule("flow-logs", "Networks keep flow logs", (VPC, FLOW_LOG), check_stack=check)
