"""spf_records.py - generated SPF records of every kind and the world they stand in, from a fixed seed."""
import ipaddress
import random

SEED = 7208
CLIENTS = ["192.0.2.1", "192.0.2.2", "192.0.2.77", "198.51.100.9", "203.0.113.200", "2001:db8::1", "2001:db8::77", "2001:db8:1::9", "::ffff:192.0.2.1"]
SENDERS = ["joe@%s", "strong-bad@%s", "", "a.b.c@%s", "x+y=z@%s", "@%s"]
HELO = "mail.helo.example"


class Case:
    def __init__(self, name, record, ip, sender, helo, kind):
        self.name, self.record, self.ip, self.sender, self.helo, self.kind = name, record, ip, sender, helo, kind

    def __repr__(self):
        return "%s [%s from %s by <%s> %s]" % (self.name, self.record, self.ip, self.sender, self.helo)


class Generator:
    def __init__(self, count):
        self.random = random.Random(SEED)
        self.count = count
        self.zone, self.cases = {}, []

    def world(self):
        """Names that the records lead to. Node: [{TYPE: value}, ...] as testdns reads it."""
        zone = self.zone
        for i in range(6):
            zone["h%d.example" % i] = [{"A": "192.0.2.%d" % (i + 1)}, {"A": "192.0.2.%d" % (70 + i)}]
            zone["six%d.example" % i] = [{"AAAA": "2001:db8::%d" % (i + 1)}]
            zone["m%d.example" % i] = [{"MX": [10, "h%d.example" % i]}, {"MX": [20, "six%d.example" % i]}, {"A": "198.51.100.%d" % (i + 7)}]
        zone["both.example"] = [{"A": "192.0.2.1"}, {"AAAA": "2001:db8::77"}]
        zone["alias.example"] = [{"CNAME": "h0.example"}]
        zone["broken.example"] = ["SERVFAIL"]
        zone["nothing.example"] = [{"TXT": "no mail here"}]
        zone["mx-many.example"] = [{"MX": [i, "h%d.example" % (i % 6)]} for i in range(11)]
        zone["mx-null.example"] = [{"MX": [0, "."]}]
        for client in CLIENTS[:7]:
            zone[ipaddress.ip_address(client).reverse_pointer] = [{"PTR": "client.pass.example"}, {"PTR": "elsewhere.example"}]
        zone["client.pass.example"] = [{"A": a} for a in CLIENTS[:4]] + [{"AAAA": a} for a in CLIENTS[5:7]]
        zone["elsewhere.example"] = [{"A": "198.51.100.200"}]
        records = {"pass.example": "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/48 -all", "fail.example": "v=spf1 -all", "soft.example": "v=spf1 ~all",
                   "neutral.example": "v=spf1 ?all", "bad.example": "v=spf1 ip4:999.1.1.1 -all", "two.example": None, "none.example": None,
                   "deep.example": "v=spf1 include:pass.example include:fail.example include:soft.example ~all",
                   "redirected.example": "v=spf1 redirect=pass.example", "loop.example": "v=spf1 include:loop.example -all",
                   "circle.example": "v=spf1 redirect=circle.example", "open.example": "v=spf1 +all"}
        for name, record in records.items():
            if record:
                zone[name] = zone.get(name, []) + [{"TXT": record}]
        zone["two.example"] = [{"TXT": "v=spf1 +all"}, {"TXT": "v=spf1 -all"}]
        zone["none.example"] = [{"A": "192.0.2.1"}]
        zone["why.example"] = [{"TXT": "%{i} may not send for %{d}"}]
        zone["*.exists.example"] = [{"A": "127.0.0.2"}]
        zone[HELO] = [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}, {"A": "192.0.2.1"}]

    def pick(self, *choices):
        return self.random.choice(choices)

    def hosts(self):
        return self.pick("h0.example", "h3.example", "six0.example", "both.example", "alias.example", "nothing.example", "absent.example", "m1.example", "broken.example"
                         if self.random.random() < 0.2 else "h1.example")

    def macro(self):
        return self.pick("%{d}", "%{i}.exists.example", "%{l}.exists.example", "%{ir}.%{v}.exists.example", "%{l1r-}.%{d2}", "%{o}.exists.example", "%{h}",
                         "%{s}.exists.example", "h%{d0}.example" if self.random.random() < 0.2 else "h0.example", "%{lr+=}.exists.example", "%%%_%-.exists.example",
                         "%{D}.exists.example", "%{L}.exists.example", "%{ir3}.exists.example")

    def qualifier(self):
        return self.pick("", "", "+", "-", "~", "?")

    def cidr(self):
        return self.pick("", "", "", "/24", "/32", "/0", "//64", "/24//64", "//128", "/30//0")

    def term(self):
        roll, q = self.random.random(), self.qualifier()
        if roll < 0.22:
            return q + self.pick("ip4", "IP4", "Ip4") + ":" + self.pick("192.0.2.1", "192.0.2.0/24", "192.0.2.2/31", "198.51.100.0/25", "203.0.113.0", "0.0.0.0/0", "192.0.2.77/32")
        if roll < 0.38:
            return q + "ip6:" + self.pick("2001:db8::1", "2001:db8::/32", "2001:DB8:1::9", "2001:db8::/120", "::/0", "::ffff:192.0.2.1", "2001:db8:0:0:0:0:0:77/128", "::1")
        if roll < 0.52:
            return q + "a" + self.pick("", ":" + self.hosts(), ":" + self.hosts(), ":" + self.macro()) + self.cidr()
        if roll < 0.62:
            return q + "mx" + self.pick("", ":m0.example", ":m3.example", ":mx-many.example", ":mx-null.example", ":absent.example") + self.cidr()
        if roll < 0.72:
            return q + "include:" + self.pick("pass.example", "fail.example", "soft.example", "neutral.example", "deep.example", "redirected.example", "none.example", "bad.example",
                                              "two.example", "loop.example", "absent.example", "open.example", "%{d1}.example")
        if roll < 0.80:
            return q + "exists:" + self.macro()
        if roll < 0.85:
            return q + "ptr" + self.pick("", ":pass.example", ":elsewhere.example", ":absent.example")
        if roll < 0.90:
            return self.pick("x-unknown=%{d}", "foo=", "moo=a/b", "a.b-c_d=1")
        return q + "all"

    def broken_term(self):
        return self.pick("ip4:192.0.2", "ip4:192.0.2.1/33", "ip4:192.0.2.1/", "ip4:", "ip4", "ip6:192.0.2.1", "ip6:2001:db8::/129", "ip6:2001:db8::1::2", "a:", "a/33", "a//129", "a/", "a/024",
                         "mx:", "mx//", "include", "include:", "exists", "exists:", "ptr:", "ptr/24", "all:x", "all/8", "-", "unknown", "unknown:h0.example", "redirect=", "exp=", "a:h0",
                         "a:%{x}.example", "a:%{d", "a:%d.example", "a:%{d0}.example", "a:h0.example%", "ip4:192.0.2.1//24", "include:pass.example/24", "=x", "1a=2", "a:h0.example.123",
                         "exists:%{c}.example", "exists:%{t}.example", "redirect=%{r}.example", "++all", "all=", "v=spf1", "a:-h0.-example", "a:h0.example..", "mx/24/24")

    def record(self):
        if self.random.random() < 0.05:  # what is a record, and what is none
            return self.pick("v=spf1", "v=spf10 +all", "V=SPF1 +all", "v=spf1  +all", "v=spf1 +all ", " v=spf1 +all", "v=spf1\t+all", "v=spf2.0/pra +all", "v=spf1,+all", "", "v=spf1 "), "version"
        terms = [self.term() for _ in range(self.random.randint(1, 5))]
        kind = "good"
        if self.random.random() < 0.22:
            terms.insert(self.random.randint(0, len(terms)), self.broken_term())
            kind = "broken"
        if self.random.random() < 0.15:
            terms.insert(self.random.randint(0, len(terms)), "redirect=" + self.pick("pass.example", "fail.example", "none.example", "absent.example", "circle.example", "bad.example", "%{d2}.absent.example"))
        if self.random.random() < 0.15:
            terms.insert(self.random.randint(0, len(terms)), "exp=" + self.pick("why.example", "absent.example", "%{l}.why.example"))
        if self.random.random() < 0.03:
            terms += ["exp=why.example", "exp=why.example"] if self.random.random() < 0.5 else ["redirect=pass.example", "redirect=fail.example"]
            kind = "broken"
        if self.random.random() < 0.6:
            terms.append(self.pick("-all", "~all", "?all", "all"))
        return "v=spf1 " + (" " if self.random.random() < 0.9 else "   ").join(terms), kind

    def all(self):
        self.world()
        for i in range(self.count):
            record, kind = self.record()
            domain = "d%d.example" % i
            self.zone[domain] = [{"TXT": record}, {"A": "192.0.2.%d" % self.random.choice([1, 2, 99])}, {"MX": [5, "h2.example"]}]
            sender = self.random.choice(SENDERS)
            helo = HELO
            if not sender:
                helo = domain
            self.cases.append(Case("spf%d" % i, record, self.random.choice(CLIENTS), sender % domain if sender else "", helo, kind))
        return self.cases

    # -- the world as others want to see it --
    def find(self, name):
        """The node of a name: its own, or a wildcard's."""
        name = name.lower().rstrip(".")
        if name in self.zone:
            return self.zone[name]
        labels = name.split(".")
        for i in range(1, len(labels)):
            above = ".".join(labels[i:])
            if above in self.zone:  # a name that exists keeps the wildcards above it off (RFC 4592 §2.2.2)
                return None
            if "*." + above in self.zone:
                return self.zone["*." + above]
        return None

    def records(self, name, kind):
        """-> list of values, "SERVFAIL", or None where the name does not exist."""
        node = self.find(name)
        if node is None:
            return None
        if "SERVFAIL" in node:
            return "SERVFAIL"
        out = [entry[kind] for entry in node if isinstance(entry, dict) and kind in entry]
        alias = [entry["CNAME"] for entry in node if isinstance(entry, dict) and "CNAME" in entry]
        return self.records(alias[0], kind) if alias and not out else out
