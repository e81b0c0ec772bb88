"""``distsnn profile``: rates of a network's populations from a short run, for partitioning."""

import json
from argparse import Namespace
from pathlib import Path

from distsnn.cli.models import load_model
from distsnn.comm import Communicator, together
from distsnn.errors import DescriptionError
from distsnn.simulation import Simulation


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command. Collective."""
    with together(communicator, "making the network"):
        if communicator.rank == 0 and options.out is not None and Path(options.out).exists():
            raise DescriptionError("exists already", where="--out", value=options.out)
        model = load_model(options.model, options.set)
        populations = model.network.populations
    seed = model.seed if options.seed is None else options.seed
    with Simulation(model.network, seed=seed, communicator=communicator) as simulation:
        simulation.run(options.warmup)
        simulation.run(options.time)
        spikes = {one.name: simulation.spike_counts(one).sum() for one in populations}
    per_second = 1e3 / options.time
    rates = {one.name: per_second * float(spikes[one.name]) / one.size for one in populations}
    with together(communicator, "writing rates"):
        if communicator.rank == 0:
            text = json.dumps(rates, indent=2)
            if options.out is None:
                print(text)
            else:
                Path(options.out).write_text(text + "\n")
    return 0
