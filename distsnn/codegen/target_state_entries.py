"""Generation of the kernel entry that processes the states of a plastic projection's targets.

Rules that use states define `watch` (see `distsnn.kernels.plasticity`). The entry runs after every
step of the targets. It stores delayed states in a ring and computes the rule's levels from all
states. It adds the levels to the targets' histories if one of them is not 0, and stores the last
level, which spikes of sources use, in a ring (see `distsnn.kernels.plastic`).
"""

from dataclasses import dataclass
from functools import cache
from typing import cast

from distsnn.codegen.modules import load, sources_digest
from distsnn.codegen.plasticity import (
    PlasticVariant,
    n_levels,
    observed_states,
    plastic_layout,
    rule_kernel,
)
from distsnn.jit import KernelEntry


@dataclass(frozen=True)
class WatchVariant:
    """Properties of a projection that determine its entry.

    Parameters
    ----------
    plastic : PlasticVariant
        Variant of the projection.
    states : {"float32", "float64"}
        Type of the targets' states.
    """

    plastic: PlasticVariant
    states: str


@cache
def target_state_entry(variant: WatchVariant) -> KernelEntry:
    """Return the entry of a variant."""
    return cast(KernelEntry, load(_text(variant)).watch)


def delayed_states(kernel: str) -> tuple[str, ...]:
    """Return the states of targets that a rule uses with a delay."""
    states: tuple[str, ...] = getattr(rule_kernel(kernel), "LATE", ())
    return states


def _text(variant: WatchVariant) -> str:
    """Return the text of the module."""
    plastic = variant.plastic
    kernel, where = plastic.kernel, plastic_layout(plastic)
    rule, late = rule_kernel(kernel), delayed_states(kernel)
    # a target does not use constants of its synapses
    constants = {name: "0.0" for name in plastic.per_synapse}
    constants |= {name: f"scalars[{address}]" for name, address in where.scalars.items()}
    n_acts, double = n_levels(rule), plastic.precision == "float64"
    words = (2 if double else 1) * (1 + n_acts)  # int32 of an entry of a history
    acts = [f"acts[{n_acts} * i + {level}]" for level in range(n_acts)]
    lines = [
        f'"""Generated from {kernel} {sources_digest(kernel)}: do not edit."""',
        "import numpy as np",
        "from distsnn.jit import array, kernel_entry",
        "from distsnn.kernels.delivery import DONE",
        "from distsnn.kernels.loop import PYTHON_REQUESTED",
        "from distsnn.kernels.plastic import *",
        f"from {kernel} import watch as levels_of",
        f"real, state = np.{plastic.precision}, np.{variant.states}",
        "@kernel_entry",
        "def watch(table, scalars, first, last, step):",
        "    now, n = step + 1, last - first",
        *(f"    c_{name} = {value}" for name, value in constants.items()),
        f"    acts = array(table[ACTS], {n_acts} * n, np.float64)",
        "    row = (now & table[LEVEL_MASK]) * table[LEVEL_STRIDE] + first",
        f"    down = array(table[LEVELS] + {8 if double else 4} * row, n, real)",
        f"    new = (now & table[LATE_MASK]) * {len(late)} * n",
        f"    old = ((now - table[LATE_STEPS]) & table[LATE_MASK]) * {len(late)} * n",
    ]
    state_bytes = 4 if variant.states == "float32" else 8
    for name in observed_states(rule):
        address = f"table[{where.observed_states[name]}]"
        lines.append(f"    x_{name} = array({address} + {state_bytes} * first, n, state)")
        lines.append(f"    o_{name} = array(table[{where.offsets[name]}], n, np.float64)")
    for i, name in enumerate(late):
        for age in ("new", "old"):
            address = f"table[LATE] + {state_bytes} * ({age} + {i} * n)"
            lines.append(f"    {age}_{name} = array({address}, n, state)")
    lines.append("    for i in range(n):")
    lines += [f"        new_{name}[i] = x_{name}[i]" for name in late]
    observed = [
        f"np.float64({'old' if name in late else 'x'}_{name}[i]) + o_{name}[i]"
        for name in observed_states(rule)
    ]
    arguments = ", ".join([*observed, *(f"c_{name}" for name in rule.CONSTANTS)])
    lines += [
        f"        {', '.join(acts)}, low = levels_of({arguments})",
        "        down[i] = real(low)",
        "    mine = array(table[HAS_SYNAPSES], n, np.uint8)",
        "    steps = array(table[HISTORY], UNBOUNDED, np.int32)",
        "    values = array(table[HISTORY], UNBOUNDED, real)",
        "    firsts = array(table[FIRSTS], UNBOUNDED, np.int32)",
        "    loop_state = array(table[LOOP_STATE], PYTHON_REQUESTED + 1, np.int64)",
        "    depth, settled = table[DEPTH], table[DELIVERED_UNTIL]",
        "    for i in range(n):",
        f"        if ({' or '.join(f'{act} != 0.0' for act in acts)}) and mine[i] != 0:",
        "            at = first + i",
        f"            its = acts[{n_acts} * i : {n_acts} * i + {n_acts}]",
        f"            more = insert(steps, values, {words}, firsts, at, depth, settled, now, its)",
        "            if not more:",
        "                loop_state[PYTHON_REQUESTED] = 1",
        "    return DONE",
    ]
    return "\n".join([*lines, ""])
