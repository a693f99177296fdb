#!/usr/bin/python3
"""OpenSMTPD relays into us, and we relay into OpenSMTPD.

Debian's package conflicts with Postfix's, so it is not installed: it is fetched and unpacked, and runs from there. The paths it has
compiled in are bind mounts in a mount namespace of its own."""
import glob, os, pwd, shutil, smtplib, ssl, subprocess, sys, tempfile, threading, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, free_port, wait_until  # noqa: E402
from mailcheck import header, run, say_version, text_of, wait_message  # noqa: E402

CONFIG = """
pki ours cert "%(at)s/crt.pem"
pki ours key "%(at)s/key.pem"
table users { "bob@opensmtpd.example" = mail }
listen on 127.0.0.1 port %(port)d tls pki ours hostname opensmtpd.example
action "relay" relay host smtp://127.0.0.1:%(ours)d helo opensmtpd.example
action "local" maildir "%(at)s/mail" virtual <users>
match from any for domain "opensmtpd.example" action "local"
match from any for any action "relay"
"""
FIXED = {"/var/spool/smtpd": "spool", "/usr/libexec/opensmtpd": "unpacked/usr/libexec/opensmtpd", "/var/lib/opensmtpd/empty": "empty"}
USERS = ("opensmtpd", "opensmtpq")
TEXT = b"line\r\n.dot\r\n\r\nlast\r\n"


def message(subject, to):
    return b"From: a@good.example\r\nTo: %s\r\nSubject: %s\r\n\r\n" % (to.encode(), subject.encode()) + TEXT


def unpack(folder):
    """The package's files under `folder`. Its archive is fetched once and kept where apt keeps such things."""
    kept = "/var/cache/apt/archives/opensmtpd_*.deb"
    if not glob.glob(kept):
        fetched = subprocess.run(["apt-get", "download", "-q", "opensmtpd"], cwd="/var/cache/apt/archives", capture_output=True, text=True, timeout=120)
        if fetched.returncode != 0:  # no lists yet
            run(["apt-get", "update", "-q"])
            fetched = subprocess.run(["apt-get", "download", "-q", "opensmtpd"], cwd="/var/cache/apt/archives", capture_output=True, text=True, timeout=120)
        if fetched.returncode != 0:
            raise AssertionError("OpenSMTPD cannot be fetched: " + fetched.stderr)
    run(["dpkg-deb", "-x", sorted(glob.glob(kept))[-1], folder])


class OpenSmtpd(unittest.TestCase):
    def setUp(self):
        at = self.at = tempfile.mkdtemp(prefix="opensmtpd-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, at, True)
        os.chmod(at, 0o755)
        for folder, mode in (("spool", 0o711), ("empty", 0o755), ("mail", 0o755), ("unpacked", 0o755)):
            os.mkdir("%s/%s" % (at, folder), mode)
        shutil.chown(at + "/mail", "mail", "mail")
        unpack(at + "/unpacked")
        self.make_users()
        self.port = free_port()
        self.daemon = Daemon(mailcheck.bin_dir, {"relay.routes": ["opensmtpd.example=127.0.0.1:%d" % self.port]})
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", at + "/key.pem", "-out", at + "/crt.pem", "-days", "30",
             "-subj", "/CN=opensmtpd.example"])
        os.chmod(at + "/key.pem", 0o600)
        with open(at + "/smtpd.conf", "w") as f:
            f.write(CONFIG % {"at": at, "port": self.port, "ours": self.daemon.smtp_port})
        os.chmod(at + "/smtpd.conf", 0o600)
        self.start()
        say_version(at + "/unpacked/usr/sbin/smtpd", "-h")

    def make_users(self):
        for name in USERS:
            try:
                pwd.getpwnam(name)
            except KeyError:
                run(["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name])
                self.addCleanup(run, ["userdel", name], False)

    def start(self):
        made = [path for path in FIXED if not os.path.isdir(path)]
        for path in FIXED:
            os.makedirs(path, exist_ok=True)
        self.addCleanup(lambda: [os.removedirs(path) for path in made if os.path.isdir(path) and not os.listdir(path)])
        binds = "".join("mount --bind '%s/%s' '%s'; " % (self.at, source, path) for path, source in FIXED.items())
        # PATH: it starts its own parts by name.
        script = "set -e; %sPATH=%s/unpacked/usr/sbin:$PATH exec %s/unpacked/usr/sbin/smtpd -d -f %s/smtpd.conf" % (binds, self.at, self.at, self.at)
        self.process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        self.lines = []
        reader = threading.Thread(target=lambda: self.lines.extend(line.rstrip("\n") for line in iter(self.process.stderr.readline, "")), daemon=True)
        reader.start()
        self.addCleanup(self.stop)
        wait_until("OpenSMTPD listens", self.listens)

    def listens(self):
        self.assertIsNone(self.process.poll(), "OpenSMTPD has ended:\n" + "\n".join(self.lines))
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=10):
                return True
        except OSError:
            return False

    def stop(self):
        self.process.kill()  # --kill-child: everything in its pid namespace ends with it
        self.process.wait()
        self.process.stderr.close()

    def said(self, words):
        return any(words in line for line in list(self.lines))

    def handshake_works(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
            client.ehlo()
            self.assertTrue(client.has_extn("starttls"))
            try:
                client.starttls(context=context)
                works = True
            except ssl.SSLError as error:
                works = False
                print("OpenSMTPD's STARTTLS fails with Python's client too: %s" % error.reason, flush=True)
                client.close()
        return works

    def send(self, port, to, subject):
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
            client.sendmail("a@good.example", [to], message(subject, to))

    def wait_said(self, what, words):
        try:
            wait_until(what, lambda: self.said(words))
        except AssertionError as error:
            raise AssertionError("%s; OpenSMTPD said:\n%s" % (error, "\n".join(self.lines[-30:])))

    def test_both_directions(self):
        with self.daemon as d:
            d.ctl("domain", "add", "demo.example")
            d.ctl("account", "add", "alice@demo.example")
            with self.subTest("OpenSMTPD relays into us"):
                self.send(self.port, "alice@demo.example", "from OpenSMTPD")
                raw = wait_message(d, "alice@demo.example", "from OpenSMTPD")
                self.assertEqual(text_of(raw), TEXT)
                self.assertRegex(header(raw, "Received")[0], r"^from opensmtpd\.example .*with ESMTPS", "under TLS, for both can")
                self.assertEqual(len(header(raw, "Received")), 2)
                self.wait_said("OpenSMTPD says that it was sent", 'result="Ok"')
            with self.subTest("a user we do not have comes back to OpenSMTPD as a refusal"):
                self.send(self.port, "nobody@demo.example", "never")
                self.wait_said("OpenSMTPD is told", "550 5.1.1")
            with self.subTest("we relay into OpenSMTPD"):
                self.send(d.smtp_port, "bob@opensmtpd.example", "to OpenSMTPD")
                ended = d.wait_log(r'event="delivery ended".*to=bob@opensmtpd\.example.*delivered=1')
                # Debian 12's build offers STARTTLS and then ends every handshake with an internal error (its key process and OpenSSL 3).
                # Where another client gets through, so must we; where none does, the mail goes in clear, for nothing asked for TLS.
                self.assertRegex(ended, r'tls="?TLS' if self.handshake_works() else r'tls=""')
                new = self.at + "/mail/new"
                path, = wait_until("a file in OpenSMTPD's Maildir", lambda: os.path.isdir(new) and os.listdir(new))
                with open(new + "/" + path, "rb") as f:
                    raw = f.read()
                self.assertEqual(header(raw, "Subject"), ["to OpenSMTPD"])
                self.assertEqual(text_of(raw), TEXT)
                self.assertTrue(any("by mx.demo.example" in r for r in header(raw, "Received")))
            with self.subTest("a user OpenSMTPD does not have comes back as a DSN"):
                d.ctl("account", "add", "carol@demo.example")
                with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                    client.sendmail("carol@demo.example", ["nobody@opensmtpd.example"], message("never", "nobody@opensmtpd.example"))
                rows = wait_until("the DSN", lambda: mailcheck.messages(d, "carol@demo.example"))
                raw = mailcheck.show(d, "carol@demo.example", rows[0]["uid"])
                self.assertIn(b"Final-Recipient: rfc822;nobody@opensmtpd.example", raw.replace(b"rfc822; ", b"rfc822;"))
                self.assertRegex(raw, rb"Status: 5\.")


if __name__ == "__main__":
    mailcheck.main()
