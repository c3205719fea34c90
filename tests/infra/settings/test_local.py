"""What follows from the facts of a cluster on one machine."""

from settings import load_local


def test_facts_that_follow_from_others() -> None:
    cluster = load_local("local")
    assert cluster.kubernetes.api_url == "https://10.254.254.1:6443"
    assert cluster.kubernetes.dns_address == "10.202.0.10"
    assert cluster.forge.clone_url == "http://10.254.254.1:3000/ml/platform.git"
