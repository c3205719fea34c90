"""The container registry of a machine: what it keeps."""
