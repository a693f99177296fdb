"""signer.py - signs messages by RFC 6376 and RFC 8617 with full control over every tag, so that odd and broken signatures can be made.

Written from the RFCs for these tests alone: it shares nothing with the verifiers that are compared. A field is its bytes with folding
and last CRLF.
"""
import base64
import hashlib
import re

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

DER = serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
PKCS1 = serialization.PublicFormat.PKCS1
RAW = serialization.PublicFormat.Raw


class Key:
    """A private key with the record that publishes it."""

    def __init__(self, kind="rsa", bits=2048):
        self.kind = kind
        self.private = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, bits)

    def sign(self, text, sha1=False):
        if self.kind == "ed25519":
            return self.private.sign(hashlib.sha256(text).digest())  # RFC 8463 §3
        return self.private.sign(text, padding.PKCS1v15(), hashes.SHA1() if sha1 else hashes.SHA256())

    def p(self, bare=False):
        """The value of p=. `bare`: an RSAPublicKey without the envelope (RFC 6376 erratum 3017)."""
        public = self.private.public_key()
        if self.kind == "ed25519":
            data = public.public_bytes(serialization.Encoding.Raw, RAW)
        else:
            data = public.public_bytes(DER, PKCS1 if bare else SPKI)
        return base64.b64encode(data).decode()

    def record(self):
        return "v=DKIM1; k=%s; p=%s" % (self.kind, self.p())


def field_name(field):
    return field.split(b":", 1)[0].strip().lower().decode("latin-1")


def canonical_field(field, how):
    if how == "simple":
        return field
    name, value = field.split(b":", 1)
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.strip(b" \t").lower() + b":" + value + b"\r\n"


def canonical_body(body, how):
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    if how == "relaxed":
        body = re.sub(rb"[ \t]+", b" ", re.sub(rb"[ \t]+\r\n", b"\r\n", body))
    body = re.sub(rb"(\r\n)+\Z", b"", body)
    return body + b"\r\n" if body or how == "simple" else b""


def selected(fields, names, own=None):
    """The fields h= selects: of each name the lowest that is not taken yet."""
    left = [f for f in fields if f is not own]
    out = []
    for name in names:
        for at in range(len(left) - 1, -1, -1):
            if field_name(left[at]) == name.lower():
                out.append(left.pop(at))
                break
    return out


def fill_b(field, value):
    """`field` has the mark @@ where the value of b= belongs. An empty value takes the blanks around it away (§3.7)."""
    assert field.count(b"@@") == 1, field
    return field.replace(b"@@", value) if value else re.sub(rb"\s*@@[ \t]*(\r\n[ \t]+)*(?=;|\r\n\Z)", b"", field)


def folded(text, width=72, blank=b"\r\n\t"):
    return blank.join(text[i:i + width] for i in range(0, len(text), width))


def dkim_field(tags, layout="usual", field="DKIM-Signature"):
    """The field from a list of (name, value); b= has the value "@@"."""
    pairs = [(n.encode(), v if isinstance(v, bytes) else v.encode("utf-8")) for n, v in tags]
    if layout == "usual":
        text = b" " + b";\r\n\t".join(n + b"=" + v for n, v in pairs)
    elif layout == "tight":
        text = b";".join(n + b"=" + v for n, v in pairs)
    elif layout == "wide":
        text = b"   " + b"  ;\r\n   ".join(n + b" = " + v for n, v in pairs) + b"  ; "
    elif layout == "tabs":
        text = b"\t" + b"\t;\t".join(n + b"\t=\t" + v for n, v in pairs) + b"\t"
    elif layout == "folded":
        text = b"\r\n " + b"\r\n ;\r\n\t ".join(n + b"\r\n\t=\r\n " + v for n, v in pairs) + b";"
    else:
        raise ValueError(layout)
    return field.encode() + b":" + text + b"\r\n"


def header_hash_input(fields, names, own, canon):
    """What is signed: the selected fields, then the field itself with an empty b= and without its CRLF."""
    text = b"".join(canonical_field(f, canon) for f in selected(fields, names, own))
    return text + canonical_field(own, canon)[:-2]


def body_hash(body, canon, length=None, sha1=False):
    text = canonical_body(body, canon)
    if length is not None:
        text = text[:length]
    return base64.b64encode((hashlib.sha1 if sha1 else hashlib.sha256)(text).digest()).decode()


DEFAULT_NAMES = ["from", "to", "subject", "date", "message-id"]


def sign(fields, body, key, domain="example.com", selector="sel", header="relaxed", body_canon="relaxed", names=None, layout="usual",
         length=None, drop=(), change=None, extra=(), sha1=False, b_fold=True, b_break=None):
    """A DKIM-Signature field over `fields` and `body`.

    drop: tags to leave out; change: {tag: value} in place of what is right; extra: [(tag, value)] more; b_break: a function over the
    base64 of b=.
    """
    names = DEFAULT_NAMES if names is None else names
    algorithm = "ed25519-sha256" if key.kind == "ed25519" else "rsa-sha1" if sha1 else "rsa-sha256"
    tags = [("v", "1"), ("a", algorithm), ("c", "%s/%s" % (header, body_canon)), ("d", domain), ("s", selector), ("h", ":".join(names)),
            ("bh", body_hash(body, body_canon, length, sha1))]
    if length is not None:
        tags.append(("l", str(length)))
    tags += list(extra) + [("b", "@@")]
    change = change or {}
    tags = [(n, change.get(n, v)) for n, v in tags if n not in drop]
    empty = fill_b(dkim_field(tags, layout), b"") if "b" not in drop else dkim_field(tags, layout)
    signature = base64.b64encode(key.sign(header_hash_input(fields, [n.strip() for n in names], empty, header), sha1))
    if b_break:
        signature = b_break(signature)
    if "b" in drop:
        return empty
    # Folding in b= goes with its value when the field is hashed (§3.5 b=).
    return fill_b(dkim_field(tags, layout), folded(signature) if b_fold else signature)


ARC_FIELDS = ("ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal")


def arc_set(fields, body, key, instance, domain="arc.example", selector="arc", cv=None, results="spf=none; dkim=none", canon="relaxed/relaxed",
            names=None, previous=(), seal_change=None, message_change=None, seal_extra=(), message_extra=()):
    """One ARC set [results, message signature, seal] over a message whose former sets are `previous` (a list of sets)."""
    names = ["from", "to", "subject", "date", "message-id", "dkim-signature"] if names is None else names
    header, body_canon = canon.split("/")
    cv = cv or ("none" if instance == 1 else "pass")
    aar = b"ARC-Authentication-Results: i=%d; mx%d.%s; %s\r\n" % (instance, instance, domain.encode(), results.encode())
    algorithm = "ed25519-sha256" if key.kind == "ed25519" else "rsa-sha256"
    tags = [("i", str(instance)), ("a", algorithm), ("c", canon), ("d", domain), ("s", selector), ("h", ":".join(names)),
            ("bh", body_hash(body, body_canon))] + list(message_extra) + [("b", "@@")]
    tags = [(n, (message_change or {}).get(n, v)) for n, v in tags]
    plain = dkim_field(tags, field="ARC-Message-Signature")
    own = fill_b(plain, b"")
    ams = fill_b(plain, folded(base64.b64encode(key.sign(header_hash_input(fields, names, own, header)))))
    tags = [("i", str(instance)), ("a", algorithm), ("cv", cv), ("d", domain), ("s", selector)] + list(seal_extra) + [("b", "@@")]
    tags = [(n, (seal_change or {}).get(n, v)) for n, v in tags]
    plain = dkim_field(tags, field="ARC-Seal")
    text = b"".join(canonical_field(f, "relaxed") for s in previous for f in s)
    text += canonical_field(aar, "relaxed") + canonical_field(ams, "relaxed") + canonical_field(fill_b(plain, b""), "relaxed")[:-2]
    seal = fill_b(plain, folded(base64.b64encode(key.sign(text))))
    return [aar, ams, seal]
