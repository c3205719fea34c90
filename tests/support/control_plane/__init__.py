"""A control plane without nodes, an object store and a Pulumi stack, all real, on loopback, for tests."""
