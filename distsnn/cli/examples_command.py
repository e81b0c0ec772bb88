"""``distsnn examples``: the example networks that come with distsnn."""

import inspect
from argparse import Namespace

from distsnn import examples
from distsnn.comm import Communicator
from distsnn.tools.model_settings import defaults


def execute(options: Namespace, communicator: Communicator) -> int:
    """Run the command (on the first rank)."""
    if communicator.rank == 0:
        print("\n".join(lines()))
    return 0


def lines() -> list[str]:
    """Return each example's name, what it is in a line, and its parameters with defaults."""
    text = []
    width = max(map(len, examples.names()))
    for name in examples.names():
        module = examples.example(name)
        first = (inspect.getdoc(module) or "").partition("\n")[0]
        settings = " ".join(f"{key}={value}" for key, value in defaults(module.build).items())
        text += [f"{name:{width}}  {first}", f"{'':{width}}  {settings}"]
    return text
