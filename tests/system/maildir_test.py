#!/usr/bin/python3
"""Mail for an account that is delivered to a Maildir: one complete file in new/, nothing left in tmp/, for nobody else's eyes."""
import os, smtplib, stat, sys, tempfile, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from mailcheck import header  # noqa: E402

SENT = b"From: a@good.example\r\nTo: max@demo.example\r\nSubject: into a Maildir\r\n\r\nline\r\n.dot\r\nFrom the start\r\n"


def files(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)


class Maildir(unittest.TestCase):
    def test_message_is_one_complete_private_file_in_new(self):
        with tempfile.TemporaryDirectory(prefix="postern-maildir-", dir="/var/tmp") as top:
            os.chmod(top, 0o711)
            root = top + "/mail"
            os.mkdir(root, 0o700)
            d = Daemon(mailcheck.bin_dir, {"mailbox.maildir": root})
            mailcheck.give(root, "postern-mailbox")
            with d:
                d.ctl("domain", "add", "demo.example")
                d.ctl("account", "add", "max@demo.example", "--delivery", "maildir", "--maildir-folder", "max")
                with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                    client.sendmail("a@good.example", ["max@demo.example"], SENT)
                path, = wait_until("a file in new/", lambda: [f for f in files(root) if "/new/" in f])
                with open(path, "rb") as f:
                    raw = f.read()
                self.assertTrue(path.startswith(root + "/max/"), path)
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0, "others could read it")
                self.assertEqual(files(root + "/max/tmp"), [])
                # A Maildir holds lines as the system ends them.
                self.assertEqual(raw.replace(b"\r\n", b"\n")[-len(SENT.replace(b"\r\n", b"\n")):], SENT.replace(b"\r\n", b"\n"))
                self.assertEqual(header(raw, "Return-Path"), ["<a@good.example>"])
                self.assertEqual(len(header(raw, "Received")), 1)
                with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                    for _ in range(20):
                        client.sendmail("a@good.example", ["max@demo.example"], SENT)
                wait_until("21 files", lambda: len([f for f in files(root) if "/new/" in f]) == 21)


if __name__ == "__main__":
    mailcheck.main()
