"""messages.py - the generated messages of the DKIM and ARC cross-check, from a fixed seed.

A case knows what each signature is worth by the RFCs ("pass", "no": never a pass, "temp": a name server failed), so that a verifier is
compared with the standard, not only with another verifier. Times are relative to the moment of the run.
"""
import base64
import random
import re
import time

from signer import DEFAULT_NAMES, Key, arc_set, field_name, sign

SEED = 6376
NOW = int(time.time())
DAY = 86400

BODIES = {
    "plain": b"Hello Suzie,\r\n\r\nwe lost the game.\r\n",
    "empty": b"",
    "one-crlf": b"\r\n",
    "crlfs": b"\r\n\r\n\r\n",
    "blank-lines": b" \t\r\n\t\r\n",
    "trailing-crlfs": b"text\r\n\r\n\r\n\r\n",
    "trailing-blanks": b"text  \t\r\nmore \r\n \r\n\r\n",
    "inner-blanks": b"a  b\t\tc \t d\r\n   indented\r\n\tand tabbed\r\n",
    "no-final-crlf": b"one line\r\nand another",
    "no-final-crlf-blank": b"one line\r\nand another \t",
    "eight-bit": "Grüße aus Köln €\r\n".encode() + b"\xff\xfe\x80\r\n",
    "dots": b".\r\n..\r\n.dot\r\n",
    "long-line": b"x" * 5000 + b" " + b"y" * 5000 + b"\r\n",
    "many-lines": b"".join(b"line %d  of\tmany \r\n" % i for i in range(700)),
}

HEADERS = {
    "plain": [b"From: Joe <joe@example.com>\r\n", b"To: Sue <sue@example.net>\r\n", b"Subject: Is dinner ready?\r\n",
              b"Date: Fri, 11 Jul 2025 21:00:37 -0700\r\n", b"Message-ID: <1@example.com>\r\n"],
    "folded": [b"From: Joe\r\n <joe@example.com>\r\n", b"To: Sue\r\n\t<sue@example.net>,\r\n    bob@example.net\r\n",
               b"Subject: Is\r\n dinner  \r\n\t ready?  \r\n", b"Date: Fri, 11 Jul 2025 21:00:37 -0700 (PDT)\r\n",
               b"Message-ID:\r\n <1@example.com>\r\n"],
    "blanks": [b"FROM:joe@example.com\r\n", b"to:   sue@example.net\t \r\n", b"SuBject:\tIs \t dinner\t\tready?\r\n", b"date: Fri, 11 Jul 2025 21:00:37 -0700\r\n",
               b"message-id:<1@example.com>\r\n"],
    "empty-values": [b"From: joe@example.com\r\n", b"To: \r\n", b"Subject:\r\n", b"Date: Fri, 11 Jul 2025 21:00:37 -0700\r\n", b"Message-ID: \t\r\n"],
    "repeated": [b"Received: from a by b; 1\r\n", b"Received: from b by c; 2\r\n", b"Received: from c by d; 3\r\n", b"From: joe@example.com\r\n",
                 b"To: sue@example.net\r\n", b"Subject: one\r\n", b"Subject: two\r\n", b"Date: Fri, 11 Jul 2025 21:00:37 -0700\r\n"],
    "eight-bit": ["From: Jörg <joe@example.com>\r\n".encode(), b"To: sue@example.net\r\n", b"Subject: caf\xe9 \xff\r\n",
                  b"Date: Fri, 11 Jul 2025 21:00:37 -0700\r\n", b"Message-ID: <1@example.com>\r\n"],
    "blank-before-colon": [b"From: joe@example.com\r\n", b"To : sue@example.net\r\n", b"Subject \t: odd\r\n", b"Date: Fri, 11 Jul 2025 21:00:37 -0700\r\n"],
}


def other_signature(field):
    """The field with another first character in b=."""
    return re.sub(rb"(\tb=)(.)", lambda m: m[1] + (b"B" if m[2] == b"A" else b"A"), field, count=1)


class Case:
    def __init__(self, name, fields, body, expect=(), selectors=(), arc="none"):
        self.name, self.expect, self.selectors, self.arc = name, list(expect), list(selectors), arc
        self.message = b"".join(fields) + b"\r\n" + body


class Generator:
    """Makes cases and collects what the DNS has to say of them: zone[name] is a list of TXT records (each a list of strings) or "SERVFAIL"."""

    def __init__(self):
        self.random = random.Random(SEED)
        self.zone, self.cases, self.count = {}, [], 0
        self.rsa, self.other, self.ed = Key(), Key(), Key("ed25519")
        self.weak = Key(bits=1024)

    # -- the DNS --
    def publish(self, record, domain="example.com", selector=None):
        """Publishes a record (a string, a list of strings of one record, a list of such lists, None: no name) under a new selector."""
        self.count += 1
        selector = selector or "s%d" % self.count
        name = "%s._domainkey.%s" % (selector, domain)
        if record == "SERVFAIL":
            self.zone[name] = "SERVFAIL"
        elif record is not None:
            records = record if isinstance(record, list) and record and isinstance(record[0], list) else [record]
            self.zone[name] = [r if isinstance(r, list) else [r] for r in records]
        return selector

    def add(self, name, fields, body, expect=(), selectors=(), arc="none"):
        self.cases.append(Case(name, fields, body, [expect] if isinstance(expect, str) else expect, selectors, arc))

    def one(self, name, expect, headers="plain", body="plain", key=None, record=None, after=None, domain="example.com", **options):
        """A message with one signature. record: instead of the key's own. after(fields, body) changes the signed message."""
        key = key or self.rsa
        selector = self.publish(key.record() if record is None else record, domain)
        fields, text = list(HEADERS[headers]), BODIES[body]
        signature = sign(fields, text, key, domain=domain, selector=selector, **options)
        fields = [signature] + fields
        if after:
            fields, text = after(fields, text)
        self.add(name, fields, text, expect, [selector])

    # -- the families --
    def canonicalization(self):
        for header in ("simple", "relaxed"):
            for canon in ("simple", "relaxed"):
                for body in BODIES:
                    headers = self.random.choice(["plain", "folded", "blanks", "empty-values", "eight-bit"])
                    self.one("canon/%s-%s/%s" % (header, canon, body), "pass", headers, body, header=header, body_canon=canon)
                for headers in HEADERS:
                    self.one("canon/%s-%s/header-%s" % (header, canon, headers), "pass", headers, "inner-blanks", header=header, body_canon=canon)

    def layouts(self):
        for layout in ("usual", "tight", "wide", "tabs", "folded"):
            for header in ("simple", "relaxed"):
                for key in (self.rsa, self.ed):
                    self.one("layout/%s/%s/%s" % (layout, header, key.kind), "pass", layout=layout, header=header, key=key, extra=[("t", str(NOW))])
        self.one("layout/h-with-blanks", "pass", names=["from ", " to", "\r\n\tsubject", "date\r\n "])
        self.one("layout/h-upper-case", "pass", names=["FROM", "To", "SUBJECT"])
        self.one("layout/unfolded-b", "pass", b_fold=False)
        self.one("layout/unknown-tags", "pass", extra=[("zz", "any thing"), ("r", "y"), ("x1_y", "")])
        self.one("layout/z-tag", "pass", extra=[("z", "From:joe@example.com|To:sue=40example.net")])
        self.one("layout/blanks-in-bh", "pass", change={"bh": self._spaced_hash("plain", "relaxed")})

    @staticmethod
    def _spaced_hash(body, canon):
        from signer import body_hash
        value = body_hash(BODIES[body], canon)
        return value[:10] + " " + value[10:20] + "\r\n\t" + value[20:]

    def tampered(self):
        def body_to(new):
            return lambda fields, body: (fields, new(body))

        def fields_to(new):
            return lambda fields, body: (new(fields), body)
        changes = {
            # name: (change, expected for simple/simple, for relaxed/relaxed)
            "body-char": (body_to(lambda b: b.replace(b"lost", b"won")), "no", "no"),
            "body-appended": (body_to(lambda b: b + b"more\r\n"), "no", "no"),
            "body-cut": (body_to(lambda b: b[:20]), "no", "no"),
            "body-line-blank-end": (body_to(lambda b: b.replace(b"game.\r\n", b"game. \t\r\n")), "no", "pass"),
            "body-doubled-blank": (body_to(lambda b: b.replace(b"the game", b"the  game")), "no", "pass"),
            "body-joined-words": (body_to(lambda b: b.replace(b"the game", b"thegame")), "no", "no"),
            "body-final-lines": (body_to(lambda b: b + b"\r\n\r\n"), "pass", "pass"),
            "body-blank-line-end": (body_to(lambda b: b + b" \r\n"), "no", "pass"),
            "body-first-line": (body_to(lambda b: b"\r\n" + b), "no", "no"),
            "subject": (fields_to(lambda f: [x.replace(b"dinner", b"supper") for x in f]), "no", "no"),
            "subject-case": (fields_to(lambda f: [x.replace(b"Subject:", b"SUBJECT:") for x in f]), "no", "pass"),
            "subject-refolded": (fields_to(lambda f: [x.replace(b"dinner ready", b"dinner\r\n\t ready") for x in f]), "no", "pass"),
            "subject-end-blank": (fields_to(lambda f: [x.replace(b"ready?\r\n", b"ready?  \r\n") for x in f]), "no", "pass"),
            "subject-removed": (fields_to(lambda f: [x for x in f if field_name(x) != "subject"]), "no", "no"),
            "order-changed": (fields_to(lambda f: f[:1] + f[1:][::-1]), "pass", "pass"),
            "unsigned-added": (fields_to(lambda f: [b"X-New: 1\r\n"] + f + [b"X-Last: 2\r\n"]), "pass", "pass"),
            "subject-above": (fields_to(lambda f: [b"Subject: above\r\n"] + f), "pass", "pass"),
            "subject-below": (fields_to(lambda f: f + [b"Subject: below\r\n"]), "no", "no"),
            "to-changed-in-signature": (fields_to(lambda f: [f[0].replace(b"d=example.com", b"d=example.org")] + f[1:]), "no", "no"),
            "signature-respaced": (fields_to(lambda f: [f[0].replace(b";\r\n\ta=", b"; a=")] + f[1:]), "no", "pass"),
            "b-blanks-added": (fields_to(lambda f: [f[0].replace(b"b=", b"b= ", 1) if b"\tb=" not in f[0] else f[0].replace(b"\tb=", b"\tb= \r\n ")] + f[1:]), "pass", "pass"),
            "b-changed": (fields_to(lambda f: [other_signature(f[0])] + f[1:]), "no", "no"),
        }
        for name, (change, simple, relaxed) in changes.items():
            self.one("tampered/simple/" + name, simple, after=change, header="simple", body_canon="simple")
            self.one("tampered/relaxed/" + name, relaxed, after=change)

    def lengths(self):
        size = len(BODIES["plain"])
        more = lambda fields, body: (fields, body + b"<b>appended</b>\r\n")  # noqa: E731
        for canon in ("simple", "relaxed"):
            self.one("l/exact/" + canon, "pass", length=size, body_canon=canon)
            self.one("l/short/" + canon, "pass", length=7, body_canon=canon)
            self.one("l/zero/" + canon, "pass", length=0, body_canon=canon)
            self.one("l/appended/" + canon, "pass", length=size, body_canon=canon, after=more)
            self.one("l/too-long/" + canon, "no", body_canon=canon, extra=[("l", str(size + 1))])
            self.one("l/exact-then-shorter-body/" + canon, "no", length=size, body_canon=canon, after=lambda f, b: (f, b[:-4]))
        self.one("l/within-trailing-crlfs/simple", "pass", body="trailing-crlfs", length=6, body_canon="simple")
        self.one("l/counts-canonical/relaxed", "pass", body="inner-blanks", length=9)
        for value in ("-1", "1e2", "x", "", "+7", "0x7"):
            self.one("l/malformed/%s" % (value or "empty"), "no", change={"l": value}, length=7)

    def times(self):
        for name, extra, expect in (
                ("x-ahead", [("t", NOW - DAY), ("x", NOW + 7 * DAY)], "pass"),
                ("x-past", [("t", NOW - 9 * DAY), ("x", NOW - 2 * DAY)], "no"),
                ("x-past-alone", [("x", NOW - 2 * DAY)], "no"),
                ("x-before-t", [("t", NOW - DAY), ("x", NOW - 2 * DAY)], "no"),
                ("x-before-t-ahead", [("t", NOW + 3600), ("x", NOW + 1800)], "no"),
                ("x-equals-t", [("t", NOW - 60), ("x", NOW - 60)], "no"),
                ("t-old", [("t", 1000000000)], "pass"),
                ("t-zero", [("t", 0)], "pass"),
                ("t-future", [("t", NOW + 30 * DAY)], "no"),
                ("x-far", [("x", "9" * 12)], "pass"),
                ("t-malformed", [("t", "now")], "no"),
                ("x-malformed", [("x", "never")], "no"),
                ("t-negative", [("t", "-5")], "no"),
                ("t-leading-zeros", [("t", "000000001000000000")], "pass")):
            self.one("time/" + name, expect, extra=[(n, str(v)) for n, v in extra])

    def repeats(self):
        over = DEFAULT_NAMES + ["from", "subject", "cc"]
        top = lambda new: lambda f, b: ([f[0]] + [new] + f[1:], b)  # noqa: E731
        end = lambda new: lambda f, b: (f + [new], b)  # noqa: E731
        self.one("oversigned/untouched", "pass", names=over)
        self.one("oversigned/second-subject-above", "no", names=over, after=top(b"Subject: new\r\n"))
        self.one("oversigned/second-subject-below", "no", names=over, after=end(b"Subject: new\r\n"))
        self.one("oversigned/cc-added", "no", names=over, after=end(b"Cc: eve@example.org\r\n"))
        self.one("oversigned/unsigned-added", "pass", names=over, after=end(b"Reply-To: eve@example.org\r\n"))
        self.one("oversigned/many", "pass", names=over + ["from"] * 5 + ["x-none"] * 5)
        for count in range(1, 5):
            self.one("repeated/received-%d" % count, "pass", "repeated", names=["from", "subject", "subject"] + ["received"] * count)
        trace = ["received"] * 3 + ["from"]
        self.one("repeated/lowest-removed", "no", "repeated", names=trace, after=lambda f, b: (f[:3] + f[4:], b))
        self.one("repeated/one-above", "pass", "repeated", names=trace, after=top(b"Received: from d by e; 4\r\n"))
        self.one("repeated/order-changed", "no", "repeated", names=trace, after=lambda f, b: ([f[0], f[2], f[1]] + f[3:], b))
        self.one("repeated/unsigned-top-changed", "pass", "repeated", names=["received", "from"],
                 after=lambda f, b: ([f[0], b"Received: other\r\n"] + f[2:], b))
        self.one("absent/named-once", "pass", names=["from", "sender", "reply-to"])
        self.one("absent/then-added", "no", names=["from", "sender"], after=end(b"Sender: eve@example.org\r\n"))
        self.one("h/only-from", "pass", names=["from"])
        self.one("h/lacks-from", "no", names=["to", "subject"])
        self.one("h/empty", "no", change={"h": ""})
        self.one("h/empty-item", "no", change={"h": "from::to"})
        self.one("h/names-dkim-signature", "pass", names=["from", "dkim-signature"])

    def several(self):
        for count in (2, 3, 5, 8):
            fields, body = list(HEADERS["folded"]), BODIES["inner-blanks"]
            selectors, expect, signatures = [], [], []
            for i in range(count):
                key = self.random.choice([self.rsa, self.ed, self.other])
                good = self.random.random() < 0.6
                domain = self.random.choice(["example.com", "example.org", "list.example.net"])
                selector = self.publish((key if good else self.weak if key.kind == "rsa" else Key("ed25519")).record(), domain)
                signatures.append(sign(fields, body, key, domain=domain, selector=selector, header=self.random.choice(["simple", "relaxed"]),
                                       body_canon=self.random.choice(["simple", "relaxed"])))
                selectors.append(selector)
                expect.append("pass" if good else "no")
            self.add("several/%d" % count, signatures + fields, body, expect, selectors)
        # A later signature signs an earlier one.
        fields, body = list(HEADERS["plain"]), BODIES["plain"]
        first, second = self.publish(self.rsa.record()), self.publish(self.other.record(), "example.org")
        inner = sign(fields, body, self.rsa, selector=first)
        outer = sign([inner] + fields, body, self.other, domain="example.org", selector=second, names=DEFAULT_NAMES + ["dkim-signature"])
        self.add("several/outer-signs-inner", [outer, inner] + fields, body, ["pass", "pass"], [second, first])
        self.add("several/outer-signs-inner-broken", [outer, inner.replace(b"s=" + first.encode(), b"s=x" + first.encode())] + fields, body,
                 ["no", "no"], [second, "x" + first])
        # The signature of a list after its footer: the author's is broken, the list's own is good.
        footed = body + b"-- \r\nthe list\r\n"
        listed = self.publish(self.other.record(), "list.example")
        fields = [inner] + fields + [b"List-Id: <a.list.example>\r\n"]
        self.add("several/list-footer", [sign(fields, footed, self.other, domain="list.example", selector=listed)] + fields, footed, ["pass", "no"], [listed, first])

    def algorithms(self):
        for bits, expect in ((512, "no"), (768, "no"), (1016, "no"), (1024, "pass"), (1536, "pass"), (3072, "pass"), (4096, "pass")):
            self.one("key/rsa-%d" % bits, expect, key=Key(bits=bits))
        self.one("sha1/rsa-sha1", "no", sha1=True)
        self.one("sha1/named-sha256", "no", sha1=True, change={"a": "rsa-sha256"})
        for value in ("rsa-sha512", "dsa-sha256", "rsa", "sha256", "ed25519-sha1", "ed25519", ""):
            self.one("algorithm/%s" % (value or "empty"), "no", change={"a": value})
        self.one("algorithm/rsa-key-named-ed25519", "no", change={"a": "ed25519-sha256"})
        self.one("algorithm/ed25519-key-named-rsa", "no", key=self.ed, change={"a": "rsa-sha256"})
        self.one("ed25519/other-key", "no", key=self.ed, record=Key("ed25519").record())
        self.one("ed25519/short-key", "no", key=self.ed, record="v=DKIM1; k=ed25519; p=" + base64.b64encode(b"x" * 31).decode())
        self.one("ed25519/rsa-record", "no", key=self.ed, record=self.rsa.record())
        self.one("rsa/ed25519-record", "no", record=self.ed.record())
        self.one("rsa/other-key", "no", record=self.other.record())

    def key_records(self):
        p = self.rsa.p()
        good = ["p=" + p, "v=DKIM1;p=" + p, "v=DKIM1; k=rsa; t=y; p=" + p, "v=DKIM1; h=sha1:sha256; p=" + p, "v=DKIM1; h=sha256; p=" + p,
                "v=DKIM1; s=email; p=" + p, "v=DKIM1; s=*; p=" + p, "v=DKIM1; s=other:email; p=" + p, "v=DKIM1; n=some=20note; p=" + p,
                "v=DKIM1; p=" + p + ";", "v=DKIM1; t=s; p=" + p, "v=DKIM1; t=y:s; p=" + p, " v=DKIM1 ; k = rsa ; p = " + p + " ",
                "v=DKIM1; foo=bar; p=" + p, "v=DKIM1; k=rsa; p=" + p[:40] + " " + p[40:90] + " " + p[90:], "k=rsa; p=" + p, "v=DKIM1; p=" + p + "; k=rsa",
                "v=DKIM1; t=unknown; p=" + p]
        for i, record in enumerate(good):
            self.one("record/good-%d" % i, "pass", record=record)
        self.one("record/split-strings", "pass", record=["v=DKIM1; k=rsa; p=", p[:100], p[100:300], p[300:]])
        self.one("record/bare-rsa-key", "pass", record="v=DKIM1; p=" + self.rsa.p(bare=True))
        bad = {"revoked": "v=DKIM1; p=", "revoked-blank": "v=DKIM1; k=rsa; p= ", "no-p": "v=DKIM1; k=rsa", "version-2": "v=DKIM2; p=" + p,
               "version-lower-case": "v=dkim1; p=" + p, "version-not-first": "k=rsa; v=DKIM1; p=" + p, "sha1-only": "v=DKIM1; h=sha1; p=" + p,
               "kind-unknown": "v=DKIM1; k=foo; p=" + p, "service-other": "v=DKIM1; s=other; p=" + p, "p-garbage": "v=DKIM1; p=@@@@", "p-cut": "v=DKIM1; p=" + p[:100],
               "twice-p": "v=DKIM1; p=%s; p=%s" % (p, p), "no-record": "some text", "spf": "v=spf1 -all", "empty": ""}
        for name, record in bad.items():
            self.one("record/bad/" + name, "no", record=record)
        key, fields, body = self.rsa, list(HEADERS["plain"]), BODIES["plain"]

        def looked_up(name, record, expect, **options):
            selector = self.publish(record)
            self.add("record/" + name, [sign(fields, body, key, selector=selector, **options)] + fields, body, expect, [selector])
        looked_up("no-such-name", None, "no")
        looked_up("servfail", "SERVFAIL", "temp")
        looked_up("two-keys-second-fits", [[self.other.record()], [self.rsa.record()]], "pass")
        looked_up("two-keys-none-fits", [[self.other.record()], [self.weak.record()]], "no")
        looked_up("beside-other-text", [["v=spf1 -all"], [self.rsa.record()]], "pass")
        for name, identity, record, expect in (
                ("i/domain", "@example.com", "", "pass"), ("i/user", "joe@example.com", "", "pass"), ("i/subdomain", "joe@mail.example.com", "", "pass"),
                ("i/subdomain-t-s", "joe@mail.example.com", "t=s; ", "no"), ("i/same-t-s", "joe@example.com", "t=s; ", "pass"),
                ("i/other-domain", "joe@example.org", "", "no"), ("i/parent", "joe@com", "", "no"), ("i/suffix-trick", "joe@notexample.com", "", "no"),
                ("i/case", "JOE@EXAMPLE.COM", "", "pass"), ("i/quoted-printable", "joe=2Bx@example.com", "", "pass"), ("i/no-at", "example.com", "", "no")):
            looked_up(name, "v=DKIM1; %sp=%s" % (record, p), expect, extra=[("i", identity)])
        self.one("d/upper-case", "pass", domain="Example.COM")

    def syntax(self):
        for tag in ("v", "a", "d", "s", "h", "bh", "b"):
            self.one("missing/" + tag, "no", drop=(tag,))
        self.one("missing/c", "pass", drop=("c",), header="simple", body_canon="simple")
        self.one("c/header-only", "pass", change={"c": "relaxed"}, header="relaxed", body_canon="simple")
        self.one("c/simple-only", "pass", change={"c": "simple"}, header="simple", body_canon="simple")
        for value in ("nofws", "relaxed/nofws", "nofws/simple", "/", ""):
            self.one("c/unknown-%s" % re.sub(r"\W", "_", value), "no", change={"c": value})
        for value in ("2", "0.5", "", "1.0", "one"):
            self.one("v/%s" % (value or "empty"), "no", change={"v": value})
        for tag in ("d", "s", "b", "bh", "t"):
            value = {"d": "example.com", "s": "other", "b": "AAAA", "bh": "AAAA", "t": "1"}[tag]
            extra = [(tag, value)] + ([(tag, value)] if tag == "t" else [])
            self.one("twice/" + tag, "no", extra=extra)
        self.one("q/dns-txt", "pass", extra=[("q", "dns/txt")])
        self.one("q/list", "pass", extra=[("q", "foo:dns/txt")])
        self.one("q/unknown", "no", extra=[("q", "http/get")])
        self.one("b/garbage", "no", b_break=lambda b: b"@" + b[1:])
        self.one("b/empty", "no", b_break=lambda b: b"")
        self.one("b/cut", "no", b_break=lambda b: b[:100])
        self.one("b/no-padding", "pass", b_break=lambda b: b.rstrip(b"="))
        self.one("bh/empty", "no", change={"bh": ""})
        self.one("bh/cut", "no", change={"bh": "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOz"})
        self.one("empty-tag-between", "no", after=lambda f, b: ([f[0].replace(b"; ", b";; ").replace(b";\r\n\ta=", b";;\r\n\ta=")] + f[1:], b))
        self.one("d/empty", "no", change={"d": ""})
        self.one("s/empty", "no", change={"s": ""})
        self.one("d/spaces", "no", change={"d": "exa mple.com"})

    def messages(self):
        self.one("from/two", "no", after=lambda f, b: (f[:1] + [b"From: eve@example.org\r\n"] + f[1:], b))
        self.one("from/none", "no", after=lambda f, b: ([x for x in f if field_name(x) != "from"], b))
        self.one("header/line-without-colon", "no", after=lambda f, b: (f + [b"no field at all\r\n"], b))
        self.one("none/unsigned", [], after=lambda f, b: (f[1:], b))
        self.cases[-1].selectors = []
        self.one("none/other-field-name", [], after=lambda f, b: ([b"X-" + f[0]] + f[1:], b))
        self.cases[-1].selectors = []

    # -- ARC --
    def chain(self, length, key=None, **last):
        """A good chain: (fields, body, sets), newest set first in the fields."""
        key = key or self.rsa
        fields, body, sets = list(HEADERS["folded"]), BODIES["plain"], []
        for i in range(1, length + 1):
            domain = "hop%d.example" % i
            selector = self.publish(key.record(), domain, "arc%d" % (1 if key is self.rsa else 2 if key is self.ed else 3))
            options = last if i == length else {}
            canon = options.pop("canon", self.random.choice(["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"]))
            new = arc_set(fields, body, key, i, domain=domain, selector=selector, previous=list(sets), canon=canon, **options)
            sets.append(new)
            fields = [new[2], new[1], new[0]] + fields
        return fields, body, sets

    def arc(self):
        for length in range(1, 6):
            for attempt in range(3):
                fields, body, _ = self.chain(length)
                self.add("arc/good/%d-%d" % (length, attempt), fields, body, arc="pass")
            fields, body, _ = self.chain(length)
            self.add("arc/body-changed/%d" % length, fields, body.replace(b"lost", b"won"), arc="fail")
            fields, body, _ = self.chain(length)
            self.add("arc/subject-changed/%d" % length, [f.replace(b"dinner", b"supper") for f in fields], body, arc="fail")
            fields, body, sets = self.chain(length)
            broken = self.random.choice(sets)[2]
            self.add("arc/seal-changed/%d" % length, [other_signature(f) if f is broken else f for f in fields], body, arc="fail")
            fields, body, sets = self.chain(length)
            self.add("arc/results-changed/%d" % length, [f.replace(b"spf=none", b"spf=pass") if f is sets[0][0] else f for f in fields], body, arc="fail")
        for part, name in ((0, "results"), (1, "message-signature"), (2, "seal")):
            fields, body, sets = self.chain(3)
            self.add("arc/missing/" + name, [f for f in fields if f is not sets[1][part]], body, arc="fail")
            fields, body, sets = self.chain(3)
            self.add("arc/twice/" + name, [sets[1][part]] + fields, body, arc="fail")
        fields, body, sets = self.chain(4)
        self.add("arc/set-missing", [f for f in fields if not any(f is x for x in sets[1])], body, arc="fail")
        self.add("arc/first-set-missing", [f for f in fields if not any(f is x for x in sets[0])], body, arc="fail")
        for length, cv in ((1, "pass"), (1, "fail"), (2, "none"), (2, "fail"), (3, "none"), (3, "fail"), (2, "bogus")):
            fields, body, _ = self.chain(length, cv=cv)
            self.add("arc/cv/%d-%s" % (length, cv), fields, body, arc="fail")
        fields, body, _ = self.chain(2, seal_extra=[("h", "from")])
        self.add("arc/seal-with-h", fields, body, arc="fail")
        fields, body, _ = self.chain(1, names=["from", "arc-seal"])
        self.add("arc/message-signature-covers-seal", fields, body, arc="fail")
        fields, body, _ = self.chain(2, key=self.ed)
        self.add("arc/ed25519", fields, body, arc="pass")
        # A later hop changes the body: the earlier message signatures break, the chain holds by the newest.
        fields, body, sets = self.chain(1)
        body += b"-- \r\nfooter\r\n"
        selector = self.publish(self.rsa.record(), "late.example", "arc1")
        new = arc_set(fields, body, self.rsa, 2, domain="late.example", selector=selector, previous=sets)
        self.add("arc/footer-between-hops", new[::-1] + fields, body, arc="pass")
        fields, body, sets = self.chain(3)
        self.add("arc/order-of-fields", sorted(fields, key=lambda f: (field_name(f), f)), body, arc="pass")
        for name, record in (("no-key", None), ("revoked", "v=DKIM1; p="), ("other-key", self.other.record())):
            fields, body = list(HEADERS["plain"]), BODIES["plain"]
            selector = self.publish(record, "bad.example")
            self.add("arc/" + name, arc_set(fields, body, self.rsa, 1, domain="bad.example", selector=selector)[::-1] + fields, body, arc="fail")
        fields, body = list(HEADERS["plain"]), BODIES["plain"]
        weak = Key(bits=512)
        selector = self.publish(weak.record(), "bad.example")
        self.add("arc/weak-key", arc_set(fields, body, weak, 1, domain="bad.example", selector=selector)[::-1] + fields, body, arc="fail")
        for instance in ("0", "51", "x", "-1", ""):
            fields, body, sets = self.chain(1)
            self.add("arc/instance-%s" % (instance or "empty"), [re.sub(rb"\bi=1", b"i=" + instance.encode(), f) if f in sets[0] else f for f in fields], body, arc="fail")
        # The message is signed as well: ARC and DKIM judged together.
        fields, body = list(HEADERS["plain"]), BODIES["plain"]
        selector = self.publish(self.other.record())
        fields = [sign(fields, body, self.other, selector=selector)] + fields
        arc_selector = self.publish(self.rsa.record(), "hop.example")
        sets = arc_set(fields, body, self.rsa, 1, domain="hop.example", selector=arc_selector)
        self.add("arc/with-dkim", sets[::-1] + fields, body, ["pass"], [selector], "pass")

    def all(self):
        for family in (self.canonicalization, self.layouts, self.tampered, self.lengths, self.times, self.repeats, self.several, self.algorithms,
                       self.key_records, self.syntax, self.messages, self.arc):
            family()
        names = [c.name for c in self.cases]
        assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
        return self.cases
