"""AWS for tests: `moto` in server mode, and beside it an extension of our own for what moto lacks.

Ours, and test-side only:

- EKS whole (`eks.py`, `eks_node_groups.py`, `eks_access.py`, `eks_addons.py`), because moto keeps neither Auto Mode
  settings nor access entries, add-ons and Pod Identity associations. Each cluster has a real kube-apiserver and etcd.
- ECR's pull-through cache rules and repository creation templates (`ecr.py`).
- What AWS refuses and moto does not: to delete a network that is in use (`strict.py`).

Requests and responses of the extension are checked against botocore's model of each API (`wire.py`).
"""
