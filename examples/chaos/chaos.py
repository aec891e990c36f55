#!/usr/bin/env python3
"""Pulls every plug: one coordinator and four clients over mutual TLS, each killed again and again.

The run is the sentiment example's, seeded, so that it has one model that it must come to. First it
runs undisturbed, then once more while every process is killed with SIGKILL at random moments, and
every client's link is cut for a while now and then. At the end the two models must be the same
bytes, and the ledgers must hold the same entries: the same rounds, once each, at the same amounts.

    cargo build --release --workspace
    examples/chaos/chaos.py target/release --rounds 30 --kills 50 --seed 1

It needs Python 3.9, and nothing but its standard library.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SENTIMENT = HERE.parent / "sentiment"
SITES = ["amazon", "movie", "nyt", "twitter"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Link:
    """A relay between a client and the coordinator, which can be cut."""

    def __init__(self, to):
        self.to, self.cut, self.cuts = to, False, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                near.close()
                continue
            self.open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    def carry(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            self.open.discard(end)
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def sever(self, seconds):
        """Cuts the link, and mends it after a while."""
        self.cut, self.cuts = True, self.cuts + 1
        for end in list(self.open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        timer = threading.Timer(seconds, lambda: setattr(self, "cut", False))
        timer.daemon = True
        timer.start()


class Process:
    """A process that is started again whenever it was killed."""

    def __init__(self, name, command, log):
        self.name, self.command, self.log, self.kills = name, command, log, 0
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log)

    def kill(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
            self.child.communicate()
            if self.child.returncode == -signal.SIGKILL:
                self.kills += 1
                return True
        return False

    def tail(self):
        return Path(self.log).read_text(errors="replace")[-3000:]


def federation(binaries, folder, rounds, links):
    """Certificates and configurations. Returns the coordinator's configuration and port."""
    port = free_port()
    init = [binaries / "umbel-coordinator", "init", "federation"]
    for site in SITES:
        init += ["--site", site]
    init += ["--address", f"https://localhost:{port}"]
    subprocess.run(init, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    made = folder / "federation"
    template = (made / "coordinator/coordinator.toml").read_text()
    fingerprints = dict(re.findall(r'name = "(\w+)"\nfingerprint = "([0-9a-f]{64})"', template))
    run = (SENTIMENT / "run.toml").read_text()
    run = re.sub(r"\n\[\[clients\]\].*?(?=\n\[|\Z)", "", run, flags=re.S)
    run = re.sub(r'(base|path) = "(?!/)', rf'\1 = "{SENTIMENT}/', run)
    run += f'\n[serve]\nlisten = "127.0.0.1:{port}"\n'
    for site in SITES:
        run += f'\n[[clients]]\nname = "{site}"\nfingerprint = "{fingerprints[site]}"\n'
        address = port
        if links is not None:
            links[site] = Link(port)
            address = links[site].port
        table = SENTIMENT / f"data/sites/{site}/train.csv"
        (made / f"sites/{site}/client.toml").write_text(
            f'name = "{site}"\ncoordinator = "https://localhost:{address}"\n'
            '[tls]\nca = "ca.pem"\ncertificate = "client.pem"\nkey = "client.key"\n'
            f'[data]\npath = "{table}"\n'
            f'[policy]\nepsilon = 8.0\ndelta = 1e-5\ndata_set = "{site}"\nallow_seeded = true\n'
            '[device]\ndevice = "cpu"\n'
        )
    configuration = made / "coordinator/run.toml"
    configuration.write_text(run)
    serve = [binaries / "umbel-coordinator", "serve", configuration, "--json", "--seed", "1"]
    serve += ["--device", "cpu", "--set", f"run.rounds={rounds}"]
    serve += ["--set", f"run.out={folder}/runs"]
    serve += ["--set", "federation.round_seconds=120", "--set", "evaluation.every=0"]
    return serve


def ledger(path):
    """What a ledger says: rounds and amounts, without times and hashes."""
    kept = ("round", "attempt", "event", "delta", "data_set", "clipping_norm")
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: entry.get(key) for key in kept} for entry in entries]


def run(binaries, folder, args, disturbed, chance):
    """One run. Returns the model's SHA-256, the ledgers, and what happened to it."""
    folder.mkdir()
    links = {} if disturbed else None
    serve = federation(binaries, folder, args.rounds, links)
    made = folder / "federation"
    processes = [Process("coordinator", serve, folder / "coordinator.log")]
    for site in SITES:
        client = [binaries / "umbel-client", "run", made / f"sites/{site}/client.toml"]
        processes.append(Process(site, client, folder / f"{site}.log"))
    began, next_cut = time.monotonic(), time.monotonic() + 2
    report = None
    pending = {}
    while True:
        time.sleep(0.02)
        now = time.monotonic()
        if now - began > args.limit:
            raise SystemExit(f"no end after {args.limit} s:\n{processes[0].tail()}")
        for process in processes:
            if process.name in pending:
                if now >= pending[process.name]:
                    del pending[process.name]
                    process.start()
                continue
            code = process.child.poll()
            if code is None:
                continue
            if process.name == "coordinator" and code == 0:
                if report is None:
                    report = json.loads(process.child.stdout.read())
            elif code != 0:
                raise SystemExit(f"{process.name} ended with {code}:\n{process.tail()}")
        if report is not None and all(p.child.poll() == 0 for p in processes):
            break
        if not disturbed or report is not None:
            continue
        for process in processes:
            if process.kills >= args.kills or process.name in pending:
                continue
            if chance.random() < 0.02 / args.pace and process.kill():
                pending[process.name] = now + chance.uniform(0, 0.5)
        if now >= next_cut:
            chance.choice(list(links.values())).sever(chance.uniform(0.2, 3))
            next_cut = now + chance.uniform(2, 8)
    model = Path(report["run_dir"]) / "model/model.safetensors"
    ledgers = {"coordinator": ledger(made / "coordinator/ledger.jsonl")}
    for site in SITES:
        ledgers[site] = ledger(made / f"sites/{site}/ledger.jsonl")
    return {
        "model": hashlib.sha256(model.read_bytes()).hexdigest(),
        "ledgers": ledgers,
        "rounds": report["rounds"],
        "epsilon": report["epsilon"],
        "seconds": time.monotonic() - began,
        "kills": {process.name: process.kills for process in processes},
        "cuts": {name: link.cuts for name, link in (links or {}).items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binaries", type=Path, help="folder with umbel-coordinator and umbel-client")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--kills", type=int, default=50, help="of each process, at most")
    parser.add_argument("--pace", type=float, default=1.5, help="seconds between a process's kills")
    parser.add_argument("--limit", type=float, default=3600, help="seconds for a run")
    parser.add_argument("--seed", type=int, default=1, help="of the kills")
    parser.add_argument("--keep", type=Path, help="a new folder for everything that is made")
    args = parser.parse_args()
    binaries = args.binaries.resolve()
    chance = random.Random(args.seed)
    folder = args.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    calm = run(binaries, folder / "undisturbed", args, False, chance)
    print(f"undisturbed: {calm['rounds']} rounds, epsilon {calm['epsilon']:.4f}, "
          f"{calm['seconds']:.0f} s, model {calm['model'][:16]}")
    wild = run(binaries, folder / "disturbed", args, True, chance)
    print(f"disturbed:   {wild['rounds']} rounds, epsilon {wild['epsilon']:.4f}, "
          f"{wild['seconds']:.0f} s, model {wild['model'][:16]}")
    print("killed with SIGKILL:", wild["kills"])
    print("links cut:", wild["cuts"])
    same = {name: calm["ledgers"][name] == wild["ledgers"][name] for name in calm["ledgers"]}
    print("ledgers equal in keys and amounts:", same)
    print("models equal, bit for bit:", calm["model"] == wild["model"])
    if not args.keep:
        shutil.rmtree(folder)
    enough = min(wild["kills"].values()) >= args.kills
    if not enough:
        print(f"fewer than {args.kills} kills of some process: use more rounds, or a smaller --pace")
    sys.exit(0 if all(same.values()) and calm["model"] == wild["model"] and enough else 1)


if __name__ == "__main__":
    os.environ.pop("RUST_LOG", None)
    main()
