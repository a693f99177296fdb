#!/usr/bin/python3
"""The demo of `pkg/try`: a whole Postern on loopback with a domain of its own; real mail comes in, is delivered and is relayed.

    demo.py BIN-FOLDER [--once]
"""
import os, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))
from daemon import Daemon, wait_until  # noqa: E402
from smtp_sink import Sink  # noqa: E402


def heading(text):
    print("\n== " + text, flush=True)


def swaks(daemon, *words):
    command = ["swaks", "--server", "127.0.0.1:%d" % daemon.smtp_port, "--helo", "client.demo.example", "--silent", "2"] + list(words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError("swaks failed: %s\n%s%s" % (" ".join(words), done.stdout, done.stderr))


def main():
    once = "--once" in sys.argv
    sink = Sink()
    settings = {"relay.routes": ["*=127.0.0.1:%d" % sink.port], "verify.dmarc_policy": "observe"}
    with Daemon(sys.argv[1], settings) as d:
        heading("Postern is up: SMTP on 127.0.0.1:%d, pages on http://127.0.0.1:%d/" % (d.smtp_port, d.web_port))
        d.ctl("domain", "add", "demo.example")
        d.ctl("account", "add", "alice@demo.example", "--password-stdin", stdin="a demo password\n")
        heading("Mail from a real client (swaks): one in clear, one under TLS for here, one for elsewhere")
        swaks(d, "--from", "carol@elsewhere.example", "--to", "alice@demo.example", "--header", "Subject: Hello in clear", "--pipeline")
        swaks(d, "--from", "carol@elsewhere.example", "--to", "alice@demo.example", "--header", "Subject: Hello under TLS", "--tls")
        swaks(d, "--from", "alice@demo.example", "--to", "bob@elsewhere.example", "--header", "Subject: Sent on")
        rows = wait_until("two messages in alice's Inbox", lambda: (lambda m: m if len(m) == 2 else None)(messages_of(d, "alice@demo.example")))
        relayed = sink.wait(1)
        for line in d.lines:
            if 'event="message accepted"' in line and "process=listener" in line:
                print("  " + line[line.index("id="):])
        heading("Where it lies: alice@demo.example, Inbox")
        for row in rows:
            print("  uid %s  %s  %s" % (row.get("uid"), row.get("from", ""), row.get("subject", "")))
        heading("What was relayed: to the server on 127.0.0.1:%d" % sink.port)
        for m in relayed:
            print("  from <%s> to %s, %d bytes" % (m["from"], ", ".join("<%s>" % r for r in m["to"]), len(m["body"])))
            print("  " + m["body"].split(b"\r\n\r\n")[0].decode().replace("\r\n", "\n  "))
        heading("The processes")
        print(d.ctl("status", as_json=False).stdout, end="")
        heading("The audit: each running process against its policy")
        audit = d.ctl("audit", check=False, as_json=False)
        print(audit.stdout, end="")
        if d.root and audit.returncode != 0:
            raise AssertionError("the audit found differences")
        if not once:
            heading("It runs until you press Ctrl-C. Try: swaks --server 127.0.0.1:%d --to alice@demo.example, "
                    "or %s/posternctl --socket %s/run/control.sock status" % (d.smtp_port, d.bin, d.folder))
            try:
                d.process.wait()
            except KeyboardInterrupt:
                pass
    sink.close()
    print("\nDone: 3 messages in, 2 delivered, 1 relayed, nothing left behind.")


def messages_of(d, address):
    answer = d.ctl("mail", "list", address)
    return answer.get("messages", []) if isinstance(answer, dict) else answer


if __name__ == "__main__":
    main()
