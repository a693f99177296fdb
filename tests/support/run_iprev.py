#!/usr/bin/python3
"""run_iprev.py - runs reverse-lookup cases (cases.yml with an `iprev` expectation) against `posternctl check iprev`.

    run_iprev.py [--cli "posternctl"] cases.yml...

Exit status: 0 all right, 1 some case wrong.
"""
import argparse
import os
import shlex
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import testdns
from run_spf import call


def judge(cli, server, name, case):
    """-> whether the case came out as expected; says so when not"""
    want = case["expect"]["iprev"]
    want = [want] if isinstance(want, str) else want
    got, error, _ = call(cli + ["check", "iprev", "--resolver", "127.0.0.1:%d" % server.port, "--ip", case["ip"]], 60)
    right = got is not None and got["result"] in want and bool(got["name"]) == (got["result"] == "pass")
    if not right:
        print("FAIL %s: %s, expected %s %s" % (name, got, want, error))
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", default="posternctl")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    results = []
    for path in options.files:
        for doc in testdns.load_docs(path):
            with testdns.TestDNS(doc) as server:
                for name, case in doc["tests"].items():
                    results.append(judge(shlex.split(options.cli), server, name, case))
    print("TOTAL %d/%d right" % (sum(results), len(results)))
    sys.exit(0 if results and all(results) else 1)


if __name__ == "__main__":
    main()
