#!/usr/bin/python3
"""Mail from outside through the whole daemon, judged against a real name server: what the verdict does to it and what is told about it."""
import os, smtplib, sys, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon  # noqa: E402
from mailcheck import header, messages, wait_message  # noqa: E402
from testdns import TestDNS  # noqa: E402

ALICE = "alice@demo.example"
ZONE = {"zonedata": {
    "pass.example": [{"TXT": "v=spf1 ip4:127.0.0.2 -all"}],
    "fail.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    "soft.example": [{"TXT": "v=spf1 ip4:192.0.2.1 ~all"}],
    "reject.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}], "_dmarc.reject.example": [{"TXT": "v=DMARC1; p=reject"}],
    "junk.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}], "_dmarc.junk.example": [{"TXT": "v=DMARC1; p=quarantine"}],
    "aligned.example": [{"TXT": "v=spf1 ip4:127.0.0.2 -all"}], "_dmarc.aligned.example": [{"TXT": "v=DMARC1; p=reject"}],
    "silent.example": ["SERVFAIL"],
}}


def setUpModule():
    global d, names
    names = TestDNS(ZONE, 0)
    names.start()
    d = Daemon(mailcheck.bin_dir, {"smtp.relay_networks": [], "resolver.upstreams": ["127.0.0.1:%d" % names.port], "resolver.timeout": "1s"})
    unittest.addModuleCleanup(lambda: d.__exit__(None, None, None))
    d.start()
    d.ctl("domain", "add", "demo.example")
    d.ctl("account", "add", ALICE)


def send(domain, subject, extra="", source="127.0.0.2"):
    """The queue's id of the message, from the reply to DATA."""
    with smtplib.SMTP("127.0.0.1", d.smtp_port, local_hostname="client.%s" % domain, source_address=(source, 0), timeout=60) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<carol@%s>" % domain)
        client.docmd("RCPT", "TO:<%s>" % ALICE)
        code, text = client.data(("%sFrom: carol@%s\r\nTo: %s\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n"
                                  % (extra, domain, ALICE, subject)).encode())
    return code, text.decode()


class Flow(unittest.TestCase):
    def accepted(self, domain, subject, folder="Inbox", **more):
        code, text = send(domain, subject, **more)
        self.assertEqual(code, 250, text)
        raw = wait_message(d, ALICE, subject, folder)
        results = header(raw, "Authentication-Results")
        self.assertEqual(len(results), 1, results)
        self.assertTrue(results[0].startswith("mx.demo.example;"), results[0])
        return text.split()[1], raw, results[0]

    def test_spf_results_are_noted(self):
        for domain, result in (("pass.example", "pass"), ("fail.example", "fail"), ("soft.example", "softfail"), ("nothing.example", "none"),
                               ("silent.example", "temperror")):
            with self.subTest(domain):
                self.assertIn("spf=%s" % result, self.accepted(domain, "spf " + domain)[2])

    def test_dmarc_pass_is_noted(self):
        self.assertIn("dmarc=pass", self.accepted("aligned.example", "dmarc pass")[2])

    def test_dmarc_reject_is_a_reply_to_data_and_nothing_is_stored(self):
        code, text = send("reject.example", "dmarc reject")
        self.assertEqual((code, text.split()[0]), (550, "5.7.1"), text)
        self.assertIn("policy of reject.example", text)  # the reason is said to the sender
        self.accepted("pass.example", "sent after the refused one")
        for folder in ("Inbox", "Junk"):
            self.assertNotIn("dmarc reject", [m["subject"] for m in messages(d, ALICE, folder)])

    def test_dmarc_quarantine_lies_in_junk(self):
        self.assertIn("dmarc=fail", self.accepted("junk.example", "dmarc quarantine", folder="Junk")[2])

    def test_forged_results_in_our_name_are_removed_others_stay(self):
        forged = ("Authentication-Results: mx.demo.example; dkim=pass header.d=bank.example\r\n"
                  "Authentication-Results: (x) MX.Demo.Example 1; spf=pass\r\n"
                  "Authentication-Results: other.example; spf=pass smtp.mailfrom=x.example\r\n")
        code, text = send("fail.example", "forged", forged)
        self.assertEqual(code, 250, text)
        raw = wait_message(d, ALICE, "forged")
        results = header(raw, "Authentication-Results")
        self.assertEqual(len(results), 2, results)
        self.assertIn("spf=fail", results[0])
        self.assertEqual(results[1], "other.example; spf=pass smtp.mailfrom=x.example")
        self.assertNotIn(b"bank.example", raw)

    def test_why_explains_the_verdict(self):
        ident, _, _ = self.accepted("fail.example", "explained")
        told = d.ctl("message", "why", ident, as_json=False).stdout
        self.assertRegex(told, r"(?is)spf.*fail.*fail\.example|fail\.example.*spf.*fail")
        self.assertIsInstance(d.ctl("message", "why", ident), dict)


class NameServerGone(unittest.TestCase):
    """Runs last by its name: it takes the name server away."""

    @classmethod
    def setUpClass(cls):
        names.close()

    def test_temperror_is_noted_and_the_message_taken(self):
        code, text = send("unseen.example", "no name server")
        self.assertEqual(code, 250, text)
        self.assertIn("spf=temperror", header(wait_message(d, ALICE, "no name server"), "Authentication-Results")[0])


class MailCommands(unittest.TestCase):
    def test_a_message_is_flagged_moved_and_removed_and_folders_come_and_go(self):
        address = "alice@demo.example"
        with Daemon(mailcheck.bin_dir) as d:
            d.ctl("domain", "add", "demo.example")
            d.ctl("account", "add", address)
            with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                client.sendmail("a@good.example", [address], b"From: a@good.example\r\nSubject: to keep\r\n\r\ntext\r\n")
            mailcheck.wait_message(d, address, "to keep")
            uid = str(mailcheck.messages(d, address)[0]["uid"])
            self.assertEqual(d.ctl("mail", "flag", address, uid, "--add", "seen", "--add", "flagged")["flags"], ["seen", "flagged"])
            self.assertEqual(d.ctl("mail", "flag", address, uid, "--take", "seen")["flags"], ["flagged"])
            self.assertIn("no flag", d.ctl("mail", "flag", address, uid, "--add", "purple", check=False).stderr)
            d.ctl("mail", "add-folder", address, "Bills")
            moved = str(d.ctl("mail", "move", address, uid, "Bills")["uid"])
            self.assertEqual(mailcheck.messages(d, address), [])
            self.assertEqual([m["flags"] for m in mailcheck.messages(d, address, "Bills")], [["flagged"]])
            self.assertIn("not empty", d.ctl("mail", "remove-folder", address, "Bills", check=False).stderr)
            d.ctl("mail", "remove", address, moved, "--folder", "Bills")
            d.ctl("mail", "remove-folder", address, "Bills")
            self.assertEqual([f["folder"] for f in d.ctl("mail", "folders", address)["folders"]], ["Inbox", "Sent", "Drafts", "Junk", "Trash"])


if __name__ == "__main__":
    mailcheck.main()
