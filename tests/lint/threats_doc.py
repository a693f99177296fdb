#!/usr/bin/env python3
"""Every test that the threat model's table names is there: `Suite.Name` in a C++ test, or a path. Exit status 1 and the missing ones otherwise."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = TOP / "pkg/doc/threat-model.md"
FOLDERS = ("base", "mail", "io", "sandbox", "privsep", "listener", "verifier", "queue", "deliver", "web", "tests")


def tests_of_the_tree():
    found = set()
    for folder in FOLDERS:
        for path in (TOP / folder).rglob("*_test.cc"):
            found |= {"%s.%s" % pair for pair in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", path.read_text(), re.M)}
    return found


def main():
    table = PAGE.read_text().split("\n## Hostile input", 1)[1]
    rows = [line for line in table.split("\n") if line.startswith("| ")][1:]
    there, wrong = tests_of_the_tree(), []
    for row in rows:
        named = re.findall(r"`([^`]+)`", row.split("|")[3])
        if not named:
            wrong.append("a row names no test: " + row)
        wrong += ["no such test: " + name for name in named if not ((TOP / name).exists() if "/" in name else name in there)]
    print("\n".join(wrong) or "%d rows, every test is there" % len(rows))
    return 1 if wrong or len(rows) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
