#!/usr/bin/python3
"""Postfix relays into us, and we relay into Postfix: a private instance with folders of its own."""
import os, shutil, smtplib, subprocess, sys, tempfile, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, free_port, wait_until  # noqa: E402
from mailcheck import header, run, say_version, text_of, wait_message  # noqa: E402

MAIN = """
compatibility_level = 3.6
queue_directory = %(at)s/spool
data_directory = %(at)s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = %(at)s/maillog
maillog_file_prefixes = /var
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = may
alias_maps =
local_recipient_maps =
relayhost = [127.0.0.1]:%(ours)d
virtual_mailbox_domains = postfix.example
virtual_mailbox_base = %(at)s/mail
virtual_mailbox_maps = static:Maildir/
virtual_uid_maps = static:%(uid)d
virtual_gid_maps = static:%(gid)d
virtual_minimum_uid = 1
smtpd_tls_chain_files = %(at)s/etc/tls.pem
smtpd_tls_security_level = may
"""
TEXT = b"line\r\n.dot\r\n\r\nlast\r\n"


def message(subject, to):
    return b"From: a@good.example\r\nTo: %s\r\nSubject: %s\r\n\r\n" % (to.encode(), subject.encode()) + TEXT


class Postfix(unittest.TestCase):
    def setUp(self):
        at = self.at = tempfile.mkdtemp(prefix="postfix-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, at, True)
        os.chmod(at, 0o755)
        for folder in ("etc", "spool", "data", "mail"):
            os.mkdir("%s/%s" % (at, folder), 0o755)
        shutil.chown(at + "/data", "postfix")
        shutil.chown(at + "/mail", "mail", "mail")
        self.port = free_port()
        self.daemon = Daemon(mailcheck.bin_dir, {"relay.routes": ["postfix.example=127.0.0.1:%d" % self.port]})
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at + "/etc/key.pem",
             "-out", at + "/etc/crt.pem", "-days", "30", "-subj", "/CN=postfix.example"])
        with open(at + "/etc/tls.pem", "w") as out:
            for part in ("key", "crt"):
                with open("%s/etc/%s.pem" % (at, part)) as f:
                    out.write(f.read())
        os.chmod(at + "/etc/tls.pem", 0o600)
        import pwd
        row = pwd.getpwnam("mail")
        with open(at + "/etc/main.cf", "w") as f:
            f.write(MAIN % {"at": at, "ours": self.daemon.smtp_port, "uid": row.pw_uid, "gid": row.pw_gid})
        rows, had_log = [], False
        with open("/usr/share/postfix/master.cf.dist") as f:
            for line in f:
                if line[:1] not in "# \t\n":
                    fields = line.split()
                    fields[4] = "n"  # no chroot: it would have to be furnished
                    if fields[0] == "smtp" and fields[1] == "inet":
                        fields[0] = "127.0.0.1:%d" % self.port
                    had_log |= fields[0] == "postlog"
                    line = " ".join(fields) + "\n"
                rows.append(line)
        with open(at + "/etc/master.cf", "w") as f:
            f.write("".join(rows) + ("" if had_log else "postlog unix-dgram n - n - 1 postlogd\n"))
        run(["postfix", "-c", at + "/etc", "start"])
        self.addCleanup(run, ["postfix", "-c", at + "/etc", "stop"], False)
        say_version("postconf", "-d", "mail_version")

    def maillog(self):
        with open(self.at + "/maillog", errors="replace") as f:
            return f.read()

    def test_both_directions(self):
        with self.daemon as d:
            d.ctl("domain", "add", "demo.example")
            d.ctl("account", "add", "alice@demo.example")
            with self.subTest("Postfix relays into us"):
                with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
                    client.sendmail("a@good.example", ["alice@demo.example"], message("from Postfix", "alice@demo.example"))
                raw = wait_message(d, "alice@demo.example", "from Postfix")
                self.assertEqual(text_of(raw), TEXT)
                self.assertRegex(header(raw, "Received")[0], r"^from postfix\.example .*with ESMTPS", "under TLS, for both can")
                self.assertEqual(len(header(raw, "Received")), 2)
                wait_until("Postfix says that it was sent", lambda: "status=sent (250 2.0.0" in self.maillog())
            with self.subTest("a user we do not have comes back to Postfix as a refusal"):
                with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
                    client.sendmail("a@good.example", ["nobody@demo.example"], message("never", "nobody@demo.example"))
                wait_until("Postfix bounces it", lambda: "status=bounced" in self.maillog() and "550 5.1.1" in self.maillog())
            with self.subTest("we relay into Postfix"):
                with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                    client.sendmail("a@good.example", ["bob@postfix.example"], message("to Postfix", "bob@postfix.example"))
                ended = d.wait_log(r'event="delivery ended".*to=bob@postfix\.example.*delivered=1')
                self.assertRegex(ended, r'tls="?TLS')
                new = self.at + "/mail/Maildir/new"
                path, = wait_until("a file in Postfix's Maildir", lambda: os.path.isdir(new) and os.listdir(new))
                with open(new + "/" + path, "rb") as f:
                    raw = f.read()
                self.assertEqual(header(raw, "Subject"), ["to Postfix"])
                self.assertEqual(text_of(raw), TEXT)
                self.assertTrue(any("by mx.demo.example" in r for r in header(raw, "Received")))


if __name__ == "__main__":
    mailcheck.main()
