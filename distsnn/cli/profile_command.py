"""``distsnn profile``: rates and costs of a network from a short run, for partitioning."""

import json
from argparse import Namespace

from distsnn.cli.option_errors import option_errors
from distsnn.comm import Communicator, collective_phase
from distsnn.tools.models import load_model
from distsnn.tools.profiling import profile_network


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command. Collective."""
    with collective_phase(communicator, "making the network"):
        model = load_model(options.model, options.set)
    with option_errors(options, "time", "warmup", "out"):
        profile = profile_network(
            model.network,
            time=options.time,
            warmup=options.warmup,
            seed=model.seed if options.seed is None else options.seed,
            out=options.out,
            communicator=communicator,
        )
    if communicator.rank == 0 and options.out is None:
        print(json.dumps(profile.to_dict(), indent=2))
    return 0
