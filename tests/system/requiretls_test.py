#!/usr/bin/python3
"""REQUIRETLS and TLS-Required (RFC 8689) through a whole daemon: taken under TLS only, carried to the next server that promises it and has proved who
it is, and otherwise sent back, with a report that is guarded alike."""
import email, os, re, smtplib, ssl, sys, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import dane_lab, mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from dane_lab import VALIDATING, ZONES, Lab  # noqa: E402
from mail_server import MailServer  # noqa: E402
from mailcheck import wait_message  # noqa: E402
from starttls_server import Certificate  # noqa: E402

PROMISES, KEEPS_NOT, NO_TLS, REPORTS = "127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.24"
BODY = "Subject: secret\r\n\r\nthe body that stays unseen\r\n"


class RequireTls(unittest.TestCase):
    def setUp(self):
        own, other = Certificate("mx.lab"), Certificate("other.lab")
        zones = {zone: [] for zone in ZONES.values()}
        good = zones["good.lab"]
        for name, address, certificate in [("promises", PROMISES, own), ("keepsnot", KEEPS_NOT, own), ("notls", NO_TLS, None), ("reports", REPORTS, own), ("wrong", PROMISES, other)]:
            good += ["%s MX 10 mx.%s" % (name, name), "mx.%s A %s" % (name, address)]
            if certificate:
                good.append("_25._tcp.mx.%s TLSA %s" % (name, certificate.tlsa(3, 1, 1)))
        good += ["unnamed MX 10 mx.unnamed", "mx.unnamed A " + PROMISES]  # no TLSA record, and no authority knows the certificate
        zones["plain.lab"] = ["promises MX 10 mx.promises.good.lab."]
        self.promises = self.enterContext(MailServer([own], address=PROMISES, port=25, offers_tls=["REQUIRETLS"]))
        self.keeps_not = self.enterContext(MailServer([own], address=KEEPS_NOT, port=25))
        self.no_tls = self.enterContext(MailServer(address=NO_TLS, port=25))
        self.reports = self.enterContext(MailServer([own], address=REPORTS, port=25, offers_tls=["REQUIRETLS"]))
        lab = self.enterContext(Lab(zones))
        settings = {"resolver.upstreams": [VALIDATING + ":53"], "resolver.probe_secure": "good.lab", "resolver.probe_bogus": "", "resolver.timeout": "5s"}
        self.d = self.enterContext(Daemon(mailcheck.bin_dir, settings))
        self.d.wait_log("DNSSEC answers are trusted: DANE is on")
        self.d.ctl("domain", "add", "demo.example")
        self.d.ctl("account", "add", "alice@demo.example")

    def client(self, tls=True):
        client = self.enterContext(smtplib.SMTP("127.0.0.1", self.d.smtp_port, timeout=60))
        client.ehlo("client.lab")
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.starttls(context=context)
            client.ehlo("client.lab")
        return client

    def send(self, to, sender="a@reports.good.lab", options=("REQUIRETLS",), body=BODY):
        client = self.client()
        self.assertEqual(client.mail(sender, list(options))[0], 250)
        self.assertEqual(client.rcpt(to)[0], 250)
        code, words = client.data(body)
        self.assertEqual(code, 250, words)
        return re.match(rb"(?:2\.0\.0 )?(\w+)", words).group(1).decode()

    def outcome(self, ident):
        def tried():
            shown = self.d.ctl("queue", "show", ident)["recipients"][0]
            return shown if shown["attempts"] > 0 else None
        shown = wait_until("an attempt", tried)
        return shown["state"], shown["reply"]["enhanced"], shown

    def test_it_is_offered_and_taken_under_tls_only(self):
        clear = self.client(tls=False)
        self.assertFalse(clear.has_extn("requiretls"))
        self.assertEqual(clear.mail("a@reports.good.lab", ["REQUIRETLS"])[0], 530)
        secure = self.client()
        self.assertTrue(secure.has_extn("requiretls"))
        self.assertEqual(secure.mail("a@reports.good.lab", ["REQUIRETLS"])[0], 250)
        self.assertEqual(secure.rset()[0], 250)
        self.assertEqual(secure.mail("a@reports.good.lab", ["REQUIRETLS=1"])[0], 501)

    def test_it_goes_where_it_is_promised_and_proved(self):
        state, _, shown = self.outcome(self.send("x@promises.good.lab"))
        self.assertEqual(state, "relayed", shown)
        message, = self.promises.wait(1)
        self.assertIn(" REQUIRETLS", message.mail_line)
        self.assertTrue(message.tls)
        self.assertEqual((shown["security"]["wanted"], shown["security"]["got"]), ("dane+requiretls", "dane"))
        with self.subTest("to a mailbox of ours"):
            self.send("alice@demo.example")
            wait_message(self.d, "alice@demo.example", "secret")

    def test_where_it_cannot_be_kept_the_sender_hears_and_nobody_else(self):
        for to, status in [("x@keepsnot.good.lab", "5.7.30"), ("x@notls.good.lab", "5.7.10"), ("x@wrong.good.lab", "5.7.10"), ("x@unnamed.good.lab", "5.7.10"),
                           ("x@promises.plain.lab", "5.7.10")]:
            with self.subTest(to):
                before = len(self.reports.messages)
                state, enhanced, shown = self.outcome(self.send(to, options=("REQUIRETLS", "RET=FULL")))
                self.assertEqual((state, enhanced), ("failed", status), shown)
                report = self.reports.wait(before + 1)[-1]
                self.assertIn(" REQUIRETLS", report.mail_line, "RFC 8689 section 5: the report is guarded as the message was")
                self.assertEqual(report.sender, "")
                self.assertTrue(report.tls)
                self.assertNotIn(b"the body that stays unseen", report.text, "as if RET=HDRS had been said")
                parts = [part.get_content_type() for part in email.message_from_bytes(report.text).walk()]
                self.assertIn("message/delivery-status", parts)
                self.assertIn(status.encode(), report.text)
        for server in (self.promises, self.keeps_not, self.no_tls):
            self.assertEqual(server.count("MAIL"), 0)

    def test_tls_required_no(self):
        """RFC 8689 section 3: DANE of the destination does not stop it; REQUIRETLS is the stronger word."""
        wish = "TLS-Required: No\r\n" + BODY
        self.assertEqual(self.outcome(self.send("x@wrong.good.lab", options=()))[0], "waiting")
        state, _, shown = self.outcome(self.send("x@wrong.good.lab", options=(), body=wish))
        self.assertEqual(state, "relayed", shown)
        self.assertEqual((shown["security"]["got"], shown["security"]["dane"]), ("opportunistic", "not asked: TLS-Required: No"))
        self.assertNotIn("REQUIRETLS", self.promises.wait(1)[0].mail_line)
        self.assertEqual(self.outcome(self.send("x@wrong.good.lab", body=wish))[:2], ("failed", "5.7.10"))


if __name__ == "__main__":
    dane_lab.in_namespace()
    mailcheck.main()
