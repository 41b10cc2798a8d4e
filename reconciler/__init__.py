"""Declarative, GitOps-style configuration of OMS Incr-Sync components."""

__version__ = "0.1.0"
