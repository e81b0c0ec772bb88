"""Networks that cannot be simulated, by name."""

import numpy as np

from distsnn.network import (
    ConnectionList,
    FixedIndegree,
    IafPscExp,
    Network,
    Normal,
    OneToOne,
    PoissonInput,
    Population,
    Projection,
    RecordState,
)


def build(case: str):
    e = Population("excitatory", 10, IafPscExp())

    def synapses(rule=None, post=e, weight=1.0, delay=1.0, **more):
        rule = rule or OneToOne()
        return Network([e], [Projection(e, post, rule, weight=weight, delay=delay, **more)])

    match case:
        case "population":
            return synapses(post="exitatory")
        case "parameter":
            return Network([Population("E", 10, IafPscExp(tau_mem=10.0))])
        case "state":
            return Network([e], recordings=[RecordState(e, "V")])
        case "receptor":
            return synapses(receptor="exc")
        case "nan weight":
            return synapses(weight=float("nan"))
        case "infinite weight":
            return synapses(ConnectionList([0, 1], [1, 2]), weight=np.array([1.0, np.inf]))
        case "infinite parameter":
            return Network([Population("E", 10, IafPscExp(C_m=float("inf")))])
        case "nan rate":
            return Network([e], [], [PoissonInput(e, float("nan"), 1.0)])
        case "zero delay":
            return synapses(delay=0.0)
        case "negative delay":
            return synapses(delay=-1.5)
        case "delay off the grid":
            return synapses(delay=1.55)
        case "given delays off the grid":
            return synapses(ConnectionList([0, 1], [1, 2]), delay=np.array([1.0, 1.51]))
        case "negative mean delay":
            return synapses(delay=Normal(-1.0, 0.1))
        case "indegree":
            return synapses(FixedIndegree(11, multapses=False))
        case "empty population":
            return Network([Population("E", 0, IafPscExp())])
        case "empty view":
            return synapses(post=e[5:5])
        case "no population":
            return Network([])
        case "none":
            return None
