#!/usr/bin/python3
"""cross_spf_test.py - our SPF verdicts beside those of python3-spf on generated records.

    cross_spf_test.py --cli posternctl [--count 600] [-v]

A difference has to stand in differences.SPF with the section that explains it. Exit status: 0 all right, 1 a difference without a reason.
"""
import argparse
import concurrent.futures
import os
import shlex
import sys
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cross"))
import differences
import spf_records
from judges import call, testdns

warnings.filterwarnings("ignore")
import spf  # noqa: E402


def postern(cli, generator, cases):
    with testdns.TestDNS({"zonedata": generator.zone}) as server:
        def one(case):
            got, error, _ = call(cli + ["check", "spf", "--resolver", "127.0.0.1:%d" % server.port, "--ip", case.ip, "--helo", case.helo,
                                        "--mail-from", case.sender], 60)
            if got is None:
                raise SystemExit("posternctl broke on %r: %s" % (case, error))
            return case.name, got
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return dict(pool.map(one, cases))


def pyspf(generator, cases):
    def look_up(name, kind, strict=True, timeout=20):
        values = generator.records(name, kind)
        if values == "SERVFAIL":
            raise spf.TempError("DNS failure")
        out = []
        for value in values or []:
            if kind == "TXT":
                value = [value.encode("latin-1")]
            elif kind == "MX":
                value = (value[0], value[1])
            out.append(((name, kind), value))
        return out
    spf.DNSLookup = look_up
    return {case.name: spf.check2(i=case.ip, s=case.sender, h=case.helo)[0] for case in cases}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    generator = spf_records.Generator(options.count)
    cases = generator.all()
    ours, theirs = postern(shlex.split(options.cli), generator, cases), pyspf(generator, cases)
    wrong, explained, results = 0, 0, {}
    for case in cases:
        mine, other = ours[case.name]["result"], theirs[case.name]
        results[mine] = results.get(mine, 0) + 1
        if mine == other:
            continue
        reason = differences.spf_reason(case, ours[case.name], other)
        if reason:
            explained += 1
        else:
            wrong += 1
            print("FAIL %r: ours %s (%s), python3-spf %s" % (case, mine, ours[case.name]["reason"], other))
        if options.v and reason:
            print("     %r: ours %s, python3-spf %s: %s" % (case, mine, other, reason))
    print("%d records, %d differences explained, %d not; our results: %s" % (len(cases), explained, wrong, results))
    assert len(results) == 7, "the records do not lead to every result: %s" % results
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
