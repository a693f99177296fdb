#!/usr/bin/python3
"""Levels of TLS for destinations and senders, exceptions with a last day, and what is told of each delivery: log, `queue show`. Levels change by reload;
`postern -n` names rows that are wrong; TLS 1.1 is not spoken."""
import datetime, os, re, smtplib, ssl, subprocess, sys, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from mail_server import MailServer  # noqa: E402
from testdns import TestDNS  # noqa: E402
from starttls_server import Certificate, tls_context  # noqa: E402

HOST, TWO = "mx.levels.example", "two.levels.example"
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
YESTERDAY, TOMORROW = (str(TODAY + datetime.timedelta(days=n)) for n in (-1, 1))


def context(chain, cipher=None, most=None, least=None):
    made = tls_context(chain)
    made.minimum_version = least or ssl.TLSVersion.MINIMUM_SUPPORTED
    if most:
        made.maximum_version = most
    if cipher:
        made.set_ciphers(cipher)
    return made


class Levels(unittest.TestCase):
    def setUp(self):
        self.authority = Certificate("The Test's Authority", ca=True)
        self.known = [Certificate(HOST, issuer=self.authority), self.authority]
        self.settings = {}

    def server(self, chain=None, **how):
        return self.enterContext(MailServer(chain, **how))

    def start(self, servers, host=HOST, **settings):
        routes = ["%s=%s:%d" % (domain, host, server.port) for domain, server in servers.items()]
        dns = self.enterContext(TestDNS({"zonedata": {HOST: [{"A": "127.0.0.1"}], TWO: [{"AAAA": "::1"}, {"A": "127.0.0.1"}]}}))
        d = Daemon(mailcheck.bin_dir, {"relay.routes": routes, "resolver.upstreams": ["127.0.0.1:%d" % dns.port], "resolver.dnssec": "off", **settings})
        with open(d.folder + "/authorities.pem", "wb") as f:
            f.write(self.authority.pem())
        d.settings["relay.ca_file"] = d.folder + "/authorities.pem"
        return self.enterContext(d)

    def deliver(self, d, to, sender="a@plain.example"):
        with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
            client.ehlo("client.example")
            client.mail(sender)
            self.assertEqual(client.rcpt(to)[0], 250)
            code, words = client.data("Subject: x\r\n\r\nx\r\n")
        self.assertEqual(code, 250, words)
        self.ident = re.match(rb"(?:2\.0\.0 )?(\w+)", words).group(1).decode()

        def tried():
            self.shown = d.ctl("queue", "show", self.ident)
            row = self.shown["recipients"][0]
            return row if row["attempts"] > 0 else None
        row = wait_until("an attempt", tried)
        return row["state"], row["security"]["wanted"], row["security"]["got"], row

    def reload(self, d, **settings):
        d.settings.update(settings)
        d.write_config()
        d.ctl("reload")

    def test_destinations_and_senders(self):
        known, stranger, clear = self.server(self.known), self.server([Certificate(HOST)]), self.server()
        d = self.start({"known.example": known, "stranger.example": stranger, "clear.example": clear, "a.below.example": clear},
                       **{"relay.tls_domains": ["known.example=verified", ".below.example=required"], "relay.require_tls": ["law.example", "shop.example=required"]})
        for to, sender, expected in [
            ("x@known.example", "a@plain.example", ("relayed", "verified", "verified")),
            ("x@stranger.example", "a@plain.example", ("relayed", "opportunistic", "opportunistic")),
            ("x@clear.example", "a@plain.example", ("relayed", "opportunistic", "clear")),
            ("x@a.below.example", "a@plain.example", ("waiting", "required", "")),
            ("x@stranger.example", "a@law.example", ("waiting", "verified", "")),
            ("x@stranger.example", "a@shop.example", ("relayed", "required", "required")),
            ("x@clear.example", "a@shop.example", ("waiting", "required", "")),
            ("x@known.example", "a@law.example", ("relayed", "verified", "verified")),
        ]:
            with self.subTest(to, sender=sender):
                self.assertEqual(self.deliver(d, to, sender)[:3], expected, self.shown)
        with self.subTest("by reload"):
            self.reload(d, **{"relay.tls_domains": ["stranger.example=verified"], "relay.require_tls": []})
            self.assertEqual(self.deliver(d, "x@stranger.example")[:3], ("waiting", "verified", ""))
            self.assertEqual(self.deliver(d, "x@a.below.example")[:3], ("relayed", "opportunistic", "clear"))

    def test_exceptions_end(self):
        clear = self.server()
        d = self.start({"late.example": clear, "past.example": clear},
                       **{"relay.tls": "verified", "relay.tls_exceptions": ["late.example=opportunistic until %s: their certificate comes soon" % TOMORROW,
                                                                             "past.example=opportunistic until %s: was forgotten" % YESTERDAY]})
        named = d.wait_log(r"a TLS exception is past its day and counts no longer")
        self.assertRegex(named, r'domain="?past\.example"?.*last_day="?%s"?.*was forgotten' % YESTERDAY)
        state, wanted, got, _ = self.deliver(d, "x@late.example")
        self.assertEqual((state, got), ("relayed", "clear"))
        self.assertEqual(wanted, "opportunistic (exception until %s: their certificate comes soon)" % TOMORROW)
        mark = d.mark()
        self.assertEqual(self.deliver(d, "x@past.example")[:3], ("waiting", "verified", ""))
        self.assertIn("past.example", d.wait_log(r"a TLS exception is past its day", since=mark), "named when it would have counted, too")
        self.assertEqual(len(clear.messages), 1)

    def test_wrong_rows_are_named(self):
        for key, row, words in [("tls_domains", "a.example=strong", "relay.tls_domains: expected a list of"), ("require_tls", "=verified", "relay.require_tls: expected a list of"),
                                ("tls_exceptions", "a.example=required until 2027-02-30: x", "relay.tls_exceptions: expected a list of"),
                                ("tls_exceptions", "a.example=required until 2027-02-28", "relay.tls_exceptions: expected a list of")]:
            with self.subTest(row):
                path = self.enterContext(tempfile_of('[relay]\n%s = ["%s"]\n' % (key, row)))
                done = subprocess.run([mailcheck.bin_dir + "/postern", "-n", "-c", path], capture_output=True, text=True, timeout=60)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(":2: " + words, done.stdout + done.stderr)

    def test_what_happened_is_told(self):
        """Version, cipher, key exchange, forward secrecy, kind of key: of 1.3 and of 1.2, of ECDSA and RSA."""
        modern = self.server(self.known)
        older = self.server(context=context(self.known, "ECDHE-ECDSA-AES256-GCM-SHA384", ssl.TLSVersion.TLSv1_2))
        rsa = self.server(context=rsa_context())
        clear = self.server()
        d = self.start({"modern.example": modern, "older.example": older, "rsa.example": rsa, "clear.example": clear})
        for to, expected in [
            ("x@modern.example", {"version": "TLSv1.3", "cipher": r"TLS_\w+", "key_exchange": "ECDHE", "forward_secrecy": True, "certificate_key": "ECDSA P-256"}),
            ("x@older.example", {"version": "TLSv1.2", "cipher": "ECDHE-ECDSA-AES256-GCM-SHA384", "key_exchange": "ECDHE", "forward_secrecy": True, "certificate_key": "ECDSA P-256"}),
            ("x@rsa.example", {"version": "TLSv1.3", "cipher": r"TLS_\w+", "key_exchange": "ECDHE", "forward_secrecy": True, "certificate_key": "RSA 2048"}),
            ("x@clear.example", {}),
        ]:
            with self.subTest(to):
                mark = d.mark()
                state, wanted, got, row = self.deliver(d, to)
                security = row["security"]
                self.assertEqual((state, wanted, got), ("relayed", "opportunistic", "opportunistic" if expected else "clear"))
                self.assertEqual(security["host"], HOST)
                self.assertRegex(security["address"], r"^127\.0\.0\.1:\d+$")
                self.assertTrue(security["dane"])
                for key in ("version", "cipher", "key_exchange", "forward_secrecy", "certificate_key"):
                    if not expected:
                        self.assertNotIn(key, security)
                    else:
                        self.assertRegex(str(security[key]), "^%s$" % expected[key])
                line = d.wait_log(r'event="remote delivery".*id="?%s' % self.ident, since=mark)
                for key in ("wanted", "got", "key_exchange", "forward_secrecy", "certificate_key", "dane"):
                    self.assertIn(" %s=" % key, line)
                for value in expected.values():
                    if isinstance(value, str):
                        self.assertRegex(line, value)

    def test_nothing_below_tls_1_2(self):
        old = self.server(context=context(self.known, "DEFAULT:@SECLEVEL=0", ssl.TLSVersion.TLSv1_1))
        d = self.start({"old.example": old, "must.example": old}, **{"relay.tls_domains": ["must.example=required"]})
        state, _, _, row = self.deliver(d, "x@must.example")
        self.assertEqual(state, "waiting")
        self.assertIn("handshake", row["reply"]["text"])
        wait_until("the server knows of it", lambda: old.failed_handshakes)
        self.assertEqual(self.deliver(d, "x@old.example")[:3], ("relayed", "opportunistic", "clear"))

    def test_servers_passed_over_are_in_the_history(self):
        """Each attempt is told, also those whose server was left for the next address."""
        server = self.server(replies={"rcpt": b"450 4.2.1 later\r\n"})
        d = self.start({"two.example": server}, host=TWO)
        state, _, got, row = self.deliver(d, "x@two.example")
        self.assertEqual((state, got), ("waiting", "clear"))
        first, last = self.shown["history"][-2:]
        self.assertEqual((first["what"], first["security"]["address"], first["security"]["got"]), ("passed over", "[::1]:%d" % server.port, ""))
        self.assertEqual(first["security"]["obstacle"]["enhanced"], "4.4.1")
        self.assertEqual((last["what"], last["reply"]["code"], last["security"]["got"]), ("deferred", 450, "clear"))
        self.assertIn("[::1]", d.wait_log(r'event="server passed over".*%s' % self.ident))


def rsa_context():
    from cryptography.hazmat.primitives.asymmetric import rsa
    certificate = Certificate(HOST, key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return tls_context([certificate])


class tempfile_of:
    def __init__(self, text):
        self.text = text

    def __enter__(self):
        import tempfile
        self.file = tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False)
        self.file.write(self.text)
        self.file.close()
        return self.file.name

    def __exit__(self, *_):
        os.unlink(self.file.name)


if __name__ == "__main__":
    mailcheck.main()
