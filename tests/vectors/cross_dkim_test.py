#!/usr/bin/python3
"""cross_dkim_test.py - our DKIM and ARC verdicts beside those of python3-dkim, libopendkim and npm's mailauth on generated messages.

    cross_dkim_test.py --cli posternctl --opendkim opendkim_judge --work DIRECTORY [-v]

Ours must be what the generator knows to be right by the RFCs. The others must agree, or stand in differences.py with the section
that says why ours is right. Exit status: 0 all right, 1 a difference without a reason.
"""
import argparse
import fnmatch
import os
import shlex
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cross"))
import differences
import judges
import messages


class Compare:
    """Collects what is wrong; a difference is looked up in the table."""

    def __init__(self, verbose):
        self.verbose, self.wrong, self.used, self.compared = verbose, [], set(), {}

    def ours(self, case, what, expected, got):
        self.compared["postern"] = self.compared.get("postern", 0) + 1
        if expected != got:
            self.wrong.append("postern %s %s: %s, by the RFC %s" % (case.name, what, got, expected))

    def theirs(self, table, judge, case, what, expected, got):
        self.compared[judge] = self.compared.get(judge, 0) + 1
        if expected == got:
            return
        for row in table:
            if row[0] == judge and fnmatch.fnmatchcase(case.name, row[1]) and row[2] == got:
                self.used.add(row)
                return
        self.wrong.append("%s %s %s: %s, ours and the RFC %s" % (judge, case.name, what, got, expected))

    def report(self, tables):
        for table in tables:
            self.wrong += ["no case needs the row %r" % (row,) for row in table if row not in self.used]
        for line in self.wrong:
            print("FAIL " + line)
        print("compared: " + ", ".join("%s %d" % item for item in sorted(self.compared.items())) + "; rows of explained differences: %d" % len(self.used))
        return 1 if self.wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", required=True)
    parser.add_argument("--opendkim", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    generator = messages.Generator()
    cases = generator.all()
    zone = {name.lower(): records for name, records in generator.zone.items()}
    with tempfile.TemporaryDirectory(prefix="postern-cross-") as folder:
        judges.write_messages(cases, folder)
        ours = judges.postern(shlex.split(options.cli), cases, judges.zone_document(zone), messages.NOW)
        others = {"dkimpy": judges.dkimpy(cases, zone), "opendkim": judges.opendkim(options.opendkim, cases, zone, folder)}
        modules = judges.install_mailauth(options.work)
        txt = {name: {"TXT": r if r == "SERVFAIL" else [list(x) for x in r]} for name, r in zone.items()}
        mailauth = judges.mailauth(modules, cases, txt, folder)
        others["mailauth"] = {c.name: (judges.mailauth_signatures(mailauth[c.name], c), mailauth[c.name].get("arc", "fail")) for c in cases}
    compare = Compare(options.v)
    for case in cases:
        compare.ours(case, "dkim", case.expect, judges.our_signatures(ours[case.name]))
        compare.ours(case, "arc", case.arc, ours[case.name]["arc"]["result"])
        for judge, verdicts in others.items():
            signatures, arc = verdicts[case.name]
            signatures += ["no"] * (len(case.expect) - len(signatures))
            for i, expected in enumerate(case.expect):
                compare.theirs(differences.DKIM, judge, case, "dkim[%d]" % i, expected, signatures[i])
            if arc is not None and b"ARC-" in case.message:
                compare.theirs(differences.ARC, judge, case, "arc", case.arc, arc)
    print("%d messages" % len(cases))
    sys.exit(compare.report([differences.DKIM, differences.ARC]))


if __name__ == "__main__":
    main()
