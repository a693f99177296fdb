#!/usr/bin/python3
"""Parts of the daemon, and what it leans on, that are dead or hang: mail goes on or is put off, nothing answered is lost.

    dead_parts_test.py BIN-FOLDER [CASE...]"""
import contextlib, os, signal, socket, subprocess, sys, threading, time

from common import NoNames, check_ends, check_fate, make_account, make_daemon, mail_load, processes, starttls, wait_delivered
from daemon import wait_until
from smtp_sink import Sink


@contextlib.contextmanager
def stopped(d, role):
    """While this lasts the process hangs: it lives, holds its channels open and answers nothing."""
    pid = processes(d)[role]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


class Post:
    """Sends mail and remembers what was answered."""

    def __init__(self, daemon):
        self.daemon, self.answered, self.count = daemon, [], 0

    def send(self, is_local, patience=60):
        self.count += 1
        name, began = "case%04d" % self.count, time.monotonic()
        mail_load.send_one(self.daemon.smtp_port, name, is_local, patience)
        self.answered.append(name)
        return time.monotonic() - began

    def both(self):
        return max(self.send(True), self.send(False))


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptor_limit(pid):
    with open("/proc/%d/limits" % pid) as f:
        return next(int(line.split()[3]) for line in f if line.startswith("Max open files"))


def set_descriptor_limit(pid, soft):
    """As the user of the process: root without CAP_SYS_RESOURCE may not set the limits of others, each may set its own."""
    with open("/proc/%d/status" % pid) as f:
        ids = {line.split()[0]: int(line.split()[1]) for line in f if line[:4] in ("Uid:", "Gid:")}
    subprocess.run(["prlimit", "--pid", str(pid), "--nofile=%d:" % soft], check=True, user=ids["Uid:"], group=ids["Gid:"], extra_groups=[])


# ---- the cases: each gets the daemon and its post ---------------------------------------------------------------------

def resolver_upstream_dead(d, post):
    """Nobody answers at the upstream: judged with temperror within the deadline, and taken."""
    mark = d.mark()
    took = post.send(True)
    line = d.wait_log("process=verifier-in event=judged ", since=mark)
    assert "spf=temperror" in line and "disposition=accepted" in line, line
    assert took < 12, "an answer only after %.1f s with verify.deadline = 8s" % took
    return "judged with temperror, taken after %.1f s" % took


def resolver_hangs(d, post):
    """The resolver itself does not answer: the deadline of the judgement ends the wait."""
    with stopped(d, "resolver"):
        took = post.send(True)
    assert took < 12, "an answer only after %.1f s with verify.deadline = 8s" % took
    return "taken after %.1f s" % took


def signer_hangs(d, post):
    """Handshakes fail; mail in clear goes on meanwhile, however many try TLS, for the signer's silence is waited for only once."""
    starttls(d.smtp_port).quit()
    with stopped(d, "signer"):
        crowd = [mail_load.Client(d.smtp_port, patience=30) for _ in range(30)]
        for client in crowd:
            client.command("STARTTLS", "220")
        watched, longest = mail_load.Client(d.smtp_port, patience=30), 0.0
        for client in crowd:
            client.socket.sendall(tls_hello())
            began = time.monotonic()
            watched.command("NOOP", "250")
            longest = max(longest, time.monotonic() - began)
        took = post.both()
        # One at a time with two seconds each this would be a minute.
        assert longest + took < 10, "a session in clear waited up to %.1f s, mail took %.1f s" % (longest, took)
        for client in crowd + [watched]:
            client.close()
    wait_until("STARTTLS works again", lambda: works(lambda: starttls(d.smtp_port).quit()))
    return "beside 30 handshakes a session in clear waited at most %.2f s, mail took %.2f s" % (longest, took)


def signer_dies_in_handshakes(d, post):
    """Killed in the middle of handshakes: they end, the next ones work."""
    for _ in range(5):
        client = mail_load.Client(d.smtp_port, patience=30)
        client.command("STARTTLS", "220")
        mark = d.mark()
        os.kill(processes(d)["signer"], signal.SIGKILL)
        client.socket.sendall(tls_hello())
        client.socket.settimeout(40)
        with contextlib.suppress(ConnectionError):
            while client.socket.recv(4096):  # an end, whatever was said before it
                break
        client.close()
        post.both()
        d.wait_log('event="process ready" name=signer ', since=mark)
    wait_until("STARTTLS works again", lambda: works(lambda: starttls(d.smtp_port).quit()))
    return "5 times"


def queue_hangs(d, post):
    """Clients wait, for the queue may still commit; when it goes on, they get their answer."""
    results = []
    with stopped(d, "queue"):
        threads = [threading.Thread(target=lambda at=i: results.append(works(lambda: post.send(at % 2 == 0)))) for i in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(3)  # the fault lasts so long
        assert not results, "an answer came while the queue could not have stored anything"
    for thread in threads:
        thread.join(60)
    assert results == [True] * 6, results
    return "6 messages waited and were taken"


def mailbox_hangs(d, post):
    """No verdict about a recipient: the client waits or hears 4xx, never a failure; mail that was taken is delivered later."""
    with stopped(d, "mailbox"):
        client = mail_load.Client(d.smtp_port, mail_load.OUTSIDE, patience=60)
        client.command("MAIL FROM:<carol@elsewhere.example>", "250")
        began = time.monotonic()
        try:
            client.command("RCPT TO:<%s>" % mail_load.LOCAL, "4")
        except mail_load.Refused as refused:
            raise AssertionError("while the mailbox hangs RCPT is answered with %s" % refused)
        took = time.monotonic() - began
        client.close()
    wait_until("the mailbox answers again", lambda: works(lambda: post.send(True)))
    return "4xx after %.1f s" % took


def no_descriptors(d, post):
    """The listener runs out of descriptors: no busy loop, no crash; afterwards it goes on."""
    pid = processes(d)["listener"]
    before, mark = descriptor_limit(pid), d.mark()
    set_descriptor_limit(pid, 64)
    crowd = []
    try:
        for _ in range(150):
            crowd.append(socket.create_connection(("127.0.0.1", d.smtp_port), 10))
        wait_until("the descriptors are used up", lambda: len(os.listdir("/proc/%d/fd" % pid)) >= 63)
        spent = cpu_seconds(pid)
        time.sleep(2)  # the measure: how much it works while it can take nobody
        spent = (cpu_seconds(pid) - spent) / 2
        assert spent < 0.2, "the listener uses %d %% of a processor without descriptors" % (spent * 100)
        # Sessions that came in before live on.
        survivors = 0
        for client in crowd[:5]:
            client.settimeout(20)
            client.sendall(b"NOOP\r\n")
            survivors += client.recv(4096).startswith(b"2")
        assert survivors == 5, "of 5 sessions only %d go on" % survivors
    finally:
        for client in crowd:
            client.close()
        set_descriptor_limit(pid, before)
    wait_until("mail is taken again", lambda: works(post.both))
    assert processes(d)["listener"] == pid, "the listener was restarted"
    assert d.mark() - mark < 500, "%d log lines for that" % (d.mark() - mark)
    return "%.0f %% of a processor" % (spent * 100)


def works(what):
    try:
        what()
        return True
    except (OSError, mail_load.Refused):
        return False


def tls_hello():
    """The first flight of a real client, without its end."""
    import ssl
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="mx.demo.example").do_handshake()
    return outgoing.read()


CASES = [signer_hangs, signer_dies_in_handshakes, queue_hangs, mailbox_hangs, resolver_hangs, no_descriptors]


def run(bin_dir, cases, names):
    sink = Sink()
    with make_daemon(bin_dir, sink, names, {"verify.deadline": "8s"}) as d:
        make_account(d)
        post = Post(d)
        post.both()
        for case in cases:
            alive = processes(d)
            print("%-28s %s" % (case.__name__, case(d, post)), flush=True)
            fallen = {role for role, pid in processes(d).items() if alive.get(role) != pid} - {"signer" if "dies" in case.__name__ else ""}
            assert not fallen, "%s: a process fell: %s" % (case.__name__, fallen)
        wait_delivered(d)
        print(check_fate(d, sink, post.answered))
    check_ends(d)
    sink.close()


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    chosen = sys.argv[2:]
    with contextlib.closing(NoNames()) as names:
        cases = [case for case in CASES if not chosen or case.__name__ in chosen]
        if cases:
            run(sys.argv[1], cases, names)
    if not chosen or "resolver_upstream_dead" in chosen:
        run(sys.argv[1], [resolver_upstream_dead], None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
