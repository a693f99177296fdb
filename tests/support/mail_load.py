#!/usr/bin/python3
"""Mail whose fate can be proven: every message carries an id and the sha256 of its own body; a client that does not give up.

As a module: message(), read_back(), Client. As a program it is the load of the fault tests, in a process of its own:

    mail_load.py --port P --count N --connections 50 --give-up SECONDS
Message n comes from the outside to an account here when n is even, and from a relaying client to elsewhere when it is odd.
It prints "answered N" as it goes and at the end one line of JSON: the ids answered with 250, and what went wrong on the way."""
import argparse, collections, hashlib, json, random, socket, sys, threading, time

OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"  # where the client comes from: from everywhere, and from a network that may relay
LOCAL, REMOTE = "alice@demo.example", "bob@elsewhere.example"
_LINES = [("%04x " % i * (3 + i % 11)).encode() + b"\r\n" for i in range(64)]
_LINES[7] = b".a line that begins with a dot\r\n"


def message(name, size=None):
    """A whole message with the id `name`; its body is another for each id."""
    chance = random.Random(name)
    size = size if size is not None else chance.choice([200, 1000, 3000, 9000])
    body = [b"body of " + name.encode() + b"\r\n"]
    length = 0
    while length < size:
        body.append(chance.choice(_LINES))
        length += len(body[-1])
    body = b"".join(body)
    head = "From: carol@elsewhere.example\r\nTo: someone\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@elsewhere.example>\r\n" % (name, name)
    return head.encode() + b"X-Check: " + name.encode() + b" " + hashlib.sha256(body).hexdigest().encode() + b"\r\n\r\n" + body


def read_back(data):
    """(id, whole) of a message that came out, in CRLF or LF."""
    data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.startswith(b"X-Check: "):
            _, name, digest = line.split(b" ")
            return name.decode(), hashlib.sha256(body).hexdigest().encode() == digest
    return None, False


class Refused(Exception):
    """The server answered, but not with what was hoped for."""


class Client:
    """One connection. deliver() raises Refused on a bad reply (the connection may be used on) and OSError when it is gone."""

    def __init__(self, port, source=INSIDE, patience=60):
        self.socket = socket.create_connection(("127.0.0.1", port), patience, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        try:
            self.expect("220")
            self.command("EHLO client.elsewhere.example", "250")
        except (Refused, OSError):
            self.close()
            raise

    def reply(self):
        while True:
            line = self.file.readline(2048)
            if not line.endswith(b"\n"):
                raise ConnectionError("closed in the middle")
            if line[3:4] != b"-":
                text = line.decode("utf-8", "replace").rstrip()
                if text.startswith("421"):
                    raise ConnectionError(text)
                return text

    def expect(self, code):
        text = self.reply()
        if not text.startswith(code):
            raise Refused(text)
        return text

    def command(self, line, code):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.expect(code)

    def deliver(self, sender, recipient, data):
        """The reply to the whole message."""
        self.socket.sendall(b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (sender.encode(), recipient.encode()))
        replies = [self.reply() for _ in range(3)]
        bad = [text for text, code in zip(replies, ("250", "250", "354")) if not text.startswith(code)]
        if bad:
            if replies[2].startswith("354"):
                self.socket.sendall(b".\r\n")
                self.reply()
            self.command("RSET", "250")
            raise Refused(bad[0])
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        self.socket.sendall(stuffed + b".\r\n")
        return self.expect("250")

    def quit(self):
        try:
            self.command("QUIT", "221")
        except (Refused, OSError):
            pass
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()


def send_one(port, name, is_local, patience=60):
    """One message over a connection of its own."""
    client = Client(port, OUTSIDE if is_local else INSIDE, patience)
    try:
        return client.deliver("carol@elsewhere.example", LOCAL if is_local else REMOTE, message(name))
    finally:
        client.close()


class Load:
    def __init__(self, port, count, connections, give_up, size=None, prefix="m"):
        self.port, self.count, self.give_up, self.size, self.prefix = port, count, time.monotonic() + give_up, size, prefix
        self.lock = threading.Lock()
        self.next, self.answered, self.refused_for_good, self.troubles = 0, [], {}, collections.Counter()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(connections)]

    def _take(self, of):
        with self.lock:
            if not self.work[of]:
                return None
            return self.work[of].pop()

    def start(self):
        self.work = [list(range(self.count - 1 - (self.count - 1 - parity) % 2, -1, -2)) for parity in (0, 1)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def _run(self, number):
        is_local = number % 2 == 0
        client = None
        while (taken := self._take(0 if is_local else 1)) is not None:
            name = "%s%06d" % (self.prefix, taken)
            data = message(name, self.size)
            while time.monotonic() < self.give_up:
                try:
                    if client is None:
                        client = Client(self.port, OUTSIDE if is_local else INSIDE)
                    client.deliver("carol@elsewhere.example", LOCAL if is_local else REMOTE, data)
                    with self.lock:
                        self.answered.append(name)
                    break
                except Refused as refused:
                    with self.lock:
                        self.troubles["reply " + str(refused)[:60]] += 1
                        if str(refused).startswith("5"):
                            self.refused_for_good[name] = str(refused)
                            break
                except OSError as gone:
                    with self.lock:
                        self.troubles["connection: " + (str(gone)[:60] or type(gone).__name__)] += 1
                    if client:
                        client.close()
                    client = None
                time.sleep(0.05)  # what a client waits before it tries again
        if client:
            client.quit()


def main():
    parser = argparse.ArgumentParser()
    for name, kind, default in (("port", int, None), ("count", int, 1000), ("connections", int, 50), ("give-up", float, 300), ("size", int, None), ("prefix", str, "m")):
        parser.add_argument("--" + name, type=kind, default=default)
    a = parser.parse_args()
    load = Load(a.port, a.count, a.connections, a.give_up, a.size, a.prefix)
    began = time.monotonic()
    load.start()
    while any(t.is_alive() for t in load.threads):
        print("answered %d" % len(load.answered), flush=True)
        time.sleep(0.1)
    took = time.monotonic() - began
    print(json.dumps({"answered": load.answered, "refused_for_good": load.refused_for_good, "troubles": load.troubles, "seconds": round(took, 2),
                      "per_second": round(len(load.answered) / took)}), flush=True)


if __name__ == "__main__":
    main()
