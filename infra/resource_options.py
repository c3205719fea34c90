"""Options that several of a stack's resources take."""

import pulumi


def after(options: pulumi.ResourceOptions, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
    """The same options, for something that waits for these; for all children of those that are components."""
    return pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=list(resources)))


def gone_with(cluster: pulumi.Resource) -> pulumi.ResourceTransformation:
    """Kubernetes objects below need no deleting of their own when `cluster` is deleted, which may not answer then."""

    def transform(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith("kubernetes:"):
            return None
        options = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(deleted_with=cluster))
        return pulumi.ResourceTransformationResult(args.props, options)

    return transform
