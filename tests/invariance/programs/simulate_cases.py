"""Simulate cases in several ways on the ranks of this job.

``simulate_cases.py FOLDER WAYS``, WAYS being JSON: a list of [way, options, cases]. The options are
those of `Simulation`, and ``pieces`` (the fractions of the time at which run calls end), ``save``
(those after which the state is saved), ``resume`` and ``give up`` (in place of closing). Each run
becomes ``FOLDER/way/case.zarr``; the counters of its exchange become ``FOLDER/way/case.json``.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import invariance_equation_cases  # noqa: F401 (adds its cases)
import invariance_neuron_cases  # noqa: F401 (adds its case)
import invariance_partition_cases  # noqa: F401 (adds its cases)
import invariance_synapse_cases  # noqa: F401 (adds its cases)
from invariance_cases import CASES
from invariance_examples import EXAMPLES
from quick_files import use_quick_files

from distsnn.comm import Communicator, run_program
from distsnn.simulation import Simulation

use_quick_files()


def main(ranks: Communicator) -> int:
    folder = Path(sys.argv[1])
    builders = CASES | EXAMPLES
    for way, options, cases in json.loads(sys.argv[2]):
        pieces, saves = options.pop("pieces", [1.0]), options.pop("save", [])
        resume, give_up = options.pop("resume", False), options.pop("give up", False)
        for name in cases:
            network, time_ms = builders[name](folder)
            out = folder / way / f"{name}.zarr"
            whole = {"out": out, "communicator": ranks, **options}
            try:
                if resume:
                    simulation = Simulation.restore(out, **whole)
                else:
                    simulation = Simulation(network, seed=12345, **whole)
                for end in pieces:
                    # parts of the time, rounded to steps
                    step = round(end * time_ms / network.dt)
                    simulation.run(step * network.dt - simulation.time_ms)
                    if end in saves:
                        simulation.save()
                if give_up:
                    simulation._stop(RuntimeError("given up"))
                else:
                    simulation.close()
            except Exception as error:
                error.add_note(f"in case {name}, {way}")
                raise
            counters = getattr(simulation._engine._epoch_loop.exchange, "counters", None)
            own = simulation._built.assignment.blocks_of_rank(ranks.rank).size
            found = ranks.allgather([own, getattr(counters, "overflow_rounds", 0)])
            counted = {"blocks": [one[0] for one in found], "overflows": found[0][1]}
            if ranks.rank == 0:
                out.with_suffix(".json").write_text(json.dumps(counted))
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
