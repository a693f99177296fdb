#!/usr/bin/python3
"""The pages over HTTPS in the real daemon: curl, a certificate made at the first start, a key that stays in the signer."""
import json, os, re, socket, ssl, sys, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from mailcheck import run, say_version  # noqa: E402


def certificate(port):
    """What the server presents, as PEM."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 20) as plain, context.wrap_socket(plain, server_hostname="mx.demo.example") as tls:
        return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))


class WebTls(unittest.TestCase):
    def curl(self, d, path, *options, check=True):
        return run(["curl", "--silent", "--show-error", "--max-time", "20", "--resolve", "mx.demo.example:%d:127.0.0.1" % d.web_port,
                    *options, "https://mx.demo.example:%d%s" % (d.web_port, path)], check)

    def test_pages_over_https(self):
        say_version("curl", "--version")
        with Daemon(mailcheck.bin_dir, {"web.tls": True, "web.hosts": ["mx.demo.example"]}) as d:
            with self.subTest("the certificate of the first start is for our name: a client that trusts it verifies it"):
                trusted = d.folder + "/trusted.pem"
                with open(trusted, "w") as f:
                    f.write(wait_until("a certificate", lambda: certificate(d.web_port)))
                wait_until("web has heard of the others", lambda: self.curl(d, "/healthz", "--cacert", trusted).stdout.strip() == "ok")
            with self.subTest("nobody who does not trust it is fooled"):
                refused = self.curl(d, "/healthz", check=False)
                self.assertEqual(refused.returncode, 60, refused.stderr)  # curl(1): the peer's certificate cannot be authenticated
            with self.subTest("the status page and the metrics"):
                page = self.curl(d, "/", "--cacert", trusted, "--include").stdout
                self.assertRegex(page, r"^HTTP/1\.1 200 ")
                self.assertIn("listener", page)
                metrics = wait_until("the signer's count", lambda: re.search(
                    r'postern_signatures_total\{process="signer",asker="web",result="made"\} (\d+)',
                    self.curl(d, "/metrics", "--cacert", trusted).stdout))
                self.assertGreater(int(metrics.group(1)), 0, "each handshake is signed by the signer")
            with self.subTest("TLS 1.2 and 1.3, and nothing older"):
                for version in ("1.2", "1.3"):
                    self.curl(d, "/healthz", "--cacert", trusted, "--tlsv" + version, "--tls-max", version)
                old = self.curl(d, "/healthz", "--cacert", trusted, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", check=False)
                self.assertEqual(old.returncode, 35, "curl(1): a failed handshake; it ended with %d %s" % (old.returncode, old.stderr))
            with self.subTest("a browser that speaks in clear is not answered in clear"):
                with socket.create_connection(("127.0.0.1", d.web_port), 20) as plain:
                    plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: mx.demo.example\r\n\r\n")
                    plain.settimeout(20)
                    heard = b""
                    try:
                        while part := plain.recv(4096):
                            heard += part
                    except ConnectionError:
                        pass
                    self.assertNotIn(b"HTTP/", heard)
            with self.subTest("the web process holds no file at all, so no key; the signer's restart is got over"):
                pid = d.pid("web")
                held = [os.readlink("/proc/%d/fd/%s" % (pid, n)) for n in os.listdir("/proc/%d/fd" % pid)]
                self.assertEqual([h for h in held if h.startswith("/") and h != "/dev/null"], [])
                mark = d.mark()
                d.kill("signer")
                d.wait_log('event="process ready" name=signer ', since=mark)
                wait_until("HTTPS again", lambda: self.curl(d, "/healthz", "--cacert", trusted, check=False).stdout.strip() == "ok")
                self.assertEqual(d.pid("web"), pid)
            with self.subTest("the sandbox is as its policy says, and nothing in it was missed"):
                audit = d.ctl("audit")
                self.assertTrue(audit["clean"], json.dumps(audit))
                self.assertEqual(audit["processes"][0]["name"], "parent")
                self.assertEqual(d.status()["web"]["seccomp_deaths"], 0)


if __name__ == "__main__":
    mailcheck.main()
