"""A small SMTP server that takes everything and remembers it: the other side of a relay, where a real server is not the point.

Pipelining and 8BITMIME, no TLS. Messages are kept as they came (dot-unstuffed, CRLF)."""
import asyncio, threading


class Sink:
    def __init__(self, host="127.0.0.1", refuse=None):
        self.host, self.refuse = host, refuse or {}  # refuse: recipient -> reply
        self.messages, self.arrived = [], threading.Condition()
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        async def serve():
            self.server = await asyncio.start_server(self._session, host, 0, limit=64 * 1024 * 1024)
            self.port = self.server.sockets[0].getsockname()[1]
            started.set()

        self.thread = threading.Thread(target=lambda: (self.loop.run_until_complete(serve()), self.loop.run_forever()), daemon=True)
        self.thread.start()
        started.wait(10)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def wait(self, count, patience=30):
        with self.arrived:
            if not self.arrived.wait_for(lambda: len(self.messages) >= count, patience):
                raise AssertionError("%d of %d messages came in %ds" % (len(self.messages), count, patience))
        return self.messages

    async def _session(self, reader, writer):
        sender, recipients = None, []
        writer.write(b"220 sink ESMTP\r\n")
        try:
            while True:
                line = await reader.readline()
                if not line:
                    break
                verb = line[:4].upper()
                if verb in (b"EHLO", b"HELO"):
                    writer.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 52428800\r\n")
                elif verb == b"MAIL":
                    sender, recipients = line[10:].split(b">")[0].lstrip(b"<").decode("utf-8", "replace"), []
                    writer.write(b"250 2.1.0 ok\r\n")
                elif verb == b"RCPT":
                    rcpt = line[8:].split(b">")[0].lstrip(b"<").decode("utf-8", "replace")
                    if rcpt in self.refuse:
                        writer.write(self.refuse[rcpt].encode() + b"\r\n")
                    else:
                        recipients.append(rcpt)
                        writer.write(b"250 2.1.5 ok\r\n")
                elif verb == b"DATA":
                    if not recipients:
                        writer.write(b"554 5.5.1 no valid recipients\r\n")
                        continue
                    writer.write(b"354 go on\r\n")
                    await writer.drain()
                    body = []
                    while True:
                        row = await reader.readline()
                        if not row or row == b".\r\n":
                            break
                        body.append(row[1:] if row.startswith(b".") else row)
                    if not row:
                        break
                    with self.arrived:
                        self.messages.append({"from": sender, "to": recipients, "body": b"".join(body)})
                        self.arrived.notify_all()
                    writer.write(b"250 2.0.0 taken\r\n")
                    sender, recipients = None, []
                elif verb == b"QUIT":
                    writer.write(b"221 2.0.0 bye\r\n")
                    break
                elif verb in (b"RSET", b"NOOP"):
                    writer.write(b"250 2.0.0 ok\r\n")
                else:
                    writer.write(b"502 5.5.2 what?\r\n")
                await writer.drain()
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
