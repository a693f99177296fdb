"""A daemon in which one process was broken into: hostile_child stands in its place and follows a script (tests/support/hostile_child.cc)."""
import os, shutil, signal, tempfile

from daemon import wait_until


def executables_with(bin_dir, hostile, program, only_role=None):
    """The daemon's programs with hostile_child as `program`; where that serves several roles, in `only_role` alone. The parent starts what stands
    beside it, so it and the script's owner are copies."""
    folder = tempfile.mkdtemp(prefix="postern-hostile-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    for name in os.listdir(bin_dir):
        if name.startswith("postern") and name not in ("postern", program):
            os.symlink(os.path.join(os.path.abspath(bin_dir), name), os.path.join(folder, name))
    shutil.copy2(os.path.join(bin_dir, "postern"), os.path.join(folder, "postern"))
    shutil.copy2(hostile, os.path.join(folder, program))
    if only_role:
        with open(os.path.join(folder, program + ".else"), "w") as f:
            f.write("%s %s\n" % (only_role, os.path.join(os.path.abspath(bin_dir), program)))
    return folder


class Attack:
    """Attacks by the process `role`. Each is a script; the process is killed, its successor runs it."""

    def __init__(self, daemon, folder, program, role):
        self.daemon, self.script, self.role = daemon, os.path.join(folder, program + ".script"), role
        self.runs = 0

    def run(self, *lines):
        """Gives the process a successor that follows `lines`; returns the place in the log from where on it speaks, and its last word."""
        self.runs += 1
        word = "end-of-script-%d" % self.runs
        pid = wait_until("a running %s" % self.role, self.pid)
        with open(self.script, "w") as f:
            f.write("\n".join(lines + ("say " + word,)) + "\n")
        since = self.daemon.mark()
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it had read the script of the attack before, and was ended for it again
        return since, word

    def pid(self):
        process = self.daemon.status()[self.role]
        return process["pid"] if process["state"] == "running" else 0

    def heard(self, since, word):
        """Waits for the end of the script; what the process heard: [(who, row, bytes)]."""
        self.daemon.wait_log("name=%s .*%s" % (self.role, word), since=since)
        heard = []
        for line in self.daemon.lines[since:]:
            if "name=%s " % self.role in line and 'line="answer ' in line:
                who, row, digits = line.split('line="answer ', 1)[1].split('"', 1)[0].split(" ")
                heard.append((who, row, bytes.fromhex(digits)))
        return heard

    def answers(self, *lines):
        return self.heard(*self.run(*lines))

    def code(self, *lines):
        """The SMTP code of the last answer (the first field of a verdict)."""
        heard = self.answers(*lines)
        assert heard, "nobody answered %r:\n%s" % (lines, "\n".join(self.daemon.lines[-20:]))
        return code_of(heard)

    def is_ended_for(self, words, *lines):
        since, _ = self.run(*lines)
        self.daemon.wait_log(r'event="process ended by the parent" name=%s .*%s' % (self.role, words), since=since)
        os.unlink(self.script)

    def says(self, words, *lines):
        """Runs the script to its end and checks that the process had `words` to say."""
        since, word = self.run(*lines)
        self.daemon.wait_log("name=%s .*%s" % (self.role, word), since=since)
        assert any(words in line for line in self.daemon.lines[since:]), "%r is not in the log of %r" % (words, lines)


def code_of(heard):
    return int.from_bytes(heard[-1][2][:2], "little")


def messages(daemon, address):
    answer = daemon.ctl("mail", "list", address)
    return answer.get("messages", []) if isinstance(answer, dict) else answer
