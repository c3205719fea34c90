"""Pulumi plugins for a machine that cannot download the official ones: the Python language host, and resource
providers for the subset of `kubernetes` and `aws` that this project uses. See docs/adr for when they are used."""
