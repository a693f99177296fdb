#!/usr/bin/env python3
"""Which rule of which RFC stands in which file, and which test names it: read from the sources, where each rule carries its section.

    rfc_coverage.py           writes pkg/doc/rfc-coverage.md
    rfc_coverage.py --check   exit status 1 where the page is not what the sources say
"""
import collections
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("base", "mail", "io", "sandbox", "privsep", "listener", "verifier", "queue", "deliver", "web", "tests")
PAGE = TOP / "pkg/doc/rfc-coverage.md"
TITLES = {
    1035: "Domain names", 1870: "SIZE", 2033: "LMTP", 2034: "Enhanced error codes in SMTP", 2045: "MIME: bodies", 2046: "MIME: media types",
    2047: "MIME: encoded words", 2183: "Content-Disposition", 2231: "MIME: parameter values", 2308: "Negative caching", 2920: "PIPELINING",
    3030: "CHUNKING and BINARYMIME", 3207: "STARTTLS", 3461: "DSN in SMTP", 3463: "Enhanced status codes", 3464: "DSN format", 3834: "Automatic responses",
    4035: "DNSSEC protocol", 5280: "X.509 certificates", 5321: "SMTP", 5322: "Message format", 6152: "8BITMIME", 6376: "DKIM", 6531: "SMTPUTF8",
    6532: "Internationalized headers", 6533: "Internationalized DSN", 6698: "DANE TLSA", 7208: "SPF", 7489: "DMARC, older rules", 7505: "Null MX",
    7671: "DANE operations", 7672: "DANE for SMTP", 8301: "DKIM: algorithms", 8460: "TLS reporting", 8461: "MTA-STS", 8463: "DKIM: Ed25519",
    8601: "Authentication-Results", 8616: "EAI in SPF, DKIM, DMARC", 8617: "ARC", 8689: "REQUIRETLS", 9110: "HTTP semantics", 9112: "HTTP/1.1", 9989: "DMARC",
}
# A bare section in these folders is one of this RFC, until the file names another.
FOLDERS = {"mail/auth/spf": 7208, "mail/auth/dkim": 6376, "mail/auth/arc": 8617, "mail/auth/dmarc": 9989, "mail/auth/authres": 8601,
           "mail/policy/mta_sts": 8461, "mail/policy/dane": 7672, "mail/policy/tlsa": 7672}
MENTION = re.compile(r"RFC (\d{3,5})|§§? ?([0-9][0-9.]*[0-9]|[0-9])|\b(DESIGN|THREATS|FEASIBILITY|CODING|EXAMPLES)\b")
HEAD = """# Which rule stands where

Made by `tests/lint/rfc_coverage.py` from the sources: every rule carries its RFC and section where it is enforced, and a test names this page when it is out of date.
It says where a rule is thought of, not that it is complete; what is missing is in [design.md](design.md).
"""


def files():
    found = [p for folder in SOURCES for p in (TOP / folder).rglob("*") if p.suffix in (".cc", ".h", ".py") and "node_modules" not in p.parts]
    return sorted(str(p.relative_to(TOP)) for p in found if p.name != "rfc_coverage.py")


def mentions(path):
    """Pairs (RFC, section or "") of a file."""
    rfc = next((number for folder, number in FOLDERS.items() if path.startswith(folder)), None)
    ours = False  # the last name was one of our own documents
    for line in (TOP / path).read_text(errors="replace").split("\n"):
        for number, section, document in MENTION.findall(line):
            if document:
                ours = True
            elif number:
                rfc, ours = int(number), False
                yield rfc, ""
            elif rfc and not ours:
                yield rfc, section


def order(section):
    return [int(x) if x.isdigit() else 0 for x in section.split(".")]


def page():
    code, tests = collections.defaultdict(set), collections.defaultdict(set)
    for path in files():
        is_test = path.startswith("tests/") or re.search(r"_(test|fuzz)\.(cc|h|py)$", path)
        for key in mentions(path):
            (tests if is_test else code)[key].add(path)
    out = [HEAD]
    for rfc in sorted({rfc for rfc, _ in code} | {rfc for rfc, _ in tests}):
        out.append(f"\n## RFC {rfc}{': ' + TITLES[rfc] if rfc in TITLES else ''}")
        sections = sorted({s for r, s in [*code, *tests] if r == rfc and s}, key=order)
        if not sections:
            out.append("As a whole: " + ", ".join(f"`{f}`" for f in sorted(code[rfc, ""] | tests[rfc, ""])))
            continue
        out += ["| § | code | tests |", "|---|---|---|"]
        for s in sections:
            out.append(f"| {s} | {' '.join(sorted(f'`{f}`' for f in code[rfc, s]))} | {' '.join(sorted(f'`{f}`' for f in tests[rfc, s]))} |")
    return "\n".join(out) + "\n"


def main():
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    print(f"{PAGE.relative_to(TOP)} is not what the sources say: run tests/lint/rfc_coverage.py", file=sys.stderr)
    return 1


sys.exit(main())
