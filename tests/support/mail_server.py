"""A mail server for the other side of a delivery: takes messages with or without TLS, remembers each with the TLS it came over,
and misbehaves where it is told to, phase by phase.

    with MailServer(chain=[certificate]) as server: ... server.port ... server.wait(1) ...

Phases: banner, ehlo, starttls, tls (the handshake), ehlo-tls, mail, rcpt, data, body (half of the text is read), end, quit.
`replies` maps a phase, or "rcpt ADDRESS", to what is done there instead of the usual: bytes to say, HANG (say nothing, wait for the
client to go), RESET (TCP RST), or a callable that is given the Session. `offers` are the EHLO keywords besides STARTTLS; those under
`offers_tls` are offered under TLS only.
"""
import collections, os, select, socket, ssl, struct, sys, threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from starttls_server import tls_context  # noqa: E402

HANG, RESET = "hang", "reset"
Message = collections.namedtuple("Message", "sender recipients text tls cipher sni mail_line")


class Gone(Exception):
    """The session is over."""


class Session:
    def __init__(self, server, client):
        self.server, self.socket, self.tls, self.sni, self.buffer = server, client, None, None, b""

    # -- the wire -----------------------------------------------------------------------------------------------------
    def say(self, data):
        self.socket.sendall(data)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        raise Gone

    def hang(self):
        """Reads nothing and says nothing until the client has gone."""
        gone = select.poll()
        gone.register(self.socket, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        gone.poll(300_000)
        raise Gone

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Gone
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    # -- the dialogue -------------------------------------------------------------------------------------------------
    def answer(self, phase, usual, detail=None):
        """Does what is to be done in this phase. True: the usual was said."""
        replies = self.server.replies
        what = replies.get("%s %s" % (phase, detail), replies.get(phase)) if detail else replies.get(phase)
        with self.server.arrived:
            self.server.phases.append(phase)
            self.server.arrived.notify_all()
        if what is None:
            self.say(usual)
            return True
        if what == HANG:
            self.hang()
        elif what == RESET:
            self.reset()
        elif callable(what):
            what(self)
        else:
            self.say(what)
        return False

    def greet(self):
        server = self.server
        words = list(server.offers) + (list(server.offers_tls) if self.tls else ["STARTTLS"] if server.context else [])
        lines = ["mail.server"] + words
        text = "".join("250%s%s\r\n" % ("-" if i + 1 < len(lines) else " ", word) for i, word in enumerate(lines))
        self.answer("ehlo-tls" if self.tls else "ehlo", text.encode())

    def start_tls(self):
        if not self.answer("starttls", b"220 2.0.0 go ahead\r\n"):
            return
        self.buffer = b""
        if self.server.replies.get("tls"):
            self.more()  # the client's hello, so that the answer is no surplus behind the 220
            self.answer("tls", b"")
            raise Gone
        try:
            self.socket = self.server.context.wrap_socket(self.socket, server_side=True)
        except (ssl.SSLError, OSError) as error:
            with self.server.arrived:
                self.server.failed_handshakes.append(str(error))
            raise Gone
        self.tls = self.socket.version()
        self.sni = getattr(self.socket, "asked_for", None)

    def run(self):
        self.answer("banner", b"220 mail.server ESMTP\r\n")
        sender, recipients, mail_line = None, [], ""
        while True:
            line = self.line()
            with self.server.arrived:
                self.server.commands.append(line)
            verb = line.split(" ", 1)[0].upper()
            if verb in ("EHLO", "HELO"):
                self.greet()
            elif verb == "STARTTLS":
                self.start_tls()
            elif verb == "MAIL":
                sender, recipients, mail_line = line[10:].split(">")[0].lstrip("<"), [], line
                self.answer("mail", b"250 2.1.0 ok\r\n")
            elif verb == "RCPT":
                address = line[8:].split(">")[0].lstrip("<")
                if self.answer("rcpt", b"250 2.1.5 ok\r\n", address):
                    recipients.append(address)
            elif verb == "DATA":
                if not recipients:
                    self.say(b"503 5.5.1 nobody\r\n")
                elif self.answer("data", b"354 go on\r\n"):
                    self.take(self.text(), sender, recipients, mail_line)
                    recipients = []
            elif verb == "BDAT":
                size = int(line.split()[1])
                if "body" in self.server.replies:
                    self.exactly(size // 2)
                    self.answer("body", b"")
                text = self.exactly(size)
                if recipients:
                    self.take(text, sender, recipients, mail_line)
                    recipients = []
                else:
                    self.say(b"503 5.5.1 nobody\r\n")
            elif verb == "QUIT":
                self.answer("quit", b"221 2.0.0 bye\r\n")
                raise Gone
            else:
                self.say(b"250 2.0.0 ok\r\n" if verb in ("RSET", "NOOP") else b"502 5.5.1 what\r\n")

    def text(self):
        lines, misbehaves = [], "body" in self.server.replies
        while True:
            if misbehaves and lines:
                self.answer("body", b"")
                misbehaves = False
            line = self.line()
            if line == ".":
                return "\r\n".join(lines).encode()
            lines.append(line[1:] if line.startswith(".") else line)

    def take(self, text, sender, recipients, mail_line):
        """The message counts as taken when its end was read and is answered as usual, or was to be and the answer was kept back."""
        cipher = self.socket.cipher()[0] if self.tls else None
        message = Message(sender, recipients, text, self.tls, cipher, self.sni, mail_line)
        with self.server.arrived:
            self.server.ended.append(message)
        if self.answer("end", b"250 2.0.0 taken\r\n"):
            with self.server.arrived:
                self.server.messages.append(message)
                self.server.arrived.notify_all()


class MailServer:
    def __init__(self, chain=None, address="127.0.0.1", port=0, offers=("PIPELINING", "8BITMIME", "SIZE 50000000", "DSN"), offers_tls=(),
                 replies=None, context=None, receive_buffer=None):
        self.address, self.offers, self.replies = address, list(offers), dict(replies or {})
        self.offers_tls = list(offers_tls)
        self.context = context or (tls_context(chain) if chain else None)
        if self.context:
            self.context.sni_callback = lambda tls, name, _context: setattr(tls, "asked_for", name)
        self.messages, self.ended, self.commands, self.phases, self.failed_handshakes = [], [], [], [], []
        self.connections = 0
        self.arrived = threading.Condition(threading.RLock())
        self.listener = socket.create_server((address, port), backlog=512)
        if receive_buffer:  # so that a client feels soon that nobody reads
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)

    def wait(self, count, patience=60):
        with self.arrived:
            if not self.arrived.wait_for(lambda: len(self.messages) >= count, patience):
                raise AssertionError("%d of %d messages came in %ds" % (len(self.messages), count, patience))
            return list(self.messages)

    def count(self, verb):
        with self.arrived:
            return sum(1 for c in self.commands if c.upper().startswith(verb))

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        client.settimeout(120)
        session = Session(self, client)
        try:
            session.run()
        except (Gone, OSError, ValueError):
            pass
        finally:
            try:
                session.socket.close()
            except OSError:
                pass
