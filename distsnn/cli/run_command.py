"""``distsnn run``: simulate a model on the ranks of this job, or on ranks started for it."""

import sys
from argparse import Namespace

from distsnn.cli.models import load_model
from distsnn.cli.tables import run_lines
from distsnn.comm import Communicator, launch, launcher, together
from distsnn.errors import DescriptionError, DistsnnError
from distsnn.simulation import Simulation
from distsnn.simulation.progress import TERMINAL_VARIABLE
from distsnn.units import steps


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command on this rank. Collective."""
    if options.ranks is not None and options.ranks != communicator.size:
        if launcher() is not None:
            raise DescriptionError(
                f"this job has {communicator.size} ranks",
                where="--ranks",
                value=options.ranks,
                allowed=f"{communicator.size}, or leave it out",
            )
        # Each rank builds the network for itself, from the same command line.
        shown = {TERMINAL_VARIABLE: "1" if sys.stderr.isatty() else "0"}
        return _verdict(launch(options.ranks, options.words, shown))
    return _simulate(options, communicator)


def _verdict(code: int) -> int:
    # Ranks that end by themselves return one of these, and have said why.
    if code in (0, 1, 2, 130, 143):
        return code
    raise DistsnnError(f"a rank was killed or crashed; the job ended with exit code {code}")


def _simulate(options: Namespace, communicator: Communicator) -> int:
    with together(communicator, "making the network"):
        model = load_model(options.model, options.set)
        time_ms = model.time_ms if options.time is None else options.time
        if time_ms is None:
            raise DescriptionError("how long? --time MS is missing", where="distsnn run")
        # a mistake in the time is better told before the synapses are built
        steps(time_ms, model.network.dt, where="--time")
    with Simulation(
        model.network,
        seed=model.seed if options.seed is None else options.seed,
        out=options.out,
        overwrite=options.overwrite,
        partition=options.partition,
        delivery=options.delivery,
        storage=options.storage,
        progress=not options.quiet,
        communicator=communicator,
        model=model.about,
    ) as simulation:
        simulation.run(time_ms)
        summary = simulation.close()
    if communicator.rank == 0 and not options.quiet:
        title = str(model.about.get("name", options.model))
        print("\n".join(run_lines(title, summary)))
    return 0
