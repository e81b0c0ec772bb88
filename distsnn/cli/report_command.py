"""``distsnn report``: a page about a run."""

import importlib
from argparse import Namespace

from distsnn.comm import Communicator
from distsnn.errors import DescriptionError


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        try:
            analysis = importlib.import_module("distsnn.analysis")
        except ModuleNotFoundError as error:
            raise DescriptionError(
                f"the report needs the package {error.name!r}",
                where="distsnn report",
                allowed="pip install 'distsnn[analysis]'",
            ) from error
        print(analysis.report(options.run, options.out))
    return 0
