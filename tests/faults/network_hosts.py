"""Several hosts on one machine: network namespaces that one bridge connects."""

import os
import shlex
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from command_jobs import ROOT

from distsnn.comm import mpiexec_path
from distsnn.comm.supervision.launcher import LAUNCHER_PREFIXES

# What mpiexec takes for ssh: ssh [options] ADDRESS WORDS...
_SSH = """\
#!/bin/bash
while [[ "$1" == -* ]]; do shift; done
host=$((${{1##*.}} - 1)); shift
exec ip netns exec {name}-$host unshare --uts --ipc --mount \\
    sh -c "hostname node$host; mount -t tmpfs shm /dev/shm; exec sh -c \\"\\$*\\"" sh "$*"
"""


class Hosts:
    """Hosts ``node0``, ``node1``, ... that reach each other until a link goes down."""

    def __init__(self, count: int, folder: Path) -> None:
        self.name = f"distsnn-{uuid.uuid4().hex[:8]}"
        self.count = count
        self._folder = folder
        self._made: list[str] = []

    def up(self) -> None:
        """Make them."""
        switch = f"{self.name}-switch"
        self._add(switch)
        self._ip("-n", switch, "link", "add", "br0", "type", "bridge")
        self._ip("-n", switch, "link", "set", "br0", "up")
        for host in range(self.count):
            namespace = f"{self.name}-{host}"
            self._add(namespace)
            # both ends are made where they belong: the machine's network is not touched
            link = f"link add veth0 type veth peer name p{host} netns {switch}"
            self._ip("-n", namespace, *link.split())
            self._ip("-n", switch, "link", "set", f"p{host}", "master", "br0", "up")
            self._ip("-n", namespace, "addr", "add", f"{self._address(host)}/24", "dev", "veth0")
            self._ip("-n", namespace, "link", "set", "veth0", "up")
        wrapper = self._folder / "ssh"
        wrapper.write_text(_SSH.format(name=self.name))
        wrapper.chmod(0o755)

    def down(self) -> None:
        """Remove them."""
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=True)

    def cut(self, host: int) -> None:
        """Take a host's link down."""
        self._ip("-n", f"{self.name}-switch", "link", "set", f"p{host}", "down")

    def start(self, ranks: int, *words: object) -> subprocess.Popen[str]:
        """Start a command under mpiexec, its ranks spread over the hosts."""
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith((*LAUNCHER_PREFIXES, "SLURM_"))
        }
        environment["PYTHONPATH"] = str(ROOT)
        hosts = ",".join(self._address(host) for host in range(self.count))
        command = f"ip netns exec {self.name}-0 {mpiexec_path()} -launcher ssh"
        command += f" -launcher-exec {self._folder / 'ssh'} -hosts {hosts} -n {ranks}"
        return subprocess.Popen(
            [*shlex.split(command), *map(str, words)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _address(self, host: int) -> str:
        return f"10.77.0.{host + 1}"

    def _add(self, name: str) -> None:
        self._ip("netns", "add", name)
        self._made.append(name)
        self._ip("-n", name, "link", "set", "lo", "up")

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def make_hosts(count: int, folder: Path) -> Hosts:
    """Return hosts that are up, or skip the test."""
    if os.getuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("hosts on one machine need root, iproute2 and unshare")
    hosts = Hosts(count, folder)
    try:
        hosts.up()
    except subprocess.CalledProcessError as error:
        hosts.down()
        pytest.skip(f"this kernel makes no network namespaces for us: {error.stderr.strip()}")
    return hosts
