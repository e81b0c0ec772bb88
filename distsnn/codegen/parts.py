"""States after a substep, by each integration scheme, as lines of code."""

from collections.abc import Callable, Collection, Mapping

import sympy

from distsnn.codegen.expressions import STEP, ExpressionWriter, bare
from distsnn.codegen.rosenbrock import rosenbrock
from distsnn.network.equations.analysis import Analysis, Linear, function, symbol
from distsnn.network.equations.dynamics import STEP_LENGTH, STIMULI, TIME
from distsnn.network.equations.syntax import INPUT, PREVIOUS, input_name

Symbols = Mapping[sympy.Symbol, str]

_HALF = sympy.Rational(1, 2)
_CURRENT = symbol(STIMULI)
_STEP_LENGTH = symbol(STEP_LENGTH)
_STILL = Linear({}, sympy.Integer(0))
_TIME = symbol(TIME)
_MEAN = sympy.Symbol("mean")


class Part:
    """The states during one substep.

    Parameters
    ----------
    analysis : Analysis
        The equations.
    before : mapping of Symbol to str
        Local variables at the start of the substep.
    held : mapping of Symbol to str
        Clamped states, with the local variable of the condition; the longest clamped states first.
    write : ExpressionWriter
        Extended by the code.
    length : Symbol
        Length of the substep: `STEP`, or ``dt`` if it is the whole step.
    """

    def __init__(
        self,
        analysis: Analysis,
        before: Symbols,
        held: Symbols,
        write: ExpressionWriter,
        length: sympy.Symbol = STEP,
    ) -> None:
        self._analysis, self._before, self._write = analysis, before, write
        self._held = held
        # each test is true if a later test is true
        self._tests = [*dict.fromkeys(held.values())]
        self._slow, self._length = analysis.slow, length
        # quantities that are constant in a step, with their names in names of constants
        self._given = {_CURRENT: STIMULI}
        self._given |= {
            state: f"{PREVIOUS}_{previous.name}" for state, previous in analysis.previous.items()
        }
        self._given |= {symbol(input_name(name)): f"{INPUT}_{name}" for name in analysis.during}
        self._growths: dict[sympy.Symbol, tuple[str, sympy.Expr]] = {}
        self._mean_values: dict[sympy.Symbol, str] = {}

    def advanced(self) -> dict[str, str]:
        """Return the code of states after the substep by name, except early and late states.

        Early states have advanced already: their values at the start of the substep are the new
        ones.
        """
        slopes, apart = self._analysis.derivatives, {*self._analysis.early, *self._analysis.late}
        texts = {
            name: self._before[name] if slopes[name] == 0 else self._row(name, STEP)
            for name in self._analysis.exact
            if name not in apart
        }
        method = {
            "rosenbrock": self._rosenbrock,
            "strang": self._strang,
            "exponential_euler": self._exponential_euler,
            "euler": self._euler,
            "rk2": self._rk2,
            "rk4": self._rk4,
        }
        if self._analysis.not_exact:
            texts |= method[self._analysis.method]()
        return {name.name: texts[name] for name in slopes if name not in apart}

    def early(self) -> dict[str, str]:
        """Return the code of early states after the step, without its input, by name."""
        return {name.name: self._row(name, STEP) for name in self._analysis.early}

    def late(self) -> dict[str, str]:
        """Return the code of late states after the step, by name."""
        return {name.name: self._row(name, _STEP_LENGTH) for name in self._analysis.late}

    def _row(self, name: sympy.Symbol, time: sympy.Expr, *, mean: bool = False) -> str:
        """Return the code of an exactly integrated state after a time, or of its mean."""
        free = self._propagated(name, time, frozenset(), mean)
        needed = self._needs(name, frozenset())
        text = free
        for n_tests, test in enumerate(self._tests, 1):
            tests = self._tests[:n_tests]
            held = frozenset(
                state for state in self._analysis.exact if self._held.get(state) in tests
            )
            # while states on which it depends are clamped, it has another solution
            if name not in held and held & needed:
                text = f"({self._propagated(name, time, held, mean)} if {test} else {text})"
        return text

    def _needs(self, name: sympy.Symbol, held: frozenset[sympy.Symbol]) -> set[sympy.Symbol]:
        """Return a state and all states on which its solution depends."""
        needed, pending = set(), [name]
        while pending:
            state = pending.pop()
            if state not in needed and state not in self._given:
                needed.add(state)
                still = state in held or self._waits(state, name)
                pending += [] if still else self._analysis.exact[state].factors
        return needed

    def _waits(self, state: sympy.Symbol, name: sympy.Symbol) -> bool:
        """Return whether a state is constant while another advances, because it advances later."""
        return state in self._analysis.late and name not in self._analysis.late

    def _propagated(
        self, name: sympy.Symbol, time: sympy.Expr, held: frozenset[sympy.Symbol], mean: bool
    ) -> str:
        exact, constants = self._analysis.exact, self._write.constants
        needed = self._needs(name, held)
        states = [state for state in exact if state in needed]
        forms = {
            state: _STILL if state in held or self._waits(state, name) else exact[state]
            for state in states
        }
        driven = any(form.remainder != 0 for form in forms.values())
        factors = forms[name].factors
        if mean:
            # an additional equation, whose solution after the time is the mean
            forms[_MEAN] = Linear({name: 1 / time}, sympy.Integer(0))
        row = list(forms).index(_MEAN if mean else name)
        matrix = self._exponential(forms, time)

        def entry(column: int, source: str) -> str:
            text = f"{matrix()}[{row}, {column}]"
            constant_name = f"{'mean' if mean else name}_by_{source}"
            return constants.add(text, constant_name)

        terms = [
            f"{entry(index, state.name)} * {self._before[state]}"
            for index, state in enumerate(states)
            if mean or state != name
        ]
        pushed = [entry(len(forms), "rest")] if driven else []
        pushed += [
            f"{entry(column, source)} * {self._before[state]}"
            for column, (state, source) in enumerate(self._given.items(), len(forms) + 1)
            if any(state in form.factors for form in forms.values())
        ]
        terms += [f"({' + '.join(pushed)})"] if len(pushed) > 1 else pushed
        if mean:
            return " + ".join(terms)
        # float32 resolves a small change far better than a factor close to 1; only states that
        # decay fast and are not integrated twice use the shorter form
        changes = name in self._slow or self._is_integrated_twice(name)
        is_cyclic = any(name in self._needs(state, held) for state in states if state != name)
        if is_cyclic:
            kind, text = "", f"{matrix()}[{row}, {row}]{' - 1.0' if changes else ''}"
        else:
            kind = "expm1_array" if changes else "exp_array"
            text = bare(constants.text(time * factors.get(name, sympy.Integer(0))))
        decay = constants.add(f"{kind}({text})" if kind else text, f"decay_{name.name}")
        decayed = f"{decay} * {self._before[name]}"
        total = " + ".join([decayed, *terms])
        return f"{self._before[name]} + ({total})" if changes else total

    def _is_integrated_twice(self, name: sympy.Symbol) -> bool:
        """Return whether a state drives a state that drives another one."""
        exact = self._analysis.exact
        driven = {
            state: {by for by in form.factors if by != state} for state, form in exact.items()
        }
        return any(
            name in by and any(state in drivers for drivers in driven.values())
            for state, by in driven.items()
        )

    def _exponential(
        self, forms: Mapping[sympy.Symbol, Linear], time: sympy.Expr
    ) -> Callable[[], str]:
        """Return a function that returns the name of the exponential of a system's matrix."""
        constants = self._write.constants
        entries = []
        for row, form in enumerate(forms.values()):
            columns = [*forms, None, *self._given]
            factors = {None: form.remainder, **form.factors}
            entries += [
                f"({row}, {column}): {bare(constants.text(factors[source]))}"
                for column, source in enumerate(columns)
                if factors.get(source, 0) != 0
            ]
        text = f"exponential({len(forms)}, {{{', '.join(entries)}}}, {constants.text(time)})"
        return lambda: constants.matrix(text)

    def _rosenbrock(self) -> dict[sympy.Symbol, str]:
        write = self._with_means()
        held = {state: test for state, test in self._held.items() if self.rests(state)}
        texts, self._growths = rosenbrock(self._analysis, write, held)
        for _, slope in self._growths.values():
            self._mean_values |= write.names_in(slope)
        return texts

    def after_spike(
        self, name: sympy.Symbol, start: sympy.Expr, after: Symbols, limit: str
    ) -> tuple[str, str]:
        """Return the condition that a part of the substep remains, and the state at its end.

        A state that grows by more than 1 in a substep is infinite after 1/growth substeps. From its
        reset, it advances by Euler's method.

        Parameters
        ----------
        name : Symbol
            A state of `explosive`.
        start : sympy.Expr
            Its value after the reset.
        after : mapping of Symbol to str
            Local variables of all states after the reset, and of the symbols in `start`.
        limit : str
            Constant: 1 if the state advances after its reset, infinite if it is clamped.

        Returns
        -------
        (str, str)
            The condition, and the local variable of the state if it is true.
        """
        growth, slope = self._growths[name]
        # exactly integrated states act as their means over the substep
        exact = self._analysis.exact
        values = self._mean_values | {
            state: text for state, text in after.items() if state not in exact
        }
        write = self._write.with_values(values)
        remaining = 1 - 1 / write.named(growth)
        return f"{growth} > {limit}", write(
            start + remaining * STEP * slope.xreplace({name: start})
        )

    def rests(self, name: sympy.Symbol) -> bool:
        """Return whether the scheme keeps a clamped state constant; else it must be restored."""
        if self._analysis.method != "rosenbrock" or name not in self._analysis.not_exact:
            return False
        # restoring is shorter, and does not affect states that are clamped together with it
        slopes, place = self._analysis.derivatives, self._tests.index
        dependent = (
            state
            for state in self._analysis.not_exact
            if name in slopes[state].free_symbols - {state}
        )
        return not all(
            state in self._held and place(self._held[state]) <= place(self._held[name])
            for state in dependent
        )

    @property
    def explosive(self) -> Collection[sympy.Symbol]:
        """States that may become infinite within the substep, after it has advanced."""
        return self._growths.keys()

    def _exponential_euler(self) -> dict[sympy.Symbol, str]:
        write = self._with_means()
        return self._relaxed([*self._analysis.not_exact], STEP, write)

    def _strang(self) -> dict[sympy.Symbol, str]:
        """Return the states by Strang's splitting: half a substep of the first, others, first."""
        first, *others = self._analysis.not_exact
        write = self._with_means()
        half = self._relaxed([first], STEP * _HALF, write)
        texts = self._restored(half, write)
        for group in self._independent(others):
            write = write.with_values(self._mean_values | texts)
            texts |= self._restored(self._relaxed(group, STEP, write), write)
        write = write.with_values(self._mean_values | texts)
        return texts | self._relaxed([first], STEP * _HALF, write)

    def _independent(self, names: list[sympy.Symbol]) -> list[list[sympy.Symbol]]:
        """Return the states in groups of consecutive states that do not depend on each other."""
        groups: list[list[sympy.Symbol]] = []
        for name in names:
            used = self._analysis.derivatives[name].free_symbols
            if groups and not used & {*groups[-1]}:
                groups[-1].append(name)
            else:
                groups.append([name])
        return groups

    def _restored(
        self, texts: dict[sympy.Symbol, str], write: ExpressionWriter
    ) -> dict[sympy.Symbol, str]:
        """Return the code of states after a time, of which clamped states keep their values."""
        return {
            name: write.assign_local(f"{self._before[name]} if {self._held[name]} else {text}")
            if name in self._held
            else text
            for name, text in texts.items()
        }

    def _relaxed(
        self, names: list[sympy.Symbol], time: sympy.Expr, write: ExpressionWriter
    ) -> dict[sympy.Symbol, str]:
        """Return states after a time in which all others are constant; each is linear in itself.

        Each calculation is a chain of divisions and exponentials that wait for each other. The same
        links of all chains are neighbours, so that the processor works on all chains at once.
        """
        growths, ends = {}, {}
        for name in names:
            form = self._analysis.growth[name]
            growth = form.factors.get(name, sympy.Integer(0))
            if name not in self._analysis.relaxing:
                growths[name] = sympy.Integer(1), write.as_symbol(growth)
                continue
            # the leak divided by its constant factor, such as 1/C_m, which cancels in the steady
            # state
            varying = filter(write.varies, growth.free_symbols)
            factor, leak = growth.as_independent(*varying, as_Add=False)
            growths[name] = factor, write.as_symbol(-leak)
        for name, (factor, leak) in growths.items():
            remainder = self._analysis.growth[name].remainder
            if name in self._analysis.relaxing:
                ends[name] = write.as_symbol(remainder / factor / leak)
            else:
                ends[name] = leak * name + remainder
        texts = {}
        for name, (factor, rate) in growths.items():
            if name in self._analysis.relaxing:
                decay = function("exp")(-time * factor * rate)
                texts[name] = write(ends[name] + (name - ends[name]) * decay)
            else:
                texts[name] = write(name + time * function("exprel")(time * rate) * ends[name])
        return texts

    def _with_means(self) -> ExpressionWriter:
        """Return a writer that uses the means of exactly integrated states over the substep.

        The total drive of states that decay within a step is then exact.
        """
        values = dict(self._before) | self._time(STEP * _HALF)
        slopes = [self._analysis.derivatives[name] for name in self._analysis.not_exact]
        used = set().union(*(slope.free_symbols for slope in slopes))
        for name in (state for state in self._analysis.exact if state in used):
            if name in self._analysis.late:
                continue
            text = self._row(name, STEP, mean=True)
            if name in self._held:
                text = f"{self._before[name]} if {self._held[name]} else {text}"
            values[name] = self._write.assign_local(text, f"mean_{name.name}")
        self._mean_values = values
        return self._write.with_values(values)

    def _euler(self) -> dict[sympy.Symbol, str]:
        # constant factors of a slope and the length are one constant; a slope that is a difference
        # divided by dt needs neither
        write = self._write.with_values(self._before, self._analysis.named)
        slopes = self._analysis.slopes.items()
        return {name: write(name + self._length * slope) for name, slope in slopes}

    def _rk2(self) -> dict[sympy.Symbol, str]:
        middle = self._stage(self._slopes(self._before), STEP * _HALF)
        slopes = self._slopes(middle)
        return {name: self._moved(name, STEP, slope) for name, slope in slopes.items()}

    def _rk4(self) -> dict[sympy.Symbol, str]:
        first = self._slopes(self._before)
        second = self._slopes(self._stage(first, STEP * _HALF))
        third = self._slopes(self._stage(second, STEP * _HALF))
        fourth = self._slopes(self._stage(third, STEP))
        texts = {}
        two, sixth = self._write(sympy.Integer(2)), self._write(STEP / 6)
        for name in self._analysis.not_exact:
            middle = f"{two} * ({second[name]} + {third[name]})"
            total = f"({first[name]} + {middle} + {fourth[name]})"
            texts[name] = f"{self._before[name]} + {sixth} * {total}"
        return texts

    def _moved(self, name: sympy.Symbol, time: sympy.Expr, slope: str) -> str:
        return f"{self._before[name]} + {self._write(time)} * {slope}"

    def _time(self, after: sympy.Expr) -> dict[sympy.Symbol, str]:
        """Return the time `after` the start of the substep, if equations use the time."""
        if _TIME not in self._before:
            return {}
        return {_TIME: f"({self._before[_TIME]} + {self._write(after)})"}

    def _slopes(self, values: Symbols) -> dict[sympy.Symbol, str]:
        write = self._write.with_values(values)
        return {name: write(self._analysis.derivatives[name]) for name in self._analysis.not_exact}

    def _stage(self, slopes: Mapping[sympy.Symbol, str], time: sympy.Expr) -> Symbols:
        """Return all states at a time within the substep, given the slopes of inexact states."""
        late = self._analysis.late
        values = {
            name: self._before[name] if name in late else self._row(name, time)
            for name in self._analysis.exact
        }
        values |= {name: self._moved(name, time, slope) for name, slope in slopes.items()}
        names = {source: self._before[source] for source in self._given} | self._time(time)
        for name, text in values.items():
            if name in self._held:
                text = f"{self._before[name]} if {self._held[name]} else {text}"
            names[name] = self._write.assign_local(text)
        return names
