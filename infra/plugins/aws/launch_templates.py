"""EC2's launch templates. A change makes a new version, and with `updateDefaultVersion` also the default one."""

from typing import Any

from plugins.aws.calls import Change, Describe, Thing
from plugins.aws.fields import TEXT_BOOLEAN, Field, dig, local, pascal
from plugins.aws.network import searched
from plugins.aws.row import Auto, Type
from plugins.aws.tagging import ec2, pairs, unpaired


def _data(name: str, **options: Any) -> Field:
    """A property of the instances, which is in the template's versions."""
    member = options.pop("member", name[:1].upper() + name[1:])
    return pascal(name, f"LaunchTemplateData.{member}", **options)


METADATA = (
    pascal("httpEndpoint"),
    pascal("httpTokens"),
    pascal("httpPutResponseHopLimit"),
    pascal("httpProtocolIpv6"),
    pascal("instanceMetadataTags"),
)
VOLUME = (
    pascal("deleteOnTermination", **TEXT_BOOLEAN),
    pascal("encrypted", **TEXT_BOOLEAN),
    pascal("iops"),
    pascal("kmsKeyId"),
    pascal("throughput"),
    pascal("volumeSize"),
    pascal("volumeType"),
)
VERSION = (
    _data("metadataOptions", fields=METADATA),
    _data("blockDeviceMappings", kind="objects", fields=(pascal("deviceName"), pascal("ebs", fields=VOLUME))),
    _data(
        "tagSpecifications",
        kind="objects",
        fields=(pascal("resourceType"), pascal("tags", kind="map", encode=pairs, decode=unpaired)),
    ),
    _data("imageId"),
    _data("instanceType"),
    _data("userData"),
    _data("vpcSecurityGroupIds", member="SecurityGroupIds", kind="set"),
    pascal("description", "VersionDescription"),
)
VERSIONED = tuple(one.name for one in VERSION)


def _latest(thing: Thing) -> dict[str, Any]:
    of = {"LaunchTemplateId": thing.id, "Versions": ["$Latest"]}
    found = dig(thing.call("describe_launch_template_versions", **of), "LaunchTemplateVersions.0")
    data = found["LaunchTemplateData"]
    # The template's own tags are not those of what it launches, though some APIs show them there.
    tagged = [item for item in data.get("TagSpecifications", []) if item["ResourceType"] != "launch-template"]
    latest = {**data, "TagSpecifications": tagged}
    return {"LaunchTemplateData": latest, **{key: found[key] for key in ("VersionDescription",) if found.get(key)}}


def _create(thing: Thing) -> dict[str, Any]:
    return thing.call("create_launch_template", **{"LaunchTemplateData": {}, **thing.wanted()})


def _new_version(thing: Thing) -> None:
    version = {"LaunchTemplateData": {}, **thing.wanted(*VERSIONED)}
    answer = thing.call("create_launch_template_version", LaunchTemplateId=thing.id, **version)
    if thing.inputs.get("updateDefaultVersion"):
        number = str(answer["LaunchTemplateVersion"]["VersionNumber"])
        thing.call("modify_launch_template", LaunchTemplateId=thing.id, DefaultVersion=number)


TYPES = (
    Type(
        "aws:ec2/launchTemplate:LaunchTemplate",
        "ec2",
        (pascal("name", "LaunchTemplateName", fixed=True), *VERSION, local("updateDefaultVersion", default=False)),
        create=_create,
        identifier="LaunchTemplate.LaunchTemplateId",
        created="LaunchTemplate",
        read=(Describe("describe_launch_templates", "LaunchTemplates.0", LaunchTemplateIds=["{id}"]), _latest),
        changes=(Change(VERSIONED, _new_version),),
        delete=lambda thing: thing.call("delete_launch_template", LaunchTemplateId=thing.id),
        outputs={
            "arn": "arn:{partition}:ec2:{region}:{account}:launch-template/{id}",
            "defaultVersion": "DefaultVersionNumber",
            "latestVersion": "LatestVersionNumber",
        },
        tagging=ec2("launch-template"),
        auto=Auto(limit=128),
        unique=("name",),
        volatile=("defaultVersion", "latestVersion"),
        search=searched(
            "describe_launch_templates", "LaunchTemplates.*.LaunchTemplateId", launch_template_name="{name}"
        ),
    ),
)
