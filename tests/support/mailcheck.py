"""What the system tests share: reading back what was delivered, running real clients, saying which version was used."""
import email, email.policy, os, pwd, subprocess, sys, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from daemon import make_users, wait_until  # noqa: E402


def run(command, check=True, stdin=None, timeout=120, env=None):
    """Runs a program. Output as text; fails the test with what it printed where its exit status is not 0."""
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, env=env)
    done.stdout, done.stderr = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    if check and done.returncode != 0:
        raise AssertionError("%s: exit %d\n%s%s" % (" ".join(command), done.returncode, done.stdout, done.stderr))
    return done


def say_version(*command):
    """Prints which program a test ran against: the first line of what `command` prints."""
    done = run(list(command), check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    print("tested with: %s: %s" % (command[0], lines[0] if lines else "(says nothing)"), flush=True)


def messages(d, address, folder="Inbox"):
    return d.ctl("mail", "list", address, "--folder", folder)["messages"]


def wait_message(d, address, subject, folder="Inbox", patience=60):
    """The bytes of the one message with this subject, as posternctl shows them; waits for its delivery."""
    rows = wait_until("a message %r in %s of %s" % (subject, folder, address),
                      lambda: [m for m in messages(d, address, folder) if m["subject"] == subject], patience)
    if len(rows) != 1:
        raise AssertionError("%d messages with the subject %r" % (len(rows), subject))
    return show(d, address, rows[0]["uid"], folder)


def show(d, address, uid, folder="Inbox"):
    done = subprocess.run([d.bin + "/posternctl", "mail", "show", address, str(uid), "--folder", folder, "--socket", d.folder + "/run/control.sock"],
                          capture_output=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError("posternctl mail show: exit %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")))
    return done.stdout


def header(raw, name):
    """All values of a field, unfolded, in order."""
    parsed = email.message_from_bytes(raw, policy=email.policy.compat32)
    return [" ".join(str(v).split()) for v in parsed.get_all(name, [])]


def text_of(raw):
    """What follows the header section."""
    return raw.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1].replace(b"\n", b"\r\n")


def outsider(n=2):
    """A loopback address that no test counts among the networks that may relay."""
    return "127.0.0.%d" % n


def give(path, user):
    """Makes the user of a process the owner of a folder."""
    make_users()
    row = pwd.getpwnam(user)
    os.chown(path, row.pw_uid, row.pw_gid)


def main(module="__main__"):
    """unittest's main; the first argument is the folder of Postern's executables, found as mailcheck.bin_dir."""
    global bin_dir
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: %s BIN-FOLDER [unittest arguments]" % sys.argv[0])
    bin_dir = os.path.abspath(sys.argv.pop(1))
    if os.geteuid() != 0:
        print("not root: left out, for it needs the processes' own users")
        sys.exit(77)
    unittest.main(module=module, verbosity=2)


bin_dir = None
