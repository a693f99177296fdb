#!/usr/bin/python3
"""Mail from outside through the whole daemon with real name servers: NSD serves signed zones, unbound resolves them and validates.

Really signed mail (dkimpy: DKIM by RSA and Ed25519, ARC), every result of SPF, and what DMARC makes of it: accepted, Junk, or refused at DATA."""
import base64, itertools, json, os, smtplib, sys, unittest

import dkim
import nacl.signing
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from mailcheck import header, messages, wait_message  # noqa: E402
from nameservers import NameServers, txt  # noqa: E402

ALICE, MX = "alice@demo.example", "mx.demo.example"
SIGNER = "127.0.0.2"  # the server of the domains below
SPF = {"pass": "v=spf1 ip4:%s -all" % SIGNER, "fail": "v=spf1 ip4:192.0.2.1 -all", "soft": "v=spf1 ip4:192.0.2.1 ~all", "neutral": "v=spf1 ?all",
       "broken": "v=spf1 ip4:nonsense -all", "loop": "v=spf1 include:loop.example -all", "named": "v=spf1 a:mta.pass.example -all"}
POLICIES = {"reject": "reject", "junk": "quarantine", "watched": "none", "signed": "reject", "listed": "reject"}


def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def rsa_record(key):
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return txt("v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode())


def zone():
    rows = [(name, "TXT", txt(record)) for name, record in SPF.items()]
    rows += [("mta.pass", "A", SIGNER)]
    for name, policy in POLICIES.items():
        rows += [(name, "TXT", txt(SPF["fail"])), ("_dmarc." + name, "TXT", txt("v=DMARC1; p=" + policy))]
    rows += [("aligned", "TXT", txt(SPF["pass"])), ("_dmarc.aligned", "TXT", txt("v=DMARC1; p=reject"))]
    for domain in ("signed", "list", "stranger"):
        rows.append(("rsa._domainkey." + domain, "TXT", rsa_record(KEYS[domain])))
    ed25519 = base64.b64encode(bytes(EDWARDS.verify_key)).decode()
    rows.append(("ed._domainkey.signed", "TXT", txt("v=DKIM1; k=ed25519; p=" + ed25519)))
    rows.append(("gone._domainkey.signed", "TXT", txt("v=DKIM1; p=")))
    return rows


def setUpModule():
    global d, names, KEYS, EDWARDS
    KEYS = {domain: rsa_key() for domain in ("signed", "list", "stranger")}
    EDWARDS = nacl.signing.SigningKey.generate()
    names = NameServers({"example": zone(), "127.in-addr.arpa": [("2.0.0", "PTR", "mta.pass.example.")]}, unsigned=("127.in-addr.arpa",))
    unittest.addModuleCleanup(names.close)
    names.start()
    d = Daemon(mailcheck.bin_dir, {"smtp.relay_networks": [], "verify.trusted_sealers": ["list.example"], "resolver.upstreams": ["127.0.0.1:%d" % names.port],
                                   "resolver.timeout": "2s", "resolver.probe_secure": "example", "resolver.probe_bogus": ""})
    unittest.addModuleCleanup(lambda: d.__exit__(None, None, None))
    d.start()
    d.ctl("domain", "add", "demo.example")
    d.ctl("account", "add", ALICE)


def compose(domain, subject, extra=b""):
    return extra + ("From: Carol <carol@%s>\r\nTo: %s\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@%s>\r\n\r\nHello,\r\n\r\nworld.\r\n"
                    % (domain, ALICE, subject, subject.replace(" ", "-"), domain)).encode()


def sign(message, selector="rsa", domain="signed"):
    key = pem(KEYS[domain]) if selector != "ed" else base64.b64encode(bytes(EDWARDS))
    algorithm = b"ed25519-sha256" if selector == "ed" else b"rsa-sha256"
    return dkim.sign(message, selector.encode(), ("%s.example" % domain).encode(), key, canonicalize=(b"relaxed", b"relaxed"), signature_algorithm=algorithm,
                     include_headers=[b"from", b"to", b"subject", b"date"]) + message


def seal(message, domain, results="dmarc=pass header.from=listed.example; dkim=pass header.d=listed.example"):
    """What a mailing list does: its own findings first, then its seal over them and the message."""
    found = ("Authentication-Results: mx.%s.example; %s\r\n" % (domain, results)).encode() + message
    fields = dkim.arc_sign(found, b"rsa", ("%s.example" % domain).encode(), pem(KEYS[domain]), ("mx.%s.example" % domain).encode(),
                           include_headers=[b"from", b"to", b"subject", b"date"])
    return b"".join(fields) + found


def send(message, sender):
    """(code, text) of the reply to DATA."""
    with smtplib.SMTP("127.0.0.1", d.smtp_port, local_hostname="mta.pass.example", source_address=(SIGNER, 0), timeout=120) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<%s>" % sender)
        code, text = client.docmd("RCPT", "TO:<%s>" % ALICE)
        assert code == 250, text
        code, text = client.data(message)
        return code, text.decode()


class Flow(unittest.TestCase):
    def accepted(self, message, domain, subject, folder="Inbox"):
        """Sends; returns our Authentication-Results and the id."""
        code, text = send(message, "carol@%s" % domain)
        self.assertEqual(code, 250, text)
        raw = wait_message(d, ALICE, subject, folder)
        results = header(raw, "Authentication-Results")
        self.assertTrue(results[0].startswith(MX + ";"), results)
        return results[0], text.split()[1]

    def refused(self, message, domain, *words):
        code, text = send(message, "carol@%s" % domain)
        self.assertEqual((code, text.split()[0]), (550, "5.7.1"), text)
        for word in words:
            self.assertIn(word, text)

    def why(self, ident):
        return d.ctl("message", "why", ident)["evidence"]


class Senders(Flow):
    def test_every_result_of_spf(self):
        for name, result in (("pass", "pass"), ("fail", "fail"), ("soft", "softfail"), ("neutral", "neutral"), ("broken", "permerror"), ("loop", "permerror"),
                             ("named", "pass"), ("nothing", "none")):
            with self.subTest(name):
                domain, subject = name + ".example", "spf of " + name
                results, _ = self.accepted(compose(domain, subject), domain, subject)
                self.assertIn("spf=%s" % result, results)
                self.assertIn("smtp.mailfrom=carol@%s" % domain, results.replace('"', ""))

    def test_the_client_has_a_name_that_leads_back(self):
        results, _ = self.accepted(compose("pass.example", "iprev"), "pass.example", "iprev")
        self.assertIn("iprev=pass", results)

    def test_what_unbound_validated_is_known_as_secure(self):
        _, ident = self.accepted(compose("pass.example", "secure"), "pass.example", "secure")
        self.assertIn('"secure"', json.dumps(self.why(ident)))


class Signatures(Flow):
    def test_dkim_by_rsa_and_by_ed25519_pass(self):
        for selector, algorithm in (("rsa", "rsa-sha256"), ("ed", "ed25519-sha256")):
            with self.subTest(selector):
                subject = "signed " + selector
                results, _ = self.accepted(sign(compose("signed.example", subject), selector), "signed.example", subject)
                self.assertRegex(results, r"dkim=pass[^;]*header\.d=signed\.example")
                self.assertIn("header.s=" + selector, results)
                self.assertIn("spf=fail", results)
                self.assertRegex(results, r"dmarc=pass[^;]*header\.from=signed\.example")

    def test_two_signatures_are_both_told(self):
        subject = "signed twice"
        results, _ = self.accepted(sign(sign(compose("signed.example", subject)), "ed"), "signed.example", subject)
        self.assertEqual(results.count("dkim=pass"), 2, results)

    def test_a_changed_message_is_refused_by_the_domains_policy(self):
        message = sign(compose("signed.example", "changed"))
        for was, now in ((b"world.", b"World."), (b"Subject: changed", b"Subject: Changed")):
            with self.subTest(now):
                self.refused(message.replace(was, now), "signed.example", "policy of signed.example")

    def test_a_revoked_key_signs_nothing(self):
        message = dkim.sign(compose("signed.example", "revoked"), b"gone", b"signed.example", pem(KEYS["signed"])) + compose("signed.example", "revoked")
        self.refused(message, "signed.example", "policy of signed.example")


class Policies(Flow):
    def test_reject_is_a_reply_to_data_and_nothing_is_stored(self):
        self.refused(compose("reject.example", "to be refused"), "reject.example", "policy of reject.example")
        self.accepted(compose("pass.example", "after the refused"), "pass.example", "after the refused")
        for folder in ("Inbox", "Junk"):
            self.assertNotIn("to be refused", [m["subject"] for m in messages(d, ALICE, folder)])

    def test_quarantine_lies_in_junk(self):
        results, _ = self.accepted(compose("junk.example", "quarantined"), "junk.example", "quarantined", "Junk")
        self.assertIn("dmarc=fail", results)

    def test_none_is_delivered_and_noted(self):
        results, _ = self.accepted(compose("watched.example", "watched"), "watched.example", "watched")
        self.assertIn("dmarc=fail", results)

    def test_spf_that_is_aligned_is_enough(self):
        results, _ = self.accepted(compose("aligned.example", "aligned"), "aligned.example", "aligned")
        self.assertIn("dmarc=pass", results)

    def test_somebody_elses_good_signature_is_not(self):
        self.refused(sign(compose("reject.example", "borrowed"), "rsa", "stranger"), "reject.example")

    def test_a_subdomain_comes_under_its_domains_policy(self):
        self.refused(compose("mail.reject.example", "subdomain"), "mail.reject.example", "policy of mail.reject.example")


class Lists(Flow):
    """Mail over a list that changed it: the author's signature is broken, the list's server is not the author's."""

    def test_a_trusted_sealers_word_overrides_the_policy(self):
        subject = "by way of the list"
        results, ident = self.accepted(seal(compose("listed.example", subject), "list"), "list.example", subject)
        self.assertIn("arc=pass", results)
        self.assertIn("dmarc=fail", results)
        told = json.dumps(self.why(ident))
        self.assertIn("trusted_forwarder", told)
        self.assertIn("list.example", told)

    def test_two_seals_by_the_trusted_one(self):
        subject = "sealed twice"
        once = seal(compose("listed.example", subject), "list")
        results, _ = self.accepted(seal(once, "list", "arc=pass; dmarc=pass header.from=listed.example"), "list.example", subject)
        self.assertIn("arc=pass", results)

    def test_a_strangers_seal_does_not(self):
        self.refused(seal(compose("listed.example", "by a stranger"), "stranger"), "stranger.example", "policy of listed.example")

    def test_a_trusted_sealer_that_saw_a_failure_does_not(self):
        self.refused(seal(compose("listed.example", "seen failing"), "list", "dmarc=fail header.from=listed.example"), "list.example")

    def test_what_was_changed_after_the_seal_is_not_believed(self):
        self.refused(seal(compose("listed.example", "changed later"), "list").replace(b"world.", b"World."), "list.example")


class Forgeries(Flow):
    def test_results_in_our_name_are_removed_others_stay(self):
        forged = (b"Authentication-Results: mx.demo.example; dkim=pass header.d=bank.example\r\n"
                  b"Authentication-Results: MX.demo.example 1;\r\n\tspf=pass smtp.mailfrom=bank.example\r\n"
                  b"Authentication-Results: (hello) mx.demo.example; arc=pass\r\n"
                  b"Authentication-Results: other.example; spf=pass smtp.mailfrom=x.example\r\n")
        code, text = send(compose("fail.example", "forged", forged), "carol@fail.example")
        self.assertEqual(code, 250, text)
        raw = wait_message(d, ALICE, "forged")
        results = header(raw, "Authentication-Results")
        self.assertEqual(len(results), 2, results)
        self.assertIn("spf=fail", results[0])
        self.assertEqual(results[1], "other.example; spf=pass smtp.mailfrom=x.example")
        self.assertNotIn(b"bank.example", raw)

    def test_removing_them_does_not_break_a_signature(self):
        forged = b"Authentication-Results: mx.demo.example; dkim=pass header.d=bank.example\r\n"
        results, _ = self.accepted(forged + sign(compose("signed.example", "forged and signed")), "signed.example", "forged and signed")
        self.assertIn("dkim=pass", results)


class Told(Flow):
    def test_why_names_what_was_asked_and_what_decided(self):
        _, ident = self.accepted(compose("junk.example", "explained"), "junk.example", "explained", "Junk")
        evidence = json.dumps(self.why(ident))
        for word in ("v=spf1 ip4:192.0.2.1 -all", "_dmarc.junk.example", "p=quarantine"):
            self.assertIn(word, evidence)
        told = d.ctl("message", "why", ident, as_json=False).stdout
        for word in ("spf", "fail", "junk.example", "dmarc", "quarantine"):
            self.assertIn(word, told.lower())


class ZNameServersGone(Flow):
    """Runs last by its name: first the servers of the zones go, then the resolver."""

    def test_1_a_silent_zone_is_a_temporary_error_and_is_forgotten_when_it_is_back(self):
        names.stop_authority()
        results, _ = self.accepted(compose("soft.example", "never looked up before"), "unseen.example", "never looked up before")
        self.assertIn("spf=temperror", results)
        names.start_authority()
        results, _ = self.accepted(compose("pass.example", "the zone is back"), "back.example", "the zone is back")
        self.assertIn("spf=none (back.example", results)
        # What failed meanwhile (the name in HELO, perhaps) unbound itself keeps as failed for some seconds (RFC 2308 section 7.1).
        tries = itertools.count()

        def forgotten():
            subject = "forgotten %d" % next(tries)
            return "spf=temperror" not in self.accepted(compose("pass.example", subject), "unseen.example", subject)[0]
        wait_until("the failure is forgotten", forgotten)

    def test_2_without_a_resolver_mail_is_taken_unjudged(self):
        names.stop_resolver()
        results, _ = self.accepted(compose("quiet.example", "no resolver"), "quiet.example", "no resolver")
        self.assertIn("spf=temperror", results)


if __name__ == "__main__":
    for program in ("/usr/sbin/nsd", "/usr/sbin/unbound", "/usr/bin/ldns-signzone"):
        mailcheck.say_version(program, "-h" if "nsd" in program else "-V" if "unbound" in program else "-v")
    mailcheck.main()
