#!/usr/bin/env python3
"""Every process stands still at once: the parent ends each, starts it again, and what was taken before is delivered.
The parent itself tells the service manager that it lives."""
import os, signal, socket, sys

from common import check_ends, check_fate, make_account, make_daemon, mail_load, processes, wait_delivered, wait_until
from smtp_sink import Sink

LIMIT = 15  # seconds, the least that may be configured


def served(d, name, is_local):
    try:
        mail_load.send_one(d.smtp_port, name, is_local, 5)
        return True
    except (OSError, mail_load.Refused):
        return False


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    sink, manager = Sink(), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind("\0postern-hang-test-%d" % os.getpid())
    manager.settimeout(60)
    os.environ.update(NOTIFY_SOCKET="@postern-hang-test-%d" % os.getpid(), WATCHDOG_USEC="2000000")
    with make_daemon(sys.argv[1], sink, None, {"server.hang_limit": "%ds" % LIMIT, "verify.enabled": False}) as d:
        make_account(d)
        told = []
        while not told or told[-1] != b"WATCHDOG=1" or b"READY=1" not in told:
            told.append(manager.recv(256))
        assert told.count(b"READY=1") == 1, told
        manager.close()
        taken = []
        for i in range(10):
            taken.append("before%d" % i)
            mail_load.send_one(d.smtp_port, taken[-1], i % 2 == 0, 30)
        old = processes(d)
        mark = d.mark()
        for pid in old.values():
            os.kill(pid, signal.SIGSTOP)
        for role, pid in old.items():
            d.wait_log('event="process ended by the parent" name=%s pid=%d why="hangs: nothing was heard of it for %d s"' % (role, pid, LIMIT), since=mark, patience=60)
            d.wait_log('event="process ready" name=%s ' % role, since=mark)
        for is_local in (True, False):
            name = "after%d" % is_local
            wait_until("mail is taken again", lambda: served(d, name, is_local))
            taken.append(name)
        now = processes(d)
        assert not set(now.values()) & set(old.values()), (old, now)
        wait_delivered(d)
        print(check_fate(d, sink, taken))
        # Those that live and have nothing to say are left alone.
        wait_until("all are older than the limit", lambda: min(p["up_seconds"] for p in d.status().values()) > LIMIT + 3, 60)
        assert processes(d) == now, (now, processes(d))
    check_ends(d)
    sink.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
