"""What the fault tests share: a daemon with an account, a sink and a name server that knows nothing; and who got what."""
import os, re, socket, ssl, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from daemon import ROLES, Daemon, wait_until  # noqa: E402
import mail_load  # noqa: E402

LOAD_PROGRAM = mail_load.__file__


class NoNames:
    """A name server by whose word no name exists: judging goes its whole way and comes to an end at once."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                question, client = self.socket.recvfrom(4096)
            except OSError:
                return
            at = 12  # RFC 1035 section 4.1: a header of 12 bytes, then the name
            while at < len(question) and question[at]:
                at += question[at] + 1
            if at + 5 <= len(question):
                # A response, recursion available, NXDOMAIN; one question, nothing else.
                self.socket.sendto(question[:2] + b"\x81\x83" + b"\0\1" + b"\0\0" * 3 + question[12:at + 5], client)

    def close(self):
        self.socket.close()


def make_daemon(bin_dir, sink, names=None, settings=None, folder=None):
    """Mail from 127.0.0.1 may relay (the outbound verifier), mail from 127.0.0.2 comes from outside (the inbound one)."""
    rows = {"relay.routes": ["*=127.0.0.1:%d" % sink.port], "smtp.relay_networks": ["127.0.0.1/32"], "verify.dmarc_policy": "observe",
            "resolver.probe_bogus": ""}
    if names:
        rows["resolver.upstreams"] = ["127.0.0.1:%d" % names.port]
    rows.update(settings or {})
    return Daemon(bin_dir, rows, folder)


def make_account(d):
    d.ctl("domain", "add", "demo.example")
    d.ctl("account", "add", mail_load.LOCAL, "--password-stdin", stdin="a test password\n")


def start_load(d, count, connections=50, give_up=500, size=None, prefix="m"):
    command = [sys.executable, LOAD_PROGRAM, "--port", str(d.smtp_port), "--count", str(count), "--connections", str(connections),
               "--give-up", str(give_up), "--prefix", prefix] + (["--size", str(size)] if size is not None else [])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stored(d):
    """{id: copies} of what lies in the mailbox, and the number of torn messages."""
    target = tempfile.mktemp(dir=d.folder)  # posternctl makes the file and insists on that
    d.ctl("mail", "export", mail_load.LOCAL, "--output", target, as_json=False)
    with open(target, "rb") as f:
        text = f.read()
    os.unlink(target)
    parts = re.split(rb"(?m)^From MAILER-DAEMON [^\n]*\n", text)[1:]
    return counted(part.removesuffix(b"\n") for part in parts)


def counted(messages):
    copies, torn = {}, 0
    for data in messages:
        name, whole = mail_load.read_back(data)
        torn += not whole
        copies[name] = copies.get(name, 0) + 1
    return copies, torn


def wait_delivered(d, patience=120):
    """Until nothing waits in the queue. What was parked (its bearer died twice with it) is let go as an operator would; says how often."""
    end, parked = time.monotonic() + patience, 0
    while True:
        stats = d.ctl("queue", "stats")
        if stats["messages"] == 0:
            return parked
        if stats["deliveries"]["held"] and stats["deliveries"]["held"] == stats["messages"]:
            parked += stats["deliveries"]["held"]
            d.ctl("queue", "release", "--all")
        if stats["deliveries"]["deferred"]:
            d.ctl("queue", "retry", "--all", check=False)
        if time.monotonic() > end:
            raise AssertionError("mail stays in the queue: %r" % stats)
        time.sleep(0.3)


def check_fate(d, sink, answered):
    """Every id answered with 250 has come out whole. Returns the line to print."""
    here, torn_here = stored(d)
    there, torn_there = counted(m["body"] for m in sink.messages)
    lost = [name for name in answered if name not in here and name not in there]
    twice = sum(n - 1 for n in list(here.values()) + list(there.values()))
    assert torn_here + torn_there == 0, "%d torn messages in the mailbox, %d at the sink" % (torn_here, torn_there)
    assert not lost, "%d of %d answered messages are lost: %s" % (len(lost), len(answered), lost[:10])
    unasked = [name for name in list(here) + list(there) if name is None]
    return "answered %d, in the mailbox %d, relayed %d, lost 0, torn 0, duplicates %d (of messages whose 250 never came: %d), strangers %d" % (
        len(answered), len(here), len(there), twice, len((set(here) | set(there)) - set(answered)), len(unasked))


def check_ends(d):
    """After the orderly stop: every process went by itself and in order, none was cut down and none failed on its way out."""
    ends = [line for line in d.lines if 'event="process stopped"' in line]
    bad = [line for line in ends if 'how="exit status 0"' not in line]
    assert not bad, "ended badly: %r" % bad
    assert len(ends) >= len(ROLES), "only %d processes stopped" % len(ends)


def processes(d):
    """{role: pid} by /proc, for when nobody in the daemon can be asked. The two verifiers are told apart by their users."""
    import pwd
    found = {}
    with open("/proc/%d/task/%d/children" % (d.process.pid, d.process.pid)) as f:
        for pid in f.read().split():
            try:
                owner = os.stat("/proc/%s" % pid).st_uid
                found[pwd.getpwuid(owner).pw_name.removeprefix("postern-")] = int(pid)
            except (OSError, KeyError):
                pass
    return found


def starttls(port, patience=10):
    """An SMTP session under TLS up to EHLO; the certificate is not looked at, it is made at the first start."""
    client = mail_load.Client(port, patience=patience)
    client.command("STARTTLS", "220")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.file.close()
    client.socket = context.wrap_socket(client.socket)
    client.file = client.socket.makefile("rb")
    client.command("EHLO client.elsewhere.example", "250")
    return client
