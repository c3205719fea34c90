"""The container images of a host that cannot pull: found in the local registry, pulled by digest, or built here.

`python -m images build --cluster local` brings every image into the cluster's registry under its upstream path;
`python -m images list` prints the upstream references that manifests and kubeadm's configuration name.
"""

from images.catalog import reference

__all__ = ["reference"]
