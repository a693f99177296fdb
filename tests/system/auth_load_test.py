#!/usr/bin/python3
"""Several inbound verifiers: mail is spread over them, and one that is killed, stuck or waiting for a slow name server stops no other mail."""
import os, signal, smtplib, sys, threading, time, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from testdns import TestDNS  # noqa: E402

ALICE, STRANGER = "alice@demo.example", "127.0.0.2"
VERIFIERS = ("verifier-in", "verifier-in/1", "verifier-in/2")
ZONE = {"zonedata": {"sender.example": [{"TXT": "v=spf1 ip4:127.0.0.2 -all"}], "_dmarc.sender.example": [{"TXT": "v=DMARC1; p=reject"}],
                     "slow.example": ["TIMEOUT"], "_dmarc.slow.example": ["TIMEOUT"], "client.example": []}}
DEADLINE = 10  # seconds, of a message whose name server says nothing


def setUpModule():
    global d, names
    names = TestDNS(ZONE, 0)
    names.start()
    d = Daemon(mailcheck.bin_dir, {"smtp.relay_networks": [], "verify.processes": len(VERIFIERS), "verify.deadline": "%ds" % DEADLINE,
                                   "resolver.upstreams": ["127.0.0.1:%d" % names.port], "resolver.timeout": "30s", "server.restart_backoff_max": "1s"})
    unittest.addModuleCleanup(lambda: d.__exit__(None, None, None))
    d.start()
    d.ctl("domain", "add", "demo.example")
    d.ctl("account", "add", ALICE)


def send(sender="carol@sender.example"):
    """The code of the reply to DATA and how long it took."""
    with smtplib.SMTP("127.0.0.1", d.smtp_port, local_hostname="client.example", source_address=(STRANGER, 0), timeout=300) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<%s>" % sender)
        client.docmd("RCPT", "TO:<%s>" % ALICE)
        began = time.monotonic()
        code, text = client.data(("From: %s\r\nSubject: x\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n" % sender).encode())
        return code, text.decode(), time.monotonic() - began


class Side(threading.Thread):
    """Sends one message, or as many as it can until it is told to end; `replies` has what came of them."""

    def __init__(self, sender="carol@sender.example", many=False):
        super().__init__()
        self.sender, self.many, self.over, self.replies = sender, many, threading.Event(), []
        self.start()

    def run(self):
        while True:
            self.replies.append(send(self.sender))
            if not self.many or self.over.is_set():
                return

    def end(self):
        self.over.set()
        self.join(300)
        return [code for code, _, _ in self.replies]


def judged_by(since=0):
    return [next(v for v in reversed(VERIFIERS) if "process=%s " % v in line) for line in d.lines[since:] if 'event=judged' in line or 'event="judged"' in line]


class SeveralVerifiers(unittest.TestCase):
    def test_mail_is_spread_over_all(self):
        since = d.mark()
        for _ in range(9):
            self.assertEqual(send()[0], 250)
        self.assertEqual(sorted(set(judged_by(since))), sorted(VERIFIERS))

    def test_one_that_is_killed_costs_what_it_had_and_no_more(self):
        sides = [Side(many=True) for _ in range(6)]
        wait_until("mail flows", lambda: all(side.replies for side in sides))
        for name in VERIFIERS[:2]:
            before = d.status()[name]["restarts"]
            os.kill(d.status()[name]["pid"], signal.SIGKILL)
            wait_until("%s is back" % name, lambda: d.status()[name]["restarts"] == before + 1 and d.status()[name]["state"] == "running")
            count = [len(side.replies) for side in sides]
            wait_until("mail flows", lambda: all(len(side.replies) > n for side, n in zip(sides, count)))
        codes = [code for side in sides for code in side.end()]
        self.assertLessEqual(set(codes), {250, 451})
        self.assertLessEqual(codes.count(451), 2 * len(sides), "more than what was under way was lost")
        self.assertGreater(codes.count(250), 2 * len(sides))

    def test_one_that_is_stuck_is_left_alone(self):
        pid = d.status()["verifier-in/1"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            sides = [Side(many=True) for _ in range(8)]
            # Some run into the stuck one; then nobody does any more, and the rest go on and on.
            wait_until("mail flows past the stuck one", lambda: sum(len(side.replies) >= 20 for side in sides) >= 4, 120)
            free = [side for side in sides if len(side.replies) >= 20]
            self.assertEqual({code for side in free for code in side.end()}, {250})
            new = Side(many=True)
            wait_until("a new client is served", lambda: len(new.replies) >= 20)
            self.assertEqual(set(new.end()), {250})
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual({code for side in sides for code in side.end()}, {250}, "what it had is answered when it goes on")

    def test_a_slow_name_server_delays_only_its_own_mail(self):
        slow = [Side("dave@slow.example") for _ in range(6)]
        wait_until("the slow ones wait", lambda: sum("slow.example" in q[0] for q in names.queries) >= 1)
        took = [send()[2] for _ in range(12)]
        waiting = sum(side.is_alive() for side in slow)
        self.assertEqual(waiting, len(slow), "the others were done while these still waited")
        self.assertLess(max(took), DEADLINE, took)
        for side in slow:
            self.assertEqual(side.end(), [250])
            self.assertGreaterEqual(side.replies[0][2], DEADLINE - 1)


if __name__ == "__main__":
    mailcheck.main()
