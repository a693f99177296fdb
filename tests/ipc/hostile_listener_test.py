#!/usr/bin/python3
"""The whole daemon with a listener that was broken into: hostile_child stands in its place and says whatever helps it.

    hostile_listener_test.py BIN-FOLDER HOSTILE-CHILD

It must not relay, not reach a mailbox it got no ticket for, and not speak for another process. Each attack is a script; the listener is
killed, its successor runs it. Needs root. A control (a true ticket is accepted) shows that refusals come from the tickets.
"""
import os, shutil, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from daemon import Daemon, wait_until  # noqa: E402
from hostile import Attack, executables_with, messages  # noqa: E402
from smtp_sink import Sink  # noqa: E402

ALICE, BOB, OUTSIDE = "alice@demo.example", "bob@demo.example", "victim@elsewhere.example"


def attacks(daemon, attack, sink):
    for verifier in ("verifier-out", "verifier-in"):
        for command in ("relay-without-ticket", "forge-ticket"):
            code = attack.code("%s %s %s" % (command, OUTSIDE, verifier))
            assert code >= 400, "%s through %s was answered %d" % (command, verifier, code)
    code = attack.code("claim-loopback-client " + OUTSIDE)
    assert 500 <= code < 600, "a claimed loopback address may relay: %d" % code
    code = attack.code("bend-ticket %s %s verifier-in" % (ALICE, BOB))
    assert code >= 400, "a ticket for alice delivered to bob: %d" % code
    code = attack.code("forge-ticket %s verifier-in" % BOB)
    assert code >= 400, "a forged ticket delivered to bob: %d" % code

    attack.is_ended_for("may not send spool-request", "send spool-request to queue hex - fd")
    attack.is_ended_for("may not send local-delivery", "send local-delivery to mailbox hex - fd")
    attack.is_ended_for("may not send stop", "send stop to mailbox hex -")
    attack.is_ended_for("no message has number", "raw to signer hex ffff000000000000")
    attack.is_ended_for("may not send admin-request", "send admin-request to parent hex 00")

    # The control: with the ticket it was given, its mail is taken and delivered. So it was the tickets that stopped the rest.
    code = attack.code("bend-ticket %s %s verifier-in" % (ALICE, ALICE))
    assert code == 250, "a true ticket was answered %d" % code
    wait_until("alice's message", lambda: len(messages(daemon, ALICE)) == 1)
    assert messages(daemon, BOB) == [], "bob has mail"
    assert sink.messages == [], "something was relayed"
    status = daemon.status()
    for name in ("mailbox", "queue", "signer", "verifier-in", "verifier-out"):
        assert status[name]["restarts"] == 0, "%s died %d times" % (name, status[name]["restarts"])


def main():
    bin_dir, hostile = sys.argv[1:3]
    if os.geteuid() != 0:
        print("needs root")
        return 77
    folder, sink = executables_with(bin_dir, hostile, "postern-listener"), Sink()
    try:
        settings = {"relay.routes": ["*=127.0.0.1:%d" % sink.port], "verify.enabled": False, "server.restart_backoff_max": "1s"}
        with Daemon(bin_dir, settings, executables=folder) as daemon:
            daemon.ctl("domain", "add", "demo.example")
            for account in (ALICE, BOB):
                daemon.ctl("account", "add", account, "--password-stdin", stdin="a demo password\n")
            attacks(daemon, Attack(daemon, folder, "postern-listener", "listener"), sink)
    finally:
        sink.close()
        shutil.rmtree(folder, ignore_errors=True)
    print("no attack of a broken listener went through")
    return 0


if __name__ == "__main__":
    sys.exit(main())
