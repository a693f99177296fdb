#!/usr/bin/python3
"""Real SMTP clients send to a whole Postern: swaks, curl, msmtp, Python's smtplib. What they sent is found in the store, byte for byte."""
import os, re, smtplib, ssl, sys, tempfile, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from mailcheck import header, outsider, run, say_version, text_of, wait_message  # noqa: E402
from smtp_sink import Sink  # noqa: E402
from testdns import TestDNS  # noqa: E402

ALICE, BOB = "alice@demo.example", "bob@demo.example"
ZONE = {"zonedata": {"good.example": [{"TXT": "v=spf1 ip4:127.0.0.2 -all"}]}}


def setUpModule():
    global d, sink, names
    sink, names = Sink(), TestDNS(ZONE, 0)
    names.start()
    d = Daemon(mailcheck.bin_dir, {"smtp.relay_networks": ["127.0.0.1/32"], "smtp.max_message_size": 1048576,
                                   "resolver.upstreams": ["127.0.0.1:%d" % names.port], "relay.routes": ["*=127.0.0.1:%d" % sink.port]})
    unittest.addModuleCleanup(names.close)
    unittest.addModuleCleanup(sink.close)
    unittest.addModuleCleanup(lambda: d.__exit__(None, None, None))
    d.start()
    d.ctl("domain", "add", "demo.example")
    d.ctl("account", "add", ALICE)
    d.ctl("account", "add", BOB)
    for program in (["swaks", "--version"], ["curl", "--version"], ["msmtp", "--version"]):
        say_version(*program)
    print("tested with: smtplib of Python", sys.version.split()[0], flush=True)


def message(subject, text="Hello\r\n", sender="carol@good.example", to=ALICE, extra=""):
    return ("From: Carol <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@good.example>\r\n%s\r\n%s"
            % (sender, to, subject, re.sub(r"\W", "-", subject), extra, text)).encode()


class Delivered(unittest.TestCase):
    """The fields that a delivered message must have in front of what was sent."""

    def assertTrace(self, raw, helo, sender, client="127.0.0.1", protocol="ESMTP", tls=False):
        self.assertEqual(header(raw, "Return-Path"), ["<%s>" % sender])
        received = header(raw, "Received")
        self.assertEqual(len(received), 1, received)
        self.assertRegex(received[0], r"^from %s \(.*\[%s\]\) .*by mx\.demo\.example .*with %s( \(|\b)" % (re.escape(helo), re.escape(client), protocol))
        self.assertRegex(received[0], r"; [A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")
        if tls:
            self.assertRegex(received[0], r"TLS ?v?1\.[23]")

    def assertEndsWith(self, raw, sent):
        self.assertEqual(raw[-len(sent):], sent, "what was sent does not lie there unchanged")


class Swaks(Delivered):
    def send(self, subject, *words):
        with tempfile.NamedTemporaryFile(suffix=".eml") as f:
            sent = message(subject, ".one dot\r\n..two dots\r\n\r\n.\r\nlast line\r\n")
            f.write(sent)
            f.flush()
            done = run(["swaks", "--server", "127.0.0.1:%d" % d.smtp_port, "--helo", "swaks.good.example", "--from", "carol@good.example", "--to", ALICE,
                        "--data", "@" + f.name] + list(words))
        # swaks ends what it sends with an empty line of its own.
        return sent + b"\r\n", done.stdout, wait_message(d, ALICE, subject)

    def test_plain(self):
        sent, heard, raw = self.send("swaks plain")
        self.assertRegex(heard, r"250 2\.0\.0 \w+")
        self.assertTrace(raw, "swaks.good.example", "carol@good.example")
        self.assertEndsWith(raw, sent)

    def test_starttls(self):
        sent, heard, raw = self.send("swaks tls", "--tls")
        self.assertIn("TLS started with cipher", heard)
        self.assertTrace(raw, "swaks.good.example", "carol@good.example", protocol="ESMTPS", tls=True)
        self.assertEndsWith(raw, sent)

    def test_pipelining(self):
        sent, heard, raw = self.send("swaks pipeline", "--pipeline")
        self.assertLess(heard.index("RCPT TO:"), heard.index("250 2.1.0"), "the commands went out in one group")
        self.assertEndsWith(raw, sent)

    def test_from_outside_is_judged(self):
        sent, _, raw = self.send("swaks outside", "--local-interface", outsider())
        self.assertTrace(raw, "swaks.good.example", "carol@good.example", client=outsider())
        results = header(raw, "Authentication-Results")
        self.assertEqual(len(results), 1)
        self.assertRegex(results[0], r"^mx\.demo\.example;.*spf=pass.*smtp\.mailfrom=(carol@)?good\.example")
        self.assertEndsWith(raw, sent)


class Curl(Delivered):
    def send(self, subject, *words):
        with tempfile.NamedTemporaryFile(suffix=".eml") as f:
            sent = message(subject)
            f.write(sent)
            f.flush()
            run(["curl", "--silent", "--show-error", "smtp://127.0.0.1:%d/curl.good.example" % d.smtp_port, "--mail-from", "carol@good.example",
                 "--mail-rcpt", ALICE, "--upload-file", f.name] + list(words))
        return sent, wait_message(d, ALICE, subject)

    def test_plain(self):
        sent, raw = self.send("curl plain")
        self.assertTrace(raw, "curl.good.example", "carol@good.example")
        self.assertEndsWith(raw, sent)

    def test_tls_required(self):
        sent, raw = self.send("curl tls", "--ssl-reqd", "-k")
        self.assertTrace(raw, "curl.good.example", "carol@good.example", protocol="ESMTPS", tls=True)
        self.assertEndsWith(raw, sent)

    def test_certificate_that_nobody_signed_is_seen_as_such(self):
        done = run(["curl", "--silent", "--show-error", "--ssl-reqd", "smtp://127.0.0.1:%d" % d.smtp_port, "--mail-from", "a@good.example",
                    "--mail-rcpt", ALICE, "--upload-file", "/etc/hostname"], check=False)
        self.assertEqual(done.returncode, 60, done.stderr)


class Msmtp(Delivered):
    def test_plain_and_tls(self):
        for subject, words, protocol in (("msmtp plain", ["--tls=off"], "ESMTP"),
                                         ("msmtp tls", ["--tls=on", "--tls-certcheck=off"], "ESMTPS")):
            with self.subTest(subject):
                run(["msmtp", "--host=127.0.0.1", "--port=%d" % d.smtp_port, "--domain=msmtp.good.example", "--from=carol@good.example", "--auth=off"]
                    + words + [ALICE], stdin=message(subject).replace(b"\r\n", b"\n"))
                raw = wait_message(d, ALICE, subject)
                self.assertTrace(raw, "msmtp.good.example", "carol@good.example", protocol=protocol, tls=protocol == "ESMTPS")
                self.assertEqual(text_of(raw), b"Hello\r\n")


class Smtplib(Delivered):
    def client(self, source="127.0.0.1"):
        client = smtplib.SMTP("127.0.0.1", d.smtp_port, local_hostname="py.good.example", source_address=(source, 0), timeout=60)
        self.addCleanup(client.close)
        return client

    def test_tls_session_carries_several_messages(self):
        client = self.client()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.assertEqual(client.starttls(context=context)[0], 220)
        for i in range(3):
            client.sendmail("carol@good.example", [ALICE], message("smtplib tls %d" % i))
        for i in range(3):
            self.assertTrace(wait_message(d, ALICE, "smtplib tls %d" % i), "py.good.example", "carol@good.example", protocol="ESMTPS", tls=True)

    def test_smtputf8(self):
        sent = ("From: Jürgen <jürgen@good.example>\r\nTo: <%s>\r\nSubject: grüße utf8\r\n\r\nÄÖÜ\r\n" % ALICE).encode()
        client = self.client()
        client.ehlo()
        self.assertTrue(client.has_extn("smtputf8"))
        client.sendmail("jürgen@good.example", [ALICE], sent, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        raw = wait_message(d, ALICE, "grüße utf8")
        self.assertEndsWith(raw, sent)
        self.assertIn(b"Return-Path: <" + "jürgen@good.example".encode() + b">", raw)
        self.assertRegex(header(raw, "Received")[0], r"with UTF8SMTP")  # RFC 6531 §4.3

    def test_smtputf8_address_without_the_extension_is_refused(self):
        client = self.client()
        client.ehlo()
        client.send("MAIL FROM:<jürgen@good.example>\r\n".encode())
        self.assertEqual(client.getreply()[0], 553)  # RFC 6531 §3.5

    def test_8bit_text_unchanged(self):
        sent = message("8bit", extra="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n") + bytes(range(0xA0, 0x100)) + b"\r\n"
        self.client().sendmail("carol@good.example", [ALICE], sent, mail_options=["BODY=8BITMIME"])
        self.assertEndsWith(wait_message(d, ALICE, "8bit"), sent)

    def test_some_recipients_refused_others_served(self):
        refused = self.client(outsider()).sendmail("carol@good.example", [ALICE, "nobody@demo.example", BOB, "x@elsewhere.example"], message("partly refused"))
        self.assertEqual({who: (code, text.split(b" ")[0]) for who, (code, text) in refused.items()},
                         {"nobody@demo.example": (550, b"5.1.1"), "x@elsewhere.example": (550, b"5.7.1")})
        for who in (ALICE, BOB):
            wait_message(d, who, "partly refused")

    def test_unknown_recipient_only(self):
        with self.assertRaises(smtplib.SMTPRecipientsRefused) as caught:
            self.client().sendmail("carol@good.example", ["nobody@demo.example"], message("never"))
        code, text = caught.exception.recipients["nobody@demo.example"]
        self.assertEqual((code, text[:5]), (550, b"5.1.1"))

    def test_plus_detail_and_case_reach_the_account(self):
        self.client().sendmail("carol@good.example", ["Alice+lists@DEMO.example"], message("plus detail"))
        wait_message(d, ALICE, "plus detail")

    def test_postmaster_without_domain(self):
        self.client().sendmail("carol@good.example", ["postmaster"], message("to the postmaster"))
        wait_message(d, ALICE, "to the postmaster")

    def test_null_sender(self):
        self.client().sendmail("", [ALICE], message("null sender"))
        self.assertEqual(header(wait_message(d, ALICE, "null sender"), "Return-Path"), ["<>"])

    def test_dsn_parameters(self):
        client = self.client()
        client.ehlo()
        self.assertTrue(client.has_extn("dsn"))
        client.sendmail("carol@good.example", [ALICE], message("dsn"), mail_options=["RET=HDRS", "ENVID=q1+2B2"],
                        rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;" + ALICE])
        wait_message(d, ALICE, "dsn")
        for wrong in ("NOTIFY=NEVER,FAILURE", "NOTIFY=SOON", "ORCPT=alice"):
            client.docmd("MAIL", "FROM:<carol@good.example>")
            self.assertEqual(client.docmd("RCPT", "TO:<%s> %s" % (ALICE, wrong))[0], 501, wrong)
            client.rset()

    def test_too_large_by_size_parameter(self):
        client = self.client()
        client.ehlo()
        self.assertEqual(client.esmtp_features["size"], "1048576")
        code, text = client.docmd("MAIL", "FROM:<carol@good.example> SIZE=1048577")
        self.assertEqual((code, text[:5]), (552, b"5.3.4"))

    def test_too_large_without_a_word_about_it(self):
        client = self.client()
        client.ehlo()
        client.docmd("MAIL", "FROM:<carol@good.example>")
        client.docmd("RCPT", "TO:<%s>" % ALICE)
        code, text = client.data(message("too large") + (b"x" * 998 + b"\r\n") * 1100)
        self.assertEqual((code, text[:5]), (552, b"5.3.4"))
        self.assertEqual(client.noop()[0], 250, "the session goes on")

    def test_large_message_unchanged(self):
        sent = message("large") + b"".join(b"%06d %s\r\n" % (i, b"z" * 700) for i in range(1400))
        self.client().sendmail("carol@good.example", [ALICE], sent)
        self.assertEndsWith(wait_message(d, ALICE, "large"), sent)

    def test_bdat_in_pieces(self):  # RFC 3030 §2; smtplib has no word for it
        sent = message("bdat", ".dots are not doubled here\r\n")
        client = self.client()
        client.ehlo()
        client.docmd("MAIL", "FROM:<carol@good.example>")
        client.docmd("RCPT", "TO:<%s>" % ALICE)
        client.send(b"BDAT 7\r\n" + sent[:7] + b"BDAT %d LAST\r\n" % (len(sent) - 7) + sent[7:])
        self.assertEqual([client.getreply()[0] for _ in range(2)], [250, 250])
        self.assertEndsWith(wait_message(d, ALICE, "bdat"), sent)

    def test_relaying_from_outside_denied_from_inside_done(self):
        with self.assertRaises(smtplib.SMTPRecipientsRefused) as caught:
            self.client(outsider()).sendmail("carol@good.example", ["x@elsewhere.example"], message("relay denied"))
        code, text = caught.exception.recipients["x@elsewhere.example"]
        self.assertEqual((code, text[:5]), (550, b"5.7.1"))
        sent = message("relayed")
        self.client().sendmail("carol@good.example", ["x@elsewhere.example"], sent)
        wait_until("the relayed message", lambda: [m for m in sink.messages if m["from"]])
        relayed = [m for m in sink.messages if m["from"]]  # success reports to carol@ come this way too
        self.assertEqual([(m["from"], m["to"]) for m in relayed], [("carol@good.example", ["x@elsewhere.example"])])
        self.assertEndsWith(relayed[0]["body"], sent)

    def test_bare_newlines_do_not_end_a_message(self):  # THREATS: SMTP smuggling
        for ending in (b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n"):
            with self.subTest(ending):
                client = self.client()
                client.ehlo()
                client.docmd("MAIL", "FROM:<a@good.example>")
                client.docmd("RCPT", "TO:<%s>" % ALICE)
                self.assertEqual(client.docmd("DATA")[0], 354)
                client.send(message("smuggling") + b"text" + ending + b"MAIL FROM:<evil@good.example>\r\n.\r\n")
                heard = b"".join(iter(lambda: client.sock.recv(4096), b""))  # the session ends here
                self.assertRegex(heard, rb"^5\d\d ")
                self.assertNotIn(b"250 2.0.0", heard)


class Store(unittest.TestCase):
    def test_export_is_an_mbox_of_what_was_shown(self):
        d.ctl("account", "add", "export@demo.example")
        client = smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60)
        self.addCleanup(client.close)
        client.sendmail("a@good.example", ["export@demo.example"], message("export 1", "From the start\r\n"))
        client.sendmail("a@good.example", ["export@demo.example"], message("export 2"))
        wait_message(d, "export@demo.example", "export 1")
        wait_message(d, "export@demo.example", "export 2")
        import mailbox
        path = d.folder + "/export.mbox"
        d.ctl("mail", "export", "export@demo.example", "--output", path, as_json=False)
        box = mailbox.mbox(path, create=False)
        self.assertEqual([m["Subject"] for m in box], ["export 1", "export 2"])
        self.assertNotEqual(d.ctl("mail", "export", "export@demo.example", "--output", path, check=False, as_json=False).returncode, 0, "never over a file that is there")


if __name__ == "__main__":
    mailcheck.main()
