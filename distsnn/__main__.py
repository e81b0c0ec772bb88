"""``python -m distsnn``: the command line."""

import sys

from distsnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
