#!/usr/bin/python3
"""The whole daemon with a listener that was broken into: hostile_child stands in its place and says whatever helps it.

    hostile_listener_test.py BIN-FOLDER HOSTILE-CHILD

It must not relay, not reach a mailbox it got no ticket for, and not speak for another process. Each attack is a script; the listener is
killed, its successor runs it. Needs root. A control (a true ticket is accepted) shows that refusals come from the tickets.
"""
import os, shutil, signal, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from daemon import Daemon, wait_until  # noqa: E402
from smtp_sink import Sink  # noqa: E402

ALICE, BOB, OUTSIDE = "alice@demo.example", "bob@demo.example", "victim@elsewhere.example"


def executables_with(bin_dir, hostile):
    """The daemon's programs with hostile_child as the listener. The parent starts what stands beside it, so it and the script's owner are copies."""
    folder = tempfile.mkdtemp(prefix="postern-hostile-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    for name in os.listdir(bin_dir):
        if name.startswith("postern") and name not in ("postern", "postern-listener"):
            os.symlink(os.path.join(os.path.abspath(bin_dir), name), os.path.join(folder, name))
    shutil.copy2(os.path.join(bin_dir, "postern"), os.path.join(folder, "postern"))
    shutil.copy2(hostile, os.path.join(folder, "postern-listener"))
    return folder


class Attack:
    def __init__(self, daemon, folder):
        self.daemon, self.script = daemon, os.path.join(folder, "postern-listener.script")
        self.runs = 0

    def run(self, *lines):
        """Gives the listener a successor that follows `lines`; returns the place in the log from where on it speaks, and its last word."""
        self.runs += 1
        word = "end-of-script-%d" % self.runs
        pid = wait_until("a running listener", self.pid)
        with open(self.script, "w") as f:
            f.write("\n".join(lines + ("say " + word,)) + "\n")
        since = self.daemon.mark()
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it had read the script of the attack before, and was ended for it again
        return since, word

    def pid(self):
        listener = self.daemon.status()["listener"]
        return listener["pid"] if listener["state"] == "running" else 0

    def answers(self, *lines):
        """What the listener heard: [(who, row, bytes)]."""
        since, word = self.run(*lines)
        self.daemon.wait_log("name=listener .*" + word, since=since)
        heard = []
        for line in self.daemon.lines[since:]:
            if "name=listener" in line and 'line="answer ' in line:
                who, row, digits = line.split('line="answer ', 1)[1].split('"', 1)[0].split(" ")
                heard.append((who, row, bytes.fromhex(digits)))
        return heard

    def code(self, *lines):
        """The SMTP code of the last answer (the first field of a verdict)."""
        heard = self.answers(*lines)
        assert heard, "nobody answered %r:\n%s" % (lines, "\n".join(self.daemon.lines[-20:]))
        return int.from_bytes(heard[-1][2][:2], "little")

    def is_ended_for(self, words, *lines):
        since, _ = self.run(*lines)
        self.daemon.wait_log(r'event="process ended by the parent" name=listener .*' + words, since=since)
        os.unlink(self.script)


def messages(daemon, address):
    answer = daemon.ctl("mail", "list", address)
    return answer.get("messages", []) if isinstance(answer, dict) else answer


def attacks(daemon, attack, sink):
    for verifier in ("verifier-out", "verifier-in"):
        for command in ("relay-without-ticket", "forge-ticket"):
            code = attack.code("%s %s %s" % (command, OUTSIDE, verifier))
            assert code >= 400, "%s through %s was answered %d" % (command, verifier, code)
    code = attack.code("claim-loopback-client " + OUTSIDE)
    assert 500 <= code < 600, "a claimed loopback address may relay: %d" % code
    code = attack.code("bend-ticket %s %s verifier-in" % (ALICE, BOB))
    assert code >= 400, "a ticket for alice delivered to bob: %d" % code
    code = attack.code("forge-ticket %s verifier-in" % BOB)
    assert code >= 400, "a forged ticket delivered to bob: %d" % code

    attack.is_ended_for("may not send spool-request", "send spool-request to queue hex - fd")
    attack.is_ended_for("may not send local-delivery", "send local-delivery to mailbox hex - fd")
    attack.is_ended_for("may not send stop", "send stop to mailbox hex -")
    attack.is_ended_for("no message has number", "raw to signer hex ffff000000000000")
    attack.is_ended_for("may not send admin-request", "send admin-request to parent hex 00")

    # The control: with the ticket it was given, its mail is taken and delivered. So it was the tickets that stopped the rest.
    code = attack.code("bend-ticket %s %s verifier-in" % (ALICE, ALICE))
    assert code == 250, "a true ticket was answered %d" % code
    wait_until("alice's message", lambda: len(messages(daemon, ALICE)) == 1)
    assert messages(daemon, BOB) == [], "bob has mail"
    assert sink.messages == [], "something was relayed"
    status = daemon.status()
    for name in ("mailbox", "queue", "signer", "verifier-in", "verifier-out"):
        assert status[name]["restarts"] == 0, "%s died %d times" % (name, status[name]["restarts"])


def main():
    bin_dir, hostile = sys.argv[1:3]
    if os.geteuid() != 0:
        print("needs root")
        return 77
    folder, sink = executables_with(bin_dir, hostile), Sink()
    try:
        settings = {"relay.routes": ["*=127.0.0.1:%d" % sink.port], "verify.enabled": False, "server.restart_backoff_max": "1s"}
        with Daemon(bin_dir, settings, executables=folder) as daemon:
            daemon.ctl("domain", "add", "demo.example")
            for account in (ALICE, BOB):
                daemon.ctl("account", "add", account, "--password-stdin", stdin="a demo password\n")
            attacks(daemon, Attack(daemon, folder), sink)
    finally:
        sink.close()
        shutil.rmtree(folder, ignore_errors=True)
    print("no attack of a broken listener went through")
    return 0


if __name__ == "__main__":
    sys.exit(main())
