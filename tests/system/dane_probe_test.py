#!/usr/bin/python3
"""Three resolvers on loopback: one that validates, one that never says AD, one that says it of everything. DANE is on with the first only, and
where it is off the log, the status and the metrics say so, and nothing else changes: mail goes out opportunistically."""
import os, re, smtplib, sys, unittest, urllib.error, urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import dane_lab, mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from dane_lab import LYING, STRIPPING, VALIDATING, ZONES, Lab  # noqa: E402
from mail_server import MailServer  # noqa: E402
from starttls_server import Certificate  # noqa: E402

SERVER = "127.0.0.21"


class Probe(unittest.TestCase):
    def setUp(self):
        own, other = Certificate("mx.good.lab"), Certificate("other.lab")
        zones = {zone: [] for zone in ZONES.values()}
        zones["good.lab"] = ["@ MX 10 mx", "mx A " + SERVER, "_25._tcp.mx TLSA " + own.tlsa(3, 1, 1),
                             "wrong MX 10 bad", "bad A " + SERVER, "_25._tcp.bad TLSA " + other.tlsa(3, 1, 1)]
        zones["bad.lab"] = ["mx A " + SERVER]
        self.server = self.enterContext(MailServer([own], address=SERVER, port=25))
        self.lab = self.enterContext(Lab(zones))
        self.lab.start_resolver(STRIPPING, False)
        self.lab.start_liar(STRIPPING)

    def settings(self, resolver, **more):
        return {"resolver.upstreams": [resolver + ":53"], "resolver.probe_secure": "good.lab", "resolver.probe_bogus": "mx.bad.lab", "resolver.timeout": "5s", **more}

    def deliver(self, d, address):
        with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
            client.ehlo("client.lab")
            client.mail("a@client.lab")
            client.rcpt(address)
            code, words = client.data("Subject: x\r\n\r\nx\r\n")
        self.assertEqual(code, 250, words)
        ident = re.match(rb"(?:2\.0\.0 )?(\w+)", words).group(1).decode()
        return wait_until("an attempt", lambda: (lambda s: s["recipients"][0]["attempts"] > 0 and s)(d.ctl("queue", "show", ident)))["recipients"][0]

    def metric(self, d, name):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % d.web_port, timeout=30) as answer:
                found = re.findall(r"^(?:postern_)?%s(?:\{[^}]*\})? (\d+)" % name, answer.read().decode(), re.M)
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, 503)  # web has not heard from the parent yet
            return []
        return [int(v) for v in found]

    def on_or_off(self, d):
        return d.ctl("remote", "status")["dnssec"]

    def test_the_validating_one_is_believed(self):
        with Daemon(mailcheck.bin_dir, self.settings(VALIDATING)) as d:
            d.wait_log(r"DNSSEC answers are trusted: DANE is on")
            self.assertTrue(wait_until("remote hears of it", lambda: self.on_or_off(d)["trusted"]))
            sent = self.deliver(d, "x@good.lab")
            self.assertEqual((sent["security"]["wanted"], sent["security"]["got"], sent["security"]["dane"]), ("dane", "dane", "match 3 1 1"))
            self.assertEqual(self.server.messages[-1].sni, "mx.good.lab")
            refused = self.deliver(d, "x@wrong.good.lab")
            self.assertEqual((refused["state"], refused["reply"]["enhanced"], refused["security"]["dane"]), ("waiting", "4.7.5", "no match"))
            self.assertEqual(wait_until("the metric", lambda: self.metric(d, "dnssec_trusted")), [1])

    def off(self, resolver, why, **more):
        with Daemon(mailcheck.bin_dir, self.settings(resolver, **more)) as d:
            line = d.wait_log(r"DNSSEC answers are not trusted: DANE is off")
            self.assertIn("level=warning", line)
            self.assertIn(why, line)
            status = wait_until("remote hears why", lambda: (lambda s: s if why in s["reason"] else None)(self.on_or_off(d)))
            self.assertFalse(status["trusted"])
            for address in ("x@good.lab", "x@wrong.good.lab"):
                sent = self.deliver(d, address)
                self.assertEqual((sent["state"], sent["security"]["got"], sent["security"]["dane"]), ("relayed", "opportunistic", "off: the resolver proves nothing"))
            self.assertEqual(wait_until("the metric", lambda: self.metric(d, "dnssec_trusted")), [0])

    def test_one_that_strips_ad_is_not(self):
        self.off(STRIPPING, "does not say AD")

    def test_one_that_says_ad_of_everything_is_not(self):
        self.off(LYING, "wrong signatures")

    def test_one_that_is_not_on_loopback_is_not(self):
        mailcheck.run(["ip", "addr", "add", "192.0.2.53/32", "dev", "lo"])
        self.addCleanup(mailcheck.run, ["ip", "addr", "del", "192.0.2.53/32", "dev", "lo"])
        self.lab.start_resolver("192.0.2.53", True)
        self.off("192.0.2.53", "not on loopback")

    def test_no_answer_is_no_verdict(self):
        """Whoever keeps the probe's answers back must not switch DANE off: mail waits, and goes when the verdict is there."""
        with Daemon(mailcheck.bin_dir, self.settings(VALIDATING, **{"resolver.probe_secure": "dead.lab", "resolver.timeout": "1s"})) as d:
            self.assertIn("level=warning", d.wait_log(r"whether DNSSEC answers can be trusted is not known yet"))
            waits = self.deliver(d, "x@good.lab")
            self.assertEqual((waits["state"], waits["reply"]["enhanced"], waits["security"]["dane"]), ("waiting", "4.4.3", "unknown: not probed yet"))
            self.assertEqual(len(self.server.messages), 0)
            self.assertEqual(self.on_or_off(d)["probed"], False)

    def test_switched_off(self):
        self.off(VALIDATING, "switched off", **{"resolver.dnssec": "off"})


if __name__ == "__main__":
    dane_lab.in_namespace()
    mailcheck.main()
