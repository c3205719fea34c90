"""How many resources a second the offline AWS plugin creates and deletes, over gRPC, against the emulator.

    PYTHONPATH=infra:tests/support $(scripts/lib/run --venv dev)/bin/python tests/benchmarks/aws_rate.py [--networks 5]

Each network is what a stage has of it: a VPC with subnets, gateways, routes, groups, endpoints, a flow log; beside it
roles, log groups, repositories and buckets with their settings. As by the engine, up to `--parallel` are under way at
once, and none before what it depends on.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from emulator.process import emulator
from plugins.aws.provider import Aws
from plugins.server import THREADS, Servicer
from plugins.wire import to_struct

TAGS = {"Project": "ml-platform", "Environment": "benchmark", "Component": "network", "ManagedBy": "pulumi"}
REGION = "eu-central-1"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]})
MANAGED = {"policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"}
VERSIONED = {"versioningConfiguration": {"status": "Enabled"}}
PRIVATE = {"blockPublicAcls": True, "blockPublicPolicy": True}
EVERYWHERE = {"destinationCidrBlock": "0.0.0.0/0"}
SCANNED = {"imageScanningConfiguration": {"scanOnPush": True}}


class Plan:
    """Resources to create, each after those whose identifiers its inputs take."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str, list[str], Callable[..., dict[str, Any]]]] = []

    def add(self, token: str, inputs: Callable[..., dict[str, Any]], *needs: str, tagged: bool = True) -> str:
        name = f"r{len(self.steps)}"
        tags = {"tags": {**TAGS, "Name": name}} if tagged else {}
        self.steps.append((name, f"aws:{token}", list(needs), lambda *ids: {**inputs(*ids), **tags}))
        return name


def plan(networks: int) -> Plan:
    made = Plan()
    for number in range(networks):
        network(made, number)
        role = made.add("iam/role:Role", lambda: {"assumeRolePolicy": TRUST})
        kind = "iam/rolePolicyAttachment:RolePolicyAttachment"
        made.add(kind, lambda role: {"role": role, **MANAGED}, role, tagged=False)
        made.add("cloudwatch/logGroup:LogGroup", lambda: {"retentionInDays": 30})
        made.add("ecr/repository:Repository", lambda: dict(SCANNED))
        bucket = made.add("s3/bucket:Bucket", lambda number=number: {"bucket": f"benchmark-{number}"})
        kind = "s3/bucketVersioning:BucketVersioning"
        made.add(kind, lambda one: {"bucket": one, **VERSIONED}, bucket, tagged=False)
        kind = "s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
        made.add(kind, lambda one: {"bucket": one, **PRIVATE}, bucket, tagged=False)
    return made


def network(made: Plan, number: int) -> None:
    first = f"10.{number}"
    dns = {"enableDnsHostnames": True, "enableDnsSupport": True}
    vpc = made.add("ec2/vpc:Vpc", lambda: {"cidrBlock": f"{first}.0.0/16", **dns})
    gateway = made.add("ec2/internetGateway:InternetGateway", lambda vpc: {"vpcId": vpc}, vpc)
    group = made.add("ec2/securityGroup:SecurityGroup", lambda vpc: {"vpcId": vpc, "description": "x"}, vpc)
    https = {"cidrIpv4": f"{first}.0.0/16", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    kind = "vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    made.add(kind, lambda group: {"securityGroupId": group, **https}, group)
    tables, subnets = [], []
    for index in range(4):
        zone, block = f"{REGION}{'ab'[index % 2]}", f"{first}.{index}.0/24"
        inputs = {"cidrBlock": block, "availabilityZone": zone, "mapPublicIpOnLaunch": False}
        subnet = made.add("ec2/subnet:Subnet", lambda vpc, inputs=inputs: {"vpcId": vpc, **inputs}, vpc)
        table = made.add("ec2/routeTable:RouteTable", lambda vpc: {"vpcId": vpc}, vpc)
        kind = "ec2/routeTableAssociation:RouteTableAssociation"
        made.add(kind, lambda t, s: {"routeTableId": t, "subnetId": s}, table, subnet, tagged=False)
        subnets, tables = [*subnets, subnet], [*tables, table]
        if index < 2:
            kind = "ec2/route:Route"
            made.add(kind, lambda t, g: {"routeTableId": t, "gatewayId": g, **EVERYWHERE}, table, gateway, tagged=False)
    address = made.add("ec2/eip:Eip", lambda: {"domain": "vpc"})
    kind = "ec2/natGateway:NatGateway"
    made.add(kind, lambda a, s, _: {"allocationId": a, "subnetId": s}, address, subnets[0], gateway)
    kind = "ec2/vpcEndpoint:VpcEndpoint"
    for service in ("ecr.api", "ecr.dkr", "sts"):
        interface = {"serviceName": f"com.amazonaws.{REGION}.{service}", "vpcEndpointType": "Interface"}
        made.add(
            kind,
            lambda v, s, g, one=interface: {"vpcId": v, "subnetIds": [s], "securityGroupIds": [g], **one},
            *(vpc, subnets[2], group),
        )


def run(made: Plan, stub: Any, parallel: int) -> tuple[float, float]:
    """Create everything and delete it again; the seconds that each took."""
    states: dict[str, tuple[str, str, Any]] = {}

    def create(name: str, token: str, needs: list[str], inputs: Callable[..., dict[str, Any]]) -> None:
        urn = f"urn:pulumi:benchmark::ml-platform::{token}::{name}"
        given = to_struct(inputs(*(states[need][1] for need in needs)))
        checked = stub.Check(provider_pb2.CheckRequest(urn=urn, name=name, type=token, news=given))
        assert not checked.failures, checked.failures
        request = provider_pb2.CreateRequest(urn=urn, name=name, type=token, properties=checked.inputs)
        states[name] = (urn, stub.Create(request).id, checked.inputs)

    def delete(name: str) -> None:
        urn, identifier, inputs = states[name]
        stub.Delete(provider_pb2.DeleteRequest(urn=urn, id=identifier, old_inputs=inputs))

    with futures.ThreadPoolExecutor(parallel) as pool:
        started = time.monotonic()
        after = {name: needs for name, _, needs, _ in made.steps}
        steps = {name: (lambda step=step: create(*step)) for step in made.steps for name in step[:1]}
        in_order(pool, steps, after)
        created = time.monotonic()
        before: dict[str, list[str]] = {name: [] for name in after}
        for name, needs in after.items():
            for need in needs:
                before[need].append(name)
        in_order(pool, {name: (lambda name=name: delete(name)) for name in after}, before)
        return created - started, time.monotonic() - created


def in_order(pool: futures.Executor, steps: dict[str, Callable[[], None]], after: dict[str, list[str]]) -> None:
    """Run every step as soon as those that it comes after are done."""
    done: set[str] = set()
    waiting, running = set(steps), dict[futures.Future[None], str]()
    while waiting or running:
        for name in [name for name in waiting if done.issuperset(after[name])]:
            waiting.remove(name)
            running[pool.submit(steps[name])] = name
        finished, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
        for one in finished:
            one.result()
            done.add(running.pop(one))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--parallel", type=int, default=16, help="resources at once (default: 16, as pulumi up)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, emulator(Path(work)) as aws:
        os.environ |= aws.variables
        provider = Aws()
        provider.configure({"region": REGION, "allowedAccountIds": '["123456789012"]'})
        server = grpc.server(futures.ThreadPoolExecutor(THREADS))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            made = plan(options.networks)
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            up, down = run(made, stub, options.parallel)
        server.stop(0)
        count = len(made.steps)
        print(
            f"{count} resources: created {count / up:.1f}/s in {up:.1f} s, deleted {count / down:.1f}/s in {down:.1f} s"
        )


if __name__ == "__main__":
    main()
