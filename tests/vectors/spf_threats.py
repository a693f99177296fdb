#!/usr/bin/python3
"""spf_threats.py - hostile SPF records: what a name server really gets asked, and how long a check takes.

    spf_threats.py --cli posternctl

The limits are those of RFC 7208 §4.6.4. Exit status: 0 all right, 1 a limit was passed.
"""
import argparse
import os
import shlex
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import testdns
from run_spf import call

LOOKUPS, VOID, MX, PTR, SECONDS = 10, 2, 10, 10, 20


class SlowDNS(testdns.TestDNS):
    """Answers rightly, but each time only after a while that is shorter than anybody's time-out."""
    def handle(self, wire, tcp):
        time.sleep(2.3)
        return super().handle(wire, tcp)


class GarbageDNS(testdns.TestDNS):
    """Answers with the head of the question and then whatever `tail` says."""
    tail = b""

    def handle(self, wire, tcp):
        with self.lock:
            self.queries.append(("?", "?", "?"))
        return wire[:2] + self.tail


def run(cli, zone, server=testdns.TestDNS, mail_from="user@example.com", ip="192.0.2.1"):
    """-> (verdict, what was asked, seconds)"""
    with server({"zonedata": zone}) as dns:
        command = cli + ["check", "spf", "--resolver", "127.0.0.1:%d" % dns.port, "--ip", ip, "--helo", "mail.example.com",
                         "--mail-from", mail_from]
        got, error, seconds = call(command, 60)
        if got is None:
            raise SystemExit("FAIL the command broke: %s" % error)
        return got, list(dns.queries), seconds


def include_bomb(cli):
    """Every record includes all others: the tree has no end, the budget has."""
    names = ["i%d.example" % i for i in range(40)]
    record = "v=spf1 " + " ".join("include:" + name for name in names) + " -all"
    got, asked, _ = run(cli, {name: [{"TXT": record}] for name in names + ["example.com"]})
    assert got["result"] == "permerror", got
    assert len(asked) <= 1 + LOOKUPS, asked


def counter_survives_include(cli):
    """Nine terms in each of nine includes: a counter kept for each record would let 81 through."""
    zone = {"example.com": [{"TXT": "v=spf1 " + " ".join("include:i%d.example" % i for i in range(9))}]}
    for i in range(9):
        zone["i%d.example" % i] = [{"TXT": "v=spf1 " + " ".join("a:h%d-%d.example" % (i, j) for j in range(9))}]
        for j in range(9):
            zone["h%d-%d.example" % (i, j)] = [{"A": "198.51.100.1"}]
    got, asked, _ = run(cli, zone)
    assert got["result"] == "permerror", got
    assert len(asked) <= 1 + LOOKUPS, asked


def redirect_loop(cli):
    """%{d} grows with each redirect."""
    zone = {"example.com": [{"TXT": "v=spf1 redirect=r.%{d}"}], "*.example.com": [{"TXT": "v=spf1 redirect=r.%{d}"}]}
    got, asked, _ = run(cli, zone)
    assert got["result"] == "permerror", got
    assert len(asked) <= 1 + LOOKUPS, asked


def mx_bomb(cli):
    """Ten terms with ten hosts each is the most one message can cost, and hosts are not counted as terms."""
    zone = {"example.com": [{"TXT": "v=spf1 " + " ".join("mx:d%d.example" % i for i in range(30)) + " -all"}]}
    for i in range(30):
        zone["d%d.example" % i] = [{"MX": [j, "h%d-%d.example" % (i, j)]} for j in range(10)]
        for j in range(10):
            zone["h%d-%d.example" % (i, j)] = [{"A": "198.51.100.1"}]
    got, asked, _ = run(cli, zone)
    assert got["result"] == "permerror", got
    assert len(asked) <= 1 + LOOKUPS + LOOKUPS * MX, len(asked)
    zone["example.com"] = [{"TXT": "v=spf1 mx:d0.example -all"}]
    zone["d0.example"] = [{"MX": [j, "h%d-0.example" % j]} for j in range(11)]
    got, asked, _ = run(cli, zone)
    assert got["result"] == "permerror" and len(asked) == 2, (got, asked)


def void_bomb(cli):
    """Names that do not exist, aimed at a victim's zone."""
    zone = {"example.com": [{"TXT": "v=spf1 " + " ".join("a:n%d.victim.example" % i for i in range(10)) + " -all"}]}
    got, asked, _ = run(cli, zone)
    assert got["result"] == "permerror", got
    assert len([q for q in asked if "victim" in q[0]]) <= VOID + 1, asked


def ptr_bomb(cli):
    """The client's address has 200 names."""
    zone = {"example.com": [{"TXT": "v=spf1 ptr exists:%{p}.example.com ptr -all"}],
            "1.2.0.192.in-addr.arpa": [{"PTR": "n%d.example.com" % i} for i in range(200)]}
    got, asked, _ = run(cli, zone)
    assert got["result"] in ("fail", "permerror"), got
    assert len([q for q in asked if q[1] == "A" and q[0].startswith("n")]) <= PTR, asked


def long_macros(cli):
    """A long local part, many times: what is asked stays a name of the DNS."""
    zone = {"example.com": [{"TXT": ["v=spf1 "] + ["exists:" + "%{l}" * 60 + ".%{L2r-}.x.example.com "] * 20 + ["-all"]}],
            "*.x.example.com": [{"A": "127.0.0.2"}]}
    for local in ("l" * 60, "-" * 900, "a." * 400 + "a", '"' + "\\\"" * 300 + '"', "%{l}" * 100, "x" * 100000):
        got, asked, seconds = run(cli, zone, mail_from=local + "@example.com")
        assert got["result"] in ("pass", "fail", "permerror", "none"), got
        assert len(asked) <= 1 + LOOKUPS and all(len(q[0]) <= 4 * 254 for q in asked), asked
        assert seconds < 5, seconds


def hostile_text(cli):
    """Control characters of a sender or a record reach no terminal."""
    zone = {"example.com": [{"TXT": "v=spf1 -all exp=why.example"}], "why.example": [{"TXT": "no %{l}"}],
            "esc.example": [{"TXT": "v=spf1 \x1b[2J"}]}
    got, _, _ = run(cli, zone, mail_from="a\x1b[2J\r\n250 ok@example.com")
    assert got["result"] == "fail" and got["explanation"] == "", got
    got, _, _ = run(cli, zone, mail_from="a@esc.example")
    assert got["result"] == "permerror" and "\x1b" not in got["reason"], got


def garbage(cli):
    """A server that answers nonsense is a server that failed."""
    for tail in (b"", b"\x81\x80", b"\x81\x80" + b"\xff" * 8, b"\x81\x80\0\1\0\xff\0\0\0\0" + b"\xc0\x0c" * 200, b"\x85\x80" + b"\0" * 500):
        GarbageDNS.tail = tail
        got, asked, seconds = run(cli, {}, server=GarbageDNS)
        assert got["result"] in ("temperror", "none"), (tail, got)
        assert seconds < SECONDS, seconds


def dead_server(cli):
    got, _, seconds = run(cli, {"example.com": ["TIMEOUT"]})
    assert got["result"] == "temperror", got
    assert seconds < SECONDS, seconds


def slow_server(cli):
    """Each answer comes in time, all of them together do not: the whole check has its own deadline."""
    zone = {"example.com": [{"TXT": "v=spf1 include:i0.example -all"}]}
    for i in range(12):
        zone["i%d.example" % i] = [{"TXT": "v=spf1 include:i%d.example -all" % (i + 1)}]
    got, _, seconds = run(cli, zone, server=SlowDNS)
    assert got["result"] == "temperror", got
    assert seconds < SECONDS, seconds


THREATS = [include_bomb, counter_survives_include, redirect_loop, mx_bomb, void_bomb, ptr_bomb, long_macros, hostile_text,
           garbage, dead_server, slow_server]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", default="posternctl")
    cli = shlex.split(parser.parse_args().cli)
    wrong = 0
    for threat in THREATS:
        try:
            threat(cli)
            print("ok   %s" % threat.__name__)
        except AssertionError as error:
            wrong += 1
            print("FAIL %s: %s" % (threat.__name__, str(error)[:600]))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
