#!/usr/bin/python3
"""Servers that hang, reset, say 421, lie or babble at every phase of a delivery, against a whole daemon: the queue's state right after each, nothing lost,
and nothing sent twice without need."""
import os, re, smtplib, sys, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from mail_server import HANG, RESET, MailServer  # noqa: E402
from mailcheck import messages  # noqa: E402
from starttls_server import Certificate  # noqa: E402

PHASES = ["banner", "ehlo", "starttls", "tls", "ehlo-tls", "mail", "rcpt", "data", "body", "end"]
WAYS = {"hang": HANG, "reset": RESET, "421": b"421 4.3.2 going down\r\n"}
TIMES_OUT = {"banner": "the greeting", "ehlo": "EHLO", "starttls": "STARTTLS", "ehlo-tls": "EHLO", "mail": "MAIL", "rcpt": "RCPT", "data": "DATA",
             "body": "the end of the message", "end": "the end of the message"}
LONG = b"".join(b"250-line %d\r\n" % i for i in range(10_000)) + b"250 the last\r\n"
LARGE = "Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * 60_000


class Hostile(unittest.TestCase):
    def start(self, servers, **more):
        routes = ["%s=127.0.0.1:%d" % (domain, server.port) for domain, server in servers.items()]
        settings = {"relay.routes": routes, "relay.timeout_scale_percent": 3, "relay.session_idle": "0s", "relay.max_sessions_per_host": 40, **more}
        d = self.enterContext(Daemon(mailcheck.bin_dir, settings))
        d.ctl("domain", "add", "demo.example")
        d.ctl("account", "add", "alice@demo.example")
        return d

    def send(self, d, recipients, text="Subject: x\r\n\r\nx\r\n"):
        with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
            client.ehlo("client.example")
            client.mail("alice@demo.example")
            for r in recipients:
                self.assertEqual(client.rcpt(r)[0], 250)
            code, words = client.data(text)
        self.assertEqual(code, 250, words)
        return re.match(rb"(?:2\.0\.0 )?(\w+)", words).group(1).decode()

    def tried(self, d, ident, attempts=1):
        """The recipients, once each was tried so often or has ended."""
        def rows():
            found = d.ctl("queue", "show", ident)["recipients"]
            return found if all(r["attempts"] >= attempts or r["state"] != "waiting" for r in found) else None
        return wait_until("%d attempts of %s" % (attempts, ident), rows, 120)

    def recover(self, d, idents):
        """Everybody behaves now: what waits is tried again and leaves."""
        d.ctl("queue", "retry", "--all")
        for ident in idents:
            for row in self.tried(d, ident, 2):
                self.assertIn(row["state"], ("relayed", "failed"), row)
        wait_until("an empty queue", lambda: d.ctl("queue", "list")["total"] == 0)

    def test_every_phase(self):
        servers, cases = {}, {}
        certificate = Certificate("localhost")
        for pipelining in (True, False):
            offers = ["8BITMIME", "SIZE 50000000", "DSN"] + ["PIPELINING"] * pipelining
            for phase in PHASES:
                for way, reply in WAYS.items():
                    domain = "%s-%s-%s.example" % (phase, way, "group" if pipelining else "single")
                    servers[domain] = self.enterContext(MailServer([certificate], offers=offers, replies={phase: reply}, receive_buffer=65536))
                    cases[domain] = (phase, way)
        d = self.start(servers, **{"smtp.max_messages": 1000})
        idents = {domain: self.send(d, ["x@" + domain], LARGE if phase == "body" else "Subject: x\r\n\r\nx\r\n") for domain, (phase, _) in cases.items()}
        for domain, (phase, way) in cases.items():
            row, = self.tried(d, idents[domain])
            server = servers[domain]
            with self.subTest(domain):
                if phase == "tls":  # opportunistic: a handshake that fails means clear text, in the same attempt
                    self.assertEqual((row["state"], row["tls"], len(server.messages)), ("relayed", "", 1), row)
                    continue
                self.assertEqual((row["state"], row["attempts"]), ("waiting", 1), row)
                self.assertEqual(row["reply"]["code"], 421 if way == "421" else 451, row)
                self.assertEqual(len(server.messages), 0)
                if way == "hang":
                    self.assertIn("timed out waiting for " + TIMES_OUT[phase], row["reply"]["text"])
                if way == "421":
                    self.assertIn("going down", row["reply"]["text"])
                if PHASES.index(phase) <= PHASES.index("ehlo-tls"):
                    self.assertEqual(server.count("MAIL"), 0)
            server.replies.clear()
        self.recover(d, idents.values())
        for domain, (phase, way) in cases.items():
            with self.subTest(domain, then="behaves"):
                self.assertEqual(len(servers[domain].messages), 1, "it was answered 250 once")
                # Only where the end was sent and not answered well may the server have seen it twice.
                self.assertEqual(len(servers[domain].ended), 2 if phase == "end" else 1)
        self.assertEqual(messages(d, "alice@demo.example"), [], "no report: nothing has failed")

    def test_replies_that_are_wrong(self):
        certificate = Certificate("localhost")
        cases = {
            # name: (replies, state, code or None, words of the queue's reply)
            "inject": ({"starttls": b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n"}, "waiting", 451, "after the reply to STARTTLS"),
            "inject-part": ({"starttls": b"220 go\r\n25"}, "waiting", 451, "after the reply to STARTTLS"),
            "long-banner": ({"banner": LONG.replace(b"250", b"220")}, "waiting", 451, ""),
            "long-ehlo": ({"ehlo": LONG}, "waiting", 451, ""),
            "long-mail": ({"mail": LONG}, "waiting", 451, ""),
            "long-rcpt": ({"rcpt": LONG.replace(b"250", b"550")}, "waiting", 451, ""),
            "long-data": ({"data": LONG}, "waiting", 451, ""),
            "long-end": ({"end": LONG}, "waiting", 451, ""),
            "endless-line": ({"mail": b"250 " + b"x" * 1_000_000 + b"\r\n"}, "waiting", 451, ""),
            "nul-words": ({"end": b"250 2.0.0 ta\0ken\0\r\n"}, "relayed", 250, "ken"),
            "nul-code": ({"mail": b"\0\0\0 ok\r\n"}, "waiting", 451, ""),
            "nul-refusal": ({"rcpt": b"550 5.1.1 no\0body\x1b[2J\r\n"}, "failed", 550, "body"),
            "no-digits": ({"ehlo": b"hello there\r\n"}, "waiting", 451, ""),
            "mixed-codes": ({"mail": b"250-yes\r\n550 no\r\n"}, "waiting", 451, ""),
            "codes-99": ({"rcpt": b"999 5.1.1 what\r\n"}, "waiting", 451, ""),
            "354-to-rcpt": ({"rcpt": b"354 go on\r\n"}, "waiting", 451, ""),
            "250-to-data": ({"data": b"250 2.0.0 done\r\n"}, "waiting", 451, ""),
            "surplus": ({"mail": b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"}, "waiting", 451, ""),
            "banner-554": ({"banner": b"554 5.3.2 go away\r\n"}, "failed", 554, "go away"),
        }
        servers = {name + ".example": self.enterContext(MailServer([certificate], replies=replies)) for name, (replies, *_) in cases.items()}
        d = self.start(servers)
        idents = {name: self.send(d, ["x@%s.example" % name]) for name in cases}
        for name, (_, state, code, words) in cases.items():
            row, = self.tried(d, idents[name])
            server = servers[name + ".example"]
            with self.subTest(name):
                self.assertEqual((row["state"], row["reply"]["code"]), (state, code), row)
                self.assertIn(words, row["reply"]["text"])
                self.assertTrue(row["reply"]["text"].isprintable(), "a reply is one printable line")
                self.assertLess(len(row["reply"]["text"]), 2000)
                if name.startswith("inject"):
                    self.assertEqual((server.count("MAIL"), row["reply"]["enhanced"]), (0, "4.7.0"))
                    self.assertIn("bytes put into a connection", d.wait_log("bytes put into a connection.*%s" % idents[name]))
            server.replies.clear()
        self.recover(d, [idents[name] for name, (_, state, *_) in cases.items() if state == "waiting"])
        for name, (_, state, *_) in cases.items():
            if state == "waiting":
                self.assertEqual(len(servers[name + ".example"].messages), 1, name)
        wait_until("a report for each that failed", lambda: len(messages(d, "alice@demo.example")) == sum(1 for c in cases.values() if c[1] == "failed"))

    def test_one_of_three_is_refused_and_one_must_wait(self):
        replies = {"rcpt no@mixed.example": b"550 5.1.1 nobody\r\n", "rcpt later@mixed.example": b"450 4.2.1 greylisted\r\n"}
        for offers in (["PIPELINING", "8BITMIME"], ["8BITMIME"]):
            with self.subTest(offers=offers):
                server = self.enterContext(MailServer(offers=offers, replies=replies))
                d = self.start({"mixed.example": server})
                ident = self.send(d, ["yes@mixed.example", "no@mixed.example", "later@mixed.example"])
                states = {r["recipient"]: (r["state"], r["reply"]["enhanced"]) for r in self.tried(d, ident)}
                self.assertEqual(states, {"yes@mixed.example": ("relayed", "2.0.0"), "no@mixed.example": ("failed", "5.1.1"), "later@mixed.example": ("waiting", "4.2.1")})
                self.assertEqual([m.recipients for m in server.messages], [["yes@mixed.example"]])
                server.replies.clear()
                d.ctl("queue", "retry", ident)
                wait_until("the last one", lambda: len(server.messages) == 2)
                self.assertEqual(server.messages[1].recipients, ["later@mixed.example"])
                self.assertEqual(server.count("RCPT TO:<YES"), 1, "who has it is not asked again")
                self.assertEqual(server.count("RCPT TO:<NO@"), 1)
                report, = wait_until("one report", lambda: messages(d, "alice@demo.example"))
                self.assertIn("could not be delivered", report["subject"])


if __name__ == "__main__":
    mailcheck.main()
