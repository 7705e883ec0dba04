package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/wx"
)

// wxMode returns the mode as the model has it.
func wxMode(m policy.WXMode) wx.Mode {
	return map[policy.WXMode]wx.Mode{policy.WXAllow: wx.Allow, policy.WXAudit: wx.Audit, policy.WXDeny: wx.Deny}[m]
}

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
	confined bool
	roots    []string // what programs may write, if confined; clean absolute paths without symbolic links
	// files that the first programs have open for writing, which nobody can tell from the path
	given  map[fileStamp]bool
	first  fileStamp // the first program's file, which was there before anything ran
	except policy.WXExceptions
}

// fileStamp is a file at a time: when it is changed, it has another. given's have no time.
type fileStamp struct {
	dev, ino uint64
	changed  unix.Timespec // st_ctim, which no program can set
}

func stampOf(st *unix.Stat_t) fileStamp { return fileStamp{st.Dev, st.Ino, st.Ctim} }

// newCode returns what is known before the program is started. files are the descriptors that it is going
// to have.
func newCode(cmd *Cmd, files []*os.File) (*code, error) {
	c := &code{given: make(map[fileStamp]bool), except: cmd.Policy.WXExcept}
	if x := cmd.confined; x != nil {
		c.confined = true
		for _, g := range x.own {
			c.roots = append(c.roots, g.Path)
		}
	}
	// The coarse clock, by which files are stamped, lags behind the other.
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &c.started); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if unix.Stat(cmd.programPath(), &st) == nil {
		c.first = stampOf(&st)
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

// below reports whether the path is one of the roots or lies below one.
func below(roots []string, path string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || root == "/" || strings.HasPrefix(path, root+"/")
	})
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
	case !c.confined, running:
		return c.changedSince(st) && (!c.confined || below(c.roots, path) && theirs(path, st))
	}
	return below(c.roots, path) && theirs(path, st)
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
	running := false
	if exe, err := os.Readlink(procPath(t.TID, "exe")); err == nil {
		var self unix.Stat_t
		running = exe == f.Name && unix.Stat(procPath(t.TID, "exe"), &self) == nil && self.Dev == st.Dev && self.Ino == st.Ino
	}
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
	exe, err := os.Readlink(procPath(t.TID, "exe"))
	if err != nil || !slices.Contains(m.code.except.Programs, exe) {
		return false
	}
	var st unix.Stat_t
	return unix.Stat(procPath(t.TID, "exe"), &st) == nil && !m.code.changeable(exe, &st, true)
}
