"""Kernel modules of built-in neuron models: generated once, and kept in the package.

So nothing waits for sympy before a run. ``python -m distsnn.codegen.built_in`` writes them again
after an edit of a model's equations or of the generator, formatted by ruff; a test compares.
"""

import subprocess
from pathlib import Path

from distsnn.codegen.equations import kernel_text
from distsnn.kernels import neurons
from distsnn.network import EquationNeuron, SubsteppedNeuron
from distsnn.network.registry import model_named, model_names


def built_in_models() -> list[type[EquationNeuron]]:
    """Return the built-in neuron models that are equations, sorted by name."""
    models = map(model_named, model_names())
    return [
        one
        for one in models
        if issubclass(one, EquationNeuron) and one.kernel.startswith(neurons.__name__)
    ]


def built_in_text(model: type[EquationNeuron]) -> str:
    """Return the text of a built-in model's kernel module, not formatted."""
    equations = [one.text for one in model.model.dynamics.states.values()]
    about = "\n".join(
        [
            f"{model.name}, generated from its equations by distsnn.codegen.built_in: do not edit.",
            "",
            *(f"    {one}" for one in equations),
            "",
            *(f"Integration, {one}" for one in model.model.scheme.split("; ")),
            "",
        ]
    )
    any_parts = issubclass(model, SubsteppedNeuron)
    return kernel_text(model.model, any_parts=any_parts, ordered=model.ordered, about=about)


def built_in_file(model: type[EquationNeuron]) -> Path:
    """Return the file of a built-in model's kernel module."""
    return Path(next(iter(neurons.__path__))) / f"{model.name}.py"


def main() -> None:
    """Write all kernel modules of built-in models that are equations."""
    files = []
    for model in built_in_models():
        files.append(built_in_file(model))
        files[-1].write_text(built_in_text(model), encoding="utf-8")
    subprocess.run(["ruff", "format", "--quiet", *files], check=True)


if __name__ == "__main__":
    main()
