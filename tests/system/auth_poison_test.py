#!/usr/bin/python3
"""Messages over which the verifier dies. It is a verifier with a fault (tests/support/crashing_verifier.cc) in an otherwise whole daemon.

The first time the client is asked to try again; the second time the message is taken and kept, unread, for a person; no other mail suffers."""
import os, shutil, smtplib, sys, threading, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from hostile import executables_with  # noqa: E402
from mailcheck import header, messages, wait_message  # noqa: E402
from testdns import TestDNS  # noqa: E402

ALICE, WHY = "alice@demo.example", "the verifier died on it twice"
OURS, STRANGER = "127.0.0.1", "127.0.0.2"  # the first may relay: its mail goes by way of the outbound verifier
ZONE = {"zonedata": {"sender.example": [{"TXT": "v=spf1 ip4:127.0.0.2 -all"}], "slow.example": ["TIMEOUT"]}}


def setUpModule():
    global d, names
    names = TestDNS(ZONE, 0)
    names.start()
    folder = executables_with(mailcheck.bin_dir, crashing, "postern-verifier")
    unittest.addModuleCleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    d = Daemon(mailcheck.bin_dir, {"smtp.relay_networks": [OURS + "/32"], "resolver.upstreams": ["127.0.0.1:%d" % names.port], "resolver.timeout": "30s",
                                   "verify.deadline": "60s", "server.restart_backoff_max": "1s"}, executables=folder)
    unittest.addModuleCleanup(lambda: d.__exit__(None, None, None))
    d.start()
    d.ctl("domain", "add", "demo.example")
    d.ctl("account", "add", ALICE)


def send(subject, extra="", source=STRANGER, sender="carol@sender.example"):
    """(code, text) of the reply to DATA."""
    with smtplib.SMTP("127.0.0.1", d.smtp_port, local_hostname="client.example", source_address=(source, 0), timeout=300) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<%s>" % sender)
        code, text = client.docmd("RCPT", "TO:<%s>" % ALICE)
        assert code == 250, text
        code, text = client.data(("%sFrom: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n"
                                  % (extra, sender, ALICE, subject)).encode())
        return code, text.decode()


def deaths(role="verifier-in"):
    return d.status()[role]["restarts"]


def wait_verifier(role="verifier-in"):
    wait_until("a running %s" % role, lambda: d.status()[role]["state"] == "running")


def send_until_read(*args, **more):
    """As send(), when a verifier is there to read it: while it is being started again, the answer is "try later"."""
    return wait_until("a verifier takes a message", lambda: (lambda reply: reply if reply[0] != 451 else None)(send(*args, **more)))


def held(subject_id):
    rows = [m for m in d.ctl("queue", "list", "--state", "held")["messages"] if m["id"] == subject_id]
    return rows[0] if rows else None


class Poison(unittest.TestCase):
    def kill_with(self, subject, extra, **more):
        """Sends a message over which the verifier dies; the client is to try again."""
        role = "verifier-out" if more.get("source") == OURS else "verifier-in"
        wait_verifier(role)
        before = deaths(role)
        code, text = send(subject, extra, **more)
        self.assertEqual((code, text.split()[0]), (451, "4.3.0"), text)
        wait_until("the death is counted", lambda: deaths(role) == before + 1)

    def parked(self, subject, extra, **more):
        """Sends it to the second death. The id in the queue."""
        role = "verifier-out" if more.get("source") == OURS else "verifier-in"
        self.kill_with(subject, extra, **more)
        wait_verifier(role)
        before = deaths(role)
        code, text = send(subject, extra, **more)
        self.assertEqual(code, 250, text)
        wait_until("the death is counted", lambda: deaths(role) == before + 1)
        ident = text.split()[1]
        self.assertEqual(held(ident)["held_reason"], WHY)
        return ident

    def drop(self, ident):
        self.assertEqual(d.ctl("queue", "drop", ident)["messages"], 1)
        self.assertIsNone(held(ident))

    def test_the_second_death_parks_it_and_the_third_arrival_kills_nobody(self):
        for fault in ("crash", "crash-later", "loop"):
            with self.subTest(fault):
                subject, extra = "poison " + fault, "X-Test: %s\r\n" % fault
                ident = self.parked(subject, extra)
                shown = d.ctl("queue", "show", ident)
                self.assertEqual((shown["held_reason"], shown["in_queue"], shown["history"][0]["what"]), (WHY, True, "held"))
                self.assertIn(WHY, d.ctl("queue", "show", ident, as_json=False).stdout)
                self.assertIn(WHY, d.ctl("message", "why", ident, as_json=False).stdout)
                wait_verifier()
                before = deaths()
                code, text = send(subject, extra)
                self.assertEqual(code, 250, text)
                self.assertEqual(held(text.split()[1])["held_reason"], WHY)
                self.assertEqual(send_until_read("after " + fault)[0], 250)
                wait_message(d, ALICE, "after " + fault)
                self.assertEqual(deaths(), before)
                self.assertNotIn(subject, [m["subject"] for m in messages(d, ALICE)])
                self.drop(ident)
                self.drop(text.split()[1])

    def test_what_a_person_releases_lies_in_junk_and_says_that_nobody_judged_it(self):
        ident = self.parked("released", "X-Test: crash\r\nX-Which: released\r\n")
        self.assertEqual(d.ctl("queue", "release", ident)["messages"], 1)
        raw = wait_message(d, ALICE, "released", "Junk")
        self.assertEqual(header(raw, "Authentication-Results"), ["mx.demo.example; none"])
        self.assertEqual(header(raw, "X-Test"), ["crash"])

    def test_who_was_under_way_at_the_same_verifier_is_not_blamed(self):
        before = d.ctl("queue", "stats")["deliveries"]["held"]
        for _ in range(2):
            wait_verifier()
            # A resolver that knows nothing: neither an answer nor a question under way is left from before.
            renewed = d.status()["resolver"]["restarts"] + 1
            d.kill("resolver")
            wait_until("a new resolver", lambda: (lambda r: r["restarts"] == renewed and r["state"] == "running")(d.status()["resolver"]))
            replies = []
            known = len(names.queries)
            innocent = threading.Thread(target=lambda: replies.append(send("innocent", sender="dave@slow.example")))
            innocent.start()
            wait_until("the innocent message is being judged", lambda: any(q[0] == "slow.example." for q in names.queries[known:]))
            # A stranger's poison each time: by number of deaths alone the innocent one would be as suspect as this.
            self.kill_with("murder %d" % known, "X-Test: crash\r\n")
            innocent.join(300)
            self.assertEqual(replies[0][0], 451, replies)
        names.set_zone({"zonedata": {"sender.example": [{"TXT": "v=spf1 ip4:127.0.0.2 -all"}]}})
        self.assertEqual(send_until_read("innocent", sender="dave@slow.example")[0], 250)
        wait_message(d, ALICE, "innocent")
        self.assertEqual(d.ctl("queue", "stats")["deliveries"]["held"], before)
        names.set_zone(ZONE)

    def test_the_outbound_verifier_is_guarded_the_same_way(self):
        ident = self.parked("outbound", "X-Test: crash\r\nX-Which: outbound\r\n", source=OURS)
        self.assertEqual(d.ctl("queue", "release", ident)["messages"], 1)
        wait_message(d, ALICE, "outbound")


if __name__ == "__main__":
    crashing = os.path.abspath(sys.argv.pop(2))
    mailcheck.main()
