"""Writes the entries of a plastic projection as a module of its own in the kernel cache.

A rule's kernel module knows one synapse and one event (`distsnn.kernels.plasticity`). What is
written here are the loops around it: over the rows of sources that spike, over the synapses of a
row, and over the spikes in a target's history that a synapse has not taken yet. The module has

- `deliver`, an entry: the sources of a list of spikes spike at once;
- `release`, an entry: those in the queue spike that have gone along their axons by a loop;
- `archive`, an entry: a list's spikes enter the histories of targets; where the rule follows their
  states in place of their spikes, `codegen.watch_entries` writes what does so;
- `modulate`, an entry: the modulator changes, where spikes of its neurons are due;
- `carry`, a kernel: weights and states as they will have become by a step without events, where
  they change or fade meanwhile;
- `sources_spike`, a kernel: traces of sources follow some spikes;
- `sweep`, a kernel: the queue is released, and some rows take the spikes of their targets.
"""

from collections.abc import Iterable
from functools import cache
from typing import Protocol, cast

from distsnn.codegen.modules import load, sources_digest
from distsnn.codegen.plasticity import (
    PlasticVariant,
    evolves,
    is_modulated,
    keeps_last_event,
    plastic_layout,
    rule_kernel,
    watched,
)
from distsnn.jit import Entry, Function


class Entries(Protocol):
    """What a generated module offers."""

    deliver: Entry
    release: Entry
    archive: Entry
    modulate: Entry
    carry: Function
    sources_spike: Function
    sweep: Function


@cache
def plastic_entries(variant: PlasticVariant) -> Entries:
    """Return the entries of a variant."""
    return cast(Entries, load(_Writer(variant).text()))


class _Writer:
    def __init__(self, variant: PlasticVariant) -> None:
        self.variant, self.rule = variant, rule_kernel(variant.kernel)
        self.where = plastic_layout(variant)
        self.since, self.evolves = keeps_last_event(self.rule), evolves(self.rule)
        self.modulated = is_modulated(self.rule)
        self.real_bytes = 4 if variant.precision == "float32" else 8
        self.watches = bool(watched(self.rule))
        # what is kept of a target's event
        self.of_target = ("level",) if self.watches else self.rule.TARGET
        self.entry = 1 + len(self.of_target)  # reals that it takes in a history

    def text(self) -> str:
        """Return the text of the module."""
        variant = self.variant
        lines = [
            f'"""Generated from {variant.kernel} {sources_digest(variant.kernel)}: do not edit."""',
            "import numpy as np",
            "from distsnn.jit import array, entry, inline, kernel, prefetch",
            "from distsnn.kernels.delivery import DONE, GROW",
            "from distsnn.kernels.plastic import *",
            f"from {variant.kernel} import {', '.join(self._imported())}",
            f"real, integer = np.{variant.precision}, np.int{variant.row_bits}",
            f"unsigned, word_bytes = np.uint{variant.word_bits}, {variant.word_bits // 8}",
            f"real_bytes = {self.real_bytes}",
            "@inline",
            "def fading(factors, n, tau):",
            "    return factors[np.uint64(n)] if n < N_FACTORS else real(faded(n, tau))",
            *self._advance(),
            *_CALLERS,
            *self._sources_spike(),
            *([] if self.watches else self._archive()),
            *(self._modulate() if hasattr(self.rule, "modulator_spike") else []),
            *(self._carry() if self.since else []),
        ]
        return "\n".join([*lines, ""])

    def _imported(self) -> list[str]:
        optional = ("between", "modulator_spike")
        given = [name for name in optional if hasattr(self.rule, name)]
        spike = ["source_spike", *([] if self.watches else ["target_spike"])]
        return ["on_post", "on_pre", *spike, *given]

    def _arrays(self) -> list[str]:
        """Return the lines that find the factors and the constants of all synapses."""
        lines = []
        for name, at in self.where.factors.items():
            lines.append(f"    factors_{name} = array(table[{at}], N_FACTORS, real)")
            lines.append(f"    tau_{name} = scalars[{self.where.scalars[name]}]")
        lines += [f"    c_{name} = real(scalars[{at}])" for name, at in self.where.scalars.items()]
        # spikes of a neuron know nothing of its synapses
        lines += [f"    c_{name} = real(0.0)" for name in self.where.per_synapse]
        return lines

    def _step(self, entry: str) -> str:
        """Return the step of a history's entry, given its place in reals."""
        words = self.real_bytes // 4
        return (
            f"steps[np.uint64(({entry}) * {words})]" if words > 1 else f"steps[np.uint64({entry})]"
        )

    def _kept(self, entry: str) -> dict[str, str]:
        """Return by name the traces of a target after the spike of an entry."""
        names = enumerate(self.of_target, 1)
        return {name: f"history[np.uint64({entry} + {at})]" for at, name in names}

    def _faded(self, name: str, value: str, n: str) -> str:
        """Return what `value` of a trace or state has faded to after n steps."""
        if name not in self.rule.DECAYS:
            return value
        tau = self.rule.DECAYS[name]
        return f"{value} * fading(factors_{tau}, {n}, tau_{tau})"

    def _call(self, function: str, *arguments: Iterable[str]) -> str:
        constants = [f"c_{name}" for name in self.rule.CONSTANTS]
        return f"{function}({', '.join([*(a for group in arguments for a in group), *constants])})"

    def _advance(self) -> list[str]:
        """Return the function that takes a row's events up to a step."""
        rule = self.rule
        n_source = len(rule.SOURCE)
        lines = [
            "@inline",
            "def advance(table, scalars, row, now, spikes, loop):",
            "    words = array(table[WORDS], MANY, unsigned)",
            "    weights = array(table[WEIGHTS], MANY, real)",
            "    rows = array(table[ROW], MANY, np.int64)",
            "    steps = array(table[HISTORY], MANY, np.int32)",
            "    history = array(table[HISTORY], MANY, real)",
            "    sources = array(table[SOURCES], MANY, real)",
            "    last_steps = array(table[LAST], MANY, np.int32)",
            "    until_steps = array(table[UNTIL], MANY, np.int32)",
            "    slots = (table[MASK] + 1) * table[STRIDE]",
            "    ring = array(table[RING], slots, integer)",
            "    bits, axonal = unsigned(table[TARGET_BITS]), table[AXONAL]",
            "    target_mask, ring_mask = unsigned((1 << table[TARGET_BITS]) - 1), slots - 1",
            "    base, scale = loop << table[TARGET_BITS], scalars[SCALE]",
            "    least, limit = real(0.0), real(scalars[LIMIT])",
            "    start, end, depth = rows[row], rows[row + 1], table[DEPTH]",
            f"    record_bytes = depth * {self.entry * self.real_bytes}",
            "    last, until = np.int64(last_steps[row]), np.int64(until_steps[row])",
            *self._arrays(),
        ]
        if self.since:
            lines.append("    since_steps = array(table[SINCE], MANY, np.int32)")
        if self.watches:
            lines += [
                "    firsts = array(table[FIRSTS], MANY, np.int32)",
                "    levels = array(table[LEVELS], MANY, real)",
            ]
        if self.modulated:
            lines += [
                *_MODULATOR,
                "    first_change = n_changes",
                "    while first_change > 1 and changes[first_change - 1] > until:",
                "        first_change -= 1",
            ]
        for name, at in (*self.where.states.items(), *self.where.per_synapse.items()):
            lines.append(f"    all_{name} = array(table[{at}], MANY, real)")
        for i, name in enumerate(rule.SOURCE):
            value = self._faded(name, f"kept_{name}", "now - last")
            lines.append(f"    kept_{name} = sources[row * {n_source} + {i}]")
            lines.append(f"    now_{name} = {value} if spikes else kept_{name}")
        lines += [
            "    if table[LEARNS] != 0:",
            "        wrong = False",
            "        for i in range(np.uint64(start), np.uint64(end)):",
            *(f"            {line}" for line in self._synapse()),
            "        if wrong and table[FAULT_ROW] < 0:",
            "            table[FAULT_ROW] = row",
            "            table[FAULT_STEP] = now",
            "    elif spikes:",
            "        for i in range(np.uint64(start), np.uint64(end)):",
            "            slot = np.uint64((np.int64(words[i]) + base) & ring_mask)",
            "            ring[slot] += integer(np.rint(np.float64(weights[i]) * scale))",
            "    until_steps[row] = now",
            "    if spikes:",
            "        table[EVENTS] += end - start",
            "        last_steps[row] = now",
        ]
        places = [f"sources[row * {n_source} + {i}]" for i in range(n_source)]
        return [*lines, *self._source_spike(places)]

    def _synapse(self) -> list[str]:
        """Return the lines that take a synapse's events up to `now`."""
        rule = self.rule
        lines = [
            "word = words[i]",
            "target = np.int64(word & target_mask)",
            "dendritic = np.int64(word >> bits) - axonal",
            "at, begin = now - dendritic, until - dendritic",
            "later = words[min(i + np.uint64(SYNAPSES_AHEAD), np.uint64(end - 1))]",
            "ahead = np.int64(later & target_mask)",
            *self._prefetch(),
            "w = weights[i]",
            *(f"s_{name} = all_{name}[i]" for name in rule.STATES),
            *(f"c_{name} = all_{name}[i]" for name in self.where.per_synapse),
        ]
        if self.since:
            lines.append("since = np.int64(since_steps[i])")
        if self.modulated:
            lines += [
                "q = first_change",
                "m_step, m = np.int64(changes[q - 1]), values[q - 1]",
            ]
        lines += [
            f"j = {self._newest('target')}",
            f"while {self._step('j')} > at:",
            f"    j += {self.entry}",
            "k = j",
            f"while {self._step('k')} > begin:",
            f"    k += {self.entry}",
            "while k > j:",
            f"    k -= {self.entry}",
            f"    moment = np.int64({self._step('k')})",
            "    event = moment + dendritic",
            *(f"    {line}" for line in self._changes()),
        ]
        for name in rule.SOURCE:
            value = self._faded(name, f"kept_{name}", "event - last")
            lines.append(f"    x_{name} = {value}")
        lines += [
            *(f"    {line}" for line in self._of_target_at_its_event()),
            *(f"    {line}" for line in self._event("on_post", "x_")),
            "event = now",
            *self._changes(),
            "if spikes:",
            *(f"    {line}" for line in self._of_target_at_sources_spike()),
            *(f"    {line}" for line in self._event("on_pre", "now_")),
            "    slot = np.uint64((np.int64(word) + base) & ring_mask)",
            "    ring[slot] += integer(np.rint(np.float64(w) * scale))",
            "weights[i] = w",
            *(f"all_{name}[i] = s_{name}" for name in rule.STATES),
        ]
        if self.since:
            lines.append("since_steps[i] = since")
        # what is no number is wrong too
        return [*lines, "wrong |= not (w >= least and w <= limit)"]

    def _of_target_at_its_event(self) -> list[str]:
        """Return the lines that find what `on_post` takes of the target, at entry k."""
        if self.watches:
            return [f"y_{name} = {kept}" for name, kept in self._kept("k").items()]
        before = f"before = moment - np.int64({self._step(f'k + {self.entry}')})"
        return [before, *self._faded_traces(f"k + {self.entry}")]

    def _of_target_at_sources_spike(self) -> list[str]:
        """Return the lines that find what `on_pre` takes of the target, at the step `at`."""
        if self.watches:
            row = "(at & table[LEVEL_MASK]) * table[LEVEL_STRIDE]"
            return [f"y_level = levels[np.uint64({row} + target)]"]
        return [
            f"while {self._step('j')} == at:",
            f"    j += {self.entry}",
            f"before = at - np.int64({self._step('j')})",
            *self._faded_traces("j"),
        ]

    def _faded_traces(self, entry: str) -> list[str]:
        """Return the lines that fade a target's traces after an entry's spike by `before`."""
        kept = self._kept(entry).items()
        return [f"y_{name} = {self._faded(name, value, 'before')}" for name, value in kept]

    def _newest(self, target: str) -> str:
        """Return the place, in reals, of the newest entry in a target's history."""
        if self.watches:
            return f"({target} * depth + np.int64(firsts[np.uint64({target})])) * {self.entry}"
        return f"{target} * (depth * {self.entry})"

    def _prefetch(self) -> list[str]:
        """Return the lines that ask for the history of the target `ahead`."""
        if self.watches:
            return [f"prefetch(table[HISTORY] + {self.real_bytes} * ({self._newest('ahead')}))"]
        return ["prefetch(table[HISTORY] + ahead * record_bytes)"]

    def _changes(self) -> list[str]:
        """Return the lines that take the modulator's changes up to the step `event`."""
        if not self.modulated:
            return []
        return [
            "while q < n_changes and changes[q] <= event:",
            *(f"    {line}" for line in self._evolution("np.int64(changes[q])")),
            "    m_step, m = np.int64(changes[q]), values[q]",
            "    q += 1",
        ]

    def _evolution(self, until: str) -> list[str]:
        """Return the lines that let weight and states evolve up to a step."""
        if not self.evolves:
            return []
        m = [self._faded("m", "m", "since - m_step")] if self.modulated else []
        return [*self._result("between", [f"{until} - since"], m), f"since = {until}"]

    def _fadings(self, until: str) -> list[str]:
        """Return the lines that let states fade up to a step, where they do so by themselves."""
        return [
            f"s_{name} = {self._faded(name, f's_{name}', f'{until} - since')}"
            for name in (() if self.evolves else self.rule.STATES)
            if name in self.rule.DECAYS
        ]

    def _event(self, function: str, source: str) -> list[str]:
        """Return the lines of one event at a synapse, at the step `event`."""
        rule, lines = self.rule, [*self._evolution("event"), *self._fadings("event")]
        traces = [f"{source}{name}" for name in rule.SOURCE]
        traces += [f"y_{name}" for name in self.of_target]
        m = [self._faded("m", "m", "event - m_step")] if self.modulated else []
        return [*lines, *self._result(function, traces, m), *(["since = event"] * self.since)]

    def _result(self, function: str, *arguments: Iterable[str]) -> list[str]:
        """Return the lines that set weight and states to what a function makes of them."""
        own = ["w", *(f"s_{name}" for name in self.rule.STATES)]
        call = self._call(function, own, *arguments)
        # whatever the rule made of it: what is kept between two events may not be finer than what
        # is stored, or it would matter when a row is brought up to date
        return [f"{', '.join(own)}, = {call}", *(f"{one} = real({one})" for one in own)]

    def _sources_spike(self) -> list[str]:
        """Return the kernel that advances traces by spikes."""
        source = self.rule.SOURCE
        lines = [
            "@kernel",
            "def sources_spike(table, scalars, traces, last_steps, sources, steps):",
            *self._arrays(),
            "    for i in range(sources.size):",
            "        source, now = sources[i], steps[i] + table[AXONAL]",
            "        last = np.int64(last_steps[source])",
        ]
        for i, name in enumerate(source):
            value = self._faded(name, f"traces[source, {i}]", "now - last")
            lines.append(f"        now_{name} = {value}")
        return [
            *lines,
            *self._source_spike([f"traces[source, {i}]" for i in range(len(source))]),
            "        last_steps[source] = now",
        ]

    def _source_spike(self, places: list[str]) -> list[str]:
        """Return the lines that put the traces of a source after a spike into their places."""
        names = self.rule.SOURCE
        if not names:
            return []
        new = self._call("source_spike", [f"now_{name}" for name in names])
        lines = [f"        {''.join(f'new_{name}, ' for name in names)}= {new}"]
        pairs = zip(places, names, strict=True)
        return [*lines, *(f"        {place} = new_{name}" for place, name in pairs)]

    def _archive(self) -> list[str]:
        """Return the entry that lets targets spike."""
        rule = self.rule
        lines = [
            "@entry",
            "def archive(table, scalars, first, last, step):",
            "    gids = array(table[SPIKE_GID], last, np.uint32)",
            "    loops = array(table[SPIKE_STEP], last, np.int64)",
            "    blocks = array(table[BLOCKS], MANY, np.int64)",
            "    steps = array(table[HISTORY], MANY, np.int32)",
            "    history = array(table[HISTORY], MANY, real)",
            "    depth, block_mask = table[DEPTH], (1 << table[BLOCK_BITS]) - 1",
            *self._arrays(),
            "    for i in range(first + table[CURSOR], last):",
            "        n = np.int64(gids[i]) - table[POST_GID]",
            "        if n < 0 or n >= table[N_POST]:",
            "            continue",
            "        n += table[POST_START]",
            "        block = blocks[np.uint64(n >> table[BLOCK_BITS])]",
            "        if block < 0:",
            "            continue",
            f"        record = (block + (n & block_mask)) * depth * {self.entry}",
            f"        oldest = record + (depth - 2) * {self.entry}",
            f"        if {self._step('oldest')} > table[SETTLED]:",
            "            table[CURSOR] = i - first",
            "            return GROW",
            "        now = loops[i] + 1",
            f"        before = now - np.int64({self._step('record')})",
        ]
        for name, kept in self._kept("record").items():
            lines.append(f"        y_{name} = {self._faded(name, kept, 'before')}")
        if rule.TARGET:
            new = self._call("target_spike", [f"y_{name}" for name in rule.TARGET])
            lines.append(f"        {''.join(f'new_{name}, ' for name in rule.TARGET)}= {new}")
        words = self.entry * self.real_bytes // 4
        lines += [
            f"        word = record * {self.real_bytes // 4}",
            f"        for j in range(word + depth * {words} - 1, word + {words} - 1, -1):",
            f"            steps[j] = steps[j - {words}]",
            f"        {self._step('record')} = now",
        ]
        for name, kept in self._kept("record").items():
            lines.append(f"        {kept} = new_{name}")
        return [*lines, "    table[CURSOR] = 0", "    return DONE"]

    def _modulate(self) -> list[str]:
        """Return the entry that lets the modulator follow the spikes that are due."""
        return [
            "@entry",
            "def modulate(table, scalars, first, last, step):",
            "    ahead = array(table[MOD_AHEAD], MANY, np.int64)",
            "    now = step + 1",
            "    due = ahead[now & table[MOD_MASK]]",
            "    if due == 0:",
            "        return DONE",
            "    ahead[now & table[MOD_MASK]] = 0",
            *_MODULATOR,
            *self._arrays(),
            "    before = now - np.int64(changes[n_changes - 1])",
            f"    m = {self._faded('m', 'values[n_changes - 1]', 'before')}",
            "    for _ in range(due):",
            f"        m, = {self._call('modulator_spike', ['m'])}",
            "        m = real(m)",
            "    changes[n_changes], values[n_changes] = now, m",
            "    table[N_MOD] = n_changes + 1",
            "    return DONE",
        ]

    def _carry(self) -> list[str]:
        """Return the kernel that lets synapses evolve up to a step.

        `synapses` are the numbers of those whose values are given; empty: these are of all.
        """
        arrays = "".join(f", all_{name}" for name in self.rule.STATES)
        lines = [
            "@kernel",
            f"def carry(table, scalars, now, synapses, since_steps, weights{arrays}):",
            *self._arrays(),
        ]
        if self.modulated and self.evolves:
            lines += [
                *_MODULATOR,
                "    m_step, m = np.int64(changes[n_changes - 1]), values[n_changes - 1]",
            ]
        for name, at in self.where.per_synapse.items():
            lines.append(f"    each_{name} = array(table[{at}], MANY, real)")
        body = [
            "n = synapses[i] if synapses.size > 0 else i",
            "w, since = weights[i], np.int64(since_steps[i])",
            *(f"s_{name} = all_{name}[i]" for name in self.rule.STATES),
            *(f"c_{name} = each_{name}[n]" for name in self.where.per_synapse),
            *self._evolution("now"),
            *self._fadings("now"),
            "weights[i], since_steps[i] = w, since",
            *(f"all_{name}[i] = s_{name}" for name in self.rule.STATES),
        ]
        return [*lines, "    for i in range(weights.size):", *(f"        {line}" for line in body)]


_MODULATOR = (
    "    changes = array(table[MOD_STEP], MANY, np.int32)",
    "    values = array(table[MOD_VALUE], MANY, real)",
    "    n_changes = table[N_MOD]",
)

_CALLERS = """
@inline
def let_go(table, scalars, step):
    rows = array(table[QUEUE_ROW], MANY, np.int64)
    loops = array(table[QUEUE_LOOP], MANY, np.int64)
    kept = 0
    for i in range(table[QUEUED]):
        now = loops[i] + 1 + table[AXONAL]
        if now <= step:
            advance(table, scalars, rows[i], now, True, loops[i])
        else:
            rows[kept], loops[kept] = rows[i], loops[i]
            kept += 1
    table[QUEUED] = kept

@entry
def release(table, scalars, first, last, step):
    let_go(table, scalars, step)
    return DONE

@entry
def deliver(table, scalars, first, last, step):
    rows = array(table[FOUND_ROW], BATCH, np.int64)
    loops = array(table[FOUND_LOOP], BATCH, np.int64)
    for batch in range(first, last, BATCH):
        n = find_rows(table, batch, min(batch + BATCH, last), rows, loops)
        for j in range(n):
            if j + ROWS_AHEAD < n:
                prefetch_row(table, rows[j + ROWS_AHEAD], word_bytes, real_bytes)
            advance(table, scalars, rows[j], loops[j] + 1, True, loops[j])
    return DONE

@kernel
def sweep(table, scalars, rows, now):
    let_go(table, scalars, now)
    until = array(table[UNTIL], MANY, np.int32)
    for row in rows:
        if until[row] < now:
            advance(table, scalars, row, now, False, 0)
""".strip().splitlines()
