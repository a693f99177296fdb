#!/usr/bin/python3
"""Dovecot takes our mail by LMTP over a unix socket: a private instance in a temporary folder, its Maildir read afterwards."""
import os, shutil, smtplib, subprocess, sys, tempfile, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from mailcheck import header, say_version, text_of  # noqa: E402

CONFIG = """
base_dir = %(at)s/run
state_dir = %(at)s/run
log_path = %(at)s/dovecot.log
protocols = lmtp
ssl = no
first_valid_uid = 1
mail_location = maildir:%(at)s/mail/%%u
mail_uid = mail
mail_gid = mail
recipient_delimiter = +
passdb {
  driver = static
}
userdb {
  driver = passwd-file
  args = %(at)s/users
}
service anvil {
  chroot =
}
service lmtp {
  unix_listener lmtp {
    path = %(at)s/lmtp
    mode = 0666
  }
}
service stats {
  chroot =
}
"""


def files(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder + "/new") for name in names)


class Dovecot(unittest.TestCase):
    def setUp(self):
        self.at = tempfile.mkdtemp(prefix="dc", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.at, True)
        os.chmod(self.at, 0o755)
        os.mkdir(self.at + "/mail")
        shutil.chown(self.at + "/mail", "mail", "mail")
        with open(self.at + "/users", "w") as f:
            f.write("dora@dove.example:::::::\n")
        with open(self.at + "/dovecot.conf", "w") as f:
            f.write(CONFIG.replace("path = %(at)s/lmtp\n    ", "").replace("unix_listener lmtp", "unix_listener %(at)s/lmtp") % {"at": self.at})
        self.process = None
        self.addCleanup(self.end)

    def begin(self):
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.at + "/dovecot.conf"], stdin=subprocess.DEVNULL)
        wait_until("Dovecot's LMTP socket", lambda: os.path.exists(self.at + "/lmtp") or self.process.poll() is not None)
        self.assertIsNone(self.process.poll(), "Dovecot ended")

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.process = None

    def test_mail_for_an_lmtp_domain_reaches_dovecot_also_after_it_was_down(self):
        say_version("dovecot", "--version")
        sent = [b"From: a@good.example\r\nTo: dora@dove.example\r\nSubject: lmtp %d\r\n\r\nline\r\n.dot\r\n" % i for i in range(2)]
        with Daemon(mailcheck.bin_dir, {"mailbox.lmtp_sockets": ["dove=%s/lmtp" % self.at], "queue.retry": ["1s"]}) as d:
            d.ctl("domain", "add", "dove.example", "--delivery", "lmtp:dove", "--lmtp-accept-all", "yes")
            with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                client.sendmail("a@good.example", ["dora@dove.example"], sent[0])
                d.wait_log(r'event="delivery ended".*to=dora@dove\.example.*deferred=1')
                self.begin()
                client.sendmail("a@good.example", ["dora@dove.example"], sent[1])
                inbox = wait_until("two files in Dovecot's Maildir", lambda: (lambda f: f if len(f) == 2 else None)(files(self.at + "/mail/dora@dove.example")))
                client.sendmail("a@good.example", ["nobody@dove.example"], sent[1])
                self.assertIn(" reply=550", d.wait_log(r'event=delivery .*to=nobody@dove\.example'))
        found = []
        for path in inbox:
            with open(path, "rb") as f:
                found.append(f.read())
        self.assertEqual(sorted(header(raw, "Subject")[0] for raw in found), ["lmtp 0", "lmtp 1"])
        for raw in found:
            self.assertEqual(text_of(raw), b"line\r\n.dot\r\n")
            self.assertEqual(header(raw, "Return-Path"), ["<a@good.example>"])
            self.assertIn("mx.demo.example", " ".join(header(raw, "Received")))


if __name__ == "__main__":
    mailcheck.main()
