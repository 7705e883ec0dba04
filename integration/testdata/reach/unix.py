# Unix sockets among the sandbox's own processes, and those of others: the first argument is the path of a
# socket elsewhere, the second one in this directory, the third an abstract name.
import ctypes, errno, os, signal, socket, sys, threading, time

elsewhere, here, abstract = sys.argv[1], sys.argv[2], "\0" + sys.argv[3]


def connect(path, timeout=None, kind=socket.SOCK_STREAM):
    c = socket.socket(socket.AF_UNIX, kind)
    c.settimeout(timeout)
    try:
        c.connect(path)
        return c
    except OSError as e:
        return errno.errorcode[e.errno]


def listen(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    s.listen(1)
    return s


os.mkdir("d")
own = "\0own-%d" % os.getpid()
for path in ["s", "d/s", os.path.abspath("d/t"), own]:
    for kind in [socket.SOCK_STREAM, socket.SOCK_SEQPACKET]:
        s = listen(path, kind)
        c = connect(path, kind=kind)
        a = s.accept()[0]
        a.send(b"hello")
        same = c.getpeername() in (path, path.encode())
        uid = int.from_bytes(a.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:8], sys.byteorder)
        print(c.recv(9), same, c.getblocking(), uid == os.geteuid())
        print("other kind:", connect(path, kind=socket.SOCK_STREAM + socket.SOCK_SEQPACKET - kind))
        s.close()
        print("closed:", connect(path))
        if path != own:
            os.unlink(path)

s = listen("s")
fd = os.open(".", os.O_RDONLY)
os.symlink("s", "link")
os.mkfifo("fifo")
print("by descriptor:", type(connect("/proc/self/fd/%d/s" % fd)), "by link:", type(connect("link")))
for bad in ["none", "d", "fifo", "d/../nowhere/s", "x" * 107]:
    print(bad[:20], connect(bad))
a = [s.accept(), s.accept()]

# A full queue.
queued = [connect("s"), connect("s")]
print("full, not waiting:", connect("s", 0))
t = threading.Thread(target=lambda: (time.sleep(0.2), s.accept()))
t.start()
print("full, waiting:", type(connect("s")))
t.join()


class Alarm(Exception):
    pass


def alarm(*_):
    raise Alarm


signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    print(connect("s"))
except Alarm:
    print("full, interrupted")
c = socket.socket(socket.AF_UNIX)
c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, b"\0" * 8 + (100000).to_bytes(8, sys.byteorder))
try:
    c.connect("s")
except OSError as e:
    print("full, with a timeout:", errno.errorcode[e.errno])

# Killed while it waits.
pid = os.fork()
if pid == 0:
    connect("s")
time.sleep(0.1)
os.kill(pid, signal.SIGKILL)
print("killed:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
s.close()

libc = ctypes.CDLL(None, use_errno=True)


def raw(fd, addr, length):
    return errno.errorcode[ctypes.get_errno()] if libc.connect(fd, addr, length) < 0 else "ok"


c = socket.socket(socket.AF_UNIX)
one = (1).to_bytes(2, sys.byteorder)
print("raw:", raw(99, one + b"s", 3), raw(0, one + b"s", 3), raw(c.fileno(), None, 3), raw(c.fileno(), one, 2), raw(c.fileno(), one + b"s", 200),
      raw(c.fileno(), one + b"s", 1), raw(c.fileno(), one + b"none", 4), raw(c.fileno(), b"\2\0" + b"\0" * 14, 16), raw(c.fileno(), b"\0\0" + b"\0" * 14, 16))

# Those of others.
os.symlink(elsewhere, "out")
print("others:", connect(elsewhere), connect("out"), connect(here), connect(abstract), connect("/proc/self/root" + elsewhere))

# An address that changes all the time is one or the other, and never what was not looked at.
s = listen("race")
s.setblocking(False)
pad = lambda b: one + b + b"\0" * (108 - len(b))
names = [pad(b"race"), pad(elsewhere.encode())]
buf = ctypes.create_string_buffer(names[0], 110)
stop = False


def flip():
    i = 0
    while not stop:
        ctypes.memmove(buf, names[i & 1], 110)
        i += 1


t = threading.Thread(target=flip)
t.start()
got = {"ok": 0, "EACCES": 0, "other": 0, "outside": 0}
for _ in range(int(sys.argv[4])):
    c = socket.socket(socket.AF_UNIX)
    r = raw(c.fileno(), buf, 110)
    got[r if r in got else "other"] += 1
    if r == "ok":
        got["outside"] += c.getpeername() != "race"
        s.accept()[0].close()
    c.close()
stop = True
t.join()
print("race:", got["outside"], "outside")

# There are no datagrams, which carry addresses.
for name, make in [("socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)), ("raw", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_RAW)),
                   ("pair", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))]:
    try:
        make()
        print(name, "made")
    except OSError as e:
        print(name, errno.errorcode[e.errno])
a, b = socket.socketpair()
print("sendmsg:", a.sendmsg([b"x"]), b.recv(1))
try:
    a.sendto(b"x", elsewhere)
except OSError as e:
    print("sendto:", errno.errorcode[e.errno])
