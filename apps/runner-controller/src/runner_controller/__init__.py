"""Runs each job of the forge's Actions in a fresh Kubernetes pod."""

__version__ = "0.1.0"
