#!/usr/bin/python3
"""starttls_server.py - a small SMTP server for tests that offers STARTTLS and can misbehave, and certificates to go with it.

    with StarttlsServer(chain, mode="good") as server: ... server.port ...

Modes: good, no-starttls (not offered), refuse (454 to STARTTLS), silent (no greeting), greet-554, drop (closes after the 220),
garbage (no TLS after the 220), inject (bytes in clear behind the 220), endless (a greeting without an end).
"""
import datetime
import os
import socket
import ssl
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Certificate:
    """A certificate with its key; `issuer` None: self-signed."""

    def __init__(self, name, issuer=None, ca=False, names=None, days=(-1, 30), key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.issuer = issuer
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = issuer or self
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject)
                   .issuer_name(issuer.certificate.subject if issuer else subject)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now + days[0] * DAY).not_valid_after(now + days[1] * DAY)
                   .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
        if not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in (names or [name])]), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    def der(self, selector):
        if selector == 0:
            return self.certificate.public_bytes(serialization.Encoding.DER)
        return self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self):
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def tlsa(self, usage, selector, matching):
        data = self.der(selector)
        if matching:
            digest = hashes.Hash(hashes.SHA256() if matching == 1 else hashes.SHA512())
            digest.update(data)
            data = digest.finalize()
        return "%d %d %d %s" % (usage, selector, matching, data.hex())


def tls_context(chain):
    """A server's context; `chain` is a list of Certificate, leaf first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "chain.pem")
        with open(path, "wb") as file:
            file.write(chain[0].key_pem() + b"".join(c.pem() for c in chain))
        context.load_cert_chain(path)
    return context


class StarttlsServer:
    def __init__(self, chain, mode="good", host="127.0.0.1"):
        self.mode = mode
        self.context = tls_context(chain)
        self.names = []          # what clients asked for by SNI
        self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.commands = []
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def _accept(self):
        while not self.stop.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        client.settimeout(30)
        try:
            with client:
                self._dialogue(client)
        except (OSError, ssl.SSLError):
            pass

    def _dialogue(self, client):
        if self.mode == "silent":
            client.recv(1)
            return
        if self.mode == "greet-554":
            client.sendall(b"554 5.3.2 go away\r\n")
            return
        while self.mode == "endless":
            client.sendall(b"220-x\r\n" * 1000)
        client.sendall(b"220 test.example ESMTP\r\n")
        lines = client.makefile("rb")
        while True:
            line = lines.readline(1000).decode("latin-1").strip()
            if not line:
                return
            self.commands.append(line)
            verb = line.split()[0].upper()
            if verb == "EHLO":
                extra = b"" if self.mode == "no-starttls" else b"250-STARTTLS\r\n"
                client.sendall(b"250-test.example\r\n" + extra + b"250 8BITMIME\r\n")
            elif verb == "STARTTLS":
                if not self._starttls(client):
                    return
            else:
                client.sendall(b"221 bye\r\n" if verb == "QUIT" else b"502 no\r\n")

    def _starttls(self, client):
        if self.mode == "refuse":
            client.sendall(b"454 4.7.0 not now\r\n")
            return True
        client.sendall(b"220 go ahead\r\n" + (b"250 injected\r\n" if self.mode == "inject" else b""))
        if self.mode == "drop":
            return False
        if self.mode == "garbage":
            client.sendall(b"250 this is no TLS\r\n")
            client.recv(1000)
            return False
        with self.context.wrap_socket(client, server_side=True) as tls:
            while tls.recv(1000):
                pass
        return False
