"""Generation of the update entry of a neuron model, as a module in the kernel cache.

The kernel module of a model describes one neuron and one step. A population determines which
constants differ between neurons, the width of states and input rows, and whether the neurons
receive current stimuli. Each combination becomes a module, named by the hash of its text, so that
numba caches its machine code as for a file.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol, Self, cast

import numpy as np
import numpy.typing as npt

from distsnn.codegen.modules import load, sources_digest
from distsnn.jit import KernelEntry
from distsnn.kernels import neuron_draws
from distsnn.kernels.emission import GROUP_SIZE

Floats = npt.NDArray[np.float64]

# The constant with the number of substeps.
SUB_STEPS = "substeps"
# Types of constants in generated code.
_TYPES = {"count": "np.int32", "real": "real", "double": "np.float64"}
# Neurons whose substeps run consecutively: their states stay in the first-level cache.
_CHUNK = 256


class NeuronKernel(Protocol):
    """A neuron's kernel module (see `distsnn.kernels.neurons`), without optional parts."""

    STATES: tuple[str, ...]
    RECEPTORS: tuple[str, ...]
    CONSTANTS: Mapping[str, str]

    def propagators(self, parameters: Mapping[str, Floats], dt: float) -> dict[str, Floats]:
        """Return the constants."""


def draw_kinds(kernel: NeuronKernel) -> tuple[str, ...]:
    """Return the kinds of random numbers that neurons use in each step."""
    return getattr(kernel, "DRAWS", ())


def takes_time(kernel: NeuronKernel) -> bool:
    """Return whether neurons use the times of the start and end of a step."""
    return getattr(kernel, "TIME", False)


def is_relay(kernel: NeuronKernel) -> bool:
    """Return whether a neuron may spike several times in a step."""
    return getattr(kernel, "RELAY", False)


@dataclass(frozen=True)
class UpdateVariant:
    """Properties of a population that determine its update entry.

    Parameters
    ----------
    kernel : str
        Import name of the neuron's kernel module.
    precision : {"float32", "float64"}
        Type of real states and constants.
    row_bits : {32, 64}
        Width of the input rows.
    per_neuron : tuple of str
        Constants that are arrays, one value per neuron.
    counts : tuple of str
        State variables that are integers.
    current : bool
        Whether the population receives current stimuli.
    sub_steps : bool
        Whether a step has several substeps.
    """

    kernel: str
    precision: str
    row_bits: int
    per_neuron: tuple[str, ...]
    counts: tuple[str, ...]
    current: bool
    sub_steps: bool = False

    @classmethod
    def of(
        cls,
        kernel: str,
        constants: Mapping[str, Floats],
        *,
        precision: str,
        row_bits: int,
        counts: tuple[str, ...],
        current: bool,
    ) -> Self:
        """Return the variant for a population's constants."""
        per_neuron = tuple(name for name in neuron_kernel(kernel).CONSTANTS if constants[name].ndim)
        several = float(constants.get(SUB_STEPS, np.ones(()))) > 1.0
        return cls(kernel, precision, row_bits, per_neuron, counts, current, several)


@dataclass(frozen=True)
class UpdateTableLayout:
    """Positions in the table and the scalars of an update entry.

    Attributes
    ----------
    spiked, mask, stride : int
        Positions of the flags' address and of the ring's MASK and STRIDE.
    rings, states, arrays : mapping of str to int
        Positions of the addresses of receptors' rings, states and per-neuron constants.
    current : int
        Position of the address of the current (real, one per neuron); unused without a current.
    draws : tuple of int
        Positions of the addresses of random numbers (real, or bits, one per neuron).
    streams : int
        First position of the words of `kernels.neuron_draws`; unused without random numbers.
    quanta, scalars : mapping of str to int
        Positions of the receptors' quanta and of shared constants in the scalars.
    dt : int
        Position of dt in the scalars, if the model uses the time.
    size : int
        Length of the table.
    """

    spiked: int
    mask: int
    stride: int
    rings: Mapping[str, int]
    states: Mapping[str, int]
    arrays: Mapping[str, int]
    current: int
    draws: tuple[int, ...]
    streams: int
    quanta: Mapping[str, int]
    scalars: Mapping[str, int]
    dt: int
    size: int

    @property
    def n_scalars(self) -> int:
        """Length of the scalars."""
        return self.dt + 1


def neuron_kernel(name: str) -> NeuronKernel:
    """Return a neuron's kernel module by its import name."""
    return cast(NeuronKernel, importlib.import_module(name))


def update_table_layout(variant: UpdateVariant) -> UpdateTableLayout:
    """Return the table layout of a variant's update entry."""
    kernel = neuron_kernel(variant.kernel)
    spiked = GROUP_SIZE + 1  # after the words of `kernels.emission`
    index = spiked + 3
    rings = {name: index + i for i, name in enumerate(kernel.RECEPTORS)}
    index += len(rings)
    states = {name: index + i for i, name in enumerate(kernel.STATES)}
    index += len(states)
    arrays = {name: index + i for i, name in enumerate(variant.per_neuron)}
    index += len(arrays)
    shared = [name for name in kernel.CONSTANTS if name not in variant.per_neuron]
    quanta = {name: i for i, name in enumerate(kernel.RECEPTORS)}
    scalars = {name: i for i, name in enumerate(shared, len(quanta))}
    streams = index + 1 + len(draw_kinds(kernel))
    return UpdateTableLayout(
        spiked=spiked,
        mask=spiked + 1,
        stride=spiked + 2,
        rings=rings,
        states=states,
        arrays=arrays,
        current=index,
        draws=tuple(range(index + 1, streams)),
        streams=streams,
        quanta=quanta,
        scalars=scalars,
        dt=len(quanta) + len(scalars),
        size=streams + neuron_draws.TABLE_SIZE,
    )


def module_text(variant: UpdateVariant) -> str:
    """Return the text of a variant's module."""
    kernel, where = neuron_kernel(variant.kernel), update_table_layout(variant)
    states, receptors, constants = kernel.STATES, kernel.RECEPTORS, kernel.CONSTANTS

    # states and constants may have the same names
    kinds = {name: "np.int32" if name in variant.counts else "real" for name in states}
    types = {name: _TYPES[kind] for name, kind in constants.items()}

    arguments = [*map(_array, states), *(f"in_{name}" for name in receptors)]
    arguments += ["current"] if variant.current else []
    drawn = [f"draw_{i}" for i in range(len(where.draws))]
    arguments += [*drawn, *(["time", "time_end"] if takes_time(kernel) else [])]
    arguments += ["spiked", *(f"q_{name}" for name in receptors), *constants]
    imported = ["step", *(["integrate"] if hasattr(kernel, "integrate") else [])]
    lines = [
        f'"""Generated from {variant.kernel} {sources_digest(variant.kernel)}: do not edit."""',
        "import numpy as np",
        "from distsnn.jit import array, kernel, kernel_entry",
        "from distsnn.kernels.emission import MAX_SPIKES, NO_COUNT, NOT_FINITE",
        "from distsnn.kernels.emission import append_spikes, record_fault_state",
        "from distsnn.kernels.neuron_draws import fill_bits, fill_normal, fill_uniform",
        f"from {variant.kernel} import {', '.join(imported)}",
        f"real = np.{variant.precision}",
        f"whole = np.{variant.precision.replace('float', 'int')}",
        "most, bits = np.finfo(real).max, whole(np.iinfo(whole).max)",
        "most_bits = most.view(whole)",
        "not_finite, miscounted = np.uint8(NOT_FINITE), np.uint8(NO_COUNT)",
        "@kernel",
        f"def advance({', '.join(arguments)}):",
        *_neuron_loops(variant, kernel),
        "@kernel_entry",
        "def update(table, scalars, first, last, loop):",
        "    n = last - first",
        f"    slot = (loop & table[{where.mask}]) * table[{where.stride}] + first",
    ]
    bytes_of = {"np.int32": 4, "np.float64": 8}
    bytes_of["real"] = 4 if variant.precision == "float32" else 8
    row_type, row_bytes = f"np.int{variant.row_bits}", variant.row_bits // 8
    for name, index in where.states.items():
        kind = kinds[name]
        address = f"table[{index}] + {bytes_of[kind]} * first"
        lines.append(f"    {_array(name)} = array({address}, n, {kind})")
    for name, index in where.rings.items():
        lines.append(f"    in_{name} = array(table[{index}] + {row_bytes} * slot, n, {row_type})")
    if variant.current:
        address = f"table[{where.current}] + {bytes_of['real']} * first"
        lines.append(f"    current = array({address}, n, real)")
    if drawn:
        index, table_word = where.streams, "table[{}]".format
        address = f"{table_word(index + neuron_draws.COUNTERS)} + (first >> 3) * 4"
        lines.append(f"    counters = array({address}, n >> 3, np.uint32)")
        key_words = (neuron_draws.POPULATION, neuron_draws.SEED_LOW, neuron_draws.SEED_HIGH)
        key = ", ".join(table_word(index + word) for word in key_words)
        for place, (name, kind) in enumerate(zip(drawn, draw_kinds(kernel), strict=True)):
            dtype, width = ("np.uint64", 8) if kind == "bits" else ("real", bytes_of["real"])
            address = f"{table_word(where.draws[place])} + {width} * first"
            lines.append(f"    {name} = array({address}, n, {dtype})")
            lines.append(f"    fill_{kind}({name}, counters, loop, {place}, {key})")
    if takes_time(kernel):
        lines.append(f"    time = np.float64(loop) * scalars[{where.dt}]")
        # the recorded time of the spike: adding dt would add a rounding error
        lines.append(f"    time_end = np.float64(loop + 1) * scalars[{where.dt}]")
    for name, kind in types.items():
        if name in where.arrays:
            address = f"table[{where.arrays[name]}] + {bytes_of[kind]} * first"
            lines.append(f"    {name} = array({address}, n, {kind})")
        else:
            lines.append(f"    {name} = {kind}(scalars[{where.scalars[name]}])")
    lines += [f"    q_{name} = real(scalars[{where.quanta[name]}])" for name in receptors]
    flags = f"table[{where.spiked}] + first"
    lines += [
        f"    spiked = array({flags}, n, np.uint8)",
        f"    largest = advance({', '.join(arguments)})",
        *_fault_check(variant, kernel),
        f"    faulty = append_spikes(table, {flags}, first, last, loop)",
        "    if faulty >= 0:",
        "        state = -1",
    ]
    for position, name in reversed([*enumerate(states)]):
        if kinds[name] == "real":
            finite = f"abs({_array(name)}[faulty]) <= most"
            lines.append(f"        state = state if {finite} else {position}")
    return "\n".join([*lines, "        record_fault_state(table, state)", "    return 0", ""])


def _array(state: str) -> str:
    """Return the name of a state's array, distinct from local variables such as n or i."""
    return f"x_{state}"


def _neuron_loops(variant: UpdateVariant, kernel: NeuronKernel) -> list[str]:
    """Return the loops over neurons of a variant's `advance`."""
    states = ", ".join(f"{_array(name)}[i]" for name in kernel.STATES)
    state_arguments = f"{states}, " if kernel.STATES else ""
    current = "current[i]" if variant.current else "real(0.0)"
    constants = ", ".join(
        f"{name}[i]" if name in variant.per_neuron else name for name in kernel.CONSTANTS
    )
    inputs = [f"q_{name} * real(in_{name}[i])" for name in kernel.RECEPTORS]
    inputs += [current, *(f"draw_{i}[i]" for i in range(len(draw_kinds(kernel))))]
    inputs += ["time", "time_end"] if takes_time(kernel) else []
    new = ", ".join([*(f"new_{name}" for name in kernel.STATES), "flag"])
    results = new if kernel.STATES else "(flag,)"
    step = [
        f"{results} = step({state_arguments}{', '.join(inputs)}, {constants})",
        *(f"{_array(name)}[i] = new_{name}" for name in kernel.STATES),
        *(f"in_{name}[i] = 0" for name in kernel.RECEPTORS),
    ]
    flag = "np.uint8(flag)"
    if is_relay(kernel):
        flag = "(np.uint8(flag) if 0 <= flag <= MAX_SPIKES else miscounted)"
    integrate = f"{state_arguments}flag = integrate({state_arguments}{current}, {constants})"
    several = hasattr(kernel, "integrate")
    if several and variant.sub_steps:
        flag = "(spiked[i] | np.uint8(flag))"
    elif several:
        step = [integrate, "before = flag", *step]
        flag = "np.uint8(before | flag)"
    step.append(f"spiked[i] = {flag}")
    reals = [name for name in kernel.STATES if name not in variant.counts]
    if reals:
        # integers, because a maximum of reals is not vectorised; a finite sum has finite terms
        sum_ = " + ".join(f"new_{name}" for name in reals)
        step.append(f"size = whole(real({sum_}).view(whole) & bits)")
        step.append("largest = size if size > largest else largest")
    begin, end = "    largest = whole(0)", "    return largest"
    if not (several and variant.sub_steps):
        loop = ["    for i in range(spiked.size):", *(f"        {line}" for line in step)]
        return [begin, *loop, end]
    return [
        begin,
        f"    for chunk in range(0, spiked.size, {_CHUNK}):",
        # unsigned: the vectoriser does not handle indices that might be negative
        f"        start, stop = np.uint64(chunk), np.uint64(min(chunk + {_CHUNK}, spiked.size))",
        "        for i in range(start, stop):",
        "            spiked[i] = 0",
        f"        for _ in range({SUB_STEPS}):",
        "            for i in range(start, stop):",
        f"                {integrate}",
        "                spiked[i] |= np.uint8(flag)",
        "        for i in range(start, stop):",
        *(f"            {line}" for line in step),
        end,
    ]


def _fault_check(variant: UpdateVariant, kernel: NeuronKernel) -> list[str]:
    """Return the lines that flag neurons with a state that is not finite.

    The sum of all states is cheap and only determines whether to look: it may overflow itself.
    """
    reals = [name for name in kernel.STATES if name not in variant.counts]
    if not reals:
        return []
    finite = " and ".join(f"abs({_array(name)}[i]) <= most" for name in reals)
    return [
        "    if largest > most_bits:",
        "        for i in range(n):",
        f"            if not ({finite}):",
        "                spiked[i] = not_finite",
    ]


@cache
def update_entry(variant: UpdateVariant) -> KernelEntry:
    """Return the compiled update of a variant (its address is the machine code)."""
    return cast(KernelEntry, load(module_text(variant)).update)
