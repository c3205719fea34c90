"""The server spares the SDK what no rule looks at, and leaves nothing out that one does."""

from typing import Any

import pytest
from google.protobuf import json_format
from pulumi.runtime import proto

from policy import server

LARGE = {"spec": {"versions": [{"schema": {str(number): "x" for number in range(100)}}]}}


def request(type_: str, properties: dict[str, Any]) -> Any:
    found = proto.AnalyzeRequest(type=type_, name="n", urn=f"urn:pulumi:dev::ml-platform::{type_}::n")
    found.properties.update(properties)
    return found


def test_what_no_rule_looks_at_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(json_format, "MessageToDict", decode)
    analyzer, type_ = server.Analyzer(), "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
    assert not analyzer.Analyze(request(type_, LARGE), None).diagnostics
    assert not analyzer.Remediate(request(type_, LARGE), None).remediations
    resources = proto.AnalyzeStackRequest(resources=[proto.AnalyzerResource(type=type_, name="n")])
    assert not analyzer.AnalyzeStack(resources, None).diagnostics
    with pytest.raises(AssertionError, match="decoded"):
        analyzer.Analyze(request("aws:kms/key:Key", {}), None)


def test_a_violation_is_mandatory_and_carries_its_rule() -> None:
    found = server.Analyzer().Analyze(request("aws:kms/key:Key", {"deletionWindowInDays": 1}), None)
    levels = {item.policyName: item.enforcementLevel for item in found.diagnostics}
    assert levels["deletion"] == levels["key-rotation"] == proto.MANDATORY


def test_the_engine_is_told_every_rule() -> None:
    info = server.Analyzer().GetAnalyzerInfo(None, None)
    assert (info.name, len(info.policies)) == ("ml-platform", len(server.RULES))
