#!/usr/bin/python3
"""A real Postfix that refuses: at once, which we tell our user, and after it has taken the message, which comes back to a return path of ours."""
import email, email.policy, os, smtplib, sys, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
import postfix_test  # noqa: E402
from daemon import wait_until  # noqa: E402
from mailcheck import header, messages, run, show  # noqa: E402

ALICE = "alice@demo.example"
MORE = """
smtpd_recipient_restrictions = check_recipient_access inline:{{refused@postfix.example = 550 5.1.1 Never heard of them}}, permit_mynetworks, reject
transport_maps = inline:{{late@postfix.example = refusing:}}
"""
# Takes the message and then has no such user (sysexits(3) EX_NOUSER).
REFUSING = "refusing unix - n n - - pipe flags=DR user=nobody argv=/bin/sh -c {exit 67}\n"


class Refusing(postfix_test.Postfix):
    test_both_directions = None

    def setUp(self):
        super().setUp()
        with open(self.at + "/etc/main.cf", "a") as f:
            f.write(MORE)
        with open(self.at + "/etc/master.cf", "a") as f:
            f.write(REFUSING)
        run(["postfix", "-c", self.at + "/etc", "reload"])
        self.daemon.settings["verify.enabled"] = False

    def send(self, d, to, subject, parameters=""):
        with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
            client.ehlo()
            client.docmd("MAIL FROM:<%s>" % ALICE)
            client.docmd(("RCPT TO:<%s> %s" % (to, parameters)).rstrip())
            code, text = client.data(b"From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\nhello\r\n" % (ALICE.encode(), to.encode(), subject.encode()))
            self.assertEqual(code, 250, text)
            return text.decode().split()[1]

    def history(self, d, ident, what):
        rows = wait_until("%r in the history of %s" % (what, ident),
                          lambda: [row for row in d.ctl("queue", "show", ident)["history"] if row["what"] == what], 60)
        self.assertEqual(len(rows), 1, rows)
        return rows[0]

    def report(self, d, count):
        """The newest of so many messages in the inbox, as Python's email package reads it: its groups of recipients."""
        rows = wait_until("%d messages" % count, lambda: (lambda rows: rows if len(rows) >= count else None)(messages(d, ALICE)), 60)
        raw = show(d, ALICE, max(row["uid"] for row in rows))
        message = email.message_from_bytes(raw, policy=email.policy.default)
        self.assertEqual((message.get_content_type(), message.get_param("report-type")), ("multipart/report", "delivery-status"))
        return raw, [group for group in list(message.iter_parts())[1].get_payload()[1:] if group.keys()]

    def test_refused_at_once_after_a_while_and_forged(self):
        with self.daemon as d:
            d.ctl("domain", "add", "demo.example")
            d.ctl("account", "add", ALICE)
            with self.subTest("refused at once: our own report"):
                ident = self.send(d, "refused@postfix.example", "at once")
                raw, recipients = self.report(d, 1)
                self.assertEqual([str(r["Final-Recipient"]) for r in recipients], ["rfc822;refused@postfix.example"])
                self.assertEqual([str(r["Action"]) for r in recipients], ["failed"])
                self.assertIn("Never heard of them", raw.decode())
                self.assertEqual(d.ctl("queue", "show", ident)["recipients"][0]["state"], "failed")
            with self.subTest("taken, then refused: Postfix's report, and the history of what we sent says so"):
                ident = self.send(d, "late@postfix.example", "later")
                row = self.history(d, ident, "bounced later")
                self.assertEqual(row["recipients"], ["late@postfix.example"])
                self.assertEqual(row["server"], "postfix.example")
                self.assertTrue(row["reply"]["enhanced"].startswith("5."), row)
                self.assertEqual(d.ctl("queue", "show", ident)["recipients"][0]["state"], "relayed", "it had been taken")
                raw, recipients = self.report(d, 2)
                self.assertEqual([str(r["Action"]) for r in recipients], ["failed"])
                path = header(raw, "To")[0].strip("<>")
                self.assertRegex(path, r"^alice\+b-[a-z2-7]+-[a-z2-7]{13}@demo\.example$")
            with self.subTest("a success asked for: Postfix knows DSN and reports it itself"):
                other = self.send(d, "bob@postfix.example", "success", "NOTIFY=SUCCESS")
                self.history(d, other, "delivered later")
            with self.subTest("a forged return path is ordinary mail"):
                forged = path.replace("@", "a@") if not path.split("@")[0].endswith("a") else path.replace("a@", "b@")
                before = len(d.ctl("queue", "show", ident)["history"])
                count = len(messages(d, ALICE))
                with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                    client.sendmail("", [forged], raw)
                wait_until("its delivery", lambda: len(messages(d, ALICE)) > count)
                self.assertEqual(len(d.ctl("queue", "show", ident)["history"]), before)
            with self.subTest("a later daemon knows the return paths of an earlier one"):
                d.stop()
                d.reader.join(10)
                d.lines.clear()
                d.start()
                with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                    client.sendmail("", [path], raw)
                wait_until("a second note", lambda: len([r for r in d.ctl("queue", "show", ident)["history"] if r["what"] == "bounced later"]) == 2)


if __name__ == "__main__":
    mailcheck.main()
