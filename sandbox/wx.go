package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/mm"
)

// code knows which files programs of the sandbox can change, so that what is in them must not be
// executed (W^X):
//
//   - Where they are confined: what lies below the paths that they may write, and is theirs to write. A
//     file elsewhere they have never been able to change, nor can they bring one there.
//   - Where they are not: what was changed since they were started. Files that they might have changed
//     and did not are taken as they are, else nothing could be executed by root.
//   - A running program's own file cannot be written while it runs (ETXTBSY), so that one that has not
//     been changed since the start may be executed wherever it lies.
//   - What the policy excepts they can not.
type code struct {
	started  unix.Timespec // by the clock that files are stamped with
	confined *confinement  // nil where they are not
	// own are the files and directories that confinement lets the program write, and what is below: they have
	// no times, and are the same by whatever path, as another mount shows them, or the name of today.
	own map[fileStamp]bool
	// files that the first programs have open for writing, which nobody can tell from the path
	given  map[fileStamp]bool
	first  fileStamp // the first program's file, which was there before anything ran
	except policy.WXExceptions
}

// fileStamp is a file at a time: when it is changed, it has another. Those of given and own have no time.
type fileStamp struct {
	dev, ino uint64
	changed  unix.Timespec // st_ctim, which no program can set
}

func stampOf(st *unix.Stat_t) fileStamp { return fileStamp{st.Dev, st.Ino, st.Ctim} }

// newCode returns what is known before the program is started. files are the descriptors that it is going
// to have.
func newCode(cmd *Cmd, files []*os.File) (*code, error) {
	c := &code{given: make(map[fileStamp]bool), own: make(map[fileStamp]bool), except: cmd.Policy.WXExcept, confined: cmd.confined}
	// The coarse clock, by which files are stamped, lags behind the other.
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &c.started); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if unix.Stat(cmd.programPath(), &st) == nil {
		c.first = stampOf(&st)
	}
	if x := c.confined; x != nil {
		for _, g := range x.own {
			if err := unix.Stat(g.Path, &st); err != nil {
				return nil, fmt.Errorf("%s: %w", g.Path, err)
			}
			c.own[fileStamp{dev: st.Dev, ino: st.Ino}] = true
		}
	}
	for _, f := range files {
		if f == nil || unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY {
			c.given[fileStamp{dev: st.Dev, ino: st.Ino}] = true
		}
	}
	return c, nil
}

// changedSince reports whether the file may have been changed since the program was started.
func (c *code) changedSince(st *unix.Stat_t) bool {
	if stampOf(st) == c.first {
		return false
	}
	return st.Ctim.Nano() >= c.started.Nano()
}

// theirs reports whether the file's mode lets programs of the sandbox write it, now or once they have
// changed it. They have our credentials or less.
func theirs(path string, st *unix.Stat_t) bool {
	return int(st.Uid) == os.Geteuid() || unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}

// changeable reports whether programs can change the file at path, or have. running: a process that
// executes it asks about itself.
func (c *code) changeable(path string, st *unix.Stat_t, running bool) bool {
	switch {
	case slices.Contains(c.except.Files, path):
		return false
	case st.Mode&unix.S_IFMT != unix.S_IFREG, c.given[fileStamp{dev: st.Dev, ino: st.Ino}]:
		return true
	case c.confined == nil:
		return c.changedSince(st)
	case running && !c.changedSince(st):
		return false
	}
	return (c.confined.mayWrite(path) || c.isOwn(path)) && theirs(path, st)
}

// isOwn reports whether the file at path is one of own, or lies below one of these.
func (c *code) isOwn(path string) bool {
	for up := path; ; path = up {
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil && c.own[fileStamp{dev: st.Dev, ino: st.Ino}] {
			return true
		}
		if up = filepath.Dir(path); up == path {
			return false
		}
	}
}

// Changeable implements kernel.Host.
func (m *machine) Changeable(t *kernel.Task, f *mm.File) (bool, error) {
	var st unix.Stat_t
	// A path as the kernel lists it has no symbolic links; and a program cannot put any in but where it
	// may write, below which everything can be changed anyway. "(deleted)" is at the end of what is no
	// path any more.
	if !filepath.IsAbs(f.Name) || unix.Lstat(f.Name, &st) != nil {
		return true, nil
	}
	if !m.isListed(f, &st) {
		return true, nil
	}
	exe, self, ok := executable(t.TID)
	running := ok && exe == f.Name && self.Dev == st.Dev && self.Ino == st.Ino
	return m.code.changeable(f.Name, &st, running), nil
}

// isListed reports whether the file at a path is the one that the kernel's list shows with this name.
func (m *machine) isListed(f *mm.File, st *unix.Stat_t) bool {
	if f.Dev == st.Dev && f.Ino == st.Ino {
		return true
	}
	// On some filesystems stat(2) and the list do not show the same.
	var fs unix.Statfs_t
	if unix.Statfs(f.Name, &fs) != nil {
		return false
	}
	return fs.Type == btrfsMagic || fs.Type == overlayMagic
}

// trusted reports whether the program that the task has executed may execute what it has written.
func (m *machine) trusted(t *kernel.Task) bool {
	if m.code == nil || len(m.code.except.Programs) == 0 {
		return false
	}
	exe, st, ok := executable(t.TID)
	return ok && slices.Contains(m.code.except.Programs, exe) && !m.code.changeable(exe, st, true)
}

// executable returns the file that the task executes, and its path.
func executable(tid int) (path string, st *unix.Stat_t, ok bool) {
	st = new(unix.Stat_t)
	path, err := os.Readlink(procPath(tid, "exe"))
	return path, st, err == nil && unix.Stat(procPath(tid, "exe"), st) == nil
}
