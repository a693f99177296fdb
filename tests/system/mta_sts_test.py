#!/usr/bin/python3
"""MTA-STS (RFC 8461) through the whole daemon: real policy servers over HTTPS, good and bad in every way, real mail servers with TLS."""
import http.client, json, os, re, smtplib, socket, ssl, sys, tempfile, threading, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon  # noqa: E402
from starttls_server import Certificate  # noqa: E402
from testdns import TestDNS  # noqa: E402

DOMAINS = ["good", "unlisted", "wildcard", "slow", "huge", "redirect", "othername", "stranger", "expired", "gone", "noaddress", "html", "broken", "missing", "cut",
           "testing", "nothing", "changing", "kept", "badmx", "testbadmx", "dane", "danewrong", "private", "byhand", "seen"]
WEEK = 604800


def policy(mode, *mx, max_age=WEEK):
    return "version: STSv1\r\nmode: %s\r\n%smax_age: %d\r\n" % (mode, "".join("mx: %s\r\n" % m for m in mx), max_age)


def response(body, status="200 OK", kind="text/plain", more=""):
    return ("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n" % (status, kind, len(body), more)).encode() + body.encode()


class TlsServer:
    """Accepts on loopback; a thread a connection. `contexts`: the certificate by the name that is asked for."""

    def __init__(self, port=0):
        self.socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.lock = threading.Lock()
        self.files = tempfile.TemporaryDirectory()
        self.contexts, self.default = {}, None
        threading.Thread(target=self._accept, daemon=True).start()

    def certify(self, name, certificate):
        path = os.path.join(self.files.name, name)
        with open(path, "wb") as f:
            f.write(certificate.key_pem() + certificate.pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.sni_callback = self._choose
        self.contexts[name] = context
        self.default = self.default or context

    def _choose(self, connection, name, context):
        if name in self.contexts:
            connection.context = self.contexts[name]

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._guard, args=(connection,), daemon=True).start()

    def _guard(self, connection):
        connection.settimeout(30)
        try:
            self.serve(connection)
        except (OSError, ValueError):
            pass
        finally:
            connection.close()


class PolicyServer(TlsServer):
    """Serves `answers[host]`: the bytes of a response, or a function that is given the connection."""

    def __init__(self):
        self.answers, self.requests = {}, []
        super().__init__()

    def serve(self, connection):
        with self.default.wrap_socket(connection, server_side=True) as tls:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = tls.recv(4096)
                if not piece:
                    return
                request += piece
            host = re.search(rb"\r\nHost: ([^:\r]+)", request).group(1).decode()
            with self.lock:
                self.requests.append((host, request.split(b"\r\n")[0].decode()))
            answer = self.answers.get(host, response("not here", "404 Not Found"))
            tls.sendall(answer) if isinstance(answer, bytes) else answer(tls)

    def asked(self, domain):
        with self.lock:
            return [line for host, line in self.requests if host == "mta-sts." + domain]


class MailServer(TlsServer):
    """Takes mail, under TLS only."""

    def __init__(self, port):
        self.recipients = []
        super().__init__(port)

    def serve(self, connection):
        say = lambda text: connection.sendall(text.encode() + b"\r\n")  # noqa: E731
        say("220 mx ESMTP")
        for line in connection.makefile("rb"):
            verb = line[:4].upper()
            if verb == b"EHLO":
                say("250-mx\r\n250 STARTTLS")
            elif verb == b"STAR":
                say("220 go")
                with self.default.wrap_socket(connection, server_side=True) as tls:
                    return self._talk(tls)
            elif verb == b"QUIT":
                return say("221 bye")
            else:
                say("530 5.7.0 only under TLS")

    def _talk(self, connection):
        lines = connection.makefile("rb")
        to = []
        for line in lines:
            verb = line[:4].upper()
            if verb == b"RCPT":
                to.append(line.split(b"<")[1].split(b">")[0].decode())
            if verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                while lines.readline() not in (b".\r\n", b""):
                    pass
                with self.lock:
                    self.recipients += to
                to = []
            connection.sendall(b"250-mx\r\n250 8BITMIME\r\n" if verb == b"EHLO" else b"221 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n")
            if verb == b"QUIT":
                return


class World:
    """The DNS, the policy servers and the mail servers of all domains."""

    def __init__(self):
        self.root = Certificate("Test Root", ca=True)
        self.policies, self.mail = PolicyServer(), MailServer(0)
        self.ids, self.no_record, self.extra = {}, set(), {}
        self.mail_certificate = Certificate("mx", self.root, names=["mx.%s.example" % d for d in DOMAINS if d not in ("badmx", "testbadmx")])
        self.mail.certify("mx", self.mail_certificate)
        stranger = Certificate("Stranger", ca=True)
        for domain in DOMAINS + ["whole"]:
            host = "mta-sts.%s.example" % domain
            signer = stranger if domain == "stranger" else self.root
            self.policies.certify(host, Certificate(host, signer, names=["elsewhere.example"] if domain == "othername" else None,
                                                    days=(-9, -1) if domain == "expired" else (-1, 30)))
        self.names = TestDNS(self.zone(), 0, ttl=0)
        self.names.start()

    def zone(self):
        data = {"signed.example": [{"A": "192.0.2.1"}]}
        for domain in DOMAINS:
            name = domain + ".example"
            data[name] = [{"MX": [10, "mx." + name]}]
            data["mx." + name] = [{"A": "127.0.0.1"}]
            data["mta-sts." + name] = [{"TXT": "no address"}] if domain == "noaddress" else [{"A": "127.0.0.77" if domain == "gone" else "127.0.0.1"}]
            if domain not in self.no_record:
                data["_mta-sts." + name] = [{"TXT": "v=STSv1; id=%s;" % self.ids.get(domain, "a1")}]
        data.update(self.extra)
        data.update({  # for the record check
            "whole.example": [{"MX": [10, "mx.whole.example"]}, {"TXT": "v=spf1 mx -all"}], "_dmarc.whole.example": [{"TXT": "v=DMARC1; p=reject; rua=mailto:d@whole.example"}],
            "mx.whole.example": [{"A": "127.0.0.1"}], "1.0.0.127.in-addr.arpa": [{"PTR": "mx.whole.example"}], "_mta-sts.whole.example": [{"TXT": "v=STSv1; id=w1;"}],
            "mta-sts.whole.example": [{"A": "127.0.0.1"}], "_smtp._tls.whole.example": [{"TXT": "v=TLSRPTv1; rua=mailto:t@whole.example"}],
            "_25._tcp.mx.whole.example": [{"TLSA": "3 1 1 " + "ab" * 32}], "empty.example": [{"HINFO": "none none"}],
            "weak.example": [{"MX": [0, "mx.weak.example"]}, {"TXT": "v=spf1 +all"}], "_dmarc.weak.example": [{"TXT": "v=DMARC1; p=none; rua=mailto:d@weak.example"}]})
        return {"zonedata": data, "secure": ["signed.example", ".dane.example", ".danewrong.example", ".whole.example"]}

    def announce(self, domain, new_id):
        self.ids[domain] = new_id
        self.names.set_zone(self.zone())

    def forget_record(self, domain):
        self.no_record.add(domain)
        self.names.set_zone(self.zone())

    def serve(self, domain, answer):
        self.policies.answers["mta-sts.%s.example" % domain] = answer


def setUpModule():
    global d, world
    world = World()
    roots = tempfile.NamedTemporaryFile(suffix=".pem", delete=False)
    roots.write(world.root.pem())
    roots.close()
    os.chmod(roots.name, 0o644)
    unittest.addModuleCleanup(os.unlink, roots.name)
    port = world.mail.port
    for domain, certificate in (("dane", world.mail_certificate), ("danewrong", Certificate("other"))):
        world.extra["_%d._tcp.mx.%s.example" % (port, domain)] = [{"TLSA": certificate.tlsa(3, 1, 1)}]
    world.names.set_zone(world.zone())
    d = Daemon(mailcheck.bin_dir, {"resolver.upstreams": ["127.0.0.1:%d" % world.names.port], "resolver.probe_secure": "signed.example", "resolver.probe_bogus": "",
                                   "resolver.timeout": "2s", "relay.port": port, "relay.policy_port": world.policies.port, "relay.policy_timeout": "3s",
                                   "relay.allow_private": True, "relay.ca_file": roots.name, "relay.ipv6": False, "relay.session_idle": "0s",
                                   "mta_sts.domains": ["demo.example=enforce", "Other.Example"]})
    first = d
    unittest.addModuleCleanup(lambda: first.__exit__(None, None, None))
    d.start()
    d.wait_log("DNSSEC answers are trusted")


def start_again():
    global d
    d.stop()
    again = Daemon(mailcheck.bin_dir, d.settings, folder=d.folder)
    again.smtp_port, again.web_port = d.smtp_port, d.web_port
    d = again
    unittest.addModuleCleanup(lambda: again.__exit__(None, None, None))
    d.start()
    d.wait_log("DNSSEC answers are trusted")


def begin(domain):
    """Hands a message over; its id."""
    with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<sender@demo.example>")
        client.docmd("RCPT", "TO:<user@%s.example>" % domain)
        code, text = client.data(b"Subject: sts\r\n\r\nHello\r\n")
        assert code == 250, text
        return text.decode().split()[1]


def end(message):
    """What became of it, from the log: sent, reply and TLS."""
    line = d.wait_log(r'event="remote delivery".* id=%s\b' % message, 60)
    tls = re.search(r' tls=("(?:[^"]*)"|\S*)', line).group(1).strip('"')
    reply = re.search(r' reply=("(?:[^"\\]|\\.)*"|\S*)', line).group(1).strip('"')
    return " sent=1" in line, tls, reply


def deliver(domain):
    return end(begin(domain))


class MtaSts(unittest.TestCase):
    def blocked(self, domain, code="4.7.5"):
        sent, tls, reply = deliver(domain)
        self.assertFalse(sent, (tls, reply))
        self.assertIn("451 " + code, reply)
        self.assertNotIn("user@%s.example" % domain, world.mail.recipients)
        return tls, reply

    def delivered(self, domain, how):
        sent, tls, reply = deliver(domain)
        self.assertTrue(sent, (tls, reply))
        self.assertIn(" " + how, tls)
        self.assertIn("user@%s.example" % domain, world.mail.recipients)
        return tls

    def test_enforce_is_met(self):
        world.serve("good", response(policy("enforce", "mx.good.example")))
        self.delivered("good", "verified sts=enforce/a1")
        self.delivered("good", "verified sts=enforce/a1")
        self.assertEqual(world.policies.asked("good.example"), ["GET /.well-known/mta-sts.txt HTTP/1.1"])  # once: then it is known

    def test_what_happened_is_in_the_history(self):
        world.serve("wildcard", response(policy("enforce", "*.wildcard.example")))
        message = begin("wildcard")
        end(message)
        d.wait_log(r'event="delivery ended".* id=%s\b' % message)
        self.assertIn("sts=enforce/a1", str(mailcheck.wait_until("the history", lambda: (d.ctl("queue", "show", message) or {}))))

    def test_enforce_blocks_a_server_that_is_not_listed(self):
        world.serve("unlisted", response(policy("enforce", "mx.other.example")))
        tls, reply = self.blocked("unlisted")
        self.assertEqual(tls, "none sts=enforce/a1")
        self.assertIn("does not name mx.unlisted.example", reply)

    def test_enforce_blocks_a_certificate_for_another_name_and_testing_does_not(self):
        world.serve("badmx", response(policy("enforce", "mx.badmx.example")))
        self.blocked("badmx")
        world.serve("testbadmx", response(policy("testing", "mx.testbadmx.example")))
        self.delivered("testbadmx", "opportunistic sts=testing/a1")

    def seen(self, domain):
        return {(o["policy"], o["result"], o["server"]) for o in d.ctl("queue", "tls", "--destination", domain + ".example")["observations"]}

    def test_what_was_seen_is_there_for_reports(self):
        world.serve("seen", response(policy("enforce", "mx.seen.example")))
        self.delivered("seen", "verified")
        mailcheck.wait_until("an observation", lambda: self.seen("seen"))
        self.assertEqual(self.seen("seen"), {("sts", "success", "")})
        world.serve("seen", response(policy("enforce", "mx.other.example")))
        world.announce("seen", "a2")
        end(begin("seen"))
        mailcheck.wait_until("another", lambda: len(self.seen("seen")) > 1)
        self.assertIn(("sts", "validation-failure", "mx.seen.example"), self.seen("seen"))

    def test_testing_and_none_deliver_whatever_is_listed(self):
        world.serve("testing", response(policy("testing", "mx.other.example")))
        self.delivered("testing", "opportunistic sts=testing/a1")
        world.serve("nothing", response(policy("none")))
        self.assertNotIn("sts=", self.delivered("nothing", "opportunistic"))

    def test_what_is_no_policy_stops_nothing_and_is_named(self):
        enforce = {name: policy("enforce", "mx.other.example") for name in DOMAINS}
        world.serve("huge", response(enforce["huge"] + "x: y\r\n" * 12000))
        world.serve("redirect", response("", "302 Found", more="Location: https://mta-sts.redirected.example/.well-known/mta-sts.txt\r\n"))
        world.serve("html", response(enforce["html"], kind="text/html"))
        world.serve("broken", response("<html>"))
        world.serve("cut", response(enforce["cut"])[:-20])
        for name in ("othername", "stranger", "expired"):
            world.serve(name, response(enforce[name]))
        released = threading.Event()

        def drip(tls):
            for byte in response(enforce["slow"])[:-1]:
                tls.sendall(bytes([byte]))
                if released.wait(0.05):
                    return
        world.serve("slow", drip)
        expected = {"slow": "sts-policy-fetch-error", "gone": "sts-policy-fetch-error", "noaddress": "sts-policy-fetch-error", "missing": "sts-policy-fetch-error",
                    "redirect": "sts-policy-fetch-error", "cut": "sts-policy-fetch-error", "huge": "sts-policy-invalid", "html": "sts-policy-invalid",
                    "broken": "sts-policy-invalid", "othername": "sts-webpki-invalid", "stranger": "sts-webpki-invalid", "expired": "sts-webpki-invalid"}
        under_way = {name: begin(name) for name in expected}
        for name, message in under_way.items():
            with self.subTest(name):
                sent, tls, reply = end(message)
                self.assertTrue(sent, reply)
                self.assertIn(" opportunistic", tls)
                self.assertNotIn("sts=", tls)
                self.assertIn("result=" + expected[name], d.wait_log(r'event="an MTA-STS policy cannot be had" domain=%s\.example' % name))
        released.set()
        self.assertEqual([r for r in world.policies.requests if "redirected" in r[0]], [])
        for name in ("othername", "stranger", "expired"):  # nobody who cannot prove the name is asked anything
            self.assertEqual(world.policies.asked(name + ".example"), [])

    def test_a_new_id_brings_the_new_policy(self):
        world.serve("changing", response(policy("enforce", "mx.other.example")))
        self.blocked("changing")
        world.serve("changing", response(policy("enforce", "mx.changing.example")))
        self.blocked("changing")  # the id has not changed
        world.announce("changing", "a2")
        self.delivered("changing", "verified sts=enforce/a2")

    def test_the_last_good_policy_is_kept_and_survives_a_restart(self):
        world.serve("kept", response(policy("enforce", "mx.other.example")))
        self.blocked("kept")
        world.serve("kept", response("gone", "404 Not Found"))
        world.announce("kept", "a2")
        self.blocked("kept")  # a new id, and no policy to be had
        self.assertIn("kept=a1", d.wait_log(r'event="an MTA-STS policy cannot be had" domain=kept\.example'))
        world.forget_record("kept")
        self.blocked("kept")  # nor a record
        start_again()
        tls, _ = self.blocked("kept")  # it lies on the disk
        self.assertEqual(tls, "none sts=enforce/a1")

    def test_where_there_is_dane_it_decides(self):
        world.serve("dane", response(policy("enforce", "mx.other.example")))
        self.delivered("dane", "dane")
        world.serve("danewrong", response(policy("enforce", "mx.danewrong.example")))
        self.blocked("danewrong")
        self.assertEqual(world.policies.asked("dane.example") + world.policies.asked("danewrong.example"), [])

    def test_zz_a_policy_host_with_an_address_of_ours_is_not_asked(self):
        world.serve("private", response(policy("enforce", "mx.private.example")))
        d.settings["relay.allow_private"] = False
        d.write_config()
        since = d.mark()
        d.process.send_signal(1)
        d.wait_log("configuration reloaded", since=since)
        self.assertNotIn("sts=", self.delivered("private", "opportunistic"))
        self.assertIn("127.0.0.1", d.wait_log(r'event="an MTA-STS policy cannot be had" domain=private\.example'))
        self.assertEqual(world.policies.asked("private.example"), [])


class ByHand(unittest.TestCase):
    """posternctl check mta-sts and check domain against the same servers. They need no daemon."""

    def check(self, *words):
        done = mailcheck.run([mailcheck.bin_dir + "/posternctl", "check", words[0], "--resolver", "127.0.0.1:%d" % world.names.port, "--ca-file", d.settings["relay.ca_file"],
                              *words[1:]])
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def test_check_mta_sts(self):
        def judged(domain):
            return self.check("mta-sts", "--port", str(world.policies.port), domain + ".example")
        world.serve("byhand", response(policy("enforce", "*.byhand.example", max_age=86400)))
        good = judged("byhand")
        self.assertEqual((good["result"], good["record"]["id"], good["policy"]["mode"], good["policy"]["max_age"], good["policy"]["mx"]),
                         ("pass", "a1", "enforce", 86400, ["*.byhand.example"]), good)
        self.assertEqual(good["mx"], [{"host": "mx.byhand.example", "allowed": True}])
        world.serve("byhand", response(policy("enforce", "mx.other.example")))
        unlisted = judged("byhand")
        self.assertEqual((unlisted["result"], unlisted["mx"][0]["allowed"]), ("fail", False), unlisted)
        world.serve("byhand", response("", "302 Found", more="Location: https://mta-sts.redirected.example/\r\n"))
        moved = judged("byhand")
        self.assertEqual((moved["result"], moved["report_type"], moved["policy"]), ("fail", "sts-policy-fetch-error", None), moved)
        self.assertEqual(judged("stranger")["report_type"], "sts-webpki-invalid")
        self.assertEqual(judged("nowhere")["result"], "none")
        bad = mailcheck.run([mailcheck.bin_dir + "/posternctl", "check", "mta-sts", "--resolver", "127.0.0.1:%d" % world.names.port, "not a domain"], check=False)
        self.assertEqual((bad.returncode, bad.stdout, bad.stderr.count("\n")), (2, "", 1), bad.stderr)

    def test_check_domain(self):
        def judged(domain):
            whole = self.check("domain", "--policy-port", str(world.policies.port), domain)
            return whole["result"], {c["name"]: c for c in whole["checks"]}
        world.serve("whole", response(policy("enforce", "mx.whole.example")))
        result, checks = judged("whole.example")
        self.assertEqual({name: c["result"] for name, c in checks.items()},
                         {"mx": "ok", "addresses": "fail", "ptr": "ok", "spf": "ok", "dmarc": "ok", "mta-sts": "ok", "tls-rpt": "ok", "dane": "ok", "bimi": "ok"}, checks)
        self.assertEqual(result, "fail")  # its server stands on loopback
        self.assertIn("public address", checks["addresses"]["advice"])
        result, checks = judged("empty.example")
        self.assertEqual({name: c["result"] for name, c in checks.items()},
                         {"mx": "fail", "addresses": "fail", "ptr": "fail", "spf": "fail", "dmarc": "fail", "mta-sts": "warn", "tls-rpt": "warn", "dane": "warn", "bimi": "ok"},
                         checks)
        self.assertIn("MX 10 mail.empty.example.", checks["mx"]["advice"])
        result, checks = judged("weak.example")
        self.assertEqual((checks["spf"]["result"], checks["dmarc"]["result"], checks["mx"]["found"]), ("fail", "warn", ["0 mx.weak.example"]), checks)
        self.assertIn("everybody may send", checks["spf"]["reason"])


class OwnPolicy(unittest.TestCase):
    """What web serves for our own domains."""

    def get(self, host, path="/.well-known/mta-sts.txt", port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or d.web_port, timeout=30)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()

    def test_a_policy_is_served_at_its_own_name_and_nothing_else_is(self):
        status, kind, body = self.get("mta-sts.demo.example")
        self.assertEqual((status, kind.split(";")[0]), (200, "text/plain"))
        self.assertEqual(body, policy("enforce", "mx.demo.example"))
        self.assertEqual(self.get("MTA-STS.other.example:443")[2], policy("testing", "mx.demo.example"))
        line = d.wait_log(r'event="an MTA-STS policy is served" host=mta-sts\.demo\.example')
        self.assertRegex(line, r'name=_mta-sts\.demo\.example record="v=STSv1; id=[0-9a-f]{20};"')
        for path in ("/", "/metrics", "/healthz", "/style.css", "/.well-known/", "/.well-known/mta-sts.txt/x"):
            self.assertEqual(self.get("mta-sts.demo.example", path)[0], 404, path)
        self.assertEqual(self.get("localhost")[0], 404)
        self.assertEqual(self.get("localhost", "/healthz")[0], 200)
        for host in ("demo.example", "mta-sts.third.example", "www.mta-sts.demo.example"):
            self.assertEqual(self.get(host)[0], 421, host)


if __name__ == "__main__":
    mailcheck.main()
