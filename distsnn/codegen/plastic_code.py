"""Lines of code that say what a rule of plasticity does.

Names in them: ``c_NAME`` is a constant; ``x_``, ``y_`` and ``s_NAME`` are traces of source and
target and states of the synapse at an event; ``kept_NAME`` and ``now_NAME`` are traces of the
source after its last spike, and faded to the present one.
"""

from collections.abc import Iterable

from distsnn.codegen.plasticity import (
    PlasticVariant,
    evolves,
    is_modulated,
    keeps_last_event,
    n_draws,
    n_levels,
    plastic_layout,
    rule_kernel,
    transmits,
    watched,
)

LEARNING = "    learns = table[LEARNS] != 0"
MODULATOR = (
    "    changes = array(table[MOD_STEP], UNBOUNDED, np.int32)",
    "    values = array(table[MOD_VALUE], UNBOUNDED, real)",
    "    n_changes = table[N_MOD]",
)


class RuleCode:
    """A variant's rule, and the lines that are made of it.

    Parameters
    ----------
    variant : PlasticVariant
        The rule, and how its projection is stored.

    Attributes
    ----------
    rule : RuleKernel
        Its kernel module.
    where : PlasticLayout
        Where entries find what is not the same for all rules.
    since, evolves, modulated : bool
        Whether synapses keep the step of their last event, change between events, and follow a
        modulator.
    transmits : bool
        Whether a spike of the source transmits anything but the weight.
    bits : list of str
        Words of random bits that a spike of the source takes at each synapse.
    goes_on : bool
        Whether there is anything of a synapse that follows spikes and time without learning too.
    real_bytes : int
        Width of weights, states and traces.
    watches : bool
        Whether it follows states of its targets in place of their spikes.
    of_target : tuple of str
        What is kept of a target's event.
    met : tuple of str
        What a spike of the source meets of a target.
    entry : int
        Reals that it takes in a history.
    """

    def __init__(self, variant: PlasticVariant) -> None:
        self.variant, self.rule = variant, rule_kernel(variant.kernel)
        self.where = plastic_layout(variant)
        self.since, self.evolves = keeps_last_event(self.rule), evolves(self.rule)
        self.transmits = transmits(self.rule)
        self.bits = [f"bits_{i}" for i in range(n_draws(self.rule))]
        self.goes_on = bool(self.rule.STATES) or self.evolves or self.transmits
        self.modulated = is_modulated(self.rule)
        self.real_bytes = 4 if variant.precision == "float32" else 8
        self.watches = bool(watched(self.rule))
        self.of_target = self.met = self.rule.TARGET
        if self.watches:
            self.of_target = tuple(f"level_{i}" for i in range(n_levels(self.rule)))
            self.met = self.of_target[:1]
        self.entry = 1 + len(self.of_target)

    def constants(self) -> list[str]:
        """Return the lines that find the constants of all synapses."""
        lines = [f"    c_{name} = real(scalars[{at}])" for name, at in self.where.scalars.items()]
        # spikes of a neuron know nothing of its synapses
        return [*lines, *(f"    c_{name} = real(0.0)" for name in self.where.per_synapse)]

    def step(self, entry: str) -> str:
        """Return the step of a history's entry, given its place in reals."""
        words = self.real_bytes // 4
        return (
            f"steps[np.uint64(({entry}) * {words})]" if words > 1 else f"steps[np.uint64({entry})]"
        )

    def kept(self, entry: str) -> dict[str, str]:
        """Return by name the traces of a target after the spike of an entry."""
        names = enumerate(self.of_target, 1)
        return {name: f"history[np.uint64({entry} + {at})]" for at, name in names}

    def newest(self, target: str) -> str:
        """Return the place, in reals, of the newest entry in a target's history."""
        if self.watches:
            return f"({target} * depth + np.int64(firsts[np.uint64({target})])) * {self.entry}"
        return f"{target} * (depth * {self.entry})"

    def faded(self, name: str, value: str, n: str) -> str:
        """Return what `value` of a trace or state has faded to after n steps."""
        if name not in self.rule.DECAYS:
            return value
        return f"{value} * fading({n}, c_{self.rule.DECAYS[name]})"

    def call(self, function: str, *arguments: Iterable[str]) -> str:
        """Return the call of a function of the rule."""
        constants = [f"c_{name}" for name in self.rule.CONSTANTS]
        return f"{function}({', '.join([*(a for group in arguments for a in group), *constants])})"

    def changes(self) -> list[str]:
        """Return the lines that take the modulator's changes up to the step `event`."""
        if not self.modulated:
            return []
        return [
            "while q < n_changes and changes[q] <= event:",
            *(f"    {line}" for line in self.evolution("np.int64(changes[q])")),
            "    m_step, m = np.int64(changes[q]), values[q]",
            "    q += 1",
        ]

    def evolution(self, until: str) -> list[str]:
        """Return the lines that let weight and states evolve up to a step."""
        if not self.evolves:
            return []
        m = [self.faded("m", "m", "since - m_step")] if self.modulated else []
        return [*self._result("between", [f"{until} - since"], m), f"since = {until}"]

    def fadings(self, until: str) -> list[str]:
        """Return the lines that let states fade up to a step, where they do so by themselves."""
        return [
            f"s_{name} = {self.faded(name, f's_{name}', f'{until} - since')}"
            for name in (() if self.evolves else self.rule.STATES)
            if name in self.rule.DECAYS
        ]

    def event(self, function: str, source: str) -> list[str]:
        """Return the lines of one event at a synapse, at the step `event`."""
        lines = [*self.evolution("event"), *self.fadings("event")]
        traces = [f"{source}{name}" for name in self.rule.SOURCE]
        traces += [f"y_{name}" for name in (self.met if function == "on_pre" else self.of_target)]
        m = [self.faded("m", "m", "event - m_step")] if self.modulated else []
        more = [*(["learns"] * self.transmits), *self.bits] if function == "on_pre" else []
        result = self._result(function, traces, m, more)
        return [*lines, *result, *(["since = event"] * self.since)]

    def _result(self, function: str, *arguments: Iterable[str]) -> list[str]:
        """Return the lines that set weight and states to what a function makes of them.

        A projection that does not learn for the moment comes here for the states alone.
        """
        states = [f"s_{name}" for name in self.rule.STATES]
        call = self.call(function, ["w", *states], *arguments)
        # whatever the rule made of it: what is kept between two events may not be finer than what
        # is stored, or it would matter when a row is brought up to date
        if not self.goes_on:
            return [f"w, = {call}", "w = real(w)"]
        sent = ["transmitted"] * (self.transmits and function == "on_pre")
        return [
            f"{', '.join(['new_w', *states, *sent])}, = {call}",
            "w = real(new_w) if learns else w",
            *(f"{one} = real({one})" for one in states),
        ]

    def source_spike(self, places: list[str]) -> list[str]:
        """Return the lines that put the traces of a source after a spike into their places."""
        names = self.rule.SOURCE
        if not names:
            return []
        new = self.call("source_spike", [f"now_{name}" for name in names])
        lines = [f"        {''.join(f'new_{name}, ' for name in names)}= {new}"]
        pairs = zip(places, names, strict=True)
        return [*lines, *(f"        {place} = new_{name}" for place, name in pairs)]
