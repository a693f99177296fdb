#!/usr/bin/python3
"""Reports to senders, from the whole daemon: each action, each wish of RFC 3461, read by Python's email package and by our own parser."""
import email, email.policy, json, os, re, smtplib, subprocess, sys, tempfile, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, free_port, wait_until  # noqa: E402
from mailcheck import messages, show  # noqa: E402
from smtp_sink import Sink  # noqa: E402

ALICE, BOB, CAROL, TEAM = ("%s@demo.example" % name for name in ("alice", "bob", "carol", "team"))
REFUSED = '550 5.1.1 No "such" <user>; =?utf-8?Q?here?= \x1b[31m'


def setUpModule():
    global d, sink
    sink = Sink(refuse={"refused@sink.example": REFUSED, "also@sink.example": "550-5.7.1 first line\r\n550 5.7.1 second line",
                        "j\u00fcrg@sink.example": "550 5.1.1 unknown"})
    d = Daemon(mailcheck.bin_dir, {"relay.routes": ["sink.example=127.0.0.1:%d" % sink.port, "dead.example=127.0.0.1:%d" % free_port()],
                                   "smtp.relay_networks": ["127.0.0.1/32"], "verify.enabled": False, "queue.warn_after": "15s"})
    unittest.addModuleCleanup(lambda: d.__exit__(None, None, None))
    d.start()
    d.ctl("domain", "add", "demo.example")
    for account in (ALICE, BOB, CAROL):
        d.ctl("account", "add", account)
    d.ctl("alias", "add", TEAM, BOB, CAROL)


def send(subject, recipients, mail="", sender=ALICE, source="127.0.0.1", header=b""):
    """`recipients`: (address, RCPT parameters). The queue's id."""
    with smtplib.SMTP("127.0.0.1", d.smtp_port, local_hostname="client.example", source_address=(source, 0), timeout=60) as client:
        client.ehlo()
        said = [client.docmd(("MAIL FROM:<%s> %s" % (sender, mail)).rstrip())]
        client.command_encoding = "utf-8"
        said += [client.docmd(("RCPT TO:<%s> %s" % row).rstrip()) for row in recipients]
        for code, text in said:
            assert code == 250, (code, text)
        code, text = client.data(header + b"From: a@demo.example\r\nSubject: %s\r\nMessage-ID: <%s@demo.example>\r\n\r\nthe body\r\n"
                                 % (subject.encode(), subject.replace(" ", ".").encode()))
        assert code == 250, (code, text)
        return text.decode().split()[1]


class Report:
    """A report as Python's email package sees it, once our own parser has agreed on its structure."""

    def __init__(self, raw):
        self.raw = raw
        self.message = email.message_from_bytes(raw, policy=email.policy.default)
        self.parts = list(self.message.iter_parts())
        assert not self.message.defects and not any(p.defects for p in self.message.walk()), self.message.defects
        with tempfile.NamedTemporaryFile(suffix=".eml") as f:
            f.write(raw)
            f.flush()
            done = subprocess.run([d.bin + "/posternctl", "check", "mime", f.name], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        ours = json.loads(done.stdout)
        assert ours["problems"] == [], ours["problems"]
        assert ours["structure"]["type"] == "multipart/report"
        assert [p["type"] for p in ours["structure"]["parts"]] == [p.get_content_type() for p in self.parts]
        assert ours["longest_line"] <= 998
        groups = self.parts[1].get_payload()
        if isinstance(groups, str):  # a type Python does not know: message/global-delivery-status
            groups = [email.message_from_string(g, policy=email.policy.default) for g in groups.replace("\r\n", "\n").strip().split("\n\n")]
        self.about, self.recipients = groups[0], [g for g in groups[1:] if g.keys()]

    text = property(lambda self: self.parts[0].get_content())
    returned = property(lambda self: self.parts[2])

    def fields(self, name):
        return [" ".join(str(g[name]).split()) for g in self.recipients]


def reports_about(subject, address=ALICE):
    """The reports in the inbox whose In-Reply-To names the message."""
    found = []
    for row in messages(d, address):
        raw = show(d, address, row["uid"])
        if ("In-Reply-To: <%s@demo.example>" % subject.replace(" ", ".")).encode() in raw:
            found.append(raw)
    return found


def wait_report(subject):
    raws = wait_until("a report about %r" % subject, lambda: reports_about(subject), 60)
    assert len(raws) == 1, len(raws)
    return Report(raws[0])


class Reports(unittest.TestCase):
    def one(self, subject, recipients, action, **more):
        ident = send(subject, recipients, **more)
        report = wait_report(subject)
        self.assertEqual(report.fields("Action"), [action] * len(report.recipients))
        self.assertEqual(report.message["Auto-Submitted"], "auto-replied")
        self.assertEqual(report.message.get_param("report-type"), "delivery-status")
        self.assertEqual(report.about["Reporting-MTA"], "dns; mx.demo.example")
        return report, ident

    def test_failed_is_one_report_with_every_recipient_and_the_remotes_words(self):
        report, ident = self.one("two failed", [("refused@sink.example", ""), ("also@sink.example", ""), ("good@sink.example", "")], "failed")
        self.assertEqual(sorted(report.fields("Final-Recipient")), ["rfc822;also@sink.example", "rfc822;refused@sink.example"])
        self.assertEqual(sorted(report.fields("Status")), ["5.1.1", "5.7.1"])
        self.assertIn('"550 5.1.1 No "such" <user>', report.text)
        self.assertIn("second line", report.text)
        self.assertNotIn("\x1b", report.raw.decode("latin-1"))
        self.assertIn("Subject: two failed", report.returned.get_payload())
        self.assertNotIn("the body", report.raw.decode("latin-1"))
        self.assertEqual(report.returned.get_content_type(), "text/rfc822-headers")
        states = {r["recipient"]: r["state"] for r in d.ctl("queue", "show", ident)["recipients"]}
        self.assertEqual(states["good@sink.example"], "relayed")

    def test_ret_full_returns_the_message(self):
        report, _ = self.one("ret full", [("refused@sink.example", "")], "failed", mail="RET=FULL")
        self.assertEqual(report.returned.get_content_type(), "message/rfc822")
        self.assertIn("the body", report.returned.get_payload()[0].get_payload())

    def test_envid_and_orcpt_are_decoded_and_handed_back(self):
        report, _ = self.one("envid", [("refused@sink.example", "NOTIFY=FAILURE ORCPT=rfc822;Bob+2BWork@old.example")], "failed", mail="ENVID=an+2Bid RET=HDRS")
        self.assertEqual(report.about["Original-Envelope-Id"], "an+id")
        self.assertEqual(report.fields("Original-Recipient"), ["rfc822;Bob+Work@old.example"])

    def test_delivered(self):
        report, _ = self.one("delivered", [(BOB, "NOTIFY=SUCCESS,FAILURE")], "delivered")
        self.assertEqual(report.fields("Final-Recipient"), ["rfc822;" + BOB])
        self.assertTrue(report.fields("Status")[0].startswith("2."))

    def test_relayed_to_a_server_that_knows_no_dsn(self):
        self.one("relayed", [("good@sink.example", "NOTIFY=SUCCESS")], "relayed")

    def test_expanded_once_for_an_alias_with_several_targets(self):
        report, _ = self.one("expanded", [(TEAM, "NOTIFY=SUCCESS,FAILURE")], "expanded")
        self.assertEqual(report.fields("Final-Recipient"), ["rfc822;" + TEAM])
        for account in (BOB, CAROL):
            self.assertEqual(len([m for m in wait_until("delivery", lambda: messages(d, account)) if m["subject"] == "expanded"]), 1)
        self.assertNotIn(BOB, report.raw.decode("latin-1"), "where an alias leads is not told")

    def test_delayed_then_nothing_more_while_it_is_tried(self):
        report, ident = self.one("delayed", [("late@dead.example", "")], "delayed")
        self.assertTrue(report.fields("Status")[0].startswith("4."))
        self.assertIn("Will-Retry-Until", report.recipients[0])
        self.assertIn("we go on trying", str(report.message["Subject"]))
        d.ctl("queue", "drop", ident)

    def test_what_nobody_is_told(self):
        """NOTIFY=NEVER, a success nobody asked for, a null sender, a stranger nothing vouches for: silence. The last is logged and counted."""
        mark = d.mark()
        send("never", [("refused@sink.example", "NOTIFY=NEVER")])
        send("success unasked", [("good@sink.example", "NOTIFY=FAILURE")])
        send("null sender", [("refused@sink.example", "NOTIFY=FAILURE")], sender="")
        d.ctl("alias", "add", "out@demo.example", "refused@sink.example")
        send("stranger", [("out@demo.example", "")], sender="victim@elsewhere.example", source="127.0.0.2")
        d.wait_log(r'event="no report is sent".*to=victim@elsewhere\.example', since=mark)
        send("told at last", [("refused@sink.example", "")])  # behind the others, so they have had their time
        wait_report("told at last")
        for subject in ("never", "success unasked", "null sender", "stranger"):
            self.assertEqual(reports_about(subject), [], subject)
        self.assertEqual([m for m in sink.messages if m["to"] == ["victim@elsewhere.example"]], [])

    def test_addresses_in_utf8(self):
        report, _ = self.one("utf-8", [("j\u00fcrg@sink.example", "ORCPT=utf-8;j\\x{FC}rg@sink.example")], "failed", mail="SMTPUTF8",
                             header="X-Name: J\u00fcrg\r\n".encode())
        self.assertEqual(report.fields("Final-Recipient"), ["utf-8;j\\x{FC}rg@sink.example"], "the sender's own address needs no SMTPUTF8")
        self.assertEqual(report.parts[1].get_content_type(), "message/delivery-status")
        self.assertEqual(report.returned.get_content_type(), "message/global-headers")
        self.assertIn("<j\u00fcrg@sink.example>", report.text)


if __name__ == "__main__":
    mailcheck.main()
