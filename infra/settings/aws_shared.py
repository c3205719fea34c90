"""The facts of what the clusters of one platform on AWS share (`provider: aws-shared`)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.aws_fields import Account, AwsBucket, ClusterName, Days, EcrRepository, Upstream
from settings.fields import DnsLabel, Region
from settings.section import Section, refuse_duplicates


class Buckets(Section):
    """The names of the buckets, which every AWS account in the world shares."""

    data: AwsBucket
    models: AwsBucket

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.data == self.models:
            raise ValueError(f"data and models are both {self.data!r}; they need a bucket each")
        return self


class SharedRetention(Section):
    """For how many days what was overwritten, left unfinished or untagged is kept."""

    old_version_days: Days
    unfinished_upload_days: Annotated[int, Field(ge=1, le=90)]
    untagged_image_days: Annotated[int, Field(ge=1, le=365)]


class AwsShared(Section):
    """What promotion must not copy: image repositories, and the data and model buckets."""

    name: ClusterName
    provider: Literal["aws-shared"]
    account: Account
    region: Region
    stages: Annotated[list[DnsLabel], Field(min_length=1)]
    repositories: Annotated[list[EcrRepository], Field(min_length=1)]
    pull_through: list[Upstream]
    buckets: Buckets
    retention: SharedRetention
    protect: bool

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        refuse_duplicates("stages", self.stages)
        refuse_duplicates("repositories", self.repositories)
        refuse_duplicates("pullThrough", self.pull_through)
        return self
