package sandbox

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// identity is what decides about access to files (path_permission, setattr_prepare).
type identity struct {
	uid, gid int // of file systems
	groups   []int
	caps     uint64 // effective, those of files
}

// fileCaps are the capabilities that matter to files and that a confined program may have.
const fileCaps = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID

// identityOf returns the identity in the text of a /proc/PID/status.
func identityOf(status string) (id identity, ok bool) {
	last := func(field string) (int, bool) {
		words := strings.Fields(statusField(status, field))
		if len(words) != 4 {
			return 0, false
		}
		n, err := strconv.Atoi(words[3])
		return n, err == nil
	}
	var okUID, okGID bool
	id.uid, okUID = last("Uid")
	id.gid, okGID = last("Gid")
	for _, word := range strings.Fields(statusField(status, "Groups")) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return id, false
		}
		id.groups = append(id.groups, n)
	}
	caps, err := strconv.ParseUint(statusField(status, "CapEff"), 16, 64)
	id.caps = caps & fileCaps
	return id, okUID && okGID && err == nil
}

func (id identity) equal(o identity) bool {
	return id.uid == o.uid && id.gid == o.gid && id.caps == o.caps && slices.Equal(id.groups, o.groups)
}

// asTask calls f with a thread's identity, which is ours unless a privileged program has changed its own. It
// reports whether that could be done.
func asTask(tid int, f func()) (ran bool) {
	its, err := os.ReadFile(procPath(tid, "status"))
	if err != nil {
		return false
	}
	ours, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return false
	}
	want, ok := identityOf(string(its))
	have, okOurs := identityOf(string(ours))
	if !ok || !okOurs {
		return false
	}
	if want.equal(have) {
		f()
		return true
	}
	run := func() {
		if ran = want.assume(); ran {
			f()
		}
	}
	onThread(func() {
		if unix.Gettid() == unix.Getpid() {
			onThread(run) // Go cannot end the main thread
			return
		}
		run()
	})
	return ran
}

// assume gives the calling thread an identity. The system calls are made directly: the C library's and Go's
// own change all threads.
func (id identity) assume() bool {
	groups := make([]uint32, len(id.groups), len(id.groups)+1)
	for i, g := range id.groups {
		groups[i] = uint32(g)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0); errno != 0 {
		return false
	}
	unix.RawSyscall(unix.SYS_SETFSGID, uintptr(id.gid), 0, 0)
	unix.RawSyscall(unix.SYS_SETFSUID, uintptr(id.uid), 0, 0)
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if unix.Capget(&h, &d[0]) != nil {
		return false
	}
	d[0].Effective = d[0].Permitted & uint32(id.caps)
	d[1].Effective = 0
	if unix.Capset(&h, &d[0]) != nil {
		return false
	}
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return false
	}
	now, ok := identityOf(string(status))
	return ok && now.equal(id)
}
