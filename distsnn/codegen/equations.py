"""Generation of the kernel module of a neuron model from its equations.

`distsnn.kernels.neurons` contains the modules of built-in models, which `distsnn.codegen.built_in`
writes. In a module, a state has its own name; ``new_NAME`` is its value after a substep,
``end_NAME`` its value after a spike or an event. ``c_NAME`` is a parameter, ``decay_NAME`` the
factor by which a state decays in a substep (minus 1 if the change of the state is computed),
``NAME_by_OTHER`` the coefficient of another state, ``k1`` any other constant, and ``t1`` an
intermediate value.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sympy

from distsnn.codegen.expressions import STEP, Constants, ExpressionWriter, Names
from distsnn.codegen.modules import ELEMENTARY_NAMES, imports
from distsnn.codegen.parts import Part, Symbols
from distsnn.codegen.update import SUB_STEPS
from distsnn.kernels.emission import MAX_SPIKES
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
from distsnn.network.equations.syntax import NameNode, Operation, input_name

_TIME_END = "t_end"
# Whether the neuron is refractory; with the name of a period: whether this period has not ended.
_CLAMPED = "held"
_FUNCTIONS = (
    *("checked_log", "checked_log_array", "erf", "erf_array", "exp", "exp_array", "expm1_array"),
    *("exprel", "exprel_array", "flush_subnormal", "power"),
)
_COUNTS = ("binomial_in", "poisson_in")
# Names that the module uses.
_TAKEN = (
    *("np", "inline", "exponential", "min", "max", "abs", *_FUNCTIONS, *_COUNTS, *ELEMENTARY_NAMES),
    *("STATES", "RECEPTORS", "CONSTANTS", "DRAWS", "TIME", "RELAY"),
    *("propagators", "step", "integrate"),
    *("parameters", "p", "h", "constants", "name", "value", "c_ref", "c_more", SUB_STEPS),
    *(TIME, "dt", _TIME_END),
    *("current", _CLAMPED, "spiked", "left", REFRACTORY),
)


def kernel_text(
    model: NeuronModel,
    *,
    any_parts: bool = False,
    ordered: Collection[tuple[str, str]] = (),
    docstring: str = "Generated: do not edit.",
) -> str:
    """Return the text of a model's kernel module.

    Parameters
    ----------
    model : NeuronModel
        The model.
    any_parts : bool
        Whether the population chooses the number of substeps, not the model.
    ordered : collection of (str, str)
        Pairs of parameters; the first is smaller than the second.
    docstring : str
        Docstring of the module. It is executed, so it must not contain text of a user.
    """
    if any_parts:
        model.check_divisible()
    return _Module(model, any_parts, ordered).text(docstring)


def _is_silent_at_rest(dynamics: Dynamics, ordered: Collection[tuple[str, str]]) -> bool:
    """Return whether the tested variable is clamped below the threshold while refractory.

    The kernel then needs no test of the refractory time.
    """
    match dynamics.threshold, dynamics.reset:
        case (
            Operation(function=">=", arguments=(NameNode(name=variable), NameNode(name=threshold))),
            [(changed, NameNode(name=reset))],
        ):
            rests = changed == variable and variable in dynamics.held
            happens = [*(event.statements for event in dynamics.events), *dynamics.after.values()]
            moved = {name for statements in happens for name, _ in statements}
            return rests and variable not in moved and (reset, threshold) in ordered
    return False


def _floor(dynamics: Dynamics, ordered: Collection[tuple[str, str]]) -> str:
    """Return the state variable with a lower bound below the threshold as its only event, or "".

    A spiking neuron is above the bound, so the bound may be applied before the threshold test.
    """
    match dynamics.threshold, dynamics.events:
        case (
            Operation(function=">=", arguments=(NameNode(name=variable), NameNode(name=threshold))),
            [
                Event(
                    Operation(function="<", arguments=(NameNode(name=tested), NameNode(name=low))),
                    [(changed, NameNode(name=bound))],
                )
            ],
        ) if tested == changed == variable and bound == low and (low, threshold) in ordered:
            return variable
    return ""


def _without_unused(lines: list[str]) -> list[str]:
    """Return a function's lines without unused states and tests of the refractory time."""
    remaining: list[str] = []
    for line in reversed(lines):
        name = line.partition(" = ")[0]
        is_test = name == _CLAMPED or name.startswith(f"{_CLAMPED}_")
        can_go = is_test or re.fullmatch(r"new_\w+", name)
        if not can_go or any(re.search(rf"\b{name}\b", later) for later in remaining):
            remaining.append(line)
    return remaining[::-1]


def _steps(periods: Collection[str]) -> str:
    """Return the code of a constant: the number of steps of the given parameters (times)."""
    return " + ".join(f'np.rint(p["{name}"] / dt)' for name in periods)


@dataclass(frozen=True)
class _Results:
    """Results of a function, as code.

    Attributes
    ----------
    states : dict of Symbol to str
        The states.
    spiked : str
        Whether the neuron spiked.
    count : str
        Number of its spikes; empty if it is at most 1.
    """

    states: dict[sympy.Symbol, str]
    spiked: str
    count: str = ""


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
        # includes the names of arrays in the loop over neurons (`codegen.update`)
        used = [f"{kind}_{name}" for kind in ("new", "x") for name in states]
        used += [f"{kind}_{name}" for kind in ("in", "q") for name in receptors]
        used += [f"{kind}_{name}" for kind in (_CLAMPED, "c_end") for name in model.periods]
        self._names = names = Names((*_TAKEN, *used, *self._draws))
        self._states = {symbol(name): names.new(name) for name in states}
        # local variables: whether a state is clamped; the longest clamped states first
        self._held = {
            symbol(name): _CLAMPED if period == model.periods[-1] else f"{_CLAMPED}_{period}"
            for period in reversed(model.periods)
            for name, until in self._dynamics.held.items()
            if until == period
        }
        # times are compared with constants, which float32 would move off the grid
        kind = "double" if self._dynamics.uses(TIME) else "real"
        self._constants = Constants(names, kind)
        self._time = [TIME, _TIME_END] if self._dynamics.uses(TIME) else []

    def text(self, docstring: str) -> str:
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
            "    return {name: np.asarray(value, np.float64) for name, value in constants.items()}",
            *code,
        ]
        lines = [
            f'"""{docstring}"""',
            "",
            *imports(code, _FUNCTIONS, _COUNTS),
            "",
            f"STATES = {tuple(states)!r}",
            f"RECEPTORS = {tuple(self._dynamics.receptors)!r}",
            f"CONSTANTS = {constants.kinds!r}",
            *([f"DRAWS = {tuple(self._draws.values())!r}"] if self._draws else []),
            *(["TIME = True"] if self._time else []),
            *(["RELAY = True"] if self._analysis.spike_count is not None else []),
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
        inputs_of = {
            "integrate": ["current"],
            "step": [*inputs, "current", *self._draws, *self._time],
        }
        states = [*self._states.values(), *([REFRACTORY] if self._model.refractory else [])]
        for name, (docstring, body) in bodies.items():
            arguments = [*states, *inputs_of[name], *self._constants.kinds]
            lines += ["", "", "@inline", f"def {name}({', '.join(arguments)}):"]
            lines += [f'    """{docstring}"""', *(f"    {line}" for line in body)]
        return lines

    def _bodies(self) -> dict[str, tuple[str, list[str]]]:
        """Return the functions' descriptions and lines, by name."""
        reset_count = counted_down = ""
        if self._model.refractory:
            reset_count = self._constants.count("c_ref", _steps(self._model.periods))
            for index, name in enumerate(self._model.periods, 1):
                if self._is_timed(name):
                    steps = " + ".join(["1", *filter(None, [_steps(self._model.periods[index:])])])
                    self._constants.count(f"c_end_{name}", steps)
        if not self._divided:
            return {"step": ("Advance one neuron by dt.", self._advance(reset_count, last=True))}
        self._constants.count(SUB_STEPS, f"np.asarray({self._parts})")
        if self._model.refractory and self._model.test_parts:
            # decremented once more at the end of the same step
            counted_down = self._constants.count("c_more", "np.where(c_ref > 0, c_ref + 1, 0)")
        return {
            "integrate": (
                "Advance one neuron by one part of a step, without input.",
                self._advance(counted_down or reset_count, last=False),
            ),
            "step": ("End a step: add its input.", self._add_input(reset_count)),
        }

    def _is_timed(self, period: str) -> bool:
        """Return whether a kernel needs the end of a period of the refractory time."""
        return period in self._dynamics.after or f"{_CLAMPED}_{period}" in self._held.values()

    def _held_tests(self) -> list[str]:
        """Return the lines that compute whether states are clamped."""
        if not self._model.refractory:
            return []
        periods = [period for period in self._model.periods[:-1] if self._is_timed(period)]
        tests = [f"{_CLAMPED}_{period} = {REFRACTORY} >= c_end_{period}" for period in periods]
        return [f"{_CLAMPED} = {REFRACTORY} > 0", *tests]

    def _advance(self, reset_count: str, *, last: bool) -> list[str]:
        """Return the lines that advance a neuron by one substep, which may be a whole step."""
        analysis, constants, held = self._analysis, self._constants, self._held
        lines = self._held_tests()
        before = self._states | self._during()
        if self._time:
            before[symbol(TIME)] = TIME
        for i, noise in enumerate(analysis.noise):
            # variance 1/h: times Euler's step, it is a step of a Wiener process
            lines.append(f"{noise.name} = {constants.add('np.sqrt(1.0 / h)')} * draw_{i}")
            before[noise] = noise.name
        write = ExpressionWriter(before, constants, lines, self._names.of_function())
        inputs = self._inputs() if last else {}
        early = self._move(Part(analysis, before, held, write).early(), inputs, lines)
        write = write.with_values(before | early)
        length = STEP if self._divided else symbol(STEP_LENGTH)
        part = Part(analysis, before | early, held, write, length)
        new = early | self._move(part.advanced(), inputs, lines, part)
        if last:
            new |= self._move(part.late(), inputs, lines)
        # in the order of the equations; late states advance at the end of the step
        new = {name: new.get(name, text) for name, text in self._states.items()}
        is_tested = last or self._model.test_parts
        results = self._happen(new, write, reset_count, part, is_tested=is_tested, last=last)
        return _without_unused([*lines, *self._end(results, reset_count, last=last)])

    def _move(
        self,
        texts: Mapping[str, str],
        inputs: Mapping[str, str],
        lines: list[str],
        part: Part | None = None,
    ) -> dict[sympy.Symbol, str]:
        """Write the new values of states, and return their new names.

        Parameters
        ----------
        texts : mapping of str to str
            Values after a substep, by state.
        inputs : mapping of str to str
            Input that is added to them.
        lines : list of str
            Extended by the code.
        part : Part, optional
            The substep, whose scheme may keep clamped states constant.
        """
        new = {}
        for name, text in texts.items():
            rests = self._analysis.derivatives[symbol(name)] == 0 and name not in inputs
            moved = f"{text}{inputs.get(name, '')}"
            # a state with a lower bound is flushed at the end, after the reset
            moved = moved if name == self._floor else f"flush_subnormal({moved})"
            moved = self._states[symbol(name)] if rests else moved
            held = self._held.get(symbol(name))
            if held and (part is None or name in inputs or not part.rests(symbol(name))):
                moved = f"{self._states[symbol(name)]} if {held} else {moved}"
            new[symbol(name)] = f"new_{name}"
            lines.append(f"new_{name} = {moved}")
        return new

    def _add_input(self, reset_count: str) -> list[str]:
        """Return the lines that add a step's input at its end."""
        lines = self._held_tests()
        write = ExpressionWriter(self._states, self._constants, lines, self._names.of_function())
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
        symbols = set().union(
            *(expression.free_symbols for expression in tested if expression is not None)
        )
        is_tested = not self._model.test_parts or any(map(symbols.__contains__, new_input))
        results = self._happen(new, write, reset_count, None, is_tested=is_tested, last=True)
        return _without_unused([*lines, *self._end(results, reset_count, last=True)])

    def _inputs(self) -> dict[str, str]:
        """Return the input of a step that is added to each state, as text."""
        texts: dict[str, str] = {}
        for receptor, additions in self._analysis.inputs.items():
            for state, factor in additions:
                sign, size = ("-", -factor) if factor.as_coeff_Mul()[0] < 0 else ("+", factor)
                scaled = "" if size == 1 else f"{self._constants.of(size)} * "
                text = f" {sign} {scaled}in_{receptor}"
                texts[state.name] = texts.get(state.name, "") + text
        return texts

    def _during(self) -> dict[sympy.Symbol, str]:
        """Return the local variables of the quantities that are constant in a step."""
        drawn = enumerate(self._analysis.draws, len(self._analysis.noise))
        names = {symbol(STIMULI): "current"} | {draw: f"draw_{i}" for i, draw in drawn}
        names |= {symbol(input_name(name)): f"in_{name}" for name in self._analysis.during}
        return names | {
            draw: self._states[state] for draw, state in self._analysis.previous.items()
        }

    def _happen(
        self,
        new: Symbols,
        write: ExpressionWriter,
        reset_count: str,
        part: Part | None,
        *,
        is_tested: bool,
        last: bool,
    ) -> _Results:
        """Write the tests of threshold and events, and their statements, after a substep or input.

        Events without a condition occur once per step, at its end.
        """
        analysis = self._analysis
        values = {**new, **self._during()}
        if self._time:
            values[symbol(TIME)] = _TIME_END
        # late states are tested with their values at the start of the step
        write = write.with_values(
            values | {trigger: self._states[trigger] for trigger in analysis.late}
        )
        events = analysis.events
        if self._floor and is_tested:
            (condition, ((floored, bound),)), events = events[0], ()
            text = f"{write(bound)} if {write(condition)} else {new[floored]}"
            new = {**new, floored: write.assign_local(text, f"floored_{floored.name}")}
            write = write.with_values({**values, **new})
        conditions = [
            None if trigger is None else write(trigger) if is_tested else ""
            for trigger, _ in events
        ]
        happens: list[tuple[str | None, Assignments]] = []
        spiked, count = "False", ""
        if is_tested and analysis.threshold is not None:
            free = f" & (not {_CLAMPED})" if reset_count and not self._is_silent_at_rest else ""
            spiked = "spiked"
            write.lines.append(f"{spiked} = {write(analysis.threshold)}{free}")
            happens.append((spiked, analysis.reset))
            count = self._count(write, spiked)
        if last:
            for name, assignments in analysis.after.items():
                happens.append((write.assign_local(f"{REFRACTORY} == c_end_{name}"), assignments))
        for condition, (_, assignments) in zip(conditions, events, strict=True):
            if condition or (condition is None and last):
                happens.append((condition, assignments))
        results = dict(new)
        exploded = None if part is None else self._exploded(part, write)
        for condition, assignments in happens:
            before = dict(results)
            write = write.with_values(values | before)
            for state, value in assignments:
                if state != exploded or condition != spiked:
                    # a local variable: numba does not compile long tuples with conditions
                    text = write(value)
                    if condition is not None:
                        text = f"{text} if {condition} else {before[state]}"
                    results[state] = write.assign_local(text, f"end_{state.name}")
            if part is not None and exploded is not None and condition == spiked:
                text = self._after_spike(part, exploded, results, write, reset_count)
                results[exploded] = write.assign_local(text, f"end_{exploded.name}")
        return _Results(results, spiked, count)

    def _count(self, write: ExpressionWriter, spiked: str) -> str:
        """Return the local variable of the number of spikes, -1 if it is not an integer."""
        if self._analysis.spike_count is None:
            return ""
        value = write(self._analysis.spike_count)
        # beyond the range of counts that are allowed, so that the conversion is defined
        low, high = self._constants.add("-1.0"), self._constants.add(f"{MAX_SPIKES + 1}.0")
        count = write.assign_local(f"np.int32(min(max({value}, {low}), {high}))", "count")
        checked = write.assign_local(f"{count} if {count} == {value} else np.int32(-1)")
        return write.assign_local(f"{checked} if {spiked} else np.int32(0)")

    def _exploded(self, part: Part, write: ExpressionWriter) -> sympy.Symbol | None:
        """Return the state that may diverge and is reset above a constant threshold, if any."""
        threshold = self._analysis.threshold
        if threshold is None or threshold.func.__name__ != ">=":
            return None
        name, _ = write.sides(*threshold.args)
        return name if name in part.explosive and name in dict(self._analysis.reset) else None

    def _after_spike(
        self,
        part: Part,
        name: sympy.Symbol,
        after: Symbols,
        write: ExpressionWriter,
        reset_count: str,
    ) -> str:
        """Return the value of a diverged and reset state at the end of the substep."""
        assert self._analysis.threshold is not None
        _, peak = write.sides(*self._analysis.threshold.args)
        start = write.as_symbol(dict(self._analysis.reset)[name])
        rests = bool(reset_count) and name.name in self._dynamics.held
        limit = self._constants.add("np.where(c_ref > 0, np.inf, 1.0)" if rests else "1.0", "limit")
        is_left, moved = part.after_spike(name, start, {**after, **write.names_in(start)}, limit)
        # a second upstroke stops at the threshold until the next substep; the reset may be above it
        top = write(function("max")(peak, start))
        reset = f"min({moved}, {top}) if {is_left} else {write(start)}"
        return f"({reset}) if spiked else {after[name]}"

    def _end(self, results: _Results, reset_count: str, *, last: bool) -> list[str]:
        """Return the lines that end a function: the refractory time, and the results."""
        values = [
            f"flush_subnormal({text})" if name.name == self._floor else text
            for name, text in results.states.items()
        ]
        lines: list[str] = []
        if reset_count:
            left = f"np.int32({REFRACTORY} - 1 if {_CLAMPED} else 0)" if last else REFRACTORY
            if results.spiked != "False":
                lines, left = ([f"left = {left}"], "left") if last else ([], left)
                left = f"{reset_count} if {results.spiked} else {left}"
            lines.append(f"left = {left}")
            values.append("left")
        return [*lines, f"return {', '.join([*values, results.count or results.spiked])}"]
