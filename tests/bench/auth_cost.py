#!/usr/bin/python3
"""auth_cost.py - what judging costs the whole daemon: messages accepted a second and processor time a message, with judging on and off.

    auth_cost.py BIN_DIR [--count 3000] [--connections 20] [--rounds 3] [--size 10240]

Every message comes from outside for an account here, over a connection of its own, and is kept queued, so that accepting alone is measured.
Three ways, in turns:   off     verify.enabled = false, the signed message
                        plain   judged: no signature, and the sender's domain has no records
                        signed  judged: SPF, DKIM (RSA-2048) and DMARC pass; answers come from the resolver's cache
Processor time is that of all processes of the daemon, from /proc. Load, name server and daemon share the machine.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "vectors", "cross")]
from daemon import Daemon  # noqa: E402
from signer import Key, sign  # noqa: E402
from testdns import TestDNS  # noqa: E402

ACCOUNT, CLIENT = "alice@demo.example", "127.0.0.2"


def make_messages(folder, key, size):
    body = b"".join(b"We lost the game, number %d.  Are you hungry yet, or shall we wait?\r\n" % i for i in range(size // 70))
    out = {}
    for name, domain in (("plain", b"plain.example"), ("signed", b"signed.example")):
        fields = [b"From: Joe <joe@%s>\r\n" % domain, b"To: <%s>\r\n" % ACCOUNT.encode(), b"Subject: Is dinner ready?\r\n", b"Date: Fri, 11 Jul 2025 21:00:37 -0700\r\n",
                  b"Message-ID: <1@%s>\r\n" % domain]
        if name == "signed":
            fields = [sign(fields, body, key, domain=domain.decode(), selector="s", b_fold=True)] + fields
        out[name] = os.path.join(folder, name + ".eml")
        with open(out[name], "wb") as f:
            f.write(b"".join(fields) + b"\r\n" + body)
    return out


def cpu_seconds(daemon):
    """Processor time used so far by each of the daemon's processes: {name: seconds}, to a nanosecond (schedstat)."""
    out = {}
    for process in daemon.ctl("status")["processes"]:
        with open("/proc/%d/schedstat" % process["pid"], encoding="ascii") as f:
            out[process["name"]] = out.get(process["name"], 0) + int(f.read().split()[0]) / 1e9
    return out


def one_round(options, load, way, names, messages):
    settings = {"smtp.relay_networks": [], "resolver.upstreams": ["127.0.0.1:%d" % names.port], "queue.hold_all": True, "verify.enabled": way != "off"}
    with Daemon(options.bin_dir, settings) as daemon:
        daemon.ctl("domain", "add", "demo.example")
        daemon.ctl("account", "add", ACCOUNT)
        message = messages["plain" if way == "plain" else "signed"]
        sender = "joe@plain.example" if way == "plain" else "joe@signed.example"

        def send(count):
            run = subprocess.run([load, "-h", "127.0.0.1", "-p", str(daemon.smtp_port), "-c", str(options.connections), "-n", str(count), "-m", message, "-s", CLIENT,
                                  "-f", sender, "-r", ACCOUNT], stdout=subprocess.PIPE, text=True)
            fields = dict(word.split("=", 1) for word in run.stdout.split() if "=" in word)
            if run.returncode != 0:
                raise SystemExit("%s: not all were accepted: %s" % (way, run.stdout))
            return float(fields["rate"])
        send(200)  # caches warm, pools filled
        before = cpu_seconds(daemon)
        rate = send(options.count)
        cpu = {name: (used - before.get(name, 0)) / options.count * 1000 for name, used in cpu_seconds(daemon).items()}
        if way == "signed":
            shown = daemon.ctl("queue", "list", check=False)
            if shown.returncode != 0:
                raise SystemExit("queue list: %s" % shown.stderr)
        return rate, sum(cpu.values()), ", ".join("%s %.3f" % item for item in sorted(cpu.items(), key=lambda item: -item[1]) if item[1] >= 0.005)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin_dir")
    for name, default in (("count", 3000), ("connections", 20), ("rounds", 3), ("size", 10240)):
        parser.add_argument("--" + name, type=int, default=default)
    options = parser.parse_args()
    key = Key()
    zone = {"signed.example": [{"TXT": "v=spf1 ip4:%s -all" % CLIENT}], "_dmarc.signed.example": [{"TXT": "v=DMARC1; p=reject"}],
            "s._domainkey.signed.example": [{"TXT": key.record()}], "2.0.0.127.in-addr.arpa": [{"PTR": "client.example"}], "client.example": [{"A": CLIENT}]}
    results = {"off": [], "plain": [], "signed": []}
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as folder, TestDNS({"zonedata": zone}, ttl=3600) as names:
        load = os.path.join(folder, "smtpload")
        subprocess.run(["cc", "-O2", "-w", os.path.join(HERE, "src", "smtpload.c"), "-o", load, "-lssl", "-lcrypto", "-lpthread"], check=True)
        messages = make_messages(folder, key, options.size)
        for number in range(options.rounds):
            for way in results:
                asked = len(names.queries)
                rate, cpu, split = one_round(options, load, way, names, messages)
                results[way].append((rate, cpu))
                print("round %d %-6s %7.0f accepted/s %6.3f ms CPU a message (%s), %d questions to the name server"
                      % (number + 1, way, rate, cpu, split, len(names.queries) - asked), flush=True)
    off_rate, off_cpu = (statistics.median(v) for v in zip(*results["off"]))
    for way, rows in results.items():
        rate, cpu = (statistics.median(v) for v in zip(*rows))
        print("%-6s median %7.0f accepted/s (%+.0f %%), %6.3f ms CPU a message (%+.3f)" % (way, rate, (rate / off_rate - 1) * 100, cpu, cpu - off_cpu))


if __name__ == "__main__":
    main()
