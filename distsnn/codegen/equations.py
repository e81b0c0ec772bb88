"""Writes the kernel module of a model that is given as equations.

The module is like those in `distsnn.kernels.neurons`: those of built-in models are written once,
into that package (`distsnn.codegen.built_in`). States have their own names in it, are ``new_NAME``
after a part of the step and ``end_NAME`` after a spike or an event. ``c_NAME`` is a parameter,
``decay_NAME`` the factor by which a state decays in a part (less 1 where the state's change is
computed), ``NAME_by_OTHER`` what another state adds, ``k1`` any other constant, and ``t1`` an
intermediate value.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

import sympy

from distsnn.codegen.expressions import STEP, Constants, Names, Writer
from distsnn.codegen.modules import imports, load
from distsnn.codegen.parts import Part, Symbols
from distsnn.codegen.update import SUB_STEPS
from distsnn.network.equations.analysis import Assignments, function, symbol
from distsnn.network.equations.dynamics import (
    REFRACTORY,
    STEP_LENGTH,
    STIMULI,
    TIME,
    Dynamics,
    Event,
)
from distsnn.network.equations.neuron_model import NeuronModel
from distsnn.network.equations.syntax import Apply, Name, input_name

_TIME_END = "t_end"
# Whether the refractory time is on; with the name of a period: that or an earlier one.
_HELD = "held"
_FUNCTIONS = (
    *("checked_log", "checked_log_array", "erf", "erf_array", "exp", "exp_array", "expm1_array"),
    *("exprel", "exprel_array", "flush", "power"),
)
_COUNTS = ("binomial_in", "poisson_in")
# Names that the module uses for something else.
_TAKEN = (
    *("np", "inline", "exponential", "min", "max", "abs", *_FUNCTIONS, *_COUNTS),
    *("STATES", "RECEPTORS", "CONSTANTS", "DRAWS", "TIME", "propagators", "step", "integrate"),
    *("parameters", "p", "h", "constants", "name", "one", "c_ref", "c_more", SUB_STEPS),
    *(TIME, "dt", _TIME_END),
    *("current", _HELD, "spiked", "left", REFRACTORY),
)


@cache
def kernel_of(
    model: NeuronModel, *, any_parts: bool = False, ordered: tuple[tuple[str, str], ...] = ()
) -> str:
    """Return the import name of a model's kernel module (see `kernel_text`), which is loaded."""
    return load(kernel_text(model, any_parts=any_parts, ordered=ordered)).__name__


def kernel_text(
    model: NeuronModel,
    *,
    any_parts: bool = False,
    ordered: Collection[tuple[str, str]] = (),
    about: str = "Generated: do not edit.",
) -> str:
    """Return the text of a model's kernel module.

    Parameters
    ----------
    model : NeuronModel
        The model.
    any_parts : bool
        Whether the neurons choose the number of parts of a step, not the model.
    ordered : collection of (str, str)
        Pairs of parameters of which the first is smaller than the second.
    about : str
        The module's docstring. It becomes code: nothing that a user wrote may be in it.
    """
    if any_parts:
        model.check_divisible()
    return _Module(model, any_parts, ordered).text(about)


def _is_silent_at_rest(dynamics: Dynamics, ordered: Collection[tuple[str, str]]) -> bool:
    """Return whether a variable rests below the threshold while the neuron is refractory.

    The kernel then needs no test for it.
    """
    match dynamics.threshold, dynamics.reset:
        case (
            Apply(function=">=", arguments=(Name(name=variable), Name(name=threshold))),
            [(changed, Name(name=reset))],
        ):
            rests = changed == variable and variable in dynamics.held
            happens = [*(one.statements for one in dynamics.events), *dynamics.after.values()]
            moved = {name for statements in happens for name, _ in statements}
            return rests and variable not in moved and (reset, threshold) in ordered
    return False


def _floor(dynamics: Dynamics, ordered: Collection[tuple[str, str]]) -> str:
    """Return the state variable that the only event bounds from below, if it is below a threshold.

    A neuron that spikes is then above the bound, which may be applied before the threshold test.
    """
    match dynamics.threshold, dynamics.events:
        case (
            Apply(function=">=", arguments=(Name(name=variable), Name(name=threshold))),
            [
                Event(
                    Apply(function="<", arguments=(Name(name=tested), Name(name=low))),
                    [(changed, Name(name=bound))],
                )
            ],
        ) if tested == changed == variable and bound == low and (low, threshold) in ordered:
            return variable
    return ""


def _without_unused(lines: list[str]) -> list[str]:
    """Return a function's lines, without states and tests for rest that nothing uses."""
    kept: list[str] = []
    for line in reversed(lines):
        name = line.partition(" = ")[0]
        is_test = name == _HELD or name.startswith(f"{_HELD}_")
        can_go = is_test or re.fullmatch(r"new_\w+", name)
        if not can_go or any(re.search(rf"\b{name}\b", later) for later in kept):
            kept.append(line)
    return kept[::-1]


def _steps(periods: Collection[str]) -> str:
    """Return the text of a constant: the number of steps in some parameters that are times."""
    return " + ".join(f'np.rint(p["{name}"] / dt)' for name in periods)


@dataclass(frozen=True)
class _Results:
    """What a function returns: the states, as text by symbol, and whether the neuron spiked."""

    states: dict[sympy.Symbol, str]
    spiked: str


class _Module:
    """The module of one model."""

    def __init__(
        self, model: NeuronModel, any_parts: bool, ordered: Collection[tuple[str, str]]
    ) -> None:
        self._model, self._dynamics, self._analysis = model, model.dynamics, model.analysis
        self._parts = f'p["{SUB_STEPS}"]' if any_parts else f"{model.substeps}.0"
        self._divided = any_parts or model.substeps > 1
        self._is_silent_at_rest = _is_silent_at_rest(self._dynamics, ordered)
        self._floor = _floor(self._dynamics, ordered)
        states, receptors = self._dynamics.states, self._dynamics.receptors
        draws = [*("normal" for _ in self._analysis.noise), *self._analysis.draws.values()]
        self._draws = {f"draw_{i}": kind for i, kind in enumerate(draws)}
        # also those of the arrays in the loop over neurons (`codegen.update`)
        given = [f"{kind}_{name}" for kind in ("new", "x") for name in states]
        given += [f"{kind}_{name}" for kind in ("in", "q") for name in receptors]
        given += [f"{kind}_{name}" for kind in (_HELD, "c_end") for name in model.periods]
        self._names = names = Names((*_TAKEN, *given, *self._draws))
        self._states = {symbol(name): names.new(name) for name in states}
        # the local variable that says whether a state rests; those that rest longest first
        self._held = {
            symbol(name): _HELD if period == model.periods[-1] else f"{_HELD}_{period}"
            for period in reversed(model.periods)
            for name, until in self._dynamics.held.items()
            if until == period
        }
        # times are compared with constants that float32 would move off the grid
        kind = "double" if self._dynamics.uses(TIME) else "real"
        self._constants = Constants(names, kind)
        self._time = [TIME, _TIME_END] if self._dynamics.uses(TIME) else []

    def text(self, about: str) -> str:
        """Return the text of the module."""
        code, constants = self._functions(), self._constants
        states = [*self._dynamics.states, *([REFRACTORY] if self._model.refractory else [])]
        is_used = any(re.search(r"\bh\b", line) for line in constants.lines)
        length = [f"h = dt{f' / {self._parts}' if self._divided else ''}"] if is_used else []
        code = [
            "def propagators(parameters, dt):",
            '    """Return the constants of a part of a step."""',
            "    p = parameters",
            *(f"    {line}" for line in [*length, *constants.lines]),
            f"    constants = {{{', '.join(f'{name!r}: {name}' for name in constants.kinds)}}}",
            "    return {name: np.asarray(one, np.float64) for name, one in constants.items()}",
            *code,
        ]
        lines = [
            f'"""{about}"""',
            "",
            *imports(code, _FUNCTIONS, _COUNTS),
            "",
            f"STATES = {tuple(states)!r}",
            f"RECEPTORS = {tuple(self._dynamics.receptors)!r}",
            f"CONSTANTS = {constants.kinds!r}",
            *([f"DRAWS = {tuple(self._draws.values())!r}"] if self._draws else []),
            *(["TIME = True"] if self._time else []),
            "",
            "",
            *code,
            "",
        ]
        return "\n".join(lines)

    def _functions(self) -> list[str]:
        """Return the lines of the functions that advance a neuron."""
        bodies, lines = self._bodies(), []
        inputs = [f"in_{name}" for name in self._dynamics.receptors]
        given = {"integrate": ["current"], "step": [*inputs, "current", *self._draws, *self._time]}
        states = [*self._states.values(), *([REFRACTORY] if self._model.refractory else [])]
        for name, (about, body) in bodies.items():
            arguments = [*states, *given[name], *self._constants.kinds]
            lines += ["", "", "@inline", f"def {name}({', '.join(arguments)}):"]
            lines += [f'    """{about}"""', *(f"    {line}" for line in body)]
        return lines

    def _bodies(self) -> dict[str, tuple[str, list[str]]]:
        """Return the functions' descriptions and lines, by name."""
        rest = more = ""
        if self._model.refractory:
            rest = self._constants.count("c_ref", _steps(self._model.periods))
            for at, name in enumerate(self._model.periods, 1):
                if self._is_timed(name):
                    steps = " + ".join(["1", *filter(None, [_steps(self._model.periods[at:])])])
                    self._constants.count(f"c_end_{name}", steps)
        if not self._divided:
            return {"step": ("Advance one neuron by dt.", self._advance(rest, last=True))}
        self._constants.count(SUB_STEPS, f"np.asarray({self._parts})")
        if self._model.refractory and self._model.test_parts:
            # counted down once more at the end of the same step
            more = self._constants.count("c_more", "np.where(c_ref > 0, c_ref + 1, 0)")
        return {
            "integrate": (
                "Advance one neuron by one part of a step, without input.",
                self._advance(more or rest, last=False),
            ),
            "step": ("End a step: add its input.", self._add_input(rest)),
        }

    def _is_timed(self, period: str) -> bool:
        """Return whether a kernel must know when a period of the refractory time ends."""
        return period in self._dynamics.after or f"{_HELD}_{period}" in self._held.values()

    def _held_tests(self) -> list[str]:
        """Return the lines that say whether states rest."""
        if not self._model.refractory:
            return []
        periods = [one for one in self._model.periods[:-1] if self._is_timed(one)]
        tests = [f"{_HELD}_{one} = {REFRACTORY} >= c_end_{one}" for one in periods]
        return [f"{_HELD} = {REFRACTORY} > 0", *tests]

    def _advance(self, rest: str, *, last: bool) -> list[str]:
        """Return the lines that advance a neuron by one part, which may be a whole step."""
        analysis, constants, held = self._analysis, self._constants, self._held
        lines = self._held_tests()
        before = self._states | self._during()
        if self._time:
            before[symbol(TIME)] = TIME
        for i, noise in enumerate(analysis.noise):
            # of variance 1/h: Euler's step times it is a step of a Wiener process
            lines.append(f"{noise.name} = {constants.add('np.sqrt(1.0 / h)')} * draw_{i}")
            before[noise] = noise.name
        write = Writer(before, constants, lines, self._names.of_function())
        inputs = self._inputs() if last else {}
        early = self._move(Part(analysis, before, held, write).early(), inputs, lines)
        write = write.with_values(before | early)
        length = STEP if self._divided else symbol(STEP_LENGTH)
        part = Part(analysis, before | early, held, write, length)
        new = early | self._move(part.advanced(), inputs, lines, part)
        if last:
            new |= self._move(part.late(), inputs, lines)
        # in the order of the equations; what is late moves at the end of the step
        new = {name: new.get(name, text) for name, text in self._states.items()}
        is_tested = last or self._model.test_parts
        results = self._happen(new, write, rest, part, is_tested=is_tested, last=last)
        return _without_unused([*lines, *self._end(results, rest, last=last)])

    def _move(
        self,
        texts: Mapping[str, str],
        inputs: Mapping[str, str],
        lines: list[str],
        part: Part | None = None,
    ) -> dict[sympy.Symbol, str]:
        """Write what states become, and return their new names.

        Parameters
        ----------
        texts : mapping of str to str
            Values after a part, by state.
        inputs : mapping of str to str
            Input that is added to them.
        lines : list of str
            Takes the code.
        part : Part, optional
            The part, whose scheme may let held states rest.
        """
        new = {}
        for name, text in texts.items():
            rests = self._analysis.derivatives[symbol(name)] == 0 and name not in inputs
            moved = f"{text}{inputs.get(name, '')}"
            # what has a floor is flushed at the end, after the reset
            moved = moved if name == self._floor else f"flush({moved})"
            moved = self._states[symbol(name)] if rests else moved
            held = self._held.get(symbol(name))
            if held and (part is None or name in inputs or not part.rests(symbol(name))):
                moved = f"{self._states[symbol(name)]} if {held} else {moved}"
            new[symbol(name)] = f"new_{name}"
            lines.append(f"new_{name} = {moved}")
        return new

    def _add_input(self, rest: str) -> list[str]:
        """Return the lines that add a step's input at its end."""
        lines = self._held_tests()
        write = Writer(self._states, self._constants, lines, self._names.of_function())
        inputs = self._inputs()
        late = Part(self._analysis, self._states, self._held, write).late()
        new = dict(self._states) | self._move(late, inputs, lines)
        new_input = [*map(symbol, inputs)]
        for name, text in inputs.items():
            if name in late:
                continue
            state = self._states[symbol(name)]
            added = f"{state}{text}"
            held = self._held.get(symbol(name))
            added = f"{state} if {held} else {added}" if held else added
            new[symbol(name)] = f"new_{name}"
            lines.append(f"new_{name} = {added}")
        tested = [self._analysis.threshold, *(condition for condition, _ in self._analysis.events)]
        symbols = set().union(*(one.free_symbols for one in tested if one is not None))
        is_tested = not self._model.test_parts or any(map(symbols.__contains__, new_input))
        results = self._happen(new, write, rest, None, is_tested=is_tested, last=True)
        return _without_unused([*lines, *self._end(results, rest, last=True)])

    def _inputs(self) -> dict[str, str]:
        """Return the input of a step that is added to each state, as text."""
        found: dict[str, str] = {}
        for receptor, additions in self._analysis.inputs.items():
            for state, factor in additions:
                sign, size = ("-", -factor) if factor.as_coeff_Mul()[0] < 0 else ("+", factor)
                scaled = "" if size == 1 else f"{self._constants.of(size)} * "
                text = f" {sign} {scaled}in_{receptor}"
                found[state.name] = found.get(state.name, "") + text
        return found

    def _during(self) -> dict[sympy.Symbol, str]:
        """Return the local variables of what has one value in a step."""
        drawn = enumerate(self._analysis.draws, len(self._analysis.noise))
        found = {symbol(STIMULI): "current"} | {one: f"draw_{i}" for i, one in drawn}
        found |= {symbol(input_name(name)): f"in_{name}" for name in self._analysis.during}
        return found | {one: self._states[of] for one, of in self._analysis.previous.items()}

    def _happen(
        self,
        new: Symbols,
        write: Writer,
        rest: str,
        part: Part | None,
        *,
        is_tested: bool,
        last: bool,
    ) -> _Results:
        """Write the threshold, the events, and what they do after a part or input.

        Events without a condition occur once in a step, where it ends.
        """
        analysis = self._analysis
        known = {**new, **self._during()}
        if self._time:
            known[symbol(TIME)] = _TIME_END
        # what is late is tested with its value at the begin of the step
        write = write.with_values(known | {one: self._states[one] for one in analysis.late})
        events = analysis.events
        if self._floor and is_tested:
            (condition, ((floored, bound),)), events = events[0], ()
            text = f"{write(bound)} if {write(condition)} else {new[floored]}"
            new = {**new, floored: write.let(text, f"floored_{floored.name}")}
            write = write.with_values({**known, **new})
        conditions = [None if one is None else write(one) if is_tested else "" for one, _ in events]
        happens: list[tuple[str | None, Assignments]] = []
        spiked = "False"
        if is_tested and analysis.threshold is not None:
            free = f" & (not {_HELD})" if rest and not self._is_silent_at_rest else ""
            spiked = "spiked"
            write.lines.append(f"{spiked} = {write(analysis.threshold)}{free}")
            happens.append((spiked, analysis.reset))
        if last:
            for name, assignments in analysis.after.items():
                happens.append((write.let(f"{REFRACTORY} == c_end_{name}"), assignments))
        for condition, (_, assignments) in zip(conditions, events, strict=True):
            if condition or (condition is None and last):
                happens.append((condition, assignments))
        results = dict(new)
        exploded = None if part is None else self._exploded(part, write)
        for condition, assignments in happens:
            before = dict(results)
            write = write.with_values(known | before)
            for state, value in assignments:
                if state != exploded or condition != spiked:
                    # a name: numba compiles no long tuple that has conditions in it
                    text = write(value)
                    if condition is not None:
                        text = f"{text} if {condition} else {before[state]}"
                    results[state] = write.let(text, f"end_{state.name}")
            if part is not None and exploded is not None and condition == spiked:
                text = self._after_spike(part, exploded, results, write, rest)
                results[exploded] = write.let(text, f"end_{exploded.name}")
        return _Results(results, spiked)

    def _exploded(self, part: Part, write: Writer) -> sympy.Symbol | None:
        """Return the state that may explode and is reset where it is above a constant."""
        threshold = self._analysis.threshold
        if threshold is None or threshold.func.__name__ != ">=":
            return None
        name, _ = write.sides(*threshold.args)
        return name if name in part.explosive and name in dict(self._analysis.reset) else None

    def _after_spike(
        self, part: Part, name: sympy.Symbol, after: Symbols, write: Writer, rest: str
    ) -> str:
        """Return the end of the part of a state that exploded and was reset."""
        assert self._analysis.threshold is not None
        _, peak = write.sides(*self._analysis.threshold.args)
        start = write.reduced(dict(self._analysis.reset)[name])
        rests = bool(rest) and name.name in self._dynamics.held
        limit = self._constants.add("np.where(c_ref > 0, np.inf, 1.0)" if rests else "1.0", "limit")
        is_left, moved = part.after_spike(name, start, {**after, **write.names_in(start)}, limit)
        # a second upstroke waits at the threshold for the next part; the reset may be above that
        top = write(function("max")(peak, start))
        reset = f"min({moved}, {top}) if {is_left} else {write(start)}"
        return f"({reset}) if spiked else {after[name]}"

    def _end(self, results: _Results, rest: str, *, last: bool) -> list[str]:
        """Return the lines that end a function: the refractory time, and what is returned."""
        values = [
            f"flush({text})" if name.name == self._floor else text
            for name, text in results.states.items()
        ]
        more: list[str] = []
        if rest:
            left = f"np.int32({REFRACTORY} - 1 if {_HELD} else 0)" if last else REFRACTORY
            if results.spiked != "False":
                more, left = ([f"left = {left}"], "left") if last else ([], left)
                left = f"{rest} if {results.spiked} else {left}"
            more.append(f"left = {left}")
            values.append("left")
        return [*more, f"return {', '.join([*values, results.spiked])}"]
