"""``distsnn models``: models and stimuli, or the documentation of one."""

from argparse import Namespace

from distsnn.cli.tables import columns
from distsnn.comm import Communicator
from distsnn.tools.model_reference import describe_model, list_models


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        print(describe_model(options.name) if options.name else "\n".join(lines()))
    return 0


def lines() -> list[str]:
    """Return the name, kind, name in NEST and description of each model, in columns."""
    rows = []
    for info in list_models():
        first, *others = info.nest_names or ["-"]
        in_nest = f"{first}, ..." if others else first
        rows.append((info.name, info.kind, in_nest, info.summary))
    return columns(("model", "kind", "NEST", "description"), rows, of_numbers=False)
