"""Changes what files are, in the working directory and outside. Arguments: a directory outside."""
import errno, os, sys, ctypes

libc = ctypes.CDLL(None, use_errno=True)
outside = sys.argv[1]


def do(name, f):
    try:
        f()
        print(name, "done")
    except OSError as e:
        print(name, errno.errorcode[e.errno])


open("file", "w").close()
os.symlink("file", "link")
os.symlink(outside + "/file", "out")
for path in ("file", "link", outside + "/file", "out", "nowhere", "/usr/bin/env", "/dev/null"):
    do("chmod " + path, lambda: os.chmod(path, 0o640))
    do("chown " + path, lambda: os.chown(path, os.getuid(), os.getgid()))
    do("lchown " + path, lambda: os.lchown(path, os.getuid(), os.getgid()))
    do("times " + path, lambda: os.utime(path, (5, 6)))
    do("link's times " + path, lambda: os.utime(path, (5, 6), follow_symlinks=False))
    do("attribute " + path, lambda: os.setxattr(path, "user.a", b"b"))
st = os.stat("file")
print(oct(st.st_mode), st.st_atime, st.st_mtime, os.listxattr("file"))
here = os.open(".", os.O_RDONLY)
for name, fd in (("file", os.open("file", os.O_RDONLY)), ("system's", os.open("/etc/passwd", os.O_RDONLY)), ("none", 99)):
    do("fchmod " + name, lambda: os.fchmod(fd, 0o600))
    do("fchown " + name, lambda: os.fchown(fd, os.getuid(), -1))
    do("futimens " + name, lambda: os.utime(fd, ns=(7, 8)))
do("fchmod of a path alone", lambda: os.fchmod(os.open("file", os.O_PATH), 0o600))
do("chmod of a long path", lambda: os.chmod("x/" * 4000, 0o600))
do("fchmodat", lambda: os.chmod("file", 0o611, dir_fd=here))
do("fchmodat outside", lambda: os.chmod(outside + "/file", 0o611, dir_fd=here))
do("fchmodat of none", lambda: os.chmod("file", 0o611, dir_fd=99))
st = os.stat("file")
print(oct(st.st_mode), st.st_atime_ns, st.st_mtime_ns)
do("privileged attribute", lambda: os.setxattr("file", "security.capability", b"x"))
do("remove attribute", lambda: os.removexattr("file", "user.a"))
print(os.listxattr("file"))
do("memfd", lambda: os.fchmod(os.memfd_create("x"), 0o600))
inotify = libc.inotify_init()
for path in (".", "/etc", outside):
    ctypes.set_errno(0)
    wd = libc.inotify_add_watch(inotify, path.encode(), 0xFFF)
    print("watch", path, wd > 0, errno.errorcode.get(ctypes.get_errno()))
os.rename("file", "renamed")
print(len(os.read(inotify, 4096)) > 0)
if os.getuid() == 0:
    os.chmod(".", 0o777)
    sys.stdout.flush()
    if os.fork() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        do("another user's", lambda: os.chmod("renamed", 0o777))
        open("new", "w").close()
        do("its own", lambda: os.chmod("new", 0o700))
        do("giving away", lambda: os.chown("new", 0, 0))
        print("its watch", libc.inotify_add_watch(inotify, b"new", 0xFFF) > 0)
        sys.stdout.flush()
        os._exit(0)
    os.wait()
