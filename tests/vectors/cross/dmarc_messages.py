"""dmarc_messages.py - generated messages for DMARC by RFC 7489: From, SPF and DKIM domains in every relation, records of every kind."""
import random

from signer import Key, sign

SEED = 7489
DOMAINS = ["example.com", "mail.example.com", "a.b.example.com", "shop.co.uk", "www.shop.co.uk", "other.org", "news.other.org"]
CLIENT = "192.0.2.1"


class Case:
    ip = CLIENT
    helo = "mta.sender.invalid"
    arc, selectors, expect = "none", (), ()

    def __init__(self, name, message, sender, what):
        self.name, self.message, self.sender, self.what = name, message, sender, what


class Generator:
    """Every case has domains of its own: the usual ones below a label that no other case has, so that one zone serves all."""

    def __init__(self, count):
        self.random, self.count = random.Random(SEED), count
        self.key = Key(bits=1024)
        self.zone, self.cases = {}, []

    def record(self):
        pick = self.random.choice
        tags = ["p=" + pick(["none", "quarantine", "reject"])]
        if self.random.random() < 0.5:
            tags.append("sp=" + pick(["none", "quarantine", "reject"]))
        if self.random.random() < 0.4:
            tags.append("adkim=" + pick(["r", "s"]))
        if self.random.random() < 0.4:
            tags.append("aspf=" + pick(["r", "s"]))
        if self.random.random() < 0.3:
            tags.append(pick(["rua=mailto:a@example.net", "fo=1", "ri=3600", "rf=afrf", "x-unknown=1", "pct=100"]))
        return pick(["v=DMARC1; ", "v=DMARC1;", "v=DMARC1 ; "]) + pick(["; ", ";"]).join(tags) + pick(["", ";"])

    def one(self, number):
        pick = self.random.choice
        label = "c%d-" % number

        def own(domain):  # example.com -> c7-example.com: another registrable domain under the same public suffix
            parts = domain.split(".")
            at = len(parts) - (3 if domain.endswith("co.uk") else 2)
            return ".".join(parts[:at] + [label + parts[at]] + parts[at + 1:])
        author = own(pick(DOMAINS))
        organization = own(next(d for d in ("example.com", "shop.co.uk", "other.org") if author.replace(label, "").endswith(d)))
        related = [own(d) for d in DOMAINS if own(d).endswith(organization)]
        relative = lambda: pick(related) if self.random.random() < 0.75 else own(pick(DOMAINS))  # noqa: E731
        text = self.record()
        if self.random.random() < 0.85:
            self.zone["_dmarc." + organization] = {"TXT": [[text]]}
        if author != organization and self.random.random() < 0.4:
            self.zone["_dmarc." + author] = {"TXT": [[self.record()]]}
        sender, spf_good = relative(), self.random.random() < 0.5
        self.zone[sender] = {"TXT": [["v=spf1 ip4:%s -all" % (CLIENT if spf_good else "198.51.100.1")]]}
        fields = [b"From: Joe <joe@%s>\r\n" % author.encode(), b"To: sue@example.net\r\n", b"Subject: test %d\r\n" % number, b"Date: Fri, 11 Jul 2025 21:00:37 -0700\r\n"]
        body = b"Hello\r\n"
        signed = None
        if self.random.random() < 0.7:
            signed = relative()
            self.zone["s._domainkey." + signed] = {"TXT": [[self.key.record()]]}
            fields = [sign(fields, body, self.key, domain=signed, selector="s", names=["from", "to", "subject"])] + fields
            if self.random.random() < 0.3:
                body = b"Hullo\r\n"
        what = "From %s, MAIL FROM %s (%s), DKIM %s, records %s" % (author, sender, "good" if spf_good else "bad", signed, {k: v["TXT"][0][0] for k, v in self.zone.items()
                                                                                                                          if k.startswith("_dmarc") and label in k})
        self.cases.append(Case("dmarc%d" % number, b"".join(fields) + b"\r\n" + body, "bounce@" + sender, what))

    def all(self):
        for number in range(self.count):
            self.one(number)
        return self.cases
