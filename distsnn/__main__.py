"""The program: ``distsnn ...``, ``python -m distsnn ...``."""

import sys

from distsnn.deferred_signals import defer_signals


def main() -> int:
    """Run the command line; from here to the end of the process a run holds signals."""
    if sys.argv[1:2] in (["run"], ["worker"]):
        defer_signals()
    from distsnn.cli import main as execute

    return execute()


if __name__ == "__main__":
    sys.exit(main())
