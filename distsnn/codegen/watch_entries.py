"""Writes the entry that follows the states of a plastic projection's targets, as a module.

Such rules define `watch` (see `distsnn.kernels.plasticity`). The entry is called after every step
of the targets: it keeps the states that act late in a ring, lets the rule make levels of all
states, and puts them into the targets' histories, where one is not 0, and the last, which spikes of
sources meet, into a ring (see `distsnn.kernels.plastic`).
"""

from dataclasses import dataclass
from functools import cache
from typing import cast

from distsnn.codegen.modules import load, sources_digest
from distsnn.codegen.plasticity import (
    PlasticVariant,
    n_levels,
    plastic_layout,
    rule_kernel,
    watched,
)
from distsnn.jit import Entry


@dataclass(frozen=True)
class WatchVariant:
    """Which entry a projection needs.

    Parameters
    ----------
    plastic : PlasticVariant
        The projection's.
    states : {"float32", "float64"}
        Type of the targets' states.
    """

    plastic: PlasticVariant
    states: str


@cache
def watch_entry(variant: WatchVariant) -> Entry:
    """Return the entry of a variant."""
    return cast(Entry, load(_text(variant)).watch)


def late_states(kernel: str) -> tuple[str, ...]:
    """Return which of the states that a rule follows act late."""
    found: tuple[str, ...] = getattr(rule_kernel(kernel), "LATE", ())
    return found


def _text(variant: WatchVariant) -> str:
    """Return the text of the module."""
    plastic = variant.plastic
    kernel, where = plastic.kernel, plastic_layout(plastic)
    rule, late = rule_kernel(kernel), late_states(kernel)
    # a target knows nothing of its synapses: what is their own must not be used
    constants = {name: "0.0" for name in plastic.per_synapse}
    constants |= {name: f"scalars[{at}]" for name, at in where.scalars.items()}
    n_acts, double = n_levels(rule), plastic.precision == "float64"
    words = (2 if double else 1) * (1 + n_acts)  # int32 of an entry of a history
    acts = [f"acts[{n_acts} * i + {level}]" for level in range(n_acts)]
    lines = [
        f'"""Generated from {kernel} {sources_digest(kernel)}: do not edit."""',
        "import numpy as np",
        "from distsnn.jit import array, entry",
        "from distsnn.kernels.delivery import DONE",
        "from distsnn.kernels.loop import PYTHON_REQUESTED",
        "from distsnn.kernels.plastic import *",
        f"from {kernel} import watch as levels_of",
        f"real, state = np.{plastic.precision}, np.{variant.states}",
        "@entry",
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
    for name in watched(rule):
        at = f"table[{where.watched[name]}]"
        lines.append(f"    x_{name} = array({at} + {state_bytes} * first, n, state)")
        lines.append(f"    o_{name} = array(table[{where.offsets[name]}], n, np.float64)")
    for i, name in enumerate(late):
        for age in ("new", "old"):
            at = f"table[LATE] + {state_bytes} * ({age} + {i} * n)"
            lines.append(f"    {age}_{name} = array({at}, n, state)")
    lines.append("    for i in range(n):")
    lines += [f"        new_{name}[i] = x_{name}[i]" for name in late]
    seen = [
        f"np.float64({'old' if name in late else 'x'}_{name}[i]) + o_{name}[i]"
        for name in watched(rule)
    ]
    taken = ", ".join([*seen, *(f"c_{name}" for name in rule.CONSTANTS)])
    lines += [
        f"        {', '.join(acts)}, low = levels_of({taken})",
        "        down[i] = real(low)",
        "    mine = array(table[HAS_SYNAPSES], n, np.uint8)",
        "    steps = array(table[HISTORY], UNBOUNDED, np.int32)",
        "    values = array(table[HISTORY], UNBOUNDED, real)",
        "    firsts = array(table[FIRSTS], UNBOUNDED, np.int32)",
        "    loop_state = array(table[LOOP_STATE], PYTHON_REQUESTED + 1, np.int64)",
        "    depth, settled = table[DEPTH], table[DELIVERED_UNTIL]",
        "    for i in range(n):",
        f"        if ({' or '.join(f'{one} != 0.0' for one in acts)}) and mine[i] != 0:",
        "            at = first + i",
        f"            its = acts[{n_acts} * i : {n_acts} * i + {n_acts}]",
        f"            more = insert(steps, values, {words}, firsts, at, depth, settled, now, its)",
        "            if not more:",
        "                loop_state[PYTHON_REQUESTED] = 1",
        "    return DONE",
    ]
    return "\n".join([*lines, ""])
