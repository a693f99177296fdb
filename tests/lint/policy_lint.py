#!/usr/bin/env python3
"""Reads every policy in the tree and fails on a line without a reason, or with one that says nothing.

    policy_lint.py REPOSITORY   exit status 1 with file, line and what is missing

The program's own parser refuses a missing reason too; this one is written apart from it, looks at files that no build
embeds, and asks for more: a reason is words of its own, not the name of the call.
"""
import os
import re
import sys

STATEMENTS = {"include", "network", "namespace", "root", "landlock", "rlimit", "holds", "otherwise"}
LEAST_WORDS = 2
EMPTY_WORDS = re.compile(r"^(needed|required|see above|because|ok|fine|tbd|\?+|-+|x+)\b", re.IGNORECASE)


def columns(line, most):
    return [c.strip() for c in re.split(r" {2,}|\t+", line.strip(), maxsplit=most - 1)]


def fault_in(line):
    """What is wrong with one line, or None."""
    word = columns(line, 4)[0]
    wanted = 3 if word in STATEMENTS else 4
    cells = columns(line, wanted)
    if cells == ["call", "when", "action", "why"]:
        return None
    if len(cells) < wanted or not cells[-1]:
        return "no reason"
    why = cells[-1]
    if len(why.split()) < LEAST_WORDS or EMPTY_WORDS.match(why):
        return f"\"{why}\" is no reason"
    return None


def policies_below(root):
    for folder, names, files in os.walk(root):
        names[:] = [n for n in names if n not in {".git", "build", "corpus", "doc"}]
        for name in files:
            if name == "policy" or name.endswith(".policy"):
                yield os.path.join(folder, name)


def main(root):
    # The linter must see what it is for.
    for bad in ("read  -  allow", "read  -  allow  needed", "rlimit  NOFILE 5", "read  -  allow  -", "openat  -  ENOENT  x"):
        if fault_in(bad) is None:
            sys.exit(f"the linter does not see: {bad}")
    faults = 0
    paths = sorted(policies_below(root))
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                fault = fault_in(line)
                if fault:
                    print(f"{os.path.relpath(path, root)}:{number}: {fault}")
                    faults += 1
    least = 13  # ten processes, base, start, sanitizer
    if len(paths) < least:
        sys.exit(f"only {len(paths)} policies found, at least {least} expected")
    print(f"{len(paths)} policies, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
