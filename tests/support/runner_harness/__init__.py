"""A real forge and a real API server on loopback, and a kubelet that runs pods as processes, for tests."""
