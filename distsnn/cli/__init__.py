"""The command line: ``distsnn run``, ``info``, ``report`` and ``examples``."""

from distsnn.cli.main import main

__all__ = ["main"]
