#!/usr/bin/python3
"""check_dane_test.py - `posternctl check dane` against a name server and an SMTP server of our own.

    check_dane_test.py --cli posternctl

Every row of the table: what the DNS says of the addresses and of the TLSA records, what the server shows, and the result RFC 7672
wants. The AD bit (a `secure:` list) and validation of our own (`dnssec:`, really signed zones) are tried apart.
Exit status: 0 all right, 1 a row is wrong.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import testdns
from starttls_server import Certificate, StarttlsServer

HOST = "mx.good.example"
ROOT = Certificate("Test root", ca=True)
CA = Certificate("Test issuer", issuer=ROOT, ca=True)
LEAF = Certificate(HOST, issuer=CA)
OTHER = Certificate(HOST, issuer=CA)
EXPIRED = Certificate(HOST, issuer=CA, days=(-30, -2))
MISNAMED = Certificate("elsewhere.example", issuer=CA)
ALIAS = Certificate("real.good.example", issuer=CA)
SELF = Certificate(HOST)
CHAIN = [LEAF, CA]

failures = []


def call(cli, dns_port, target, anchor=None, resolver="127.0.0.1"):
    command = [cli, "check", "dane", "--resolver", "%s:%d" % (resolver, dns_port), target]
    if anchor:
        command[3:3] = ["--trust-anchor", anchor]
    begin = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        return {"result": "exit %d" % done.returncode, "reason": done.stderr.decode(errors="replace").strip()}, seconds
    return json.loads(done.stdout), seconds


def normal(value):
    """Records have no order."""
    return sorted(map(repr, map(sorted, (v.items() for v in value)))) if isinstance(value, list) else value


def expect(name, got, seconds, want, **fields):
    wrong = [] if got["result"] == want else ["result %s, expected %s" % (got["result"], want)]
    for field, value in fields.items():
        if normal(got.get(field)) != normal(value):
            wrong.append("%s %r, expected %r" % (field, got.get(field), value))
    if seconds > 30:
        wrong.append("took %.1f s" % seconds)
    if not wrong and set(("result", "tlsa", "chain", "matched", "reason")) - set(got):
        wrong.append("fields are missing: %s" % sorted(got))
    print("%-4s %-58s %5.1fs  %s" % ("FAIL" if wrong else "ok", name, seconds, "; ".join(wrong) or got["reason"]), flush=True)
    if wrong:
        print("     %s" % json.dumps(got))
        failures.append(name)


def zone(port, records, address=None, extra=None, tlsa_name=None):
    data = {HOST: address or [{"A": "127.0.0.1"}]}
    data[tlsa_name or "_%d._tcp.%s" % (port, HOST)] = records
    data.update(extra or {})
    return data


def servers_and_records(cli):
    """Good DNS; what the server shows against what the records say."""
    t = lambda certificate, *fields: {"TLSA": certificate.tlsa(*fields)}
    bad = {"TLSA": "3 1 1 " + "00" * 32}
    rows = [
        # what                                      chain               mode           records                                   result
        ("3 1 1 leaf",                              CHAIN,              "good",        [t(LEAF, 3, 1, 1)],                       "pass"),
        ("3 0 1 leaf",                              CHAIN,              "good",        [t(LEAF, 3, 0, 1)],                       "pass"),
        ("3 1 2 leaf",                              CHAIN,              "good",        [t(LEAF, 3, 1, 2)],                       "pass"),
        ("3 0 0 whole leaf",                        CHAIN,              "good",        [t(LEAF, 3, 0, 0)],                       "pass"),
        ("3 1 1 of a self-signed certificate",      [SELF],             "good",        [t(SELF, 3, 1, 1)],                       "pass"),
        ("3 1 1, expired (RFC 7672 3.1.1)",         [EXPIRED, CA],      "good",        [t(EXPIRED, 3, 1, 1)],                    "pass"),
        ("3 1 1, another name (RFC 7672 3.1.1)",    [MISNAMED, CA],     "good",        [t(MISNAMED, 3, 1, 1)],                   "pass"),
        ("second of two records",                   CHAIN,              "good",        [bad, t(LEAF, 3, 1, 1)],                  "pass"),
        ("unusable beside a match",                 CHAIN,              "good",        [t(LEAF, 1, 1, 1), t(LEAF, 3, 1, 1)],     "pass"),
        ("2 0 1 issuer in the chain",               CHAIN,              "good",        [t(CA, 2, 0, 1)],                         "pass"),
        ("2 1 1 issuer in the chain",               CHAIN,              "good",        [t(CA, 2, 1, 1)],                         "pass"),
        ("2 0 1 root in the chain",                 [LEAF, CA, ROOT],   "good",        [t(ROOT, 2, 0, 1)],                       "pass"),
        ("2 0 1 anchor not sent",                   CHAIN,              "good",        [t(ROOT, 2, 0, 1)],                       "fail"),
        ("2 0 1 expired leaf",                      [EXPIRED, CA],      "good",        [t(CA, 2, 0, 1)],                         "fail"),
        ("2 0 1 another name",                      [MISNAMED, CA],     "good",        [t(CA, 2, 0, 1)],                         "fail"),
        ("another key",                             CHAIN,              "good",        [t(OTHER, 3, 1, 1)],                      "fail"),
        ("a weak digest beside a strong that fails",CHAIN,              "good",        [t(LEAF, 3, 1, 1), t(OTHER, 3, 1, 2)],    "fail"),
        ("usage 1 only",                            CHAIN,              "good",        [t(LEAF, 1, 1, 1)],                       "unusable"),
        ("usage 0 only",                            CHAIN,              "good",        [t(CA, 0, 0, 1)],                         "unusable"),
        ("a digest cut short",                      CHAIN,              "good",        [{"TLSA": "3 1 1 abcd"}],                 "unusable"),
        ("selector 7",                              CHAIN,              "good",        [{"TLSA": "3 7 1 " + "00" * 32}],         "unusable"),
        ("3 0 0 that is no certificate",            CHAIN,              "good",        [{"TLSA": "3 0 0 30820000"}],             "unusable"),
        ("no STARTTLS",                             CHAIN,              "no-starttls", [t(LEAF, 3, 1, 1)],                       "fail"),
        ("no STARTTLS, records unusable",           CHAIN,              "no-starttls", [t(LEAF, 1, 1, 1)],                       "fail"),
        ("STARTTLS refused",                        CHAIN,              "refuse",      [t(LEAF, 3, 1, 1)],                       "fail"),
        ("closed instead of TLS",                   CHAIN,              "drop",        [t(LEAF, 3, 1, 1)],                       "fail"),
        ("words instead of TLS",                    CHAIN,              "garbage",     [t(LEAF, 3, 1, 1)],                       "fail"),
        ("bytes in clear behind the 220",           CHAIN,              "inject",      [t(LEAF, 3, 1, 1)],                       "fail"),
        ("greeting 554",                            CHAIN,              "greet-554",   [t(LEAF, 3, 1, 1)],                       "temperror"),
        ("silent server",                           CHAIN,              "silent",      [t(LEAF, 3, 1, 1)],                       "temperror"),
        ("greeting without an end",                 CHAIN,              "endless",     [t(LEAF, 3, 1, 1)],                       "temperror"),
    ]
    for name, chain, mode, records, want in rows:
        with StarttlsServer(chain, mode) as server, \
                testdns.TestDNS({"zonedata": zone(server.port, records), "secure": [".good.example"]}) as dns:
            got, seconds = call(cli, dns.port, "%s:%d" % (HOST, server.port))
            fields = {}
            if want == "pass":
                fields["tlsa"] = [dict(zip(("usage", "selector", "matching", "data"), [*map(int, r["TLSA"].split()[:3]), r["TLSA"].split()[3]]))
                                  for r in records]
            expect(name, got, seconds, want, **fields)
            if want == "pass":
                shown = [c["sha256"] for c in got["chain"]]
                sent = [c.tlsa(3, 0, 1).split()[3] for c in chain]
                if shown != sent or got["matched"]["data"] not in [r["TLSA"].split()[3] for r in records]:
                    failures.append(name + ": chain or match told wrong")
                if server.names != [HOST]:
                    failures.append("%s: SNI was %r" % (name, server.names))


def names_by_ad(cli):
    """What the upstream's AD bit, its failures and its absences lead to."""
    with StarttlsServer(CHAIN) as server, StarttlsServer([ALIAS, CA]) as real:
        good = [{"TLSA": LEAF.tlsa(3, 1, 1)}]
        target = "%s:%d" % (HOST, server.port)
        tlsa = "_%d._tcp.%s" % (server.port, HOST)
        secure = [".good.example"]
        rows = [
            # what                          zone                                                            secure     result
            ("all secure",                  zone(server.port, good),                                        secure,    "pass"),
            ("nothing secure",              zone(server.port, good),                                        [],        "none"),
            ("TLSA not secure",             zone(server.port, good),                                        [HOST],    "none"),
            ("address not secure",          zone(server.port, good),                                        [tlsa],    "none"),
            ("TLSA absent, NODATA",         zone(server.port, [{"TXT": "x"}]),                              secure,    "none"),
            ("TLSA absent, NXDOMAIN",       {HOST: [{"A": "127.0.0.1"}]},                                   secure,    "none"),
            ("host absent",                 {"good.example": [{"TXT": "x"}]},                               secure,    "none"),
            ("TLSA SERVFAIL",               zone(server.port, ["SERVFAIL"]),                                secure,    "temperror"),
            ("TLSA REFUSED",                zone(server.port, [{"TLSA": {"RCODE": "REFUSED"}}]),            secure,    "temperror"),
            ("TLSA TIMEOUT",                zone(server.port, ["TIMEOUT"]),                                 secure,    "temperror"),
            ("address SERVFAIL",            zone(server.port, good, ["SERVFAIL"]),                          secure,    "temperror"),
            ("address TIMEOUT",             zone(server.port, good, ["TIMEOUT"]),                           secure,    "temperror"),
            ("records, no address",         zone(server.port, good, [{"TXT": "x"}]),                        secure,    "temperror"),
        ]
        for name, data, proved, want in rows:
            with testdns.TestDNS({"zonedata": data, "secure": proved}) as dns:
                expect("AD: " + name, *call(cli, dns.port, target), want)
        alias = {HOST: [{"CNAME": "real.good.example"}], "real.good.example": [{"A": "127.0.0.1"}]}
        of_real = {"TLSA": ALIAS.tlsa(3, 1, 1)}
        of_alias = {"TLSA": LEAF.tlsa(3, 1, 1)}
        at_real, at_alias = ("_%d._tcp.%s" % (real.port, n) for n in ("real.good.example", HOST))
        outside = {HOST: [{"CNAME": "mx.other.example"}], "mx.other.example": [{"A": "127.0.0.1"}]}
        rows = [
            ("alias: records at its end",            {**alias, at_real: [of_real]},                          secure, "pass", "real.good.example"),
            ("alias: its end before the name",       {**alias, at_real: [of_real], at_alias: [of_alias]},    secure, "pass", "real.good.example"),
            ("alias: the end's records decide",      {**alias, at_real: [of_alias], at_alias: [of_real]},    secure, "fail", "real.good.example"),
            ("alias: none at its end, some at name", {**alias, at_alias: [of_real]},                         secure, "pass", HOST),
            ("alias: SERVFAIL at its end",           {**alias, at_real: ["SERVFAIL"], at_alias: [of_real]},  secure, "temperror", None),
            ("alias out of the signed zone",         {**outside, at_alias: [of_real]},                       secure, "pass", HOST),
            ("alias that nobody signed",             {**outside, at_alias: [of_real]},                       [at_alias], "none", None),
            ("TLSA behind an alias",                 {HOST: [{"A": "127.0.0.1"}], at_alias: [{"CNAME": "t.good.example"}],
                                                      "t.good.example": [of_real]},                          secure, "pass", HOST),
            ("TLSA behind an alias to the unsigned", {HOST: [{"A": "127.0.0.1"}], at_alias: [{"CNAME": "t.other.example"}],
                                                      "t.other.example": [of_real]},                         secure, "none", None),
        ]
        for name, data, proved, want, base in rows:
            with testdns.TestDNS({"zonedata": data, "secure": proved}) as dns:
                fields = {"base": base} if base else {}
                expect("AD: " + name, *call(cli, dns.port, "%s:%d" % (HOST, real.port)), want, **fields)
    with testdns.TestDNS({"zonedata": zone(1, [{"TLSA": LEAF.tlsa(3, 1, 1)}]), "secure": [".good.example"]}) as dns:
        expect("connection refused", *call(cli, dns.port, HOST + ":1"), "temperror")


def zones_validated_here(cli):
    """Really signed zones and --trust-anchor: an AD bit proves nothing, signatures do."""
    with StarttlsServer(CHAIN) as server, tempfile.TemporaryDirectory() as folder:
        rows = [("good", {}, "pass"), ("insecure", {"signed": False}, "none"), ("badsig", {"bogus": "badsig"}, "temperror"),
                ("expired", {"bogus": "expired"}, "temperror"), ("nosig", {"bogus": "nosig"}, "temperror"),
                ("badds", {"bogus": "badds"}, "temperror")]
        data, zones = {}, {".": {}, "example": {}}
        for label, options, _ in rows:
            host = "mx.%s.example" % label
            zones[label + ".example"] = options
            data[host] = [{"A": "127.0.0.1"}]
            data["alias.%s.example" % label] = [{"CNAME": host}]
            data["_%d._tcp.%s" % (server.port, host)] = [{"TLSA": LEAF.tlsa(3, 1, 1)}]
            data["bare.%s.example" % label] = [{"A": "127.0.0.1"}]
            data["to-%s.good.example" % label] = [{"CNAME": host}]
            data["_%d._tcp.split-%s.good.example" % (server.port, label)] = [{"CNAME": "_%d._tcp.%s" % (server.port, host)}]
            data["split-%s.good.example" % label] = [{"A": "127.0.0.1"}]
        data["_%d._tcp.servfail.good.example" % server.port] = ["SERVFAIL"]
        data["servfail.good.example"] = [{"A": "127.0.0.1"}]
        data["_%d._tcp.timeout.good.example" % server.port] = ["TIMEOUT"]
        data["timeout.good.example"] = [{"A": "127.0.0.1"}]
        document = {"zonedata": data, "dnssec": {"zones": zones}, "secure": [".example"]}  # the AD bit lies everywhere
        with testdns.TestDNS(document) as dns:
            anchor = os.path.join(folder, "anchor")
            with open(anchor, "w") as file:
                file.write(dns.trust_anchor("ds"))
            wrong = os.path.join(folder, "wrong")
            with open(wrong, "w") as file:
                file.write(". 3600 IN DS 12345 13 2 " + "AB" * 32 + "\n")
            for label, _, want in rows:
                zone_name = label + ".example"
                none = "none" if want == "pass" else want
                for host, expected in (("mx." + zone_name, want), ("alias." + zone_name, want), ("bare." + zone_name, none),
                                       ("gone." + zone_name, none), ("to-%s.good.example" % label, "none" if label == "insecure" else want),
                                       ("split-%s.good.example" % label, want)):
                    expect("validated: " + host, *call(cli, dns.port, "%s:%d" % (host, server.port), anchor), expected)
            for host, want in (("servfail.good.example", "temperror"), ("timeout.good.example", "temperror")):
                expect("validated: " + host, *call(cli, dns.port, "%s:%d" % (host, server.port), anchor), want)
            got, seconds = call(cli, dns.port, "mx.good.example:%d" % server.port, wrong)
            expect("another root's anchor", got, seconds, "temperror")


def usage(cli):
    for name, arguments in (("no host", []), ("port 0", ["mx.example:0"]), ("port 70000", ["mx.example:70000"]), ("an address", ["192.0.2.1"]),
                            ("anchor that is not there", ["--trust-anchor", "/nonexistent/anchor", "mx.example"])):
        done = subprocess.run([cli, "check", "dane", "--resolver", "127.0.0.1:1"] + arguments, capture_output=True, timeout=60)
        good = done.returncode == 2 and done.stdout == b"" and done.stderr.count(b"\n") == 1
        print("%-4s usage: %s" % ("ok" if good else "FAIL", name))
        if not good:
            failures.append("usage: " + name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cli", default="posternctl")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for part in (usage, servers_and_records, names_by_ad, zones_validated_here):
        if options.only in part.__name__:
            part(options.cli)
    print("%d failures" % len(failures))
    for name in failures:
        print("  " + name)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
