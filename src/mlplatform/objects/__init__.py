"""What lies in an object store."""
