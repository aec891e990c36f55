#!/usr/bin/env python3
"""From nothing to a finished private run of three machines, as a newcomer would do it.

The machines are network namespaces, each with an address of its own, joined by a bridge: a
coordinator and two sites. Certificates are made, both sides look before they begin, the run is
rehearsed, and while it goes on the coordinator is killed and started again. Every command that
anybody has to type is printed.

    cargo build --release
    sudo examples/three_machines/three_machines.py target/release

It needs Linux, root, `ip`, and nothing of Python but its standard library. What it makes lies in a
temporary folder, which it names at the end.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SENTIMENT = HERE.parent / "sentiment"
NETWORK = "10.203.77"
# Each machine and the last number of its address. The sites have tables of the sentiment example.
MACHINES = {"hub": 1, "berlin": 2, "oslo": 3}
TABLES = {"berlin": "amazon", "oslo": "movie"}
PREFIX = f"umbel{os.getpid() % 1000}-"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def make_machines():
    ip("link", "add", f"{PREFIX}br", "type", "bridge")
    ip("link", "set", f"{PREFIX}br", "up")
    for name, number in MACHINES.items():
        space, near, far = PREFIX + name, f"{PREFIX}{number}a", f"{PREFIX}{number}b"
        ip("netns", "add", space)
        ip("link", "add", near, "type", "veth", "peer", "name", far)
        ip("link", "set", near, "master", f"{PREFIX}br", "up")
        ip("link", "set", far, "netns", space)
        ip("-n", space, "addr", "add", f"{NETWORK}.{number}/24", "dev", far)
        ip("-n", space, "link", "set", far, "up")
        ip("-n", space, "link", "set", "lo", "up")


def remove_machines():
    for name in MACHINES:
        subprocess.run(["ip", "netns", "del", PREFIX + name], stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "link", "del", f"{PREFIX}br"], stderr=subprocess.DEVNULL)


class Machine:
    """Where commands are typed, counted and printed."""

    def __init__(self, name, folder, binaries):
        self.name, self.folder, self.binaries, self.typed = name, folder, binaries, 0

    def start(self, command, log=None):
        self.typed += 1
        print(f"{self.name}$ {command}", flush=True)
        program, *rest = shlex.split(command)
        words = ["ip", "netns", "exec", PREFIX + self.name, str(self.binaries / program), *rest]
        environment = {key: value for key, value in os.environ.items() if key != "RUST_LOG"}
        out = open(self.folder / log, "a") if log else subprocess.PIPE
        return subprocess.Popen(
            words, cwd=self.folder, env=environment, stdout=out, stderr=subprocess.STDOUT, text=True
        )

    def type(self, command):
        process = self.start(command)
        output, _ = process.communicate(timeout=900)
        print("".join(f"    {line}\n" for line in output.splitlines()), end="")
        if process.returncode != 0:
            sys.exit(f"{self.name}: exit code {process.returncode}")
        return output


def edit(path, changes):
    """What a person changes in a file that is marked CHANGE ME."""
    text = path.read_text()
    for pattern, put in changes.items():
        text, count = re.subn(pattern, put, text, count=1, flags=re.M)
        assert count == 1, f"{path}: {pattern}"
    path.write_text(text)


def rounds_done(machine):
    status = subprocess.run(
        [
            "ip", "netns", "exec", PREFIX + machine.name,
            machine.binaries / "umbel-coordinator", "status", "coordinator.toml", "--json",
        ],
        cwd=machine.folder, capture_output=True, text=True,
    )
    return json.loads(status.stdout)["rounds_done"] if status.returncode == 0 else 0


def main(binaries):
    work = Path(tempfile.mkdtemp(prefix="umbel-three-machines-"))
    desk = Machine("hub", work, binaries)
    address = f"https://{NETWORK}.{MACHINES['hub']}:7700"
    desk.type(f"umbel-coordinator init federation --site berlin --site oslo --address {address}")
    hub = Machine("hub", work / "federation/coordinator", binaries)
    edit(
        hub.folder / "coordinator.toml",
        {
            r'^base = .*': f'base = "{SENTIMENT / "bert-tiny"}"',
            r"^rounds = .*": "rounds = 30",
            r"^max_tokens = .*": "max_tokens = 32",
            r"^expected_batch = .*": "expected_batch = 200.0",
        },
    )
    sites = {}
    for name, table in TABLES.items():
        sites[name] = Machine(name, work / "federation/sites" / name, binaries)
        shutil.copy(SENTIMENT / "data/sites" / table / "train.csv", sites[name].folder / "data.csv")
        edit(sites[name].folder / "client.toml", {r'^device = .*': 'device = "cpu"'})
    began = time.monotonic()
    hub.type("umbel-coordinator check coordinator.toml")

    rehearsal = hub.start("umbel-coordinator serve coordinator.toml --rehearse", "rehearsal.log")
    time.sleep(2)
    for site in sites.values():
        site.type("umbel-client check client.toml")
    clients = [site.start("umbel-client run client.toml", "rehearsal.log") for site in sites.values()]
    codes = [rehearsal.wait(600)] + [client.wait(600) for client in clients]
    print("".join(f"    {line}" for line in open(hub.folder / "rehearsal.log") if "INFO" not in line))
    assert codes == [0, 0, 0], codes

    run = hub.start("umbel-coordinator serve coordinator.toml", "run.log")
    clients = [site.start("umbel-client run client.toml", "run.log") for site in sites.values()]
    while rounds_done(hub) < 10:
        time.sleep(0.2)
        assert run.poll() is None, (hub.folder / "run.log").read_text()
    run.kill()
    run.wait()
    print("    (killed with SIGKILL after round 10)")
    run = hub.start("umbel-coordinator serve coordinator.toml", "run.log")
    codes = [run.wait(900)] + [client.wait(600) for client in clients]
    assert codes == [0, 0, 0], codes
    (folder,) = (hub.folder / "runs").iterdir()
    keys = []
    for name, site in sites.items():
        site.type("umbel-client key client.toml")
        keys.append(f"--site {name}={site.folder / 'site.pub'}")
        (home,) = (site.folder / "results").iterdir()
        files = sorted(path.name for path in home.iterdir())
        print(f"    {name} took home: {', '.join(files)}")
    hub.type(f"umbel verify {folder} --key signing.pub {' '.join(keys)}")
    entries = {
        machine.name: len((machine.folder / "ledger.jsonl").read_text().splitlines())
        for machine in [hub, *sites.values()]
    }
    print(f"entries in the ledgers, of 30 rounds: {entries}")
    assert set(entries.values()) == {30}
    typed = {site.name: site.typed for site in sites.values()}
    print(f"{time.monotonic() - began:.0f} s; commands typed at the sites: {typed}")
    assert max(typed.values()) <= 5
    print(f"all of it lies in {work}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        make_machines()
        main(Path(sys.argv[1]).resolve())
    finally:
        remove_machines()
