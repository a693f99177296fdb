#!/usr/bin/python3
"""What an administrator may want of the queue, of the real daemon: holding by rule, trying again, ending, rerouting; and mail nobody takes."""
import os, smtplib, socket, sys, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, free_port, wait_until  # noqa: E402
from mailcheck import messages  # noqa: E402
from smtp_sink import Sink  # noqa: E402
from testdns import TestDNS  # noqa: E402

ALICE = "alice@demo.example"
# One for each test: messages of a host that cannot be reached share its pause.
DOWN = ["again", "route", "fail", "drop", "under-way"]
ZONE = {"zonedata": {"nullmx.example": [{"MX": [0, "."]}]}}


def setUpModule():
    global d, sink, other, names, down
    sink, other, down = Sink(), Sink(), free_port()
    names = TestDNS(ZONE, 0)
    names.start()
    d = Daemon(mailcheck.bin_dir, {"relay.routes": ["sink.example=127.0.0.1:%d" % sink.port, "more.example=127.0.0.1:%d" % sink.port,
                                                    *("%s.example=127.0.0.1:%d" % (name, down) for name in DOWN), "held.example=127.0.0.1:%d" % sink.port],
                                   "resolver.upstreams": ["127.0.0.1:%d" % names.port], "resolver.probe_bogus": "", "verify.enabled": False,
                                   "queue.retry": ["1h"], "queue.hold": ["held.example", "sender:@configured.example"]})
    unittest.addModuleCleanup(lambda: d.__exit__(None, None, None))
    d.start()
    d.ctl("domain", "add", "demo.example")
    d.ctl("account", "add", ALICE)


def send(subject, to, sender="someone@good.example"):
    with smtplib.SMTP("127.0.0.1", d.smtp_port, local_hostname="client.example", timeout=60) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<%s>" % sender)
        code, text = client.docmd("RCPT", "TO:<%s>" % to)
        assert code == 250, text
        code, text = client.data(("From: %s\r\nSubject: %s\r\n\r\nHello\r\n" % (sender, subject)).encode())
        assert code == 250, text
        return text.decode().split()[1]


def show(ident):
    return d.ctl("queue", "show", ident)


def left(ident):
    return not show(ident)["in_queue"]


def deferred(ident):
    return [row for row in show(ident)["history"] if row["what"] == "deferred"]


class Holding(unittest.TestCase):
    def check(self, rule, words, to, sender, open_to, open_sender):
        """What the rule is about stays, before and after a restart; the rest passes; released, it goes."""
        d.ctl("queue", "hold", *words, "--reason", "we look into it")
        kept, passes = send("kept", to, sender), send("passes", open_to, open_sender)
        wait_until("the other one leaves", lambda: left(passes))
        self.assertTrue(show(kept)["in_queue"])
        self.assertIn({"rule": rule, "reason": "we look into it"}, d.ctl("queue", "stats")["holds"])
        d.kill("queue")
        wait_until("the queue is back", lambda: d.ctl("queue", "stats", check=False).returncode == 0)
        passes = send("passes", open_to, open_sender)
        wait_until("the other one leaves", lambda: left(passes))
        self.assertTrue(show(kept)["in_queue"])
        self.assertEqual(show(kept)["history"], [row for row in show(kept)["history"] if row["what"] == "held"], "it was not tried")
        d.ctl("queue", "release", *words)
        wait_until("it goes when it is released", lambda: left(kept))
        self.assertNotIn(rule, [hold["rule"] for hold in d.ctl("queue", "stats")["holds"]])

    def test_a_destination(self):
        self.check("sink.example", ["--destination", "sink.example"], "x@sink.example", "a@good.example", "x@more.example", "a@good.example")

    def test_local_mailboxes(self):
        self.check("local", ["--destination", "local"], ALICE, "a@good.example", "x@more.example", "a@good.example")

    def test_a_sender(self):
        self.check("sender:list@good.example", ["--sender", "list@good.example"], "x@sink.example", "list@good.example", "x@sink.example", "b@good.example")

    def test_a_senders_domain(self):
        self.check("sender:@bulk.example", ["--sender", "@bulk.example"], "x@sink.example", "a@bulk.example", "x@sink.example", "a@good.example")

    def test_everything(self):
        d.ctl("queue", "hold", "--all")
        kept = [send("kept", to) for to in ("x@sink.example", ALICE)]
        self.assertTrue(d.ctl("queue", "stats")["all_held"])
        self.assertTrue(all(show(ident)["in_queue"] for ident in kept))
        d.ctl("queue", "release", "--all")
        wait_until("all leave", lambda: all(left(ident) for ident in kept))

    def test_one_message(self):
        d.ctl("queue", "hold", "--destination", "sink.example")
        first, second = send("one", "x@sink.example"), send("two", "x@sink.example")
        d.ctl("queue", "hold", first, "--reason", "a look at this one")
        d.ctl("queue", "release", "--destination", "sink.example")
        # A release of a whole destination lets go the single ones there too.
        wait_until("both leave", lambda: left(first) and left(second))

    def test_rules_of_the_configuration(self):
        kept = [send("by destination", "x@held.example"), send("by sender", "x@sink.example", "a@configured.example")]
        passes = send("passes", "x@sink.example")
        wait_until("the other one leaves", lambda: left(passes))
        self.assertTrue(all(show(ident)["in_queue"] for ident in kept))
        self.assertEqual(show(kept[1])["held_reason"], "sender:@configured.example: by the configuration")
        d.ctl("queue", "release", "--destination", "held.example")
        wait_until("released by hand", lambda: left(kept[0]))
        d.ctl("queue", "release", "--sender", "@configured.example")
        wait_until("released by hand", lambda: left(kept[1]))


class Trying(unittest.TestCase):
    def test_again_now_one_a_destination_a_sender_or_all(self):
        ident = send("again", "x@again.example")
        tries = 1
        wait_until("the first attempt", lambda: len(deferred(ident)) == tries)
        for words in ([ident], ["--destination", "again.example"], ["--sender", "someone@good.example"], ["--all"]):
            d.ctl("queue", "retry", *words)
            tries += 1
            wait_until("another attempt after %s" % words, lambda: len(deferred(ident)) == tries)
        d.ctl("queue", "reroute", ident, "--to", "[127.0.0.1]:%d" % other.port)
        other.wait(1)
        wait_until("it leaves by its new way", lambda: left(ident))
        self.assertEqual(show(ident)["recipients"][0]["state"], "relayed")

    def test_routes_are_looked_up_at_each_attempt(self):
        ident = send("a new way", "x@route.example")
        wait_until("the first attempt", lambda: len(deferred(ident)) == 1)
        before = d.settings["relay.routes"]
        self.addCleanup(d.settings.__setitem__, "relay.routes", before)
        d.settings["relay.routes"] = [r if not r.startswith("route.") else "route.example=127.0.0.1:%d" % sink.port for r in before]
        mark = d.mark()
        d.write_config()
        os.kill(d.process.pid, 1)  # SIGHUP
        d.wait_log("reload", since=mark)
        d.ctl("queue", "retry", ident)
        wait_until("it goes the new way", lambda: left(ident))
        d.settings["relay.routes"] = before
        d.write_config()
        mark = d.mark()
        os.kill(d.process.pid, 1)
        d.wait_log("reload", since=mark)

    def test_a_domain_that_takes_no_mail(self):
        ident = send("null mx", "x@nullmx.example", ALICE)
        wait_until("it ends at once", lambda: left(ident))
        recipient = show(ident)["recipients"][0]
        self.assertEqual((recipient["state"], recipient["reply"]["code"], recipient["reply"]["enhanced"]), ("failed", 556, "5.1.10"))
        wait_until("and its sender is told", lambda: [m for m in messages(d, ALICE) if "could not be delivered" in m["subject"]])


class Ending(unittest.TestCase):
    def ended(self, verb, state):
        ident = send(verb, "x@%s.example" % verb, ALICE)
        wait_until("the first attempt", lambda: len(deferred(ident)) == 1)
        told = len(messages(d, ALICE))
        answer = d.ctl("queue", verb, ident, "--reason", "an example")
        self.assertEqual((answer["messages"], answer["busy"]), (1, 0))
        self.assertEqual(show(ident)["recipients"][0]["state"], state)
        self.assertEqual(show(ident)["recipients"][0]["reply"]["text"], "an example")
        return told

    def test_fail_tells_the_sender(self):
        told = self.ended("fail", "failed")
        wait_until("a report", lambda: len(messages(d, ALICE)) == told + 1)

    def test_drop_tells_nobody(self):
        told = self.ended("drop", "dropped")
        marker = send("after", ALICE)
        wait_until("a later message", lambda: left(marker))
        self.assertEqual(len(messages(d, ALICE)), told + 1)

    def test_a_delivery_under_way_is_ended_when_it_comes_back(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            ident = send("under way", "x@under-way.example")
            wait_until("the first attempt", lambda: len(deferred(ident)) == 1)
            d.ctl("queue", "reroute", ident, "--to", "[127.0.0.1]:%d" % silent.getsockname()[1])
            connection, _ = silent.accept()  # under way now; it waits for our greeting
            answer = d.ctl("queue", "drop", ident)
            self.assertEqual((answer["messages"], answer["busy"]), (0, 1))
            connection.sendall(b"421 4.3.2 not now\r\n")
            connection.close()
            wait_until("it is dropped", lambda: left(ident))
            self.assertEqual(show(ident)["recipients"][0]["state"], "dropped")


if __name__ == "__main__":
    mailcheck.main()
