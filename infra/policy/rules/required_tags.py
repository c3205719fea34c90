"""Whatever can have tags says whose it is, by which costs are split and what a teardown left is found."""

from collections.abc import Iterator

from aws import tags
from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import REPOSITORY_TEMPLATE

REQUIRED = tuple(tags.tags("stack", "component"))
# What AWS gives no tags to. A type that is not listed must have them, so that no new one is forgotten.
WITHOUT_TAGS = frozenset(
    {
        "aws:ec2/route:Route",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
        "aws:ecr/registryPolicy:RegistryPolicy",
        "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:kms/alias:Alias",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
    }
)


def check(resource: Resource) -> Iterator[Verdict]:
    if resource.type in WITHOUT_TAGS or resource.facts.local:
        return
    key = "resourceTags" if resource.type == REPOSITORY_TEMPLATE else "tags"
    found = resource.value(key)
    if found is UNKNOWN:
        yield Undecided(resource, key)
        return
    missing = [name for name in REQUIRED if not (found or {}).get(name)]
    if missing:
        yield Finding(resource, key, f"lacks {', '.join(missing)}", f"add {key}=tags.tags(<cluster>, <component>)")


RULE = Rule("required-tags", "Resources on AWS say whose they are", ("aws:*",), check)
