"""A small network that spikes, and does as its parameters say on one of the ranks."""

import ctypes
import os
import resource
import signal
import sys
import time

from distsnn.network import (
    FixedIndegree,
    IafPscExp,
    Network,
    Normal,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
    RecordState,
)


def build(
    neurons: int = 400,
    fault: str = "",
    rank: int = 0,
    bytes: int = 0,
    state: bool = False,
    infinite: int = -1,
):
    if int(os.environ.get("PMI_RANK", "0")) == rank:
        if fault == "full":
            # No file may grow beyond this, as if the disk were full.
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, bytes))
        elif fault:
            fail(fault)
    model = IafPscExp()
    if infinite >= 0:  # this neuron's potential leaves all numbers in step 42
        model = IafPscExp(C_m=1.0, I_e=[-1e38 * (i == infinite) for i in range(neurons)])
    e = Population("E", neurons, model, {"V_m": Normal(-60.0, 3.0)})
    weight = 30.0
    if fault == "different" and int(os.environ.get("PMI_RANK", "0")) == rank:
        weight = 31.0
    recordings = [RecordSpikes(e)]
    if state:
        recordings.append(RecordState(e, "V_m"))
    return Network(
        [e],
        [Projection(e, e, FixedIndegree(40), weight=Normal(weight, 3.0), delay=Normal(1.5, 0.5))],
        [PoissonInput(e, 8000.0, 40.0)],
        recordings,
    )


def fail(fault):
    print(f"failing at {time.time():.3f}", flush=True)
    match fault:
        case "raise":
            raise ValueError("a user's mistake")
        case "exit":
            sys.exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "segfault":
            ctypes.string_at(0)
        case "leave":
            os._exit(7)
        case "memory":
            raise MemoryError
        case "refuse":
            Population("E", 0, IafPscExp())
