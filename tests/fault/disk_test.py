#!/usr/bin/python3
"""The disk under the state folder fills up while mail comes in, and is freed again. The answers are 452, nobody dies, nothing answered is lost.

    disk_test.py BIN-FOLDER     (as root: it mounts a small filesystem in a mount namespace of its own)"""
import json, os, subprocess, sys, tempfile

from common import NoNames, check_ends, check_fate, make_account, make_daemon, mail_load, processes, start_load, wait_delivered
from daemon import wait_until
from smtp_sink import Sink

DISK_MIB = 64
SKIPPED = 77


def in_own_namespace():
    """Starts this program again where its mounts are seen by nobody else and vanish with it."""
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable] + sys.argv + ["--inside"])


def fill(path, leave):
    """A ballast that leaves about so many bytes free on its disk."""
    with open(path, "ab") as f:
        while True:
            space = os.statvfs(os.path.dirname(path))
            left = space.f_bavail * space.f_frsize - leave
            if left <= 0:
                return
            try:
                f.write(b"\0" * min(left, 65536))
                f.flush()
            except OSError:
                return


def try_mail(d, name, is_local):
    try:
        return mail_load.send_one(d.smtp_port, name, is_local)
    except mail_load.Refused as refused:
        return str(refused)


def crashes(d):
    return [line for line in d.lines if 'event="process died"' in line]


def filled_while_idle(d, folder, answered):
    """Below the reserve the queue says so and the door answers 452; freed, mail is taken again."""
    ballast = folder + "/state/ballast"
    mark = d.mark()
    fill(ballast, 1024 * 1024)
    d.wait_log('process=queue event="no room: new mail is answered 452"', since=mark)
    for is_local in (True, False):
        reply = wait_until("the listener has heard of it", lambda: (lambda r: r if not r.startswith("250") else answered.append("full-%d" % is_local))(
            try_mail(d, "full-%d" % is_local, is_local)))
        assert reply.startswith("452 4.3.1"), "a full disk is answered with %r" % reply
    mark = d.mark()
    os.unlink(ballast)
    d.wait_log('process=queue event="there is room again: mail is taken"', since=mark)
    for is_local in (True, False):
        wait_until("mail is taken again", lambda: try_mail(d, "freed-%d" % is_local, is_local).startswith("250"))
        answered.append("freed-%d" % is_local)


def filled_under_load(d, folder):
    """To the last byte, faster than the queue looks: commits fail. The clients hold on until there is room again."""
    ballast = folder + "/state/ballast"
    load = start_load(d, 600, connections=20, give_up=240, size=20000, prefix="under-load")
    filled = freed = False
    refusals = 0
    for line in load.stdout:
        if not line.startswith("answered "):
            break
        done = int(line.split()[1])
        if done >= 100 and not filled:
            filled, mark = True, d.mark()
            fill(ballast, 0)
        if filled and not freed:
            fill(ballast, 0)  # what deliveries made free is taken away again
            refusals += 1
            if refusals >= 40:
                freed = True
                os.unlink(ballast)
    report = json.loads(line)
    assert filled and freed, "the load ended before the disk was full"
    assert not report["refused_for_good"], report["refused_for_good"]
    assert any(what.startswith("reply 452") for what in report["troubles"]), "nobody was answered 452: %r" % report["troubles"]
    assert len(report["answered"]) == 600, "only %d of 600 were answered" % len(report["answered"])
    for what, times in sorted(report["troubles"].items()):
        print("  clients saw %5d x %s" % (times, what))
    return report["answered"]


def main():
    if os.geteuid() != 0:
        print("skipped: mounting needs root")
        return SKIPPED
    if sys.argv[-1] != "--inside":
        in_own_namespace()
    folder = tempfile.mkdtemp(prefix="postern-disk-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=%dm" % DISK_MIB, "small-disk", folder], check=True)
    sink, names = Sink(), NoNames()
    try:
        with make_daemon(sys.argv[1], sink, names, folder=folder) as d:
            make_account(d)
            before, answered = processes(d), []
            filled_while_idle(d, folder, answered)
            answered += filled_under_load(d, folder)
            parked = wait_delivered(d)
            assert not crashes(d) and processes(d) == before, "a process died: %r" % crashes(d)
            assert parked == 0, "%d deliveries were parked" % parked
            print("  " + check_fate(d, sink, answered))
            print("  log lines in all: %d" % len(d.lines))
        check_ends(d)
    finally:
        subprocess.run(["umount", "-l", folder])
        os.rmdir(folder)
    sink.close()
    names.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
