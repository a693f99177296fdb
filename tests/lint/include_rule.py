#!/usr/bin/env python3
"""Checks what the compiler does not: who includes whom, who names which library, and habits the project does not want.

    include_rule.py REPOSITORY            exit status 1 when a line breaks a rule, with file, line and rule
    include_rule.py REPOSITORY --expect   the same for tests/lint/bad/: every file there must break the rule its first line names

The rules are those of CODING ("Who may include whom"); each is a row below.
"""
import os
import re
import sys

# Folder: what it may include besides itself. The longest matching folder counts. A process folder may include the libraries
# and itself, never another process.
LIBRARIES = ["base", "mail", "sandbox", "io", "privsep"]
MAY_INCLUDE = {
    "base": [],
    "mail": ["base"],
    "sandbox": ["base"],
    "io": ["base", "mail"],
    "privsep": ["base", "mail", "io", "sandbox"],
    "privsep/signer": LIBRARIES,
    "privsep/resolver": LIBRARIES,
    "privsep/control": LIBRARIES,
    "listener": LIBRARIES,
    "verifier": LIBRARIES,
    "queue": LIBRARIES,
    "deliver/remote": LIBRARIES,
    "deliver/mailbox": LIBRARIES,
    "web": LIBRARIES,
}
# Tests, and programs for them, may look at everything.
TESTS = re.compile(r"(_test|_fuzz)\.(cc|h)$")
PROCESSES = ["privsep/signer", "privsep/resolver", "privsep/control", "listener", "verifier", "queue", "deliver/remote", "deliver/mailbox", "web"]

# A library's names, and the only folder that may say them.
NAMES = [
    (re.compile(r"\b(uv_[a-z0-9_]+|UV_[A-Z0-9_]+)\b|<uv\.h>"), "io", "libuv"),
    (re.compile(r"\btls_(init|client|server|configure|config_[a-z_]+|accept_[a-z]+|connect_[a-z]+|handshake|read|write|close|free|error|"
                r"peer_[a-z_]+|conn_[a-z_]+)\s*\(|<tls\.h>"), "io", "libtls"),
    (re.compile(r"\bgetdns_[a-z0-9_]+\b|<getdns/"), "io", "getdns"),
    (re.compile(r"\b(mdb_[a-z0-9_]+|MDB_[A-Za-z0-9_]+)\b|<lmdb\.h>"), "io", "LMDB"),
    (re.compile(r"\b(seccomp_[a-z0-9_]+\s*\(|SCMP_[A-Z0-9_]+)|<seccomp\.h>"), "sandbox", "libseccomp"),
    (re.compile(r"\bLANDLOCK_[A-Z0-9_]+\b|<linux/landlock\.h>"), "sandbox", "Landlock"),
]

LONGEST_FILE = 600  # lines; CODING rule 13
HABITS = [
    (re.compile(r"\bGTEST_SKIP\b"), "a test that is not run is no test"),
    (re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!\s*\([^)]{10,}\))"), "a to-do needs its reason in brackets: why it waits, and for what"),
    (re.compile(r"(?<![\w.])/" + "work" + r"/|/tmp/" + "(build-|brief)"), "a path of somebody's workplace"),
]
SKIPPED = {".git", "build", "node_modules", "bad"}
CODE = (".h", ".cc")
TEXT = CODE + (".py", ".sh", ".md", ".txt", ".cmake", ".js", ".mjs", ".css", ".html", ".json", ".toml", ".yml", ".service", "policy", ".policy")


def folder_of(path):
    """The row of MAY_INCLUDE that `path` falls under, or None (tests, pkg)."""
    best = None
    for folder in MAY_INCLUDE:
        if path.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def without_comment(line):
    return re.sub(r"//.*", "", line)


def include_fault(path, target):
    """What is wrong with `path` including "target", or None."""
    folder = folder_of(path)
    if folder is None or "/" not in target:
        return None
    target_folder = folder_of(target)
    if target_folder is None:
        return f"\"{target}\" is outside of every folder"
    if target_folder == folder:
        return None
    if target_folder in PROCESSES:
        return f"{folder} must not include the process {target_folder}"
    if target_folder not in MAY_INCLUDE[folder]:
        return f"{folder} must not include {target_folder}"
    return None


def faults_in(path, lines):
    """Pairs of line number (0: the file) and words."""
    code = path.endswith(CODE)
    if code and len(lines) > LONGEST_FILE:
        yield 0, f"longer than {LONGEST_FILE} lines: one file is one idea"
    folder = folder_of(path)
    for number, line in enumerate(lines, 1):
        for pattern, words in HABITS:
            if pattern.search(line):
                yield number, words
        if not code:
            continue
        include = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if include and not TESTS.search(path):
            fault = include_fault(path, include.group(1))
            if fault:
                yield number, fault
        # What stands between quotation marks is words, not a use.
        said = re.sub(r'"(\\.|[^"\\])*"', '""', without_comment(line))
        for pattern, home, library in NAMES:
            if folder is not None and folder != home and pattern.search(said):
                yield number, f"only {home}/ names {library}"


def files_below(root):
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n not in SKIPPED)
        for name in sorted(files):
            if name.endswith(TEXT):
                yield os.path.relpath(os.path.join(folder, name), root)


def read_lines(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def check(root):
    faults = 0
    for path in files_below(root):
        if path.startswith(("tests/corpus/", "tests/vectors/")):
            continue  # foreign bytes
        for number, words in faults_in(path, read_lines(os.path.join(root, path))):
            print(f"{path}:{number}: {words}")
            faults += 1
    return 1 if faults else 0


def check_expectations(root):
    """Each file in tests/lint/bad begins "// as PATH: WORDS" and must be faulted with WORDS when it stood at PATH."""
    folder = os.path.join(root, "tests/lint/bad")
    names = sorted(os.listdir(folder))
    wrong = 0
    for name in names:
        lines = read_lines(os.path.join(folder, name))
        head = re.match(r"(?://|#) as (\S+): (.+)$", lines[0])
        found = [words for number, words in faults_in(head.group(1), lines) if number != 1]
        if not any(head.group(2) in words for words in found):
            print(f"{name}: expected a fault \"{head.group(2)}\", found {found}")
            wrong += 1
    print(f"{len(names)} bad files, {wrong} not seen")
    return 1 if wrong or not names else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(check_expectations(sys.argv[1]) if sys.argv[2:] == ["--expect"] else check(sys.argv[1]))
