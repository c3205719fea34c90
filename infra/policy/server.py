"""Serves the rules to the engine."""

from concurrent import futures
from typing import Any

import grpc
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import EnforcementLevel
from pulumi_policy.policy import _PolicyAnalyzerServicer

from plugins.protocol import GRPC_OPTIONS, allow_deep_messages, announce, exit_with_parent
from policy.registry import RULES
from policy.rule import Rule

NAME, VERSION = "ml-platform", "1.0.0"
THREADS = 4


class Analyzer(_PolicyAnalyzerServicer):
    """The SDK's analyzer, spared what no rule looks at.

    `pulumi_policy.PolicyPack` decodes every resource once a rule and once more for remediations, of which there are
    none here; with the schemas of Argo CD's custom resources that takes longer than the preview itself.
    """

    def __init__(self, rules: tuple[Rule, ...] = RULES) -> None:
        self._of_resources = [rule for rule in rules if rule.check]
        self._of_stacks = [rule for rule in rules if rule.check_stack]
        policies = [rule.policy() for rule in rules]
        super().__init__(NAME, VERSION, policies, EnforcementLevel.MANDATORY)

    def Analyze(self, request: Any, context: Any) -> Any:
        if not any(rule.covers(request.type) for rule in self._of_resources):
            return proto.AnalyzeResponse()
        return super().Analyze(request, context)  # type: ignore[no-untyped-call]

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        looked_at = [item for item in request.resources if any(rule.covers(item.type) for rule in self._of_stacks)]
        request = proto.AnalyzeStackRequest(resources=looked_at)
        return super().AnalyzeStack(request, context)  # type: ignore[no-untyped-call]

    def Remediate(self, request: Any, context: Any) -> Any:
        return proto.RemediateResponse()


def serve() -> None:
    """Serve until the engine ends this process or goes away."""
    allow_deep_messages()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS), options=GRPC_OPTIONS)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    exit_with_parent()
    announce(port)
    server.wait_for_termination()
