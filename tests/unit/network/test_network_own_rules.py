"""Rules of plasticity written as equations: what is refused and where, storing, values."""

import json
import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest
from own_rules import PAIR, REWARDED, TAGGED, TRIPLET

from distsnn.errors import DescriptionError
from distsnn.network import (
    AllToAll,
    IafPscDelta,
    IafPscExp,
    Izhikevich,
    Network,
    PlasticityModel,
    Population,
    Projection,
    Uniform,
)
from distsnn.network.equations.source import EquationError

E = Population("E", 3, IafPscExp())
D = Population("D", 3, IafPscDelta())
TRACES = "dx/dt = -x/tau : 1 (pre)\ndy/dt = -y/tau : 1 (post)\ndc/dt = -c/tau : pA (synapse)"


def small(**given: Any) -> PlasticityModel:
    """Return a rule with a few parameters."""
    parameters = {"tau": (10.0, "ms"), "A": (1.0, "pA"), "g": (5.0, "nS"), "k": (0.1, "1")}
    return PlasticityModel(
        **({"traces": TRACES, "on_pre": "w += A*y"} | given | {"parameters": parameters})
    )


def test_user_defined_rule_is_accepted_like_a_built_in_rule() -> None:
    shared = Projection(E, E, AllToAll(), 1.0, 1.0, synapse=PAIR)
    own = Projection(E, E, AllToAll(), 1.0, 1.0, synapse=PAIR(tau_plus=3.0, w_max=7.0))
    assert shared.synapse == PAIR() == PlasticityModel(**vars_of(PAIR))()
    assert shared != own
    assert own.plasticity_rule is not None
    assert own.plasticity_rule.w_max == 7.0
    assert own.plasticity_rule.sign == 1
    assert PAIR(w_max=-3.0).sign == -1
    own_values = ("alpha", "learning_rate", "mu_minus", "mu_plus", "w_max", "w_min")
    assert own.plasticity_rule.per_synapse == own_values


def vars_of(model: PlasticityModel) -> dict[str, Any]:
    names = ("traces", "on_pre", "on_post", "parameters", "weight_unit", "name", "on_modulator")
    names += ("transmit",)
    return {name: getattr(model, name) for name in names}


FOLLOWED = {
    "traces": "dx/dt = -x/tau : 1 (pre)\nup = max(V_m_post, -50*mV) : mV (post)\n"
    "low = min(V_m_post, -60*mV) : mV (post)",
    "on_pre": "x += 1",
    "on_step": "w = clip(w + A*up/mV*x, 0, w_max)",
    "target": {"V_m": "mV"},
}


def test_a_rule_sees_states_of_its_target() -> None:
    rule = small(**FOLLOWED)
    assert (rule().observed_states, rule().delayed_states, rule().late_steps(0.1)) == (
        ("V_m",),
        "",
        0,
    )
    assert rule().per_synapse == ("A", "g", "k", "w_max", "w_min")
    late = small(**(FOLLOWED | {"traces": "dx/dt = -x/tau : 1 (pre)\n" + LATE}))
    assert (late().delayed_states, late(tau=2.0).late_steps(0.1)) == ("tau", 20)
    for synapse, target, problem in (
        (small(**(FOLLOWED | {"target": {"V_m": "V"}})), E, "V_m of its target in another unit"),
        (rule, Population("I", 3, Izhikevich()), ""),
        (small(**OTHER), E, "follows the state U_m of its target, which iaf_psc_exp has not"),
    ):
        network = partial(Projection, target, target, AllToAll(), 1.0, 1.0, synapse=synapse)
        if problem:
            with pytest.raises(DescriptionError, match=problem):
                Network([target], [network()])


LATE = "up = delayed(V_m_post, tau) + 50*mV : mV (post)"
OTHER = FOLLOWED | {
    "traces": "dx/dt = -x/tau : 1 (pre)\nup = U_m_post : mV (post)",
    "target": {"V_m": "mV", "U_m": "mV"},
}


@pytest.mark.parametrize(
    ("field", "text", "what"),
    [
        ("on_post", "w += A", "does not follow its spikes; allowed: on_step"),
        ("on_step", "w += A", "no value of the target; .*allowed: at least one of up"),
        ("on_step", "w += A*V_m_post/mV", "V_m_post may be used in values of the target only"),
        ("on_pre", "w += A*delayed(up, tau)/mV", r"delayed\(\) is for values of the target"),
        ("on_pre", "x += up/mV", "x is the same for all .* depend on up"),
        (
            "on_pre",
            "w = A*up*low/mV**2; x += 1",
            "several values of the target; given 'low, up'; allowed: one of up, low",
        ),
        ("traces", "dx/dt = -x/tau : 1 (pre)\nup = x*V_m_post : mV (post)", "its states and para"),
        ("traces", "dx/dt = -x/tau : 1 (pre)\nup = V_m_post : mV (pre)", r"allowed: \(post\)"),
        ("traces", "dy/dt = -y/tau : 1 (post)\nup = V_m_post : mV (post)", "no traces of its spik"),
        ("traces", "dx/dt = -x/tau : 1 (pre)\n" + LATE.replace("tau", "k"), "a delay is in 1"),
        ("traces", "dx/dt = -x/tau : 1 (pre)\n" + LATE.replace("tau", "ms"), "same parameter"),
        (
            "traces",
            "dx/dt = -x/tau : 1 (pre)\n" + LATE.replace("+", "+ V_m_post +"),
            "V_m_post is seen with a delay and without",
        ),
        ("target", {}, "unknown name 'V_m_post'"),
        ("target", {"V_m": "mW"}, "target, 'V_m'.*unknown unit"),
        ("target", {"V m": "mV"}, "not the name of a variable"),
    ],
)
def test_unreadable_target_states_are_refused_with_the_reason(
    field: str, text: Any, what: str
) -> None:
    with pytest.raises(DescriptionError, match=what):
        small(**(FOLLOWED | {field: text}))


@pytest.mark.parametrize("rule", [PAIR, TRIPLET, TAGGED, REWARDED], ids=lambda rule: rule.name)
def test_networks_are_stored_and_read_back(rule: PlasticityModel) -> None:
    target = D if rule is TAGGED else E
    network = Network(
        [target],
        [
            Projection(target, target, AllToAll(), 1.0, 1.0, synapse=rule),
            Projection(target, target, AllToAll(), -1.0, 2.0, synapse=rule(w_max=-np.inf)),
        ],
    )
    description, arrays = network.to_dict()
    again = Network.from_dict(json.loads(json.dumps(description)), arrays)
    assert again == network
    synapse = again.projections[1].synapse
    assert isinstance(synapse, type(rule(w_max=-np.inf)))
    assert synapse.model == rule
    assert pickle.loads(pickle.dumps(network)) == network
    corrupt = json.loads(json.dumps(description).replace("w = ", "w = import os;"))
    with pytest.raises(DescriptionError, match="cannot be read"):
        Network.from_dict(corrupt, arrays)


@pytest.mark.parametrize(
    ("field", "text", "line", "column", "what", "marked"),
    [
        ("traces", "dx/dt = -x/tou : 1 (pre)", 1, 12, "unknown name 'tou'.*mean 'tau'", "tou"),
        (
            "traces",
            "dx/dt = -x/k : 1 (pre)",
            1,
            9,
            "derivative of x is in 1; allowed: 1/ms",
            "-x/k",
        ),
        ("traces", "dx/dt = x/tau : 1 (pre)", 1, 9, "x may only decay.*: -x/TAU or 0", "x/tau"),
        (
            "traces",
            "dx/dt = -x/tau : 1",
            1,
            19,
            r"owner is missing.*\(pre\), \(post\), \(syn",
            "",
        ),
        ("traces", "dx/dt = -x/tau : 1 (prae)", 1, 21, "unknown flag 'prae'.*mean 'pre'", "prae"),
        ("traces", "\n dx/dt = -x/tau : ma (pre)", 2, 19, "unknown unit 'ma'", "ma"),
        ("traces", "dx/dt = 0 : 1/(ms) (pre)\ndx/dt = 0 : 1 (pre)", 2, 2, "'x' is taken", "x"),
        (
            *("traces", "dw/dt = -w/tau : pA (synapse)\n" + TRACES, 1, 10),
            *("w may change between spikes by sums of products .* allowed: c", "w"),
        ),
        ("traces", "dw/dt = c*x : pA (synapse)\n" + TRACES, 1, 9, "dw/dt is in pA; allowed", "c*x"),
        ("traces", "dw/dt = 0 : pA (pre)\n" + TRACES, 1, 2, "w is the synapse's", "w"),
        ("traces", "dw/dt = 0 : pA (synapse)\n" * 2, 2, 2, "'w' is taken", "w"),
        ("traces", "s = w/w_max : 1 (pre)", 1, 1, "has a flag where it is a value of", "s"),
        ("traces", "dweight/dt = 0 : 1 (synapse)", 1, 2, "'weight' is taken", "weight"),
        ("on_pre", "w += A*z", 1, 8, "unknown name 'z'", "z"),
        ("on_pre", "w += A\nw += y", 2, 6, "1 cannot be added to pA", "y"),
        ("on_pre", "w = clip(w, 0, 1)", 1, 16, "pA and 1 do not fit", "1"),
        ("on_pre", "w += A\n  c = g", 2, 7, "c is in nS; allowed: pA", "g"),
        ("on_pre", "w += A; y += 1", 1, 9, "y changes with other spikes; allowed: in on_post", "y"),
        ("on_post", "x += 1; w += A", 1, 1, "x changes with other .*: in on_pre", "x"),
        (
            *("on_pre", "w += A\nA += 1*pA", 2, 1),
            *("'A' cannot be assigned here, and a local .*allowed: c, w, x, names of local", "A"),
        ),
        ("on_pre", "w += d; d = A*y", 1, 6, "variable d is used before it is assigned", "d"),
        ("on_pre", "d += A*y; w += d", 1, 1, "unknown variable 'd'; allowed: c, w, x", "d"),
        ("on_pre", "d = A*y; d = 2*d; w += A", 1, 1, "unknown variable 'd'", "d"),
        ("on_pre", "x += y; w += A", 1, 6, "x is the same for all .* depend on y", "y"),
        ("on_pre", "w += A; x += 1 + k*w/A", 1, 20, "cannot depend on w", "w"),
        ("on_post", "y += 1 + exp(c/A); w += A", 1, 14, "cannot depend on c", "c"),
        ("on_modulator", "x += 1", 1, 1, "x changes with other .*: in on_pre", "x"),
        ("on_modulator", "c += A", 1, 1, "'c' cannot be assigned here", "c"),
        (
            *("traces", "dm/dt = 0 : 1 (modulator)\ndn/dt = 0 : 1 (modulator)", 2, 2),
            *("another modulator already", "n"),
        ),
        (
            *("traces", "dx/dt = (1 - x)/tau : 1 (pre)", 1, 9),
            *(r"x may only decay.*allowed: -x/TAU or 0\n", "(1 - x)/tau"),
        ),
        (
            *("traces", "dc/dt = (k*w - c)/tau : pA (synapse)", 1, 12),
            *("c may relax to parameters and states that decay to 0", "w"),
        ),
        (
            *("traces", "dc/dt = 0 : pA (synapse)\ndd/dt = (c*c - d)/tau : pA*pA (synapse)"),
            *(2, 10, "d may relax to parameters and states", "c*c"),
        ),
        ("on_pre", "d = A*y; w += A", 1, 1, "unknown variable 'd'; allowed: c, w, x", "d"),
        ("on_pre", "mV = A*y; w += mV", 1, 1, "'mV' cannot be assigned here", "mV"),
        ("on_pre", "d = x > y; w += where(d, A, 0)", 1, 5, "d is a condition", "x > y"),
        ("on_pre", "d = A*y; d = y; w += d", 1, 14, "d is in 1; allowed: pA", "y"),
        ("on_pre", "x += normal(); w += A", 1, 6, "x is the same for all .*random", "normal()"),
        ("on_pre", "d = y; x += d; w += A*d", 1, 13, "x is the same for all .* on d", "d"),
        ("on_pre", "w += A*binomial(A, 1)", 1, 17, "an argument of binomial is in pA", "A"),
        ("on_pre", "w += A*poisson(A)", 1, 16, "an argument of poisson is in pA", "A"),
        ("on_pre", "w += previous(w)", 1, 6, r"rules have no previous\(\)", "previous(w)"),
        (
            *("on_post", "w += A*uniform()", 1, 8),
            *(
                "drawn for a spike of the source alone; allowed: in on_pre and transmit",
                "uniform()",
            ),
        ),
        ("transmit", "w*z", 1, 3, "unknown name 'z'", "z"),
        ("transmit", "k*x", 1, 1, "the transmitted value is in 1; allowed: pA", "k*x"),
        ("on_post", "w += A*(", 1, 8, "never closed", "("),
        ("on_post", "w += __import__('os')", 1, 6, "unknown function '__import__'", "__import__"),
        ("on_post", "w += A^2", 1, 6, r"\^ \(write \*\*", "A^2"),
    ],
)
def test_errors_point_at_the_place(
    field: str, text: str, line: int, column: int, what: str, marked: str
) -> None:
    with pytest.raises(EquationError, match=what) as caught:
        small(**{field: text})
    error = caught.value
    assert error.where == f"{field}, line {line}, column {column}"
    shown, carets = str(error).split("\n")[-2:]
    assert shown.strip() == text.split("\n")[line - 1].strip()
    start, stop = carets.index("^"), carets.rindex("^") + 1
    assert shown[start:stop] == (marked or shown[start:stop])
    assert marked or stop == start + 1


def test_traces_cannot_depend_on_others_by_way_of_sub_expressions() -> None:
    with pytest.raises(EquationError, match="cannot depend on s") as caught:
        small(traces=TRACES + "\ns = 1 + q : 1\nq = w/w_max : 1", on_pre="x += k*s; w += A")
    assert (caught.value.line, caught.value.column) == (1, 8)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"on_pre": "x += 1"}, "nothing changes w"),
        ({"weight_unit": "pa"}, "unit of weights.*unknown unit 'pa'.*did you mean 'pA'"),
        ({"traces": None}, "must be text"),
        ({"name": "a b"}, "must be a name"),
        ({"traces": TRACES + "\ns = s : 1"}, "defined by itself"),
        ({"tracez": ""}, "did you mean 'traces'"),
    ],
)
def test_error_without_a_position_names_its_field(given: dict[str, Any], what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        small(**given)


@pytest.mark.parametrize("name", ["w", "w_max", "axonal_delay", "precision", "check", "x", "exp"])
def test_names_that_are_taken_are_refused(name: str) -> None:
    with pytest.raises(DescriptionError, match=r"not a usable name|is taken"):
        PlasticityModel(TRACES, "w += A", parameters={name: (1.0, "1"), "A": (1.0, "pA")})


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"tau": 0.0}, "field synapse, field tau: out of range.*> 0"),
        ({"tau": Uniform(1.0, 2.0)}, "field tau: must be one number for all synapses"),
        ({"k": [1.0, 2.0]}, "field k: array of the wrong shape"),
        ({"taw": 1.0}, "did you mean 'tau'"),
        ({"w_max": 0.0}, "must be a bound"),
        ({"precision": "float16"}, "unknown precision"),
    ],
)
def test_values_are_checked(values: dict[str, Any], what: str) -> None:
    with pytest.raises(DescriptionError, match=what):
        Network([E], [Projection(E, E, AllToAll(), 1.0, 1.0, synapse=small()(**values))])


def test_spikes_modulate_only_as_the_rule_says() -> None:
    with pytest.raises(DescriptionError, match=r"does not define the effect of spikes.*given 'D'"):
        small(traces="dm/dt = 0 : 1 (modulator)", on_pre="w += A*m")(modulator="D")
    with pytest.raises(DescriptionError, match="unknown parameter 'modulator'"):
        PAIR(modulator="D")


def test_weights_are_in_the_unit_of_their_target() -> None:
    with pytest.raises(DescriptionError, match=r"are in pA, but the input .* in mV.*unit='m"):
        Network([D], [Projection(D, D, AllToAll(), 1.0, 1.0, synapse=PAIR)])


@pytest.mark.parametrize("name", ["w_max", "w_min"])
def test_bounds_are_no_parameters_of_own_rules(name: str) -> None:
    with pytest.raises(DescriptionError, match="what all rules have: give it as a bound") as caught:
        PlasticityModel("", "w += A", parameters={name: (1.0, "1"), "A": (1.0, "pA")})
    assert f"given '{name}'" in str(caught.value)


def test_a_state_that_moves_the_weight_has_a_finite_rate() -> None:
    traces = "dc/dt = -c/tau : 1 (synapse)\ndx/dt = (1 - x)/tau : 1 (synapse)"
    parameters = {"tau": (10.0, "ms"), "r": (1.0, "pA/ms")}

    def throw(drift: str) -> None:
        rule = PlasticityModel(
            f"{traces}\n{drift}", "c += 1; x -= 0.5*x", transmit="w*x", parameters=parameters
        )
        Network([E], [Projection(E, E, AllToAll(), 1.0, 1.0, synapse=rule(tau=0.0, w_max=1.0))])

    throw("")
    with pytest.raises(DescriptionError, match=r"field tau: out of range.*> 0"):
        throw("dw/dt = r*c : pA (synapse)")
