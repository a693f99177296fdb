#!/usr/bin/python3
"""Mail comes in over 50 connections while each process in turn is killed with -9, several times. Nothing answered is lost or torn.

    kill_test.py BIN-FOLDER     (MESSAGES, ROUNDS and SERVES_WITHIN in the environment change how much and how strictly)"""
import json, os, signal, sys, time, urllib.request

from common import NoNames, check_ends, check_fate, make_account, make_daemon, mail_load, processes, start_load, starttls, wait_delivered
from daemon import ROLES
from smtp_sink import Sink

MESSAGES = int(os.environ.get("MESSAGES", "20000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))  # kills of each process
SERVES_WITHIN = float(os.environ.get("SERVES_WITHIN", "2"))  # seconds


class Probe:
    """Tries, from the moment of a death, until the whole of what the process is for works again."""

    def __init__(self, daemon):
        self.daemon, self.answered, self.count = daemon, [], 0

    def mail(self, is_local):
        self.count += 1
        name = "probe%06d" % self.count
        mail_load.send_one(self.daemon.smtp_port, name, is_local, patience=10)
        self.answered.append(name)

    def all(self, role):
        self.mail(True)
        self.mail(False)
        if role == "signer":
            starttls(self.daemon.smtp_port).quit()
        if role == "web":
            urllib.request.urlopen("http://127.0.0.1:%d/healthz" % self.daemon.web_port, timeout=5).read()
        if role == "control" and self.daemon.ctl("queue", "stats", check=False).returncode != 0:
            raise OSError("control does not answer")

    def until_served(self, role, began):
        while True:
            try:
                self.all(role)
                return time.monotonic() - began
            except (OSError, mail_load.Refused) as trouble:
                if time.monotonic() - began > 20:
                    raise AssertionError("no service 20 s after the death of %s: %s" % (role, trouble))
                time.sleep(0.02)


def kill_and_probe(d, probe, role):
    pid = processes(d)[role]
    mark, began = d.mark(), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    d.wait_log('event="process died" name=%s pid=%d ' % (role, pid), since=mark)
    served = probe.until_served(role, began)
    d.wait_log('event="process ready" name=%s ' % role, since=mark)
    return served, time.monotonic() - began


def main():
    sink, names = Sink(), NoNames()
    with make_daemon(sys.argv[1], sink, names) as d:
        make_account(d)
        probe = Probe(d)
        load = start_load(d, MESSAGES)
        kills, slowest = [], {}
        todo = [role for _ in range(ROUNDS) for role in ROLES]
        step = MESSAGES / (len(todo) + 1)
        for line in load.stdout:
            if not line.startswith("answered "):
                break
            if todo and int(line.split()[1]) >= step * (len(kills) + 1):
                role = todo.pop(0)
                kills.append(role)
                slowest[role] = max(slowest.get(role, (0, 0)), kill_and_probe(d, probe, role))
        report = json.loads(line)
        for role in todo:  # the load was faster than the kills: those that are left come without it
            kills.append(role)
            slowest[role] = max(slowest.get(role, (0, 0)), kill_and_probe(d, probe, role))
        print("%d messages answered in %.1f s (%d/s) with %d kills, %d of them under load" % (
            len(report["answered"]), report["seconds"], report["per_second"], len(kills), len(kills) - len(todo)))
        for what, times in sorted(report["troubles"].items(), key=lambda item: -item[1])[:12]:
            print("  clients saw %5d x %s" % (times, what))
        for role, (served, ready) in slowest.items():
            print("  after the death of %-12s served again within %.2f s, process ready within %.2f s" % (role, served, ready))
        assert not report["refused_for_good"], "refused for good: %r" % list(report["refused_for_good"].items())[:5]
        assert len(report["answered"]) == MESSAGES, "only %d of %d were answered" % (len(report["answered"]), MESSAGES)
        parked = wait_delivered(d, 240)
        print("  parked and released by hand: %d" % parked)
        print("  " + check_fate(d, sink, report["answered"] + probe.answered))
        worst = max(served for served, _ in slowest.values())
        assert worst <= SERVES_WITHIN, "served again only after %.2f s" % worst
    check_ends(d)
    sink.close()
    names.close()


if __name__ == "__main__":
    main()
