"""judges.py - the verifiers that are compared, each as a function from cases to verdicts.

A verdict on a signature is "pass", "no" (anything that is never a pass) or "temp" (a name server failed). Each judge sees the same DNS:
ours through a test name server, the others through their own interface for look-ups.
"""
import concurrent.futures
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys

import dkim

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
import testdns  # noqa: E402
from run_spf import call  # noqa: E402

OUR_WORDS = {"pass": "pass", "temperror": "temp"}


def zone_document(zone):
    """The test name server's document for a zone of TXT records."""
    return {"zonedata": {name: [{"TXT": "SERVFAIL"}] if records == "SERVFAIL" else [{"TXT": r} for r in records] for name, records in zone.items()}}


def write_messages(cases, folder):
    for i, case in enumerate(cases):
        case.file = os.path.join(folder, "%04d.eml" % i)
        with open(case.file, "wb") as out:
            out.write(case.message)


def postern(cli, cases, document, now, standard="rfc9989", jobs=2):
    """-> {case name: the whole JSON answer}"""
    with testdns.TestDNS(document) as server:
        def one(case):
            command = cli + ["check", "message", "--resolver", "127.0.0.1:%d" % server.port, "--ip", getattr(case, "ip", "203.0.113.5"),
                             "--helo", getattr(case, "helo", "mta.sender.invalid"), "--mail-from", getattr(case, "sender", ""), "--authserv-id", "mx.test.invalid",
                             "--at", str(now), "--dmarc-standard", standard, case.file]
            got, error, _ = call(command, 60)
            if got is None:
                raise SystemExit("posternctl broke on %s: %s" % (case.name, error))
            return case.name, got
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            return dict(pool.map(one, cases))


def our_signatures(answer):
    return [OUR_WORDS.get(s["result"], "no") for s in answer["dkim"]]


class DnsFailure(Exception):
    pass


def dkimpy(cases, zone):
    """Debian's python3-dkim. -> {name: (signatures, arc)}"""
    def look_up(name, timeout=5):
        records = zone.get(name.decode("latin-1").rstrip(".").lower())
        if records == "SERVFAIL":
            raise DnsFailure()
        return "".join(records[0]).encode("latin-1") if records else None

    def one_signature(message, index):
        try:
            return "pass" if dkim.DKIM(message, minkey=1024).verify(index, dnsfunc=look_up) else "no"
        except DnsFailure:
            return "temp"
        except Exception:  # whatever it throws, the signature is not good
            return "no"

    def chain(message):
        try:
            return dkim.ARC(message, minkey=1024).verify(dnsfunc=look_up)[0].decode()
        except DnsFailure:
            return "fail"
        except Exception:
            return "fail"
    out = {}
    with contextlib.redirect_stderr(io.StringIO()):
        for case in cases:
            arc = chain(case.message) if b"ARC-" in case.message else "none"
            out[case.name] = [one_signature(case.message, i) for i in range(len(case.expect))], arc
    return out


def opendkim(program, cases, zone, folder):
    """Debian's libopendkim by way of opendkim_judge. -> {name: (signatures, None)}"""
    keys = os.path.join(folder, "opendkim.keys")
    with open(keys, "w", encoding="latin-1") as out:
        for name, records in zone.items():
            kind, text = ("failure", "") if records == "SERVFAIL" else ("found", "".join(records[0]))
            out.write("%s\t%s\t%s\n" % (name, kind, text))
    run = subprocess.run([program, keys] + [c.file for c in cases], stdout=subprocess.PIPE, check=True)
    lines = run.stdout.decode().splitlines()
    return {case.name: ([v.split(":")[0] for v in line.split("\t")[1:]], None) for case, line in zip(cases, lines, strict=True)}


def install_mailauth(work):
    """npm's packages by the lock file, once for each build directory. -> the folder of the modules"""
    folder = os.path.join(work, "cross-npm")
    modules = os.path.join(folder, "node_modules")
    stamp = os.path.join(folder, "installed")
    wanted = open(os.path.join(HERE, "package-lock.json"), encoding="utf-8").read()
    if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == wanted:
        return modules
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, name), folder)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with open(stamp, "w", encoding="utf-8") as out:
        out.write(wanted)
    return modules


def mailauth(modules, cases, zone, folder):
    """npm's mailauth. zone: {name: {TYPE: records}}. -> {name: its answer}"""
    path = os.path.join(folder, "mailauth.json")
    items = [{"name": c.name, "file": c.file, "ip": getattr(c, "ip", "203.0.113.5"), "helo": getattr(c, "helo", "mta.sender.invalid"),
              "sender": getattr(c, "sender", "")} for c in cases]
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"zone": zone, "cases": items}, out)
    run = subprocess.run(["node", os.path.join(HERE, "mailauth_judge.js"), path, os.path.abspath(modules)], stdout=subprocess.PIPE, check=True)
    answers = json.loads(run.stdout.decode("utf-8").split("@@", 1)[1])
    return {a["name"]: a for a in answers}


def mailauth_signatures(answer, case):
    words = {"pass": "pass", "temperror": "temp"}
    found = {}
    for signature in answer.get("dkim", []):
        found.setdefault(signature["selector"], words.get(signature["result"], "no"))
    return [found.get(selector, "no") for selector in case.selectors]
