"""The part that Brian2's benchmark scripts share: options, compiler settings, the measured run.

Runs in Brian2's environment (see environments.py) and needs a C++ compiler. A network becomes a
compiled program of one thread, with the flags that are fastest here.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import brian2
import numpy as np
from brian2 import device, ms, prefs
from measure import Cost, measured, report
from parameters import DT


def parser(description: str, *, warmup: float) -> argparse.ArgumentParser:
    """Return a parser with the options that every script has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--time", type=float, default=1000.0, help="measured time, ms")
    options.add_argument("--warmup", type=float, default=warmup, help="time before it, ms")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--recording",
        choices=("memory", "none"),
        default="memory",
        help="memory: every spike; none: only each population's rate",
    )
    return options


def reset(options: argparse.Namespace) -> Path:
    """Choose the stand-alone device and the compiler's flags; return the program's folder."""
    if shutil.which("g++") is None:
        sys.exit("Brian2's stand-alone mode needs a C++ compiler: g++ was not found")
    folder = Path(tempfile.mkdtemp(prefix="distsnn-brian2-"))
    brian2.set_device("cpp_standalone", build_on_run=False, directory=str(folder))
    prefs.devices.cpp_standalone.openmp_threads = 0
    flags = ["-w", "-O3", "-ffast-math", "-march=native", "-std=c++17"]
    prefs.codegen.cpp.extra_compile_args_gcc = flags
    # The program runs under a small parent that notes its memory, apart from the compiler's.
    measure = Path(__file__).with_name("measure.py")
    command = [sys.executable, str(measure), str(folder / "peak"), "./main"]
    prefs.devices.cpp_standalone.run_cmd_unix = command
    brian2.defaultclock.dt = DT * ms
    brian2.seed(options.seed)
    return folder


def connect_fixed_indegree(
    synapses: brian2.Synapses, indegree: int, generator: np.random.Generator
) -> None:
    """Give every target `indegree` sources; autapses and multapses allowed."""
    sources, targets = len(synapses.source), len(synapses.target)
    synapses.connect(
        i=generator.integers(0, sources, targets * indegree),
        j=np.repeat(np.arange(targets), indegree),
    )


def run_and_report(
    options: argparse.Namespace,
    folder: Path,
    objects: list[brian2.BrianObject],
    populations: Mapping[str, brian2.NeuronGroup],
    *,
    network: str,
    synapses: int,
    describe_s: float,
) -> None:
    """Compile and run the program, print the measurement, remove the program."""
    recording = options.recording == "memory"
    kind = brian2.SpikeMonitor if recording else brian2.PopulationRateMonitor
    monitors = {name: kind(group) for name, group in populations.items()}
    net = brian2.Network(objects, list(monitors.values()))
    try:
        with measured() as compiling:
            if options.warmup > 0:
                net.run(options.warmup * ms)
            net.run(options.time * ms)
            device.build(directory=str(folder), run=False, with_output=False)
        with measured() as program:
            device.run(with_output=False)
        # The program's own clock, which covers the last of its runs without loading and saving.
        run = Cost(float(device._last_run_time), program.others_cpu)
        neurons = {name: len(group) for name, group in populations.items()}
        rates = {}
        for name, monitor in monitors.items():
            measured_steps = np.asarray(monitor.t / ms) > options.warmup - DT / 2
            spikes_per_neuron = (
                np.count_nonzero(measured_steps) / neurons[name]
                if recording
                else float(np.sum(np.asarray(monitor.rate)[measured_steps])) * DT * 1e-3
            )
            rates[name] = spikes_per_neuron / (options.time * 1e-3)
        report(
            simulator="Brian2",
            version=brian2.__version__,
            network=network,
            neurons=sum(neurons.values()),
            synapses=synapses,
            threads=1,
            time_ms=options.time,
            warmup_ms=options.warmup,
            recording=options.recording,
            build_s=describe_s + compiling.wall_s,
            run=run,
            rates=rates,
            peak_bytes=int((folder / "peak").read_text()),
        )
    finally:
        shutil.rmtree(folder)
