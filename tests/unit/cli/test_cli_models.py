"""``distsnn models``: what it lists, shows and refuses."""

from collections.abc import Callable
from typing import Any

from distsnn import describe_model, list_models

Command = Callable[..., Any]


def test_models_are_listed(distsnn: Command) -> None:
    done = distsnn("models")
    assert (done.code, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head.split() == ["model", "kind", "NEST", "description"]
    assert [line.split()[0] for line in lines] == [info.name for info in list_models()]
    (line,) = [line for line in lines if line.startswith("IafPscExp ")]
    assert line.split()[1:3] == ["neuron", "iaf_psc_exp"]
    assert line.endswith("exponential synaptic currents (NEST's iaf_psc_exp).")
    assert head.index("kind") == line.index("neuron")
    (line,) = [line for line in lines if line.startswith("Oja ")]
    assert "  plasticity rule  -  " in line


def test_a_model_is_shown_by_either_name(distsnn: Command) -> None:
    for name in ("IafPscExp", "iaf_psc_exp", "stdp_nn_symm_synapse"):
        done = distsnn("models", name)
        assert (done.code, done.err) == (0, "")
        assert done.out == describe_model(name) + "\n"


def test_an_unknown_model_is_refused(distsnn: Command) -> None:
    done = distsnn("models", "IafPscExpo")
    assert (done.code, done.out) == (2, "")
    assert done.message == (
        "distsnn: unknown model 'IafPscExpo'; allowed: a name that `distsnn models` lists, such as "
        "IafPscExp, iaf_psc_exp, GifPscExp, AeifPscExp, gif_psc_exp; did you mean 'IafPscExp'?"
    )
    assert distsnn("models", "IafPscExp", "more").code == 2
