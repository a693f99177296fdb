#!/usr/bin/python3
"""What a user meets at the edges: a full spool, a thousand idle clients, a configuration with a mistake, the audit of the running daemon."""
import os, smtplib, socket, subprocess, sys, tempfile, unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import mailcheck  # noqa: E402
from daemon import Daemon, wait_until  # noqa: E402
from mailcheck import messages, run, wait_message  # noqa: E402

ALICE = "alice@demo.example"


def with_alice(d):
    d.ctl("domain", "add", "demo.example")
    d.ctl("account", "add", ALICE)


def message(subject, size=100):
    return b"From: a@good.example\r\nTo: alice@demo.example\r\nSubject: %s\r\n\r\n" % subject.encode() + (b"x" * 70 + b"\r\n") * (size // 72)


class Full(unittest.TestCase):
    def test_full_spool_is_452_nothing_answered_250_is_lost_and_room_is_found_again(self):
        with Daemon(mailcheck.bin_dir, {"queue.max_size": 16777216, "queue.hold_all": True}) as d:
            with_alice(d)
            taken, refused = [], None
            for i in range(60):
                with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                    try:
                        client.sendmail("a@good.example", [ALICE], message("full %d" % i, 1000000))
                        taken.append("full %d" % i)
                    except smtplib.SMTPResponseException as error:  # SMTPSenderRefused (before DATA) or SMTPDataError (at its end)
                        refused = error
                        break
            self.assertIsNotNone(refused, "60 MB into 16 MB")
            self.assertEqual((refused.smtp_code, refused.smtp_error[:5]), (452, b"4.3.1"))
            self.assertGreater(len(taken), 3)
            d.ctl("queue", "release", "--all")
            wait_until("what was taken is delivered", lambda: sorted(m["subject"] for m in messages(d, ALICE)) == sorted(taken), 60)

            def send_again():
                try:
                    with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                        client.sendmail("a@good.example", [ALICE], message("room again"))
                    return True
                except smtplib.SMTPResponseException as error:
                    self.assertEqual(error.smtp_code, 452)
                    return False
            wait_until("mail is taken again", send_again)
            d.ctl("queue", "release", "--all")
            wait_message(d, ALICE, "room again")
            self.assertEqual(sum(p["restarts"] for p in d.status().values()), 0)


class Idle(unittest.TestCase):
    def test_a_thousand_idle_clients_do_no_harm(self):
        with Daemon(mailcheck.bin_dir) as d:
            with_alice(d)
            idle = [socket.create_connection(("127.0.0.1", d.smtp_port), 60) for _ in range(1000)]
            try:
                for sock in idle:
                    self.assertEqual(sock.recv(200)[:4], b"220 ")
                with smtplib.SMTP("127.0.0.1", d.smtp_port, timeout=60) as client:
                    client.sendmail("a@good.example", [ALICE], message("among the idle"))
                wait_message(d, ALICE, "among the idle")
                for sock in idle[::100]:
                    sock.sendall(b"NOOP\r\n")
                    self.assertEqual(sock.recv(200)[:4], b"250 ")
            finally:
                for sock in idle:
                    sock.close()
            self.assertEqual(d.status()["listener"]["restarts"], 0)


class Configuration(unittest.TestCase):
    def test_mistakes_name_file_line_and_key_and_nothing_starts(self):
        good = '[server]\nhost_name = "mx.demo.example"\nstate_dir = "%s/state"\nrun_dir = "%s/run"\n'
        for rows, line, key in (("[smtp]\nlistne = [\"127.0.0.1:2525\"]\n", 6, "listne"), ("[smtp]\nmax_recipients = 5\n", 6, "smtp.max_recipients"),
                                ("[smtp]\nrelay_networks = [\"127.0.0.0/33\"]\n", 6, "smtp.relay_networks"), ("[verify]\ndmarc_policy = \"maybe\"\n", 6, "verify.dmarc_policy"),
                                ("[queue]\nexpire = \"soon\"\n", 6, "queue.expire"), ("[web]\ntls = \n", 6, "")):
            with self.subTest(key), tempfile.TemporaryDirectory(dir="/var/tmp") as at:
                path = at + "/postern.toml"
                with open(path, "w") as f:
                    f.write(good % (at, at) + rows)
                for words in (["-n"], []):
                    done = run([mailcheck.bin_dir + "/postern", "-c", path] + words, check=False)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    said = done.stdout + done.stderr
                    self.assertRegex(said, r"postern\.toml:%d\b" % line)
                    self.assertIn(key, said)
                self.assertEqual(os.listdir(at), ["postern.toml"], "something was begun")

    def test_good_configuration_passes(self):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as at:
            with open(at + "/postern.toml", "w") as f:
                f.write('[server]\nhost_name = "mx.demo.example"\n')
            run([mailcheck.bin_dir + "/postern", "-n", "-c", at + "/postern.toml"])


class SecondDaemon(unittest.TestCase):
    def test_does_not_start_on_the_same_folders_and_says_who_has_them(self):
        with Daemon(mailcheck.bin_dir) as d:
            d.ctl("domain", "add", "demo.example")
            for config, where in ((d.config, "the same file"), (d.folder + "/other.toml", "another file and other ports")):
                with self.subTest(where):
                    if config != d.config:
                        with open(config, "w") as f:
                            f.write('[server]\nhost_name = "mx.demo.example"\nstate_dir = "%s/state"\nrun_dir = "%s/other"\n'
                                    '[smtp]\nlisten = ["127.0.0.1:0"]\n[web]\nlisten = []\n' % (d.folder, d.folder))
                    second = run([mailcheck.bin_dir + "/postern", "-c", config], check=False)
                    self.assertEqual(second.returncode, 1, second.stderr)
                    self.assertIn("in use by another postern, pid %d;" % d.process.pid, second.stderr)
            # The first lives on, and its control socket is still its own.
            self.assertEqual([row["domain"] for row in d.ctl("domain", "list")["domains"]], ["demo.example"])
            self.assertTrue(all(p["restarts"] == 0 for p in d.status().values()))
            with self.subTest("killed, it leaves no lock behind"):
                pids = [p["pid"] for p in d.status().values()]
                d.process.kill()
                d.process.wait()
                d.reader.join()
                wait_until("its processes have ended with it", lambda: not any(os.path.exists("/proc/%d" % pid) for pid in pids))
                mark = d.mark()
                d.start()
                d.wait_log('event="postern is up"', since=mark)


class Shown(unittest.TestCase):
    def test_audit_policy_and_map(self):
        with Daemon(mailcheck.bin_dir) as d:
            audit = d.ctl("audit", check=False, as_json=False)
            self.assertEqual(audit.returncode, 0, audit.stdout + audit.stderr)
            roles = [p["name"] for p in d.ctl("status")["processes"]]
            self.assertEqual(len(roles), 10)
            for role in roles:
                self.assertIn(role, audit.stdout)
        ctl = mailcheck.bin_dir + "/posternctl"
        self.assertIn("accept4", run([ctl, "policy", "listener"]).stdout)
        self.assertIn("recipient-query", run([ctl, "ipc"]).stdout)
        default = run([ctl, "config", "default"]).stdout
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
            # The machine of the test may have no full name, and the server wants one.
            self.assertIn('# host_name = ""', default)
            f.write(default.replace('# host_name = ""', 'host_name = "mx.demo.example"'))
            f.flush()
            run([mailcheck.bin_dir + "/postern", "-n", "-c", f.name])
            run([ctl, "config", "check", f.name])


if __name__ == "__main__":
    mailcheck.main()
