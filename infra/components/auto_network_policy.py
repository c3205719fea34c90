"""What switches EKS Auto Mode's network policy engine on.

Its controller enforces nothing until this ConfigMap says so; nodes of the built-in class allow what no policy forbids.
https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
"""

from components import objects


def document() -> objects.Document:
    """The ConfigMap that Auto Mode's controller reads."""
    return objects.config_map("amazon-vpc-cni", "kube-system", {"enable-network-policy-controller": "true"})
