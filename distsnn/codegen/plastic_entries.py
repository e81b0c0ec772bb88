"""Generation of the kernel entries of a plastic projection, as a module in the kernel cache.

The kernel module of a rule describes one synapse and one event (`distsnn.kernels.plasticity`). The
generated module contains the loops around it: over the rows of sources that spike, over the
synapses of a row, and over the pending spikes in a target's history. It defines

- `advance`, an entry: processes the events of rows up to a step, which may include the spike of the
  source (`distsnn.kernels.plastic` selects the rows);
- `archive`, an entry: adds a range of spikes to the histories of targets
  (`codegen.target_state_entries` generates the entry for rules that use states of targets);
- `modulate`, an entry: changes the modulator if spikes of its neurons are due;
- `carry`, a kernel: weights and states at a later step without events, if they change meanwhile;
- `sources_spike`, a kernel: advances traces of sources by spikes.
"""

from functools import cache
from typing import Protocol, cast

from distsnn.codegen.modules import load, sources_digest
from distsnn.codegen.plastic_advance import advance
from distsnn.codegen.plastic_code import LEARNING, MODULATOR, RuleCode
from distsnn.codegen.plasticity import PlasticVariant
from distsnn.jit import Function, KernelEntry


class Entries(Protocol):
    """Contents of a generated module."""

    advance: KernelEntry
    archive: KernelEntry
    modulate: KernelEntry
    carry: Function
    sources_spike: Function


@cache
def plastic_entries(variant: PlasticVariant) -> Entries:
    """Return the entries of a variant."""
    return cast(Entries, load(_EntryWriter(variant).text()))


class _EntryWriter(RuleCode):
    def text(self) -> str:
        """Return the text of the module."""
        variant = self.variant
        lines = [
            f'"""Generated from {variant.kernel} {sources_digest(variant.kernel)}: do not edit."""',
            "import numpy as np",
            "from distsnn.jit import array, inline, kernel, kernel_entry, stack_array",
            "from distsnn.kernels.delivery import DONE, GROW",
            "from distsnn.kernels.functions import exp, flush_subnormal",
            "from distsnn.kernels.plastic import *",
            *(["from distsnn.kernels.rule_functions import synapse_bits"] * bool(self.bits)),
            f"from {variant.kernel} import {', '.join(self._imported())}",
            f"real, integer = np.{variant.precision}, np.int{variant.row_bits}",
            f"unsigned, word_bytes = np.uint{variant.word_bits}, {variant.word_bits // 8}",
            f"real_bytes = {self.real_bytes}",
            "@inline",
            "def fading(n, tau):",
            "    return flush_subnormal(exp(-real(n) / tau))",
            *advance(self),
            *self._sources_spike(),
            *([] if self.watches else self._archive()),
            *(self._modulate() if hasattr(self.rule, "modulator_spike") else []),
            *(self._carry() if self.since else []),
        ]
        return "\n".join([*lines, ""])

    def _imported(self) -> list[str]:
        optional = ("between", "modulator_spike")
        defined = [name for name in optional if hasattr(self.rule, name)]
        spike = ["source_spike", *([] if self.watches else ["target_spike"])]
        return ["on_post", "on_pre", *spike, *defined]

    def _sources_spike(self) -> list[str]:
        """Return the kernel that advances traces by spikes."""
        source = self.rule.SOURCE
        lines = [
            "@kernel",
            "def sources_spike(table, scalars, traces, last_steps, sources, steps):",
            *self.constants(),
            "    for i in range(sources.size):",
            "        source, now = sources[i], steps[i] + table[AXONAL]",
            "        last = np.int64(last_steps[source])",
        ]
        for i, name in enumerate(source):
            value = self.decayed(name, f"traces[source, {i}]", "now - last")
            lines.append(f"        now_{name} = {value}")
        return [
            *lines,
            *self.source_spike([f"traces[source, {i}]" for i in range(len(source))]),
            "        last_steps[source] = now",
        ]

    def _archive(self) -> list[str]:
        """Return the entry that adds spikes of targets to their histories."""
        rule = self.rule
        lines = [
            "@kernel_entry",
            "def archive(table, scalars, first, last, step):",
            "    gids = array(table[SPIKE_GID], last, np.uint32)",
            "    loops = array(table[SPIKE_STEP], last, np.int64)",
            "    blocks = array(table[BLOCKS], UNBOUNDED, np.int64)",
            "    steps = array(table[HISTORY], UNBOUNDED, np.int32)",
            "    history = array(table[HISTORY], UNBOUNDED, real)",
            "    depth, block_mask = table[DEPTH], (1 << table[BLOCK_BITS]) - 1",
            *self.constants(),
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
            f"        if {self.step('oldest')} > table[DELIVERED_UNTIL]:",
            "            table[CURSOR] = i - first",
            "            return GROW",
            "        now = loops[i] + 1",
            f"        before = now - np.int64({self.step('record')})",
        ]
        for name, text in self.stored_traces("record").items():
            lines.append(f"        y_{name} = {self.decayed(name, text, 'before')}")
        if rule.TARGET:
            new = self.call("target_spike", [f"y_{name}" for name in rule.TARGET])
            lines.append(f"        {''.join(f'new_{name}, ' for name in rule.TARGET)}= {new}")
        words = self.entry * self.real_bytes // 4
        lines += [
            f"        word = record * {self.real_bytes // 4}",
            f"        for j in range(word + depth * {words} - 1, word + {words} - 1, -1):",
            f"            steps[j] = steps[j - {words}]",
            f"        {self.step('record')} = now",
        ]
        for name, text in self.stored_traces("record").items():
            lines.append(f"        {text} = new_{name}")
        return [*lines, "    table[CURSOR] = 0", "    return DONE"]

    def _modulate(self) -> list[str]:
        """Return the entry that changes the modulator by the spikes that are due."""
        return [
            "@kernel_entry",
            "def modulate(table, scalars, first, last, step):",
            "    ahead = array(table[MOD_AHEAD], UNBOUNDED, np.int64)",
            "    now = step + 1",
            "    due = ahead[now & table[MOD_MASK]]",
            "    if due == 0:",
            "        return DONE",
            "    ahead[now & table[MOD_MASK]] = 0",
            *MODULATOR,
            *self.constants(),
            "    before = now - np.int64(changes[n_changes - 1])",
            f"    m = {self.decayed('m', 'values[n_changes - 1]', 'before')}",
            "    for _ in range(due):",
            f"        m, = {self.call('modulator_spike', ['m'])}",
            "        m = real(m)",
            "    changes[n_changes], values[n_changes] = now, m",
            "    table[N_MOD] = n_changes + 1",
            "    return DONE",
        ]

    def _carry(self) -> list[str]:
        """Return the kernel that evolves synapses up to a step.

        `synapses` are the indices of the synapses; if empty, the arrays contain all synapses.
        """
        arrays = "".join(f", all_{name}" for name in self.rule.STATES)
        lines = [
            "@kernel",
            f"def carry(table, scalars, now, synapses, since_steps, weights{arrays}):",
            LEARNING,
            *self.constants(),
        ]
        if self.modulated and self.evolves:
            lines += [
                *MODULATOR,
                "    m_step, m = np.int64(changes[n_changes - 1]), values[n_changes - 1]",
            ]
        for name, position in self.where.per_synapse.items():
            lines.append(f"    each_{name} = array(table[{position}], UNBOUNDED, real)")
        body = [
            "n = synapses[i] if synapses.size > 0 else i",
            "w, since = weights[i], np.int64(since_steps[i])",
            *(f"s_{name} = all_{name}[i]" for name in self.rule.STATES),
            *(f"c_{name} = each_{name}[n]" for name in self.where.per_synapse),
            *self.evolution("now"),
            *self.fadings("now"),
            "weights[i], since_steps[i] = w, since",
            *(f"all_{name}[i] = s_{name}" for name in self.rule.STATES),
        ]
        return [*lines, "    for i in range(weights.size):", *(f"        {line}" for line in body)]
