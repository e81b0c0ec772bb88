"""Writes the kernel module of a model that is given as equations.

The module is like those in `distsnn.kernels.neurons`, but for its variables' names: ``s_NAME`` is
a state before the step, ``new_NAME`` after it, ``kN`` a constant, ``tN`` what lies between.
"""

from collections.abc import Mapping
from functools import cache

import sympy

from distsnn.codegen.expressions import STEP, Constants, Writer
from distsnn.codegen.modules import load
from distsnn.codegen.rosenbrock import rosenbrock
from distsnn.network.equations.analysis import Analysis, Linear, function, symbol
from distsnn.network.equations.dynamics import REFRACTORY, STIMULI, TIME, Dynamics
from distsnn.network.equations.neuron_model import NeuronModel

Symbols = Mapping[sympy.Symbol, str]

_HALF = sympy.Rational(1, 2)
_CURRENT = symbol(STIMULI)
_TIME, _TIME_END = symbol(TIME), "t_end"
_MEAN = sympy.Symbol("mean")


@cache
def kernel_of(model: NeuronModel) -> str:
    """Return the import name of a model's kernel module, which is written if it is missing."""
    return load(kernel_text(model)).__name__


def kernel_text(model: NeuronModel) -> str:
    """Return the text of a model's kernel module."""
    dynamics, analysis = model.dynamics, model.analysis
    # times are compared with constants that float32 would move off the grid
    constants = Constants("double" if dynamics.uses(TIME) else "real")
    states = [f"s_{name}" for name in dynamics.states]
    rest = more = ""
    if model.refractory:
        states.append(REFRACTORY)
        rest = constants.count("c_ref", f'np.rint(p["{model.refractory}"] / dt)')
    bodies = {}
    if model.substeps > 1:
        # the last part is done by `step`
        constants.count("substeps", f"np.asarray({model.substeps - 1}.0)")
        if model.refractory:
            # counted down once more at the end of the same step
            more = constants.count("c_more", "np.where(c_ref > 0, c_ref + 1, 0)")
        bodies["integrate"] = _body(dynamics, analysis, constants, {}, more, last=False)
    inputs: dict[str, str] = {}
    for receptor, target in dynamics.receptors.items():
        sign = "-" if target.negative else "+"
        inputs[target.state] = inputs.get(target.state, "") + f" {sign} in_{receptor}"
    bodies["step"] = _body(dynamics, analysis, constants, inputs, rest, last=True)
    draws = [*("normal" for _ in analysis.noise), *analysis.draws.values()]
    time = [TIME, _TIME_END] if dynamics.uses(TIME) else []
    others = ["current", *(f"draw_{i}" for i in range(len(draws))), *time]
    given = {
        "integrate": ["current"],
        "step": [*(f"in_{name}" for name in dynamics.receptors), *others],
    }
    lines = [
        '"""Generated from a model\'s equations: do not edit."""',
        "import numpy as np",
        "from distsnn.jit import inline",
        "from distsnn.kernels.functions import (",
        "    checked_log, checked_log_array, exp, exp_array, exprel, exprel_array, flush, power",
        ")",
        "from distsnn.kernels.propagators import exponential",
        f"STATES = {tuple(one.removeprefix('s_') for one in states)!r}",
        f"RECEPTORS = {tuple(dynamics.receptors)!r}",
        f"CONSTANTS = {constants.kinds!r}",
        f"DRAWS = {tuple(draws)!r}",
        f"TIME = {bool(time)}",
        "def propagators(parameters, dt):",
        f"    p, h = parameters, dt / {model.substeps}",
        *(f"    {line}" for line in constants.lines),
        f"    return {{{', '.join(f'{name!r}: {name}' for name in constants.kinds)}}}",
    ]
    for name, body in bodies.items():
        arguments = [*states, *given[name], *constants.kinds]
        lines += ["@inline", f"def {name}({', '.join(arguments)}):"]
        lines += [f"    {line}" for line in body]
    return "\n".join([*lines, ""])


def _body(
    dynamics: Dynamics,
    analysis: Analysis,
    constants: Constants,
    inputs: Mapping[str, str],
    rest: str,
    *,
    last: bool,
) -> list[str]:
    """Return the lines that advance a neuron by one part of a step, with what ends the last one."""
    lines = [f"held = {REFRACTORY} > 0"] if rest else []
    # what has one value in a step
    during = {_CURRENT: "current"}
    during |= {one: f"draw_{i}" for i, one in enumerate(analysis.draws, len(analysis.noise))}
    before = {symbol(name): f"s_{name}" for name in dynamics.states} | during
    if dynamics.uses(TIME):
        before[_TIME] = TIME
    for i, noise in enumerate(analysis.noise):
        # of variance 1/h: Euler's step times it is a step of a Wiener process
        lines.append(f"{noise.name} = {constants.add('np.sqrt(1.0 / h)')} * draw_{i}")
        before[noise] = noise.name
    part = _Part(analysis, before, dynamics.held, Writer(before, constants, lines))
    for name, text in part.advanced().items():
        new = f"flush({text}{inputs.get(name, '')})"
        new = f"s_{name} if held else {new}" if name in dynamics.held else new
        lines.append(f"new_{name} = {new}")
    results = {name: f"new_{name}" for name in dynamics.states}
    after = {symbol(name): f"new_{name}" for name in dynamics.states} | during
    if dynamics.uses(TIME):
        after[_TIME] = _TIME_END
    write = Writer(after, constants, lines)
    conditions = [write(condition) for condition, _ in analysis.events]
    spiked = "False"
    if analysis.threshold is not None:
        free = " & (not held)" if rest else ""
        lines.append(f"spiked = {write(analysis.threshold)}{free}")
        spiked = "spiked"
    happens = [(spiked, analysis.reset)]
    happens += zip(conditions, (its for _, its in analysis.events), strict=True)
    for condition, assignments in happens:
        known = dict(results)
        write = Writer(after | {symbol(name): known[name] for name in known}, constants, lines)
        for state, value in assignments:
            # a name: numba compiles no long tuple that has conditions in it
            new = f"{write(value)} if {condition} else {known[state.name]}"
            results[state.name] = write.let(new)
    if rest:
        left = f"np.int32({REFRACTORY} - 1 if held else 0)" if last else REFRACTORY
        lines.append(f"left = {left}")
        results[REFRACTORY] = write.let(f"{rest} if {spiked} else left")
    values = ", ".join(f"({text})" for text in results.values())
    return [*lines, f"return {values}, {spiked}"]


class _Part:
    """The states over one part of a step."""

    def __init__(
        self, analysis: Analysis, before: Symbols, held: tuple[str, ...], write: Writer
    ) -> None:
        self._analysis, self._before, self._write = analysis, before, write
        self._held = {symbol(name) for name in held}

    def advanced(self) -> dict[str, str]:
        """Return each state's value after the part, as text, by name."""
        found = {name: self._row(name, STEP) for name in self._analysis.exact}
        method = {
            "rosenbrock": self._rosenbrock,
            "exponential_euler": self._exponential_euler,
            "euler": self._euler,
            "rk2": self._rk2,
            "rk4": self._rk4,
        }
        if self._analysis.others:
            found |= method[self._analysis.method]()
        return {name.name: found[name] for name in self._analysis.derivatives}

    def _row(self, name: sympy.Symbol, time: sympy.Expr, *, mean: bool = False) -> str:
        """Return an exactly integrated state's value after a time, or its mean, as text."""
        free = self._propagated(name, time, frozenset(), mean)
        held = frozenset(self._held & set(self._analysis.exact))
        if name in held or not held & self._needs(name, frozenset()):
            return free
        # it depends on what is held: while that rests its own course is another
        return f"({self._propagated(name, time, held, mean)} if held else {free})"

    def _needs(self, name: sympy.Symbol, held: frozenset[sympy.Symbol]) -> set[sympy.Symbol]:
        """Return a state and those on which its course depends."""
        found, left = set(), [name]
        while left:
            one = left.pop()
            if one not in found and one != _CURRENT:
                found.add(one)
                left += [] if one in held else self._analysis.exact[one].factors
        return found

    def _propagated(
        self, name: sympy.Symbol, time: sympy.Expr, held: frozenset[sympy.Symbol], mean: bool
    ) -> str:
        exact, constants = self._analysis.exact, self._write.constants
        needed = self._needs(name, held)
        states = [one for one in exact if one in needed]
        still = Linear({}, sympy.Integer(0))
        forms = {one: still if one in held else exact[one] for one in states}
        driven = any(form.rest != 0 for form in forms.values())
        current = any(_CURRENT in form.factors for form in forms.values())
        if mean:
            # one more equation, whose value after the time is the mean
            forms[_MEAN] = Linear({name: 1 / time}, sympy.Integer(0))
            name = _MEAN
        elif len(states) == 1 and not driven and not current:
            factor = forms[name].factors.get(name, sympy.Integer(0))
            decay = self._write(function("exp")(time * factor))
            return f"{decay} * {self._before[name]}"
        size = len(forms)
        entries = []
        for row, form in enumerate(forms.values()):
            columns = [*forms, None, _CURRENT]
            factors = {None: form.rest, **form.factors}
            entries += [
                f"({row}, {column}): {constants.text(factors[one])}"
                for column, one in enumerate(columns)
                if factors.get(one, 0) != 0
            ]
        made = f"exponential({size}, {{{', '.join(entries)}}}, {constants.text(time)})"
        row = list(forms).index(name)

        def entry(column: int) -> str:
            return constants.entry(made, row, column)

        text = " + ".join(f"{entry(at)} * {self._before[one]}" for at, one in enumerate(states))
        pushed = [entry(size)] if driven else []
        pushed += [f"{entry(size + 1)} * {self._before[_CURRENT]}"] if current else []
        return f"{text} + ({' + '.join(pushed)})" if pushed else text

    def _rosenbrock(self) -> dict[sympy.Symbol, str]:
        return rosenbrock(self._analysis, self._with_means(), self._held)

    def _exponential_euler(self) -> dict[sympy.Symbol, str]:
        found, write = {}, self._with_means()
        for name in self._analysis.others:
            growth = function("exprel")(STEP * self._analysis.growth[name])
            slope = self._analysis.derivatives[name]
            found[name] = write(name + STEP * growth * slope)
        return found

    def _with_means(self) -> Writer:
        """Return a writer that takes exactly integrated states as their means over the part.

        The total drive of what decays within a step is then exact.
        """
        values = dict(self._before) | self._time(STEP * _HALF)
        for name in self._analysis.exact:
            text = self._row(name, STEP, mean=True)
            if name in self._held:
                text = f"{self._before[name]} if held else {text}"
            values[name] = self._write.let(text)
        return Writer(values, self._write.constants, self._write.lines)

    def _euler(self) -> dict[sympy.Symbol, str]:
        slopes = self._slopes(self._before)
        return {name: self._moved(name, STEP, slope) for name, slope in slopes.items()}

    def _rk2(self) -> dict[sympy.Symbol, str]:
        middle = self._stage(self._slopes(self._before), STEP * _HALF)
        slopes = self._slopes(middle)
        return {name: self._moved(name, STEP, slope) for name, slope in slopes.items()}

    def _rk4(self) -> dict[sympy.Symbol, str]:
        first = self._slopes(self._before)
        second = self._slopes(self._stage(first, STEP * _HALF))
        third = self._slopes(self._stage(second, STEP * _HALF))
        fourth = self._slopes(self._stage(third, STEP))
        found = {}
        two, sixth = self._write(sympy.Integer(2)), self._write(STEP / 6)
        for name in self._analysis.others:
            middle = f"{two} * ({second[name]} + {third[name]})"
            total = f"({first[name]} + {middle} + {fourth[name]})"
            found[name] = f"{self._before[name]} + {sixth} * {total}"
        return found

    def _moved(self, name: sympy.Symbol, time: sympy.Expr, slope: str) -> str:
        return f"{self._before[name]} + {self._write(time)} * {slope}"

    def _time(self, after: sympy.Expr) -> dict[sympy.Symbol, str]:
        """Return the time so long after the begin of the part, where equations use it."""
        if _TIME not in self._before:
            return {}
        return {_TIME: f"({self._before[_TIME]} + {self._write(after)})"}

    def _slopes(self, values: Symbols) -> dict[sympy.Symbol, str]:
        write = Writer(values, self._write.constants, self._write.lines)
        return {name: write(self._analysis.derivatives[name]) for name in self._analysis.others}

    def _stage(self, slopes: Mapping[sympy.Symbol, str], time: sympy.Expr) -> Symbols:
        """Return all states at a time within the part, given the slopes of those not exact."""
        values = {name: self._row(name, time) for name in self._analysis.exact}
        values |= {name: self._moved(name, time, slope) for name, slope in slopes.items()}
        found = {_CURRENT: self._before[_CURRENT]} | self._time(time)
        for name, text in values.items():
            if name in self._held:
                text = f"{self._before[name]} if held else {text}"
            found[name] = self._write.let(text)
        return found
