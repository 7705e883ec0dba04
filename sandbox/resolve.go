package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lookup is a file as a call of a task's names it.
type lookup struct {
	tid      int
	dir      int32 // a descriptor of the task's, or AT_FDCWD, that path is relative to
	path     string
	nofollow bool // a symbolic link at the end is what is named
	// own: in /proc, what the task itself has open may lead on, and what another process has may not.
	own bool
}

// open returns a descriptor of ours (O_PATH) for what is named. The way there is followed with our rights.
func (l *lookup) open() (fd int, err error) {
	w, err := l.begin()
	if err != nil {
		return -1, err
	}
	defer w.end()
	return w.follow()
}

// openAsTask is open with the task's own user, groups and capabilities. A unix.Errno is what the task would get;
// any other error is a failure of ours.
func (l *lookup) openAsTask() (fd int, err error) {
	w, err := l.begin()
	if err != nil {
		return -1, errors.Join(err)
	}
	defer w.end()
	if failure := withIdentity(l.tid, accessCapabilities, func() { fd, err = w.follow() }); failure != nil {
		return -1, errors.Join(failure)
	}
	return fd, err
}

// begin opens where the way begins, which only we may need to be able to.
func (l *lookup) begin() (*walk, error) {
	w := &walk{lookup: *l, root: -1, at: -1}
	var err error
	if w.root, err = openPath(unix.AT_FDCWD, procPath(l.tid, "root"), 0); err != nil {
		return nil, err
	}
	start := procPath(l.tid, "cwd")
	switch {
	case filepath.IsAbs(l.path):
		start = procPath(l.tid, "root")
	case l.dir != unix.AT_FDCWD:
		start = fdPath(l.tid, l.dir)
	}
	if err := w.enter(unix.AT_FDCWD, start, 0); err != nil {
		w.end()
		return nil, err
	}
	return w, nil
}

// walk is where a lookup has come so far: root is the task's root directory, at is what has been reached.
type walk struct {
	lookup
	root, at int
}

// follow goes the way that the kernel goes for the task, and returns what is at its end. Every symbolic link is
// followed here: one to an absolute path begins at the task's root, not at ours, and in /proc, "self" is the
// task, not we.
func (w *walk) follow() (fd int, err error) {
	const maxLinks = 40 // MAXSYMLINKS
	path := w.path
	for links := 0; err == nil; {
		name, rest := cutName(path)
		if name == "" {
			return w.arrive(path != "")
		}
		path = rest
		if name == ".." && sameFile(w.at, w.root) {
			continue
		}
		from := w.at
		w.at = -1
		var st unix.Stat_t
		if err = w.enter(from, name, unix.O_NOFOLLOW); err == nil {
			err = unix.Fstat(w.at, &st)
		}
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK && !(rest == "" && w.nofollow) {
			if links++; links > maxLinks {
				err = unix.ELOOP
			} else {
				path, err = w.link(from, name, rest)
			}
		}
		unix.Close(from)
	}
	return -1, err
}

// cutName cuts the first name off a path. What is left of it begins with a slash, unless it is nothing.
func cutName(path string) (name, rest string) {
	path = strings.TrimLeft(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// arrive is the end of the way, which must be a directory where a slash is at the end of the path.
func (w *walk) arrive(slash bool) (int, error) {
	var st unix.Stat_t
	if slash {
		if err := unix.Fstat(w.at, &st); err != nil {
			return -1, err
		} else if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return -1, unix.ENOTDIR
		}
	}
	fd := w.at
	w.at = -1
	return fd, nil
}

// link goes on from a symbolic link, which is at name in from, and returns the rest of the path.
func (w *walk) link(from int, name, path string) (string, error) {
	const procRootInode = 1
	var at unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(from, &at), unix.Fstatfs(w.at, &fs)); err != nil {
		return path, err
	}
	switch proc := fs.Type == procMagic; {
	case proc && at.Ino == procRootInode && (name == "self" || name == "thread-self"):
		tgid, err := groupOf(w.tid)
		if err != nil {
			return path, unix.ENOENT // it has ended
		}
		to := numberIn(from, tgid)
		if name == "thread-self" {
			to += "/task/" + numberIn(from, w.tid)
		}
		return path, w.enter(from, to, 0)
	case proc && at.Ino != procRootInode: // most lead to no path, but to the file itself
		if w.own && !w.owns(from) {
			return path, unix.EACCES
		}
		return path, w.enter(from, name, 0)
	}
	to, err := readLink(w.at)
	switch {
	case err != nil:
	case filepath.IsAbs(to):
		err = w.enter(w.root, ".", 0)
	default:
		err = w.enter(from, ".", 0)
	}
	return to + path, err
}

// groupOf returns the id of a thread's process.
func groupOf(tid int) (int, error) {
	status, err := os.ReadFile(procPath(tid, "status"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(statusField(string(status), "Tgid"))
}

// owns reports whether a directory in our /proc is the task's own process's.
func (w *walk) owns(dir int) bool {
	path, err := os.Readlink(procSelfFd(dir))
	tgid, gerr := groupOf(w.tid)
	of, _, _ := strings.Cut(strings.TrimPrefix(path, "/proc/"), "/")
	id, nerr := strconv.Atoi(of)
	if errors.Join(err, gerr, nerr) != nil {
		return false
	}
	its, err := groupOf(id)
	return err == nil && its == tgid
}

// enter goes on to what is at name in directory dir.
func (w *walk) enter(dir int, name string, flags int) error {
	fd, err := openPath(dir, name, flags)
	if err != nil {
		return err
	}
	w.leave()
	w.at = fd
	return nil
}

func (w *walk) leave() {
	if w.at >= 0 {
		unix.Close(w.at)
		w.at = -1
	}
}

func (w *walk) end() {
	w.leave()
	unix.Close(w.root)
}

func openPath(dir int, name string, flags int) (int, error) {
	return unix.Openat(dir, name, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
}

func readLink(fd int) (string, error) {
	var b [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", b[:])
	return string(b[:max(n, 0)]), err
}

// procSelfFd returns a path by which a descriptor of ours is what it stands for.
func procSelfFd(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// numberIn returns the id by which a thread is known in the directory /proc: ours, or that of its own
// namespace of process ids.
func numberIn(proc, tid int) string {
	ours, err := openPath(unix.AT_FDCWD, "/proc", 0)
	if err == nil {
		defer unix.Close(ours)
		if !sameFile(ours, proc) {
			tid = ownNumber(tid)
		}
	}
	return strconv.Itoa(tid)
}

func sameFile(a, b int) bool {
	var x, y unix.Stat_t
	return unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}
