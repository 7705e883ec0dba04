package sandbox

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/kernel"
)

// resolve goes the way that the kernel goes for the task from its working directory along path, and returns
// a descriptor (O_PATH) of ours for what is at its end. Every symbolic link is followed here: one to an
// absolute path begins at the task's root, not at ours, and in /proc, "self" is the task, not we.
func (m *machine) resolve(t *kernel.Task, path string) (fd int, err error) {
	const (
		maxLinks      = 40 // MAXSYMLINKS
		procRootInode = 1
	)
	w := walk{dir: -1}
	if w.root, err = openPath(unix.AT_FDCWD, procPath(t.TID, "root"), 0); err != nil {
		return -1, err
	}
	defer unix.Close(w.root)
	start := procPath(t.TID, "cwd")
	if strings.HasPrefix(path, "/") {
		start = procPath(t.TID, "root")
	}
	err = w.enter(unix.AT_FDCWD, start, 0)
	for links := 0; err == nil; {
		var name string
		if name, path, _ = strings.Cut(strings.TrimLeft(path, "/"), "/"); name == "" {
			return w.dir, nil
		}
		if name == ".." && sameFile(w.dir, w.root) {
			continue
		}
		var at, st unix.Stat_t
		if err = unix.Fstat(w.dir, &at); err != nil {
			break
		}
		from := w.dir
		w.dir = -1
		if err = w.enter(from, name, unix.O_NOFOLLOW); err == nil {
			err = unix.Fstat(w.dir, &st)
		}
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			var fs unix.Statfs_t
			err = unix.Fstatfs(w.dir, &fs)
			proc := fs.Type == procMagic
			if links++; links > maxLinks {
				err = unix.ELOOP
			}
			switch {
			case err != nil:
			case proc && at.Ino == procRootInode && name == "self":
				err = w.enter(from, numberIn(from, t.Group.TGID), 0)
			case proc && at.Ino == procRootInode && name == "thread-self":
				err = w.enter(from, numberIn(from, t.Group.TGID)+"/task/"+numberIn(from, t.TID), 0)
			case proc && at.Ino != procRootInode: // most lead to no path, but to the file itself
				err = w.enter(from, name, 0)
			default:
				var to string
				if to, err = readLink(w.dir); err != nil {
					break
				}
				path = to + "/" + path
				if strings.HasPrefix(to, "/") {
					err = w.enter(unix.AT_FDCWD, procPath(t.TID, "root"), 0)
				} else {
					err = w.enter(from, ".", 0)
				}
			}
		}
		unix.Close(from)
	}
	w.leave()
	return -1, err
}

// walk is where a path has led to.
type walk struct{ root, dir int }

// enter goes on to what is at name in directory dir.
func (w *walk) enter(dir int, name string, flags int) error {
	fd, err := openPath(dir, name, flags)
	if err != nil {
		return err
	}
	w.leave()
	w.dir = fd
	return nil
}

func (w *walk) leave() {
	if w.dir >= 0 {
		unix.Close(w.dir)
		w.dir = -1
	}
}

func openPath(dir int, name string, flags int) (int, error) {
	return unix.Openat(dir, name, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
}

func readLink(fd int) (string, error) {
	var b [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", b[:])
	return string(b[:max(n, 0)]), err
}

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
