"""What a stack makes carries its name, and its roles stay where it may make them."""

from aws.owner import Owner

OWNER = Owner("dev", "123456789012", "eu-central-1")


def test_tags_say_whose_a_resource_is() -> None:
    assert OWNER.tags("network") == {
        "Project": "ml-platform",
        "Environment": "dev",
        "Component": "network",
        "ManagedBy": "pulumi",
    }
    assert OWNER.tags("network", "here")["Name"] == "here"


def test_roles_are_below_the_stacks_path_and_within_its_boundary() -> None:
    assert OWNER.role_path == "/ml-platform/dev/"
    assert OWNER.boundary_arn == "arn:aws:iam::123456789012:policy/ml-platform-boundary-dev"


def test_arns_are_of_the_account_and_region() -> None:
    assert OWNER.arn("eks", "cluster/x") == "arn:aws:eks:eu-central-1:123456789012:cluster/x"
