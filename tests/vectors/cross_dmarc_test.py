#!/usr/bin/python3
"""cross_dmarc_test.py - our DMARC verdicts by RFC 7489 beside those of npm's mailauth on generated messages: result and policy.

    cross_dmarc_test.py --cli posternctl --work DIRECTORY [--count 200]

A difference has to be explained in differences.py. Exit status: 0 all right, 1 a difference without a reason.
"""
import argparse
import os
import shlex
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cross"))
import differences
import dmarc_messages
import judges


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    generator = dmarc_messages.Generator(options.count)
    cases = generator.all()
    document = {"zonedata": {name: [{"TXT": text} for text in node["TXT"]] for name, node in generator.zone.items()}}
    with tempfile.TemporaryDirectory(prefix="postern-cross-") as folder:
        judges.write_messages(cases, folder)
        ours = judges.postern(shlex.split(options.cli), cases, document, int(time.time()), "rfc7489")
        theirs = judges.mailauth(judges.install_mailauth(options.work), cases, generator.zone, folder)
    wrong, explained, seen = 0, 0, {}
    for case in cases:
        mine, other = ours[case.name]["dmarc"], theirs[case.name]
        seen[mine["result"]] = seen.get(mine["result"], 0) + 1
        # SPF, which DMARC stands on, has to agree as well.
        if (mine["result"], mine["policy"], ours[case.name]["spf"]["result"]) != (other.get("dmarc"), other.get("policy") or "", other.get("spf")):
            if differences.dmarc_reason(case, mine, other.get("dmarc")):
                explained += 1
                continue
            wrong += 1
            print("FAIL %s: ours %s/%s spf=%s, mailauth %s/%s spf=%s: %s" % (case.name, mine["result"], mine["policy"], ours[case.name]["spf"]["result"], other.get("dmarc"),
                                                                            other.get("policy"), other.get("spf"), case.what))
    print("%d messages, %d differences explained, %d not; our results: %s" % (len(cases), explained, wrong, seen))
    assert {"pass", "fail", "none"} <= set(seen), seen
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
