"""States over one part of a step, by each scheme, as lines of code."""

from collections.abc import Callable, Collection, Mapping

import sympy

from distsnn.codegen.expressions import STEP, Writer, bare
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
    """The states over one part of a step.

    Parameters
    ----------
    analysis : Analysis
        The equations.
    before : mapping of Symbol to str
        Local variables of what has a value at the begin of the part.
    held : mapping of Symbol to str
        States that rest, with the local variable that says when; those that rest longest first.
    write : Writer
        Takes the code.
    length : Symbol
        Length of the part: `STEP`, or ``dt`` where the part is the whole step.
    """

    def __init__(
        self,
        analysis: Analysis,
        before: Symbols,
        held: Symbols,
        write: Writer,
        length: sympy.Symbol = STEP,
    ) -> None:
        self._analysis, self._before, self._write = analysis, before, write
        self._held = held
        # each holds where a later one does
        self._tests = [*dict.fromkeys(held.values())]
        self._slow, self._length = analysis.slow, length
        # what is constant in a step, with how constants are named after it
        self._given = {_CURRENT: STIMULI}
        self._given |= {one: f"{PREVIOUS}_{of.name}" for one, of in analysis.previous.items()}
        self._given |= {symbol(input_name(name)): f"{INPUT}_{name}" for name in analysis.during}
        self._growths: dict[sympy.Symbol, tuple[str, sympy.Expr]] = {}
        self._mean_values: dict[sympy.Symbol, str] = {}

    def advanced(self) -> dict[str, str]:
        """Return the states after the part, as text, by name, but for those that are early or late.

        What is early has advanced before: its value at the begin of the part is the new one.
        """
        slopes, apart = self._analysis.derivatives, {*self._analysis.early, *self._analysis.late}
        found = {
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
        if self._analysis.others:
            found |= method[self._analysis.method]()
        return {name.name: found[name] for name in slopes if name not in apart}

    def early(self) -> dict[str, str]:
        """Return the early states after the step, without its input, as text, by name."""
        return {name.name: self._row(name, STEP) for name in self._analysis.early}

    def late(self) -> dict[str, str]:
        """Return the late states after the step, as text, by name."""
        return {name.name: self._row(name, _STEP_LENGTH) for name in self._analysis.late}

    def _row(self, name: sympy.Symbol, time: sympy.Expr, *, mean: bool = False) -> str:
        """Return an exactly integrated state's value after a time, or its mean, as text."""
        free = self._propagated(name, time, frozenset(), mean)
        needed = self._needs(name, frozenset())
        text = free
        for at, test in enumerate(self._tests, 1):
            tests = self._tests[:at]
            held = frozenset(one for one in self._analysis.exact if self._held.get(one) in tests)
            # it depends on what is held: while that rests its own course is another
            if name not in held and held & needed:
                text = f"({self._propagated(name, time, held, mean)} if {test} else {text})"
        return text

    def _needs(self, name: sympy.Symbol, held: frozenset[sympy.Symbol]) -> set[sympy.Symbol]:
        """Return a state and those on which its course depends."""
        found, left = set(), [name]
        while left:
            one = left.pop()
            if one not in found and one not in self._given:
                found.add(one)
                still = one in held or self._waits(one, name)
                left += [] if still else self._analysis.exact[one].factors
        return found

    def _waits(self, one: sympy.Symbol, name: sympy.Symbol) -> bool:
        """Return whether a state is constant while another advances: it does so later."""
        return one in self._analysis.late and name not in self._analysis.late

    def _propagated(
        self, name: sympy.Symbol, time: sympy.Expr, held: frozenset[sympy.Symbol], mean: bool
    ) -> str:
        exact, constants = self._analysis.exact, self._write.constants
        needed = self._needs(name, held)
        states = [one for one in exact if one in needed]
        forms = {
            one: _STILL if one in held or self._waits(one, name) else exact[one] for one in states
        }
        driven = any(form.rest != 0 for form in forms.values())
        factors = forms[name].factors
        if mean:
            # one more equation, whose value after the time is the mean
            forms[_MEAN] = Linear({name: 1 / time}, sympy.Integer(0))
        row = list(forms).index(_MEAN if mean else name)
        made = self._exponential(forms, time)

        def entry(column: int, of: str) -> str:
            text, wanted = f"{made()}[{row}, {column}]", f"{'mean' if mean else name}_by_{of}"
            return constants.add(text, wanted)

        terms = [
            f"{entry(at, one.name)} * {self._before[one]}"
            for at, one in enumerate(states)
            if mean or one != name
        ]
        pushed = [entry(len(forms), "rest")] if driven else []
        pushed += [
            f"{entry(column, of)} * {self._before[one]}"
            for column, (one, of) in enumerate(self._given.items(), len(forms) + 1)
            if any(one in form.factors for form in forms.values())
        ]
        terms += [f"({' + '.join(pushed)})"] if len(pushed) > 1 else pushed
        if mean:
            return " + ".join(terms)
        # float32 holds a small change far better than a factor close to 1; only what decays fast,
        # by itself, takes the shorter way, unless it is integrated twice
        changes = name in self._slow or self._is_integrated_twice(name)
        is_cyclic = any(name in self._needs(one, held) for one in states if one != name)
        if is_cyclic:
            kind, text = "", f"{made()}[{row}, {row}]{' - 1.0' if changes else ''}"
        else:
            kind = "expm1_array" if changes else "exp_array"
            text = bare(constants.text(time * factors.get(name, sympy.Integer(0))))
        decay = constants.add(f"{kind}({text})" if kind else text, f"decay_{name.name}")
        own = f"{decay} * {self._before[name]}"
        total = " + ".join([own, *terms])
        return f"{self._before[name]} + ({total})" if changes else total

    def _is_integrated_twice(self, name: sympy.Symbol) -> bool:
        """Return whether a state drives a state that drives another one."""
        exact = self._analysis.exact
        driven = {one: {by for by in form.factors if by != one} for one, form in exact.items()}
        return any(
            name in by and any(one in more for more in driven.values())
            for one, by in driven.items()
        )

    def _exponential(
        self, forms: Mapping[sympy.Symbol, Linear], time: sympy.Expr
    ) -> Callable[[], str]:
        """Return what gives the name of the exponential of a system's matrix."""
        constants = self._write.constants
        entries = []
        for row, form in enumerate(forms.values()):
            columns = [*forms, None, *self._given]
            factors = {None: form.rest, **form.factors}
            entries += [
                f"({row}, {column}): {bare(constants.text(factors[one]))}"
                for column, one in enumerate(columns)
                if factors.get(one, 0) != 0
            ]
        text = f"exponential({len(forms)}, {{{', '.join(entries)}}}, {constants.text(time)})"
        return lambda: constants.matrix(text)

    def _rosenbrock(self) -> dict[sympy.Symbol, str]:
        write = self._with_means()
        held = {one: test for one, test in self._held.items() if self.rests(one)}
        found, self._growths = rosenbrock(self._analysis, write, held)
        for _, slope in self._growths.values():
            self._mean_values |= write.names_in(slope)
        return found

    def after_spike(
        self, name: sympy.Symbol, start: sympy.Expr, after: Symbols, limit: str
    ) -> tuple[str, str]:
        """Return the condition that some of the part is left, and the state at the part's end.

        A state that grows by more than 1 in a part is infinite after 1/growth parts. From its reset
        on it takes a step by Euler's method.

        Parameters
        ----------
        name : Symbol
            A state of `explosive`.
        start : sympy.Expr
            Its value after the reset.
        after : mapping of Symbol to str
            Local variables of all states after the reset, and of what is in `start`.
        limit : str
            Constant that is 1 where the state moves after its reset, and infinite where it rests.

        Returns
        -------
        (str, str)
            The condition, and the local variable of the state where it holds.
        """
        growth, slope = self._growths[name]
        # exactly integrated states count as their means over the part
        exact = self._analysis.exact
        values = self._mean_values | {one: it for one, it in after.items() if one not in exact}
        write = self._write.with_values(values)
        left = 1 - 1 / write.named(growth)
        return f"{growth} > {limit}", write(start + left * STEP * slope.xreplace({name: start}))

    def rests(self, name: sympy.Symbol) -> bool:
        """Return whether the scheme lets a held state rest; else its value is to be put back."""
        if self._analysis.method != "rosenbrock" or name not in self._analysis.others:
            return False
        # putting it back is shorter, and makes no difference to states that rest with it
        slopes, place = self._analysis.derivatives, self._tests.index
        dependent = (
            one for one in self._analysis.others if name in slopes[one].free_symbols - {one}
        )
        return not all(
            one in self._held and place(self._held[one]) <= place(self._held[name])
            for one in dependent
        )

    @property
    def explosive(self) -> Collection[sympy.Symbol]:
        """States that may become infinite within the part, once it has been advanced."""
        return self._growths.keys()

    def _exponential_euler(self) -> dict[sympy.Symbol, str]:
        write = self._with_means()
        return {name: self._relaxed(name, STEP, write) for name in self._analysis.others}

    def _strang(self) -> dict[sympy.Symbol, str]:
        """Return the states by Strang's splitting: the first for a half, the others, the first."""
        first, *others = self._analysis.others
        write = self._with_means()
        found: dict[sympy.Symbol, str] = {}
        for name, time in [(first, STEP * _HALF), *((one, STEP) for one in others)]:
            found[name] = self._relaxed(name, time, write.with_values(self._mean_values | found))
            if name in self._held:
                test = self._held[name]
                found[name] = write.let(f"{self._before[name]} if {test} else {found[name]}")
        write = write.with_values(self._mean_values | found)
        return found | {first: self._relaxed(first, STEP * _HALF, write)}

    def _relaxed(self, name: sympy.Symbol, time: sympy.Expr, write: Writer) -> str:
        """Return a state after a time in which it alone moves: its equation is linear in it."""
        form = self._analysis.growth[name]
        growth = form.factors.get(name, sympy.Integer(0))
        if name not in self._analysis.relaxing:
            growth = write.reduced(growth)
            slope = growth * name + form.rest
            return write(name + time * function("exprel")(time * growth) * slope)
        # the leak by its constant factor, such as 1/C_m, which the end does not have
        varying = filter(write.varies, growth.free_symbols)
        factor, leak = growth.as_independent(*varying, as_Add=False)
        leak = write.reduced(-leak)
        end = write.reduced(form.rest / factor / leak)
        return write(end + (name - end) * function("exp")(-time * factor * leak))

    def _with_means(self) -> Writer:
        """Return a writer that takes exactly integrated states as their means over the part.

        The total drive of what decays within a step is then exact.
        """
        values = dict(self._before) | self._time(STEP * _HALF)
        slopes = [self._analysis.derivatives[name] for name in self._analysis.others]
        used = set().union(*(slope.free_symbols for slope in slopes))
        for name in (one for one in self._analysis.exact if one in used):
            if name in self._analysis.late:
                continue
            text = self._row(name, STEP, mean=True)
            if name in self._held:
                text = f"{self._before[name]} if {self._held[name]} else {text}"
            values[name] = self._write.let(text, f"mean_{name.name}")
        self._mean_values = values
        return self._write.with_values(values)

    def _euler(self) -> dict[sympy.Symbol, str]:
        # constant factors of a slope and the part's length are one constant; a slope that is a
        # difference over dt needs neither
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
        write = self._write.with_values(values)
        return {name: write(self._analysis.derivatives[name]) for name in self._analysis.others}

    def _stage(self, slopes: Mapping[sympy.Symbol, str], time: sympy.Expr) -> Symbols:
        """Return all states at a time within the part, given the slopes of those not exact."""
        late = self._analysis.late
        values = {
            name: self._before[name] if name in late else self._row(name, time)
            for name in self._analysis.exact
        }
        values |= {name: self._moved(name, time, slope) for name, slope in slopes.items()}
        found = {one: self._before[one] for one in self._given} | self._time(time)
        for name, text in values.items():
            if name in self._held:
                text = f"{self._before[name]} if {self._held[name]} else {text}"
            found[name] = self._write.let(text)
        return found
