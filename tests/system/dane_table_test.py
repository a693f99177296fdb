#!/usr/bin/python3
"""DANE against real signed zones (NSD, unbound) and real STARTTLS servers: what is done in every state of MX, address and TLSA answers and
with every kind of server, and what Postfix does with the same zones and servers.

One message a case, all of them at once. What we did is read from `posternctl queue show`; what arrived, and over which TLS, the servers know.
"""
import collections, os, re, shutil, smtplib, subprocess, sys, tempfile, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import dane_lab, mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from dane_lab import ZONES, Lab  # noqa: E402
from mail_server import MailServer  # noqa: E402
from mailcheck import run, say_version  # noqa: E402
from starttls_server import Certificate  # noqa: E402

# What may become of a message.
DANE = "delivered, DANE verified"
TLS = "delivered, TLS required"
OPPORTUNISTIC = "delivered, opportunistic TLS"
CLEAR = "delivered in clear"
DEFER = "deferred"
BOUNCE = "bounced"

# The servers: what they show, the TLSA records that stand for them, and what RFC 7672 wants where the records are proved.
Kind = collections.namedtuple("Kind", "address offers_tls with_dane without_dane rule")
KINDS = {
    "match":      Kind("127.0.0.21", True, DANE, OPPORTUNISTIC, "§3.1.1: 3 1 1 is the certificate's key"),
    "mismatch":   Kind("127.0.0.22", True, DEFER, OPPORTUNISTIC, "§2.2: usable records and no match: no delivery over this server"),
    "unusable":   Kind("127.0.0.23", True, TLS, OPPORTUNISTIC, "§2.2, §3.1.3: only a PKIX usage: TLS is required, nobody is authenticated"),
    "expired":    Kind("127.0.0.24", True, DANE, OPPORTUNISTIC, "§3.1.1: with usage 3 the dates do not count"),
    "wrongname":  Kind("127.0.0.25", True, DEFER, OPPORTUNISTIC, "§3.1.2, §3.2.2: with usage 2 the names count"),
    "nostarttls": Kind("127.0.0.26", False, DEFER, CLEAR, "§2.2: records promise TLS; in clear is a downgrade"),
    "anchor":     Kind("127.0.0.27", True, DANE, OPPORTUNISTIC, "§3.1.2: 2 0 1 is the issuer, and the name is right"),
}
CORE = ["match", "mismatch", "unusable", "expired", "wrongname", "nostarttls"]
STATES = ["secure", "insecure", "bogus", "servfail", "timeout", "nodata"]
FAILING = ("bogus", "servfail", "timeout")

Case = collections.namedtuple("Case", "name domain expected rule postfix postfix_rule")


def decision(outcome):
    return outcome if outcome in (DEFER, BOUNCE) else "delivered"


class Table:
    """The cases, and the zones that make them true."""

    def __init__(self, tlsa):
        self.tlsa = tlsa                      # kind -> lines of TLSA data
        self.zones = {zone: [] for zone in ZONES.values()}
        self.cases = []
        self._common()
        self._core()
        self._failing()
        self._more()

    def add(self, zone, name, kind, data):
        self.zones[zone].append("%s %s %s" % (name, kind, data))

    def case(self, name, domain, expected, rule, postfix=None, postfix_rule=None):
        """`postfix`: what Postfix may do instead, and `postfix_rule` why both are right."""
        self.cases.append(Case(name, domain, expected, rule, postfix or expected, postfix_rule))

    def _common(self):
        for state, zone in ZONES.items():
            for kind in KINDS:
                for data in self.tlsa[kind]:
                    self.add(zone, "t-" + kind, "TLSA", data)
        for state in ("secure", "insecure"):
            for tlsa in STATES:
                for kind in CORE:
                    self._host(ZONES[state], "h-%s-%s" % (tlsa, kind), tlsa, kind)
        for state in FAILING[:1]:
            self.add(ZONES[state], "h", "A", KINDS["match"].address)
        for zone in ("good.lab", "plain.lab"):
            self.add(zone, "none", "TXT", '"no address"')

    def _host(self, zone, host, tlsa, kind):
        self.add(zone, host, "A", KINDS[kind].address)
        if tlsa == "secure":
            for data in self.tlsa[kind]:
                self.add(zone, "_25._tcp." + host, "TLSA", data)
        elif tlsa == "nodata":
            self.add(zone, "_25._tcp." + host, "TXT", '"no TLSA"')
        else:  # RFC 7671 §7: the records may stand behind a CNAME; here it leads into a zone of that state
            self.add(zone, "_25._tcp." + host, "CNAME", "t-%s.%s." % (kind, ZONES[tlsa]))

    def _expect(self, mx, a, tlsa, kind):
        """RFC 7672: the outcome and the rule it comes from."""
        if mx == "insecure" or a == "insecure":
            return KINDS[kind].without_dane, "§2.2.1, §2.1.3: what is not proved promises nothing"
        if tlsa in FAILING:
            return DEFER, "§2.1.1: an error is not an absence"
        if tlsa in ("insecure", "nodata"):
            return KINDS[kind].without_dane, "§2.2: no proved TLSA record"
        return KINDS[kind].with_dane, KINDS[kind].rule

    def _core(self):
        for mx in ("secure", "insecure", "nodata"):
            for a in ("secure", "insecure"):
                if mx == "nodata":
                    zone, owner = ZONES[a], "h-%s-%s"
                else:
                    zone, owner = ZONES[mx], "m-" + a + "-%s-%s"
                for tlsa in STATES:
                    for kind in CORE:
                        if mx != "nodata":
                            self.add(zone, owner % (tlsa, kind), "MX", "10 h-%s-%s.%s." % (tlsa, kind, ZONES[a]))
                        expected, rule = self._expect(mx, a, tlsa, kind)
                        postfix, why = None, None
                        if mx == "insecure" and a == "secure":
                            postfix = self._expect("secure", a, tlsa, kind)[0]
                            why = "§2.2.1: MX not proved: a client may still hold the host to its records (smtp_tls_dane_insecure_mx_policy)"
                        self.case("MX %s, A %s, TLSA %s, %s" % (mx, a, tlsa, kind), owner % (tlsa, kind) + "." + zone, expected, rule, postfix, why)

    def _failing(self):
        for mx in FAILING:
            self.add(ZONES[mx], "m", "MX", "10 h-secure-match.good.lab.")
            self.case("MX %s" % mx, "m." + ZONES[mx], DEFER, "§2.2.1: where the servers are is not known")
        for mx in ("secure", "insecure"):
            for a in FAILING:
                self.add(ZONES[mx], "ma-" + a, "MX", "10 h.%s." % ZONES[a])
                self.case("MX %s, A %s" % (mx, a), "ma-%s.%s" % (a, ZONES[mx]), DEFER, "§2.1.2: the address is not known")
            self.add(ZONES[mx], "ma-nodata", "MX", "10 none.good.lab.")
            self.case("MX %s, A nodata" % mx, "ma-nodata." + ZONES[mx], BOUNCE, "RFC 5321 §5.1: no server has an address")
            self.case("MX nodata, A nodata, zone %s" % mx, "none." + ZONES[mx], BOUNCE, "RFC 5321 §5.1: neither MX nor address")
        self.case("no such domain", "nothing.good.lab", BOUNCE, "RFC 5321 §5.1")

    def _more(self):
        zone = "good.lab"
        self._host(zone, "x-anchor", "secure", "anchor")
        self._host(zone, "x-bad", "bogus", "match")
        for name, hosts, expected, rule in [
            ("issuer", ["x-anchor"], DANE, KINDS["anchor"].rule),
            ("first server's TLSA bogus, second good", ["x-bad", "x-anchor"], DANE, "§2.1.1: that server alone is passed over"),
            ("first server does not match, second does", ["h-secure-mismatch", "h-secure-match"], DANE, "§2.2: the next server"),
            ("first server does not match, second has no records", ["h-secure-mismatch", "h-nodata-match"], OPPORTUNISTIC, "§2.2.1: each server for itself"),
            ("none of three servers will do", ["x-bad", "h-secure-mismatch", "h-secure-nostarttls"], DEFER, "§2.2: all passed over: later"),
            ("first server's address bogus, second good", ["h.bad.lab.", "h-secure-match"], DANE, "§2.1.2: that server alone is passed over"),
        ]:
            owner = "y-" + re.sub("[^a-z]+", "-", name.lower())
            for i, host in enumerate(hosts):
                self.add(zone, owner, "MX", "%d %s" % (10 * i + 10, host))
            self.case(name, owner + ".good.lab", expected, rule)
        # RFC 7672 §2.1.3: MX hosts that are aliases.
        for name, target, above, expected, rule in [
            ("alias to a proved host with records", "h-secure-match", None, DANE, "§2.1.3: records at the end of the chain"),
            ("alias to a proved host that does not match", "h-secure-mismatch", None, DEFER, "§2.1.3: records at the end of the chain"),
            ("alias to a host without records, records at the alias", "h-nodata-match", "match", DANE, "§2.1.3: then the name itself"),
            ("alias into an unsigned zone, records at the alias", "h-nodata-match.plain.lab.", "match", DANE, "§2.1.3: the first step is proved"),
            ("alias into an unsigned zone, wrong records at the alias", "h-nodata-match.plain.lab.", "mismatch", DEFER, "§2.1.3: the first step is proved"),
        ]:
            owner = "z-" + re.sub("[^a-z]+", "-", name.lower())
            self.add(zone, owner, "MX", "10 a" + owner)
            self.add(zone, "a" + owner, "CNAME", target)
            for data in self.tlsa.get(above, []):
                self.add(zone, "_25._tcp.a" + owner, "TLSA", data)
            self.case(name, owner + ".good.lab", expected, rule)


MAIN = """
compatibility_level = 3.6
queue_directory = %(at)s/spool
data_directory = %(at)s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = %(at)s/maillog
maillog_file_prefixes = /var
myhostname = postfix.lab
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
smtp_host_lookup = dns
smtp_tls_loglevel = 1
smtp_bind_address = 127.0.0.1
bounce_queue_lifetime = 0
minimal_backoff_time = 3600
smtp_destination_concurrency_failed_cohort_limit = 0
"""


class Postfix:
    """A private instance; its queue, its log and its resolver are in the namespace."""

    def __init__(self, port):
        self.port = port
        self.at = tempfile.mkdtemp(prefix="postfix-", dir="/var/tmp")
        os.chmod(self.at, 0o755)
        for folder in ("etc", "spool", "data"):
            os.mkdir("%s/%s" % (self.at, folder), 0o755)
        shutil.chown(self.at + "/data", "postfix")
        with open(self.at + "/etc/main.cf", "w") as f:
            f.write(MAIN % {"at": self.at})
        rows = []
        with open("/usr/share/postfix/master.cf.dist") as f:
            for line in f:
                if line[:1] not in "# \t\n":
                    fields = line.split()
                    fields[4] = "n"
                    if fields[:2] == ["smtp", "inet"]:
                        fields[0] = "127.0.0.1:%d" % port
                    line = " ".join(fields) + "\n"
                rows.append(line)
        with open(self.at + "/etc/master.cf", "w") as f:
            f.write("".join(rows) + "postlog unix-dgram n - n - 1 postlogd\n")
        run(["postfix", "-c", self.at + "/etc", "start"])

    def close(self):
        run(["postfix", "-c", self.at + "/etc", "stop"], check=False)
        shutil.rmtree(self.at, ignore_errors=True)

    def statuses(self):
        """address -> (status, words), the first of each."""
        found = {}
        with open(self.at + "/maillog", errors="replace") as f:
            for line in f:
                m = re.search(r"postfix/(?:smtp|error|qmgr)\[.*to=<([^>]*)>, relay=.*status=(\w+) \((.*)\)", line)
                if m and m.group(1) not in found:
                    found[m.group(1)] = (m.group(2), m.group(3))
        return found


def certificates():
    """kind -> (chain, TLSA lines)."""
    authority, other = Certificate("The Lab's Authority", ca=True), Certificate("other.lab")
    leaf = {kind: Certificate("%s.lab" % kind) for kind in ("match", "mismatch", "unusable")}
    leaf["expired"] = Certificate("expired.lab", days=(-30, -3))
    leaf["wrongname"] = Certificate("elsewhere.lab", issuer=authority)
    leaf["anchor"] = Certificate("x-anchor.good.lab", issuer=authority)
    leaf["nostarttls"] = leaf["match"]
    tlsa = {kind: [leaf[kind].tlsa(3, 1, 1)] for kind in ("match", "expired", "nostarttls")}
    tlsa["mismatch"] = [other.tlsa(3, 1, 1)]
    tlsa["unusable"] = [leaf["unusable"].tlsa(1, 1, 1)]
    tlsa["wrongname"] = tlsa["anchor"] = [authority.tlsa(2, 0, 1)]
    chains = {kind: [c] + ([authority] if c.issuer else []) for kind, c in leaf.items()}
    return chains, tlsa


class Dane(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        chains, tlsa = certificates()
        self.table = Table(tlsa)
        self.servers = {}
        for kind, row in KINDS.items():
            server = MailServer(chains[kind] if row.offers_tls else None, address=row.address, port=25)
            self.servers[kind] = server.__enter__()
            self.addCleanup(server.close)
        self.lab = self.enterContext(Lab(self.table.zones))
        dane_lab.use_resolver(self.lab.folder, dane_lab.VALIDATING)
        say_version("nsd", "-v")
        say_version("unbound", "-V")
        say_version("postconf", "-d", "mail_version")

    def received(self, sender):
        """address -> how it came, of the messages of one sender."""
        found = {}
        for server in self.servers.values():
            with server.arrived:
                for m in server.messages:
                    if m.sender == sender:
                        for r in m.recipients:
                            self.assertNotIn(r, found, "arrived twice")
                            found[r] = m
        return found

    def send(self, port, sender):
        """One message a case. Case -> what the server called it."""
        ids = {}
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
            client.ehlo("client.lab")
            for case in self.table.cases:
                client.mail(sender)
                code, words = client.rcpt("x@" + case.domain, ["NOTIFY=NEVER"])
                self.assertEqual(code, 250, (case.name, words))
                code, words = client.data("From: %s\r\nTo: x@%s\r\nSubject: %s\r\n\r\n%s\r\n" % (sender, case.domain, "case", case.name))
                self.assertEqual(code, 250, (case.name, words))
                ids[case] = words.decode().split()[-1] if b"queued as" in words else re.match(rb"(?:2\.0\.0 )?(\w+)", words).group(1).decode()
        return ids

    def test_table(self):
        postfix = Postfix(2525)
        self.addCleanup(postfix.close)
        settings = {"resolver.upstreams": [dane_lab.VALIDATING + ":53"], "resolver.probe_secure": "good.lab", "resolver.probe_bogus": "t-match.bad.lab",
                    "resolver.timeout": "5s", "server.host_name": "postern.lab", "queue.max_concurrency": 40, "relay.max_sessions_per_host": 40}
        with Daemon(mailcheck.bin_dir, settings) as d:
            d.wait_log("DNSSEC answers are trusted: DANE is on")
            self.send(postfix.port, "postfix@client.lab")
            ids = self.send(d.smtp_port, "postern@client.lab")
            ours = {case: self.wait_outcome(d, case, ids[case]) for case in self.table.cases}
            arrived = self.received("postern@client.lab")
            for case, shown in ours.items():
                with self.subTest(case.name, rule=case.rule):
                    self.assertEqual(self.outcome_of(shown, arrived.get("x@" + case.domain)), case.expected, shown)
        self.compare(postfix)
        print("%d cases" % len(self.table.cases), dict(collections.Counter(c.expected for c in self.table.cases)), flush=True)

    def wait_outcome(self, d, case, ident):
        def tried():
            shown = d.ctl("queue", "show", ident)
            return shown if shown["recipients"][0]["attempts"] > 0 else None
        return wait_until("an attempt for " + case.name, tried, 120)

    def outcome_of(self, shown, message):
        """What `queue show` says, checked against what the server saw."""
        recipient = shown["recipients"][0]
        if recipient["state"] == "waiting":
            self.assertIsNone(message, "deferred, and yet it arrived")
            self.assertEqual(recipient["reply"]["code"] // 100, 4)
            return DEFER
        if recipient["state"] == "failed":
            self.assertIsNone(message, "bounced, and yet it arrived")
            return BOUNCE
        self.assertIsNotNone(message, "said to be delivered, and nothing arrived")
        security = recipient["security"]
        self.assertEqual((security.get("version"), security.get("cipher")), (message.tls, message.cipher), "what we say of the TLS is what the server saw")
        if security["got"] == "dane":
            self.assertRegex(security["dane"], "^match [23] ")
            self.assertEqual(message.sni, security["host"] if "alias to a proved host with" not in message.text.decode() else "h-secure-match.good.lab")
        return {"dane": DANE, "required": TLS, "opportunistic": OPPORTUNISTIC, "clear": CLEAR}[security["got"]]

    def compare(self, postfix):
        """Postfix, the reference client, decides the same, or as the table says it may."""
        wanted = {"x@" + case.domain for case in self.table.cases}
        statuses = wait_until("Postfix's word on every case", lambda: (lambda s: s if wanted <= set(s) else None)(postfix.statuses()), 120)
        differing = 0
        arrived = self.received("postfix@client.lab")
        words = {"sent": "delivered", "deferred": DEFER, "bounced": BOUNCE}
        for case in self.table.cases:
            address = "x@" + case.domain
            with self.subTest(case.name, client="Postfix"):
                status, reason = statuses[address]
                self.assertEqual(words[status], decision(case.postfix), reason)
                self.assertEqual(address in arrived, status == "sent")
            if decision(case.postfix) != decision(case.expected):
                self.assertIsNotNone(case.postfix_rule)
                differing += 1
        print("Postfix decides as we do but for %d cases, each with its rule" % differing, flush=True)


if __name__ == "__main__":
    dane_lab.in_namespace()
    mailcheck.main()
