"""``distsnn profile``: rates and costs of a network from a short run, for partitioning."""

import json
from argparse import Namespace

from distsnn.cli.function_calls import call_function, option_errors
from distsnn.comm import Communicator, collective_phase
from distsnn.tools.models import load_model
from distsnn.tools.profiling import profile_network


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command. Collective."""
    with collective_phase(communicator, "making the network"), option_errors(options):
        model = load_model(options.model, options.set)
    seed = model.seed if options.seed is None else options.seed
    profile = call_function(
        profile_network, options, model.network, seed=seed, communicator=communicator
    )
    if communicator.rank == 0 and options.out is None:
        print(json.dumps(profile.to_dict(), indent=2))
    return 0
