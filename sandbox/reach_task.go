package sandbox

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// withIdentity calls f with the task's user, groups and capabilities, as far as they are not more than ours. Where
// they, or those of the capabilities that matter, are others than ours, that is on a thread of its own, which
// ends afterwards.
func withIdentity(tid int, matter uint64, f func()) error {
	b, err := os.ReadFile(procPath(tid, "status"))
	if err != nil {
		return err
	}
	theirs := string(b)
	if b, err = os.ReadFile("/proc/thread-self/status"); err != nil {
		return err
	}
	if sameIdentity(theirs, string(b), matter) {
		f()
		return nil
	}
	do := func() {
		if err = become(theirs); err == nil {
			f()
		}
	}
	onThread(func() {
		if unix.Gettid() == unix.Getpid() {
			onThread(do) // Go cannot end the main thread
			return
		}
		do()
	})
	return err
}

// accessCapabilities are those by which permissions of files do not count.
const accessCapabilities = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH

// sameIdentity reports whether two tasks, of which these are the /proc/PID/status, have the same identity and
// the same of the capabilities that matter. CAP_DAC_READ_SEARCH adds nothing to CAP_DAC_OVERRIDE where nothing
// is executed.
func sameIdentity(a, b string, matter uint64) bool {
	for _, name := range []string{"Uid", "Gid", "Groups"} {
		if statusField(a, name) != statusField(b, name) {
			return false
		}
	}
	x, y := effective(a)&matter, effective(b)&matter
	return x == y || matter == accessCapabilities && x&y&(1<<unix.CAP_DAC_OVERRIDE) != 0
}

func effective(status string) uint64 {
	caps, _ := strconv.ParseUint(statusField(status, "CapEff"), 16, 64)
	return caps
}

// become gives the calling thread, and it alone, the identity in a /proc/PID/status.
func become(status string) error {
	ids := func(name string) (list []uint32) {
		for _, s := range strings.Fields(statusField(status, name)) {
			n, _ := strconv.ParseUint(s, 10, 32)
			list = append(list, uint32(n))
		}
		return list
	}
	uid, gid, groups := ids("Uid"), ids("Gid"), ids("Groups") // real, effective, saved, of the file system
	if len(uid) != 4 || len(gid) != 4 {
		return errors.New("no identity in its status")
	}
	raw := func(nr uintptr, a, b, c uint32) error {
		if _, _, errno := unix.RawSyscall(nr, uintptr(a), uintptr(b), uintptr(c)); errno != 0 {
			return errno
		}
		return nil
	}
	var list unsafe.Pointer
	if len(groups) > 0 {
		list = unsafe.Pointer(&groups[0])
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(list), 0); errno != 0 {
		return errno
	}
	if err := errors.Join(raw(unix.SYS_SETRESGID, gid[0], gid[1], gid[2]), raw(unix.SYS_SETRESUID, uid[0], uid[1], uid[2])); err != nil {
		return err
	}
	raw(unix.SYS_SETFSGID, gid[3], 0, 0) // it cannot fail, and says nothing
	raw(unix.SYS_SETFSUID, uid[3], 0, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	caps := effective(status)
	for i := range data {
		data[i].Effective = data[i].Permitted & uint32(caps>>(32*i))
	}
	return unix.Capset(&header, &data[0])
}

// hasThreads reports whether the thread is one of several of its process.
func hasThreads(tid int) bool {
	b, err := os.ReadFile(procPath(tid, "status"))
	return err == nil && statusField(string(b), "Threads") != "1"
}

// signalled reports whether a signal waits for the thread that it does not block, or it has ended.
func signalled(tid int) bool {
	b, err := os.ReadFile(procPath(tid, "status"))
	if err != nil {
		return true
	}
	bits := func(name string) uint64 {
		v, _ := strconv.ParseUint(statusField(string(b), name), 16, 64)
		return v
	}
	return (bits("SigPnd")|bits("ShdPnd"))&^bits("SigBlk") != 0
}
