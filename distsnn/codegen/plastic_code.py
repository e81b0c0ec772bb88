"""Lines of code that apply a plasticity rule.

Names in the code: ``c_NAME`` is a constant; ``x_``, ``y_`` and ``s_NAME`` are traces of source and
target and states of the synapse at an event; ``kept_NAME`` is a trace of the source after its last
spike, ``now_NAME`` its value at the current spike.
"""

from collections.abc import Iterable

from distsnn.codegen.plasticity import (
    PlasticVariant,
    changes_between_events,
    is_modulated,
    keeps_last_event,
    n_draws,
    n_levels,
    observed_states,
    plastic_layout,
    rule_kernel,
    transmits,
)

LEARNING = "    learns = table[LEARNS] != 0"
MODULATOR = (
    "    changes = array(table[MOD_STEP], UNBOUNDED, np.int32)",
    "    values = array(table[MOD_VALUE], UNBOUNDED, real)",
    "    n_changes = table[N_MOD]",
)


class RuleCode:
    """The rule of a variant, and its lines of code.

    Parameters
    ----------
    variant : PlasticVariant
        The rule, and how its projection is stored.

    Attributes
    ----------
    rule : RuleKernel
        Its kernel module.
    where : PlasticLayout
        Positions of rule-specific values.
    since, evolves, modulated : bool
        Whether synapses store the step of their last event, change between events, and depend on a
        modulator.
    transmits : bool
        Whether a spike of the source transmits a value other than the weight.
    bits : list of str
        Random words that a spike of the source uses at each synapse.
    changes_without_learning : bool
        Whether states of a synapse follow spikes and time while learning is off.
    real_bytes : int
        Width of weights, states and traces.
    watches : bool
        Whether the rule uses states of its targets instead of their spikes.
    of_target : tuple of str
        Values that are stored for a target's event.
    met : tuple of str
        Values of a target that a spike of the source uses.
    entry : int
        Number of reals of an entry in a history.
    """

    def __init__(self, variant: PlasticVariant) -> None:
        self.variant, self.rule = variant, rule_kernel(variant.kernel)
        self.where = plastic_layout(variant)
        self.since, self.evolves = keeps_last_event(self.rule), changes_between_events(self.rule)
        self.transmits = transmits(self.rule)
        self.bits = [f"bits_{i}" for i in range(n_draws(self.rule))]
        self.changes_without_learning = bool(self.rule.STATES) or self.evolves or self.transmits
        self.modulated = is_modulated(self.rule)
        self.real_bytes = 4 if variant.precision == "float32" else 8
        self.watches = bool(observed_states(self.rule))
        self.of_target = self.met = self.rule.TARGET
        if self.watches:
            self.of_target = tuple(f"level_{i}" for i in range(n_levels(self.rule)))
            self.met = self.of_target[:1]
        self.entry = 1 + len(self.of_target)

    def constants(self) -> list[str]:
        """Return the lines that read the constants of all synapses."""
        lines = [
            f"    c_{name} = real(scalars[{position}])"
            for name, position in self.where.scalars.items()
        ]
        # spike functions of a neuron do not use constants of its synapses
        return [*lines, *(f"    c_{name} = real(0.0)" for name in self.where.per_synapse)]

    def step(self, entry: str) -> str:
        """Return the code of the step of a history entry, given its position in reals."""
        words = self.real_bytes // 4
        return (
            f"steps[np.uint64(({entry}) * {words})]" if words > 1 else f"steps[np.uint64({entry})]"
        )

    def stored_traces(self, entry: str) -> dict[str, str]:
        """Return the traces of a target after the spike of an entry, by name."""
        names = enumerate(self.of_target, 1)
        return {name: f"history[np.uint64({entry} + {offset})]" for offset, name in names}

    def newest_entry_index(self, target: str) -> str:
        """Return the position, in reals, of the newest entry in a target's history."""
        if self.watches:
            return f"({target} * depth + np.int64(firsts[np.uint64({target})])) * {self.entry}"
        return f"{target} * (depth * {self.entry})"

    def decayed(self, name: str, value: str, n: str) -> str:
        """Return the code of a trace or state with this value after a decay of n steps."""
        if name not in self.rule.DECAYS:
            return value
        return f"{value} * fading({n}, c_{self.rule.DECAYS[name]})"

    def call(self, function: str, *arguments: Iterable[str]) -> str:
        """Return the call of a function of the rule."""
        constants = [f"c_{name}" for name in self.rule.CONSTANTS]
        return f"{function}({', '.join([*(a for group in arguments for a in group), *constants])})"

    def changes(self) -> list[str]:
        """Return the lines that process the modulator's changes up to the step `event`."""
        if not self.modulated:
            return []
        return [
            "while q < n_changes and changes[q] <= event:",
            *(f"    {line}" for line in self.evolution("np.int64(changes[q])")),
            "    m_step, m = np.int64(changes[q]), values[q]",
            "    q += 1",
        ]

    def evolution(self, until: str) -> list[str]:
        """Return the lines that evolve weight and states up to a step."""
        if not self.evolves:
            return []
        m = [self.decayed("m", "m", "since - m_step")] if self.modulated else []
        return [*self._result("between", [f"{until} - since"], m), f"since = {until}"]

    def fadings(self, until: str) -> list[str]:
        """Return the lines that decay states up to a step, if `between` does not."""
        return [
            f"s_{name} = {self.decayed(name, f's_{name}', f'{until} - since')}"
            for name in (() if self.evolves else self.rule.STATES)
            if name in self.rule.DECAYS
        ]

    def event(self, function: str, source: str) -> list[str]:
        """Return the lines of one event at a synapse, at the step `event`."""
        lines = [*self.evolution("event"), *self.fadings("event")]
        traces = [f"{source}{name}" for name in self.rule.SOURCE]
        traces += [f"y_{name}" for name in (self.met if function == "on_pre" else self.of_target)]
        m = [self.decayed("m", "m", "event - m_step")] if self.modulated else []
        others = [*(["learns"] * self.transmits), *self.bits] if function == "on_pre" else []
        result = self._result(function, traces, m, others)
        return [*lines, *result, *(["since = event"] * self.since)]

    def _result(self, function: str, *arguments: Iterable[str]) -> list[str]:
        """Return the lines that set weight and states to the results of a function.

        While learning is off, only the states change.
        """
        states = [f"s_{name}" for name in self.rule.STATES]
        call = self.call(function, ["w", *states], *arguments)
        # rounded to the stored precision: a finer value between two events would make the result
        # depend on the times of updates
        if not self.changes_without_learning:
            return [f"w, = {call}", "w = real(w)"]
        sent = ["transmitted"] * (self.transmits and function == "on_pre")
        return [
            f"{', '.join(['new_w', *states, *sent])}, = {call}",
            "w = real(new_w) if learns else w",
            *(f"{state} = real({state})" for state in states),
        ]

    def source_spike(self, places: list[str]) -> list[str]:
        """Return the lines that store the traces of a source after a spike."""
        names = self.rule.SOURCE
        if not names:
            return []
        new = self.call("source_spike", [f"now_{name}" for name in names])
        lines = [f"        {''.join(f'new_{name}, ' for name in names)}= {new}"]
        pairs = zip(places, names, strict=True)
        return [*lines, *(f"        {place} = new_{name}" for place, name in pairs)]
