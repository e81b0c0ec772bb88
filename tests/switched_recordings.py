"""A network whose recordings are switched off and on between run calls; also run by subprocesses.

``switched_recordings.py OUT whole`` runs it on the ranks of this job, ``OUT begin`` gives it up
after a checkpoint and more switches, ``OUT resume`` goes on from there, and ``OUT kill N`` ends its
process right after the switches before run call N.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from distsnn.comm import Communicator, run_program
from distsnn.network import (
    STDP,
    FixedIndegree,
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
    RecordWeights,
    Uniform,
)
from distsnn.simulation import RunPolicy, Simulation

SEED, DT = 5, 0.1
# Each run call's length in ms, with what is switched before it.
Plan = list[tuple[float, dict[str, bool]]]
PLAN: Plan = [
    (10.0, {}),
    (7.3, {"spikes/E": False, "state/E": False, "state/mean": False}),
    (12.2, {"state/E": True, "weights/E->E": False, "state/sparse": False}),
    (6.5, {"spikes/E": True, "spikes/I": False, "state/sparse": True, "state/mean": True}),
    (14.0, {"weights/E->E": True, "state/E": False}),
]
TIME = sum(length for length, _ in PLAN)
PARTS = {
    "spikes/E": ("E", "spikes"),
    "spikes/I": ("I", "spikes"),
    "state/E": ("E", "E"),
    "state/sparse": ("I", "sparse"),
    "state/mean": ("I", "mean"),
    "weights/E->E": ("E->E", "E->E"),
}


def network() -> Network:
    e = Population("E", 130, IafPscExp(V_th=-52.0), {"V_m": Uniform(-65.0, -52.0)})
    i = Population("I", 70, IafPscExp(V_th=-52.0), {"V_m": Uniform(-65.0, -52.0)})
    rule = STDP(learning_rate=0.05, w_max=120.0)
    return Network(
        [e, i],
        [
            Projection(e, e, FixedIndegree(12), Uniform(20.0, 90.0), 1.5, synapse=rule),
            Projection(e, i, FixedIndegree(12), 60.0, 1.2),
        ],
        [PoissonInput(one, 9000.0, 40.0) for one in (e, i)],
        [
            RecordSpikes(e),
            RecordSpikes(i[10:60]),
            RecordState(e[3:90], ["V_m", "I_syn_ex", "refractory"], name="E"),
            RecordState(i, "V_m", interval=3.1, name="sparse"),
            RecordState(i[::3], ["V_m", "I_syn_ex"], interval=0.7, name="mean", reduce="mean"),
            RecordWeights("E->E", 2.3),
        ],
    )


def switch(simulation: Simulation, settings: dict[str, bool]) -> None:
    for name, on in settings.items():
        part, key = PARTS[name]
        simulation[part].record[key] = on


def switched(path: Path, plan: Plan = PLAN, **given: Any) -> None:
    with Simulation(network(), seed=SEED, out=path, **given) as simulation:
        for length, settings in plan:
            switch(simulation, settings)
            simulation.run(length)


def intervals(plan: Plan, start: int = 0) -> dict[str, list[tuple[int, int]]]:
    """Return the steps (after, until] in which each recording is on."""
    on, found = dict.fromkeys(PARTS, True), {name: list[tuple[int, int]]() for name in PARTS}
    step = start
    for length, settings in plan:
        on |= settings
        end = step + round(length / DT)
        for name in PARTS:
            if on[name] and found[name] and found[name][-1][1] == step:
                found[name][-1] = (found[name][-1][0], end)
            elif on[name]:
                found[name].append((step, end))
        step = end
    return found


def cut(whole: dict[str, np.ndarray], plan: Plan = PLAN) -> dict[str, np.ndarray]:
    """Return what is left of all that was recorded, in the intervals of a plan."""
    on = intervals(plan)

    def inside(name: str, steps: np.ndarray) -> np.ndarray:
        kept = [(after < steps) & (steps <= until) for after, until in on[name]]
        return np.any([np.zeros(steps.size, bool), *kept], axis=0)

    step, gid = whole["spikes step"], whole["spikes gid"]
    chosen = np.where(gid < 130, inside("spikes/E", step), inside("spikes/I", step))
    found = whole | {"spikes step": step[chosen], "spikes gid": gid[chosen]}
    rows = {name: f"state/{name}" for name in ("E", "sparse", "mean")}
    rows["weights of E->E"] = "weights/E->E"
    for prefix, name in rows.items():
        kept = inside(name, whole[f"{prefix} steps"])
        for key in ("steps", "V_m", "I_syn_ex", "refractory", "weight"):
            if f"{prefix} {key}" in whole:
                found[f"{prefix} {key}"] = whole[f"{prefix} {key}"][kept]
    return found


SAVED_BEFORE = 3


def begin(path: Path, **given: Any) -> None:
    """Run the first parts, save, and switch and run on, which a resumed run does otherwise."""
    with Simulation(network(), seed=SEED, out=path, **given) as simulation:
        for length, settings in PLAN[:SAVED_BEFORE]:
            switch(simulation, settings)
            simulation.run(length)
        simulation.save()
        switch(simulation, {"spikes/E": True, "state/E": False, "weights/E->E": True})
        simulation.run(4.0)
        simulation["E"].record = False
        simulation.run(3.0)


def resume(path: Path, **given: Any) -> dict[str, float | None]:
    """Go on with what `begin` saved, and return the rates of the whole run."""
    with Simulation.resume(path, network=network(), **given) as simulation:
        assert dict(simulation["E"].record) == {"spikes": False, "E": True}
        for length, settings in PLAN[SAVED_BEFORE:]:
            switch(simulation, settings)
            simulation.run(length)
        return simulation.close().rates


def kill(path: Path, at: int) -> None:
    """End the process after the switches before a run call."""
    policy = RunPolicy(checkpoint_every=5.0)
    with Simulation(network(), seed=SEED, out=path, policy=policy) as simulation:
        for number, (length, settings) in enumerate(PLAN):
            switch(simulation, settings)
            if number == at:
                os._exit(9)
            simulation.run(length)


if __name__ == "__main__":
    # do not wait for the disk: tests do not cut the power
    os.fsync = lambda descriptor: None
    out, part, *more = sys.argv[1:]
    if part == "kill":
        kill(Path(out), int(more[0]))
    chosen = {"whole": switched, "begin": begin, "resume": resume}[part]

    def main(communicator: Communicator) -> int:
        chosen(Path(out), communicator=communicator)
        return 0

    sys.exit(run_program(main))
