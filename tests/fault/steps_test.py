#!/usr/bin/python3
"""Kill -9 of `remote` and of `queue` at each step of a delivery. The far server does it: it knows best where the dialogue stands, and
nothing has to be built into the product for it. Each message comes out whole, at least once and at most twice.

    steps_test.py BIN-FOLDER"""
import collections, json, os, signal, socket, ssl, sys, threading, time

from common import NoNames, check_ends, counted, mail_load, make_daemon, processes
from daemon import wait_until
from starttls_server import Certificate, tls_context

# In the order of a delivery. "taken" is behind the 250 to the whole message, "over" behind the end of the connection.
STEPS = ["connect", "banner", "ehlo", "starttls", "handshake", "ehlo again", "mail", "rcpt", "data", "text", "dot", "taken", "quit", "over"]
VICTIMS = ["remote", "queue"]


class Server:
    """SMTP with STARTTLS, one command at a time; calls `at(step)` where the dialogue stands."""

    def __init__(self):
        self.context = tls_context([Certificate("mx.elsewhere.example")])
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.messages, self.at, self.lock = [], lambda step: None, threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._session, args=(connection,), daemon=True).start()

    def _session(self, connection):
        try:
            self._dialogue(connection)
        except (OSError, ssl.SSLError):
            pass

    def _dialogue(self, connection):
        file = connection.makefile("rb")

        def say(text):
            connection.sendall(text.encode() + b"\r\n")

        self.at("connect")
        say("220 mx.elsewhere.example ESMTP")
        self.at("banner")
        secure = False
        while True:
            line = file.readline()
            if not line:
                return self.at("over")
            verb = line.split()[0].upper() if line.strip() else b""
            if verb == b"EHLO":
                self.at("ehlo again" if secure else "ehlo")
                say("250-mx.elsewhere.example\r\n250 8BITMIME" if secure else "250-mx.elsewhere.example\r\n250-STARTTLS\r\n250 8BITMIME")
            elif verb == b"STARTTLS":
                self.at("starttls")
                say("220 go ahead")
                connection = self.context.wrap_socket(connection, server_side=True)
                file, secure = connection.makefile("rb"), True
                self.at("handshake")
            elif verb in (b"MAIL", b"RCPT"):
                self.at(verb.decode().lower())
                say("250 2.1.0 ok")
            elif verb == b"DATA":
                self.at("data")
                say("354 go on")
                self._take(file)
                say("250 2.0.0 taken")
                self.at("taken")
            elif verb == b"QUIT":
                self.at("quit")
                say("221 bye")
            else:
                say("250 ok")

    def _take(self, file):
        rows = []
        while True:
            row = file.readline()
            if not row:
                raise ConnectionError("the text has no end")
            if row == b".\r\n":
                break
            rows.append(row[1:] if row.startswith(b".") else row)
            if len(rows) == 5:
                self.at("text")
        # It counts as taken before the client hears of it: so does a server that commits and then answers.
        with self.lock:
            self.messages.append(b"".join(rows))
        self.at("dot")


class Killer:
    """Kills a process once, at a step."""

    def __init__(self, daemon, victim, step):
        self.daemon, self.victim, self.step, self.done, self.lock = daemon, victim, step, threading.Event(), threading.Lock()

    def __call__(self, step):
        with self.lock:
            if step != self.step or self.done.is_set():
                return
            os.kill(processes(self.daemon)[self.victim], signal.SIGKILL)
            self.done.set()


def answers(d, *words):
    """What posternctl says, or None while nobody answers."""
    done = d.ctl(*words, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def is_over(d):
    stats = answers(d, "queue", "stats")
    if stats is None:
        return False
    if stats["deliveries"]["held"]:
        raise AssertionError("one death is no reason to park a message: %r" % stats)
    if stats["deliveries"]["deferred"]:
        answers(d, "queue", "retry", "--all")
    return stats["messages"] == 0


TIMES = collections.Counter()  # how often a client has sent a message: one that was not answered is sent again, and may be there already


def send(d, name):
    TIMES[name] += 1
    return mail_load.send_one(d.smtp_port, name, False)


def settle(d, victim, since, patience=60):
    """Until the fallen process is back and nothing waits."""
    d.wait_log('event="process died" name=%s ' % victim, patience, since)
    d.wait_log('event="process ready" name=%s ' % victim, patience, since)
    wait_until("the queue is empty", lambda: is_over(d), patience)


def at_each_step(d, server):
    sent = []
    for victim in VICTIMS:
        for step in STEPS:
            name = "%s-at-%s" % (victim, step.replace(" ", "-"))
            mark, killer = d.mark(), Killer(d, victim, step)
            server.at = killer
            send(d, name)
            sent.append(name)
            assert killer.done.wait(60), "the dialogue never came to %s" % step
            settle(d, victim, mark)
            server.at = lambda step: None
    return sent


def around_the_commit(d, server):
    """The queue falls before it has answered the client, at the moment it has, and when the first of many deliveries has been seen."""
    sent = []
    for step in ("the text was sent", "250 was heard"):
        name = "queue-when-%s" % step.replace(" ", "-")
        mark, TIMES[name] = d.mark(), 1
        client = mail_load.Client(d.smtp_port)
        client.socket.sendall(b"MAIL FROM:<carol@elsewhere.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % mail_load.REMOTE.encode())
        for code in ("250", "250", "354"):
            client.expect(code)
        client.socket.sendall(mail_load.message(name).replace(b"\r\n.", b"\r\n..") + b".\r\n")
        if step == "250 was heard":
            client.expect("250")
        os.kill(processes(d)["queue"], signal.SIGKILL)
        if step == "the text was sent":
            try:
                heard = client.reply()
            except OSError as trouble:
                heard = str(trouble)
            print("  the text was sent, then the queue fell: the client heard %r" % heard)
            assert heard[:3] in ("250", "451", "421") or not heard[:3].isdigit(), heard
            answered = heard.startswith("250")
        else:
            answered = True
        client.close()
        settle(d, "queue", mark)
        if not answered:  # as a client that was not told: it asks again
            send(d, name)
            wait_until("the queue is empty", lambda: is_over(d), 60)
        sent.append(name)
    mark, names = d.mark(), ["queue-among-%02d" % i for i in range(20)]
    killer = server.at = Killer(d, "queue", "taken")
    for name in names:
        while True:
            try:
                send(d, name)
                break
            except (OSError, mail_load.Refused):  # the queue is away for a moment: nothing was answered, so it is sent again
                time.sleep(0.05)
    assert killer.done.wait(60)
    settle(d, "queue", mark)
    return sent + names


def main():
    server, names = Server(), NoNames()
    settings = {"server.restart_backoff_max": "1s", "relay.session_idle": "0s", "verify.enabled": False}
    with make_daemon(sys.argv[1], server, names, settings) as d:
        began = time.monotonic()
        sent = at_each_step(d, server) + around_the_commit(d, server)
        copies, torn = counted(server.messages)
        assert torn == 0, "%d torn messages" % torn
        lost = [name for name in sent if name not in copies]
        assert not lost, "lost: %r" % lost
        often = {name: n for name, n in copies.items() if n > 2 * TIMES[name]}
        assert not often, "more than one duplicate: %r" % often
        assert set(copies) == set(sent), "strangers: %r" % (set(copies) - set(sent))
        print("%d messages, %d kills in %.0f s: lost 0, torn 0, doubled %d: %s" % (
            len(sent), len(VICTIMS) * len(STEPS) + 3, time.monotonic() - began, sum(n - 1 for n in copies.values()),
            ", ".join(name for name, n in copies.items() if n > 1)))
    check_ends(d)
    server.close()
    names.close()


if __name__ == "__main__":
    main()
