"""differences.py - where another verifier differs from the standard and from us: (judge, cases, what it says, why).

`cases` is a shell pattern of case names. A row that no case needs fails the test as well, so the table does not outlive its reasons.
"""
import re

BLANKS_AT_B = "RFC 6376 §3.7: the blanks around the value of b= go with it; §3.2 lets blanks stand before and after ="
MALFORMED = "RFC 6376 §6.1.1: a tag whose value the grammar of §3.5 does not allow makes the signature a PERMFAIL"
VERSION = "RFC 6376 §3.5 v=, §6.1.1: required and 1; a signature with another version is ignored"
LENGTH = "RFC 6376 §3.5 l=: must not be larger than the canonical body"
TWICE = "RFC 6376 §3.2: a tag that occurs twice makes the whole list invalid"
EXPIRES = "RFC 6376 §3.5 x=: must be greater than t="
FROM = "RFC 6376 §5.4, §6.1.1: From must be signed"
SHA1 = "RFC 8301 §3.1: rsa-sha1 must not verify"
SMALL = "RFC 8301 §3.2: keys below 1024 bits must not verify (the library leaves it to its caller)"
KIND = "RFC 6376 §6.1.2 step 7: the kind of the key must be that of a="
OWN_FIELD = "RFC 6376 §3.5 h=: the field must not include the signature being verified, so the name selects nothing; it is hashed last once (§3.7)"
HEADER_FORM = "RFC 6376 §3.8, §8.15: a message that RFC 5322 does not allow may be read in two ways; no pass for it is our policy"
OBSOLETE_COLON = "RFC 5322 §4.5 lets blanks stand before the colon, RFC 6376 §3.4.2 deletes them"
FINAL_CRLF = "RFC 6376 §3.4.4: a body that does not end in CRLF gets one"
COLON_LIST = "RFC 6376 §3.5 q=, §3.6.1 s=: lists separated by colons, of which one item has to fit"
BARE_KEY = "RFC 6376 §3.6.1 p= speaks of RSAPublicKey; erratum 3017 keeps both forms in use"
KEY_VERSION = "RFC 6376 §3.6.1 v=: DKIM1 exactly, and first in the record"
KEY_HASH = "RFC 6376 §3.6.1 h=, §6.1.2 step 6: sha256 is not among the hashes the key allows"
KEY_SERVICE = "RFC 6376 §3.6.1 s=: a key for another service is not for e-mail"
FIRST_RECORD = "RFC 6376 §6.1.2 step 4, §3.6.2.2: of several records a verifier may try each; this one is shown the first only"
STRICT = "RFC 6376 §3.6.1 t=s: the domain of i= must be d= itself"
IDENTITY = "RFC 6376 §3.5 i=, §6.1.1: must be d= or below it"
PADDING = "RFC 6376 §2.10 base64string: the padding may be left out"
FUTURE = "RFC 6376 §3.5 t=: a signature of the future may be considered invalid; ours allows a day"
ARC_ED25519 = "RFC 8617 §4.1.2, §4.1.3: a= as in DKIM, to which RFC 8463 adds ed25519-sha256"
ARC_ORDER = "RFC 8617 §5.1.1: the order of the fields in the message does not matter, that of the sets does"
ARC_INSTANCE = "RFC 8617 §4.2.1, §5.2 step 1: an instance is 1 to 50; fields without a valid one are a failed chain, not none"

DKIM = [
    ("dkimpy", "canon/*/header-blank-before-colon", "no", OBSOLETE_COLON),
    ("opendkim", "canon/*/header-blank-before-colon", "no", OBSOLETE_COLON),
    ("opendkim", "canon/*-relaxed/no-final-crlf*", "no", FINAL_CRLF),
    ("dkimpy", "canon/*-relaxed/no-final-crlf-blank", "no", FINAL_CRLF),
    ("dkimpy", "layout/wide/*", "no", BLANKS_AT_B),
    ("opendkim", "layout/wide/*", "no", BLANKS_AT_B),
    ("opendkim", "layout/tabs/*", "no", BLANKS_AT_B),
    ("opendkim", "layout/folded/*", "no", BLANKS_AT_B),
    ("mailauth", "layout/wide/*", "no", BLANKS_AT_B),
    ("mailauth", "layout/tabs/*", "no", BLANKS_AT_B),
    ("mailauth", "layout/folded/*", "no", BLANKS_AT_B),
    ("mailauth", "l/zero/*", "no", "RFC 6376 §3.5 l=: zero is a length like any other"),
    ("dkimpy", "l/too-long/*", "pass", LENGTH),
    ("mailauth", "l/too-long/*", "pass", LENGTH),
    ("opendkim", "l/malformed/+7", "pass", MALFORMED),
    ("mailauth", "l/malformed/+7", "pass", MALFORMED),
    ("mailauth", "l/malformed/0x7", "pass", MALFORMED),
    ("dkimpy", "time/x-before-t-ahead", "pass", EXPIRES),
    ("dkimpy", "time/x-equals-t", "pass", EXPIRES),
    ("opendkim", "time/t-zero", "no", "RFC 6376 §3.5 t=: 1*12DIGIT, zero too"),
    ("mailauth", "time/t-future", "pass", FUTURE),
    ("mailauth", "time/[tx]-malformed", "pass", MALFORMED),
    ("mailauth", "time/t-negative", "pass", MALFORMED),
    ("dkimpy", "h/lacks-from", "pass", FROM),
    ("mailauth", "h/lacks-from", "pass", FROM),
    ("dkimpy", "h/names-dkim-signature", "no", OWN_FIELD),
    ("opendkim", "h/names-dkim-signature", "no", OWN_FIELD),
    ("mailauth", "h/names-dkim-signature", "no", OWN_FIELD),
    ("opendkim", "key/rsa-512", "pass", SMALL),
    ("opendkim", "key/rsa-768", "pass", SMALL),
    ("opendkim", "key/rsa-1016", "pass", SMALL),
    ("dkimpy", "sha1/rsa-sha1", "pass", SHA1),
    ("opendkim", "sha1/rsa-sha1", "pass", SHA1),
    ("mailauth", "sha1/rsa-sha1", "pass", SHA1),
    ("dkimpy", "algorithm/*-key-named-*", "pass", KIND),
    ("dkimpy", "record/good-7", "no", COLON_LIST),
    ("opendkim", "record/bare-rsa-key", "no", BARE_KEY),
    ("mailauth", "record/bare-rsa-key", "no", BARE_KEY),
    ("mailauth", "record/bad/version-lower-case", "pass", KEY_VERSION),
    ("dkimpy", "record/bad/version-not-first", "pass", KEY_VERSION),
    ("opendkim", "record/bad/version-not-first", "pass", KEY_VERSION),
    ("mailauth", "record/bad/version-not-first", "pass", KEY_VERSION),
    ("dkimpy", "record/bad/sha1-only", "pass", KEY_HASH),
    ("mailauth", "record/bad/sha1-only", "pass", KEY_HASH),
    ("mailauth", "record/bad/service-other", "pass", KEY_SERVICE),
    ("opendkim", "record/bad/twice-p", "pass", TWICE),
    ("mailauth", "record/bad/twice-p", "pass", TWICE),
    ("dkimpy", "record/two-keys-second-fits", "no", FIRST_RECORD),
    ("opendkim", "record/two-keys-second-fits", "no", FIRST_RECORD),
    ("mailauth", "record/two-keys-second-fits", "no", FIRST_RECORD),
    ("dkimpy", "record/beside-other-text", "no", FIRST_RECORD),
    ("opendkim", "record/beside-other-text", "no", FIRST_RECORD),
    ("mailauth", "record/beside-other-text", "no", FIRST_RECORD),
    ("dkimpy", "record/i/subdomain-t-s", "pass", STRICT),
    ("mailauth", "record/i/subdomain-t-s", "pass", STRICT),
    ("mailauth", "record/i/other-domain", "pass", IDENTITY),
    ("mailauth", "record/i/parent", "pass", IDENTITY),
    ("mailauth", "record/i/suffix-trick", "pass", IDENTITY),
    ("mailauth", "record/i/no-at", "pass", IDENTITY),
    ("mailauth", "missing/v", "pass", VERSION),
    ("mailauth", "v/*", "pass", VERSION),
    ("opendkim", "twice/d", "pass", TWICE),
    ("mailauth", "twice/[dt]", "pass", TWICE),
    ("dkimpy", "q/list", "no", COLON_LIST),
    ("opendkim", "q/unknown", "pass", "the library leaves q= to its caller once the caller looks the keys up"),
    ("mailauth", "q/unknown", "pass", "RFC 6376 §3.5 q=: an unknown way to the key is not dns/txt"),
    ("dkimpy", "b/no-padding", "no", PADDING),
    ("opendkim", "d/spaces", "pass", MALFORMED),
    ("opendkim", "from/two", "pass", HEADER_FORM),
    ("mailauth", "from/two", "pass", HEADER_FORM),
    ("opendkim", "header/line-without-colon", "pass", HEADER_FORM),
    ("mailauth", "header/line-without-colon", "pass", HEADER_FORM),
]

ARC = [
    ("dkimpy", "arc/ed25519", "fail", ARC_ED25519),
    ("mailauth", "arc/ed25519", "fail", ARC_ED25519),
    ("dkimpy", "arc/order-of-fields", "fail", ARC_ORDER),
    ("dkimpy", "arc/instance-*", "none", ARC_INSTANCE),
    ("mailauth", "arc/instance-*", "none", ARC_INSTANCE),
]


# SPF: (what the record has, our result, why). python3-spf reads a term's macros only when it comes to the term.
SPF = [
    (r"%\{[a-z]0", "permerror", "RFC 7208 §7.3: the number of parts must not be zero; §4.6: an error anywhere in a record is a permerror before any term is tried"),
    (r"%\{[a-z]r\d", "permerror", "RFC 7208 §7.1: digits stand before r; §4.6: an error anywhere in a record is a permerror before any term is tried"),
    (r"\b(mx|ptr|include)\b.*\bmx\b|\bmx\b.*\b(mx|ptr|include)\b", None,
     "RFC 7208 §4.6.4 counts terms that find nothing, python3-spf each query: also those for the hosts of one mx or ptr"),
]


def spf_reason(case, ours, theirs):
    """Why the results may differ, or None."""
    for pattern, result, why in SPF:
        void = result is None and theirs == "permerror" and ours["void_lookups"] <= 2
        if re.search(pattern, case.record, re.IGNORECASE) and (void or ours["result"] == result):
            return why
    return None


def dmarc_reason(case, ours, theirs):
    """mailauth compares the From domain with the organizational domain of what was authenticated even where the record says strict."""
    strict = "adkim=s" in case.what or "aspf=s" in case.what
    if strict and ours["result"] == "fail" and theirs == "pass":
        return "RFC 7489 §3.1.1, §3.1.2: strict alignment is equality of the names"
    return None
