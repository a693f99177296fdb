#!/usr/bin/python3
"""The whole daemon with an inbound verifier that was broken into: hostile_child stands in its place and says whatever helps it.

    hostile_verifier_test.py BIN-FOLDER HOSTILE-CHILD

It must not send mail to the world, not reach a mailbox it got no ticket for, get nothing signed, and not speak for another process; mail by
way of the outbound verifier goes on meanwhile. Needs root. A control (a true ticket is accepted) shows that refusals come from the tickets.
"""
import os, shutil, smtplib, sys, threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from daemon import Daemon, wait_until  # noqa: E402
from hostile import Attack, code_of, executables_with, messages  # noqa: E402
from smtp_sink import Sink  # noqa: E402

ALICE, BOB, CAROL, OUTSIDE = "alice@demo.example", "bob@demo.example", "carol@demo.example", "victim@elsewhere.example"
OURS, STRANGER = "127.0.0.1", "127.0.0.9"  # the first may relay: its mail goes by way of the outbound verifier


def send(daemon, source, recipient):
    """The code of the reply to the message."""
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, local_hostname="client.example", source_address=(source, 0), timeout=300) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<sender@example.net>")
        assert client.docmd("RCPT", "TO:<%s>" % recipient)[0] == 250
        return client.data(b"From: sender@example.net\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nSubject: hello\r\n\r\nhello\r\n")[0]


def with_message(daemon, attack, *lines):
    """The process gets a message for alice and follows `lines`. Returns what it heard, and what the client did."""
    since, word = attack.run("await-submission", *lines)
    replies = []
    client = threading.Thread(target=lambda: replies.append(send(daemon, STRANGER, ALICE)))
    daemon.wait_log(r'event="process ready" name=%s ' % attack.role, since=since)
    client.start()
    heard = attack.heard(since, word)
    client.join(300)
    return heard, replies[0]


def forged(attack):
    for kind, target in (("relay", OUTSIDE), ("local", BOB), ("local", OUTSIDE)):
        code = attack.code("spool-forged %s %s" % (kind, target))
        assert code >= 400, "a made-up %s ticket for %s was answered %d" % (kind, target, code)


def bent(daemon, attack):
    """A true ticket for alice, turned into another: its MAC covers kind and target."""
    for kind, target in (("relay", OUTSIDE), ("relay", "-"), ("local", BOB), ("local", OUTSIDE), ("-", BOB)):
        heard, _ = with_message(daemon, attack, "spool-kept %s %s" % (kind, target), "answer-kept 451")
        code = code_of(heard)
        assert code >= 400, "alice's ticket as %s for %s was answered %d" % (kind, target, code)


def speaks_for_others(attack):
    attack.says("no channel to signer", "send tls-sign to signer hex -")
    attack.says("no channel to mailbox", "send local-delivery to mailbox hex - fd")
    attack.says("no channel to remote", "send remote-delivery to remote hex - fd")
    attack.says("no channel to verifier-out", "send submission to verifier-out hex - fd")
    attack.is_ended_for("may not send tls-sign", "send tls-sign to queue hex -")
    attack.is_ended_for("may not send local-delivery", "send local-delivery to queue hex - fd")
    attack.is_ended_for("may not send spool-state", "send spool-state to listener hex -")
    attack.is_ended_for("may not send recipient-verdict", "send recipient-verdict to listener hex -")
    attack.is_ended_for("may not send dns-answer", "send dns-answer to resolver hex -")
    attack.is_ended_for("may not send admin-request", "send admin-request to parent hex 00")
    attack.is_ended_for("an answer to a question that was not asked", "send submission-verdict to listener hex -")


def attacks(daemon, attack, sink):
    forged(attack)
    bent(daemon, attack)
    speaks_for_others(attack)

    # What it can do: refuse, and pass on what has a ticket. So it was the tickets that stopped the rest.
    _, reply = with_message(daemon, attack, "answer-kept 550")
    assert reply == 550, reply
    heard, reply = with_message(daemon, attack, "spool-kept - -", "answer-kept 250")
    assert code_of(heard) == 250 and reply == 250, (heard, reply)
    wait_until("alice's message", lambda: len(messages(daemon, ALICE)) == 1)
    assert messages(daemon, BOB) == [], "bob has mail"
    assert sink.messages == [], "something was relayed"

    # The rest had gone on all the while, and none of it died.
    for name in ("mailbox", "queue", "signer", "resolver", "remote", "listener", "verifier-out"):
        restarts = daemon.status()[name]["restarts"]
        assert restarts == 0, "%s died %d times" % (name, restarts)


def keep_sending(daemon, done, sent):
    """Mail by way of the outbound verifier, until `done`."""
    while not done.wait(0.2):
        sent.append(send(daemon, OURS, CAROL))


def main():
    bin_dir, hostile = sys.argv[1:3]
    if os.geteuid() != 0:
        print("needs root")
        return 77
    folder, sink = executables_with(bin_dir, hostile, "postern-verifier", only_role="verifier-in"), Sink()
    try:
        settings = {"relay.routes": ["*=127.0.0.1:%d" % sink.port], "smtp.relay_networks": [OURS + "/32"], "verify.enabled": False,
                    "server.restart_backoff_max": "1s"}
        with Daemon(bin_dir, settings, executables=folder) as daemon:
            daemon.ctl("domain", "add", "demo.example")
            for account in (ALICE, BOB, CAROL):
                daemon.ctl("account", "add", account, "--password-stdin", stdin="a demo password\n")
            done, sent = threading.Event(), []
            others = threading.Thread(target=keep_sending, args=(daemon, done, sent))
            others.start()
            try:
                attacks(daemon, Attack(daemon, folder, "postern-verifier", "verifier-in"), sink)
            finally:
                done.set()
                others.join(300)
            assert sent and set(sent) == {250}, "other mail was answered %s" % sorted(set(sent))
            newest = daemon.ctl("queue", "stats")
            wait_until("carol's mail is delivered", lambda: daemon.ctl("queue", "stats")["messages"] == 0)
            assert len(daemon.ctl("mail", "list", CAROL, "--limit", "500")["messages"]) == min(len(sent), 500), newest
    finally:
        sink.close()
        shutil.rmtree(folder, ignore_errors=True)
    print("no attack of a broken inbound verifier went through; %d other messages meanwhile" % len(sent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
