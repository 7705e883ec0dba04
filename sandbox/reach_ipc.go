package sandbox

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// System V objects are found by keys and used by identifiers that all processes of an IPC namespace share.
// A confined program may use those that the sandbox has made. Which these are is known since we make them,
// in place of the program and with its identity: an object is made with IPC_EXCL, so that it is new, or it
// is one that was there before. Identifiers are in registers: the calls that use an object run as they are.
//
// (A namespace of the sandbox's own would do the same for root only, and the memory manager could not see
// the segments in it.) What the sandbox has made is removed at its end.

// ipcObject is a System V object: shm, sem or msg by the call that makes one, and its identifier.
type ipcObject struct {
	get uint64
	id  int32
}

// ipcUses are the calls that use an object, by their number: the one that makes such an object.
var ipcUses = map[uint64]uint64{
	linux.SYS_SHMAT: linux.SYS_SHMGET, linux.SYS_SHMCTL: linux.SYS_SHMGET,
	linux.SYS_SEMOP: linux.SYS_SEMGET, linux.SYS_SEMTIMEDOP: linux.SYS_SEMGET, linux.SYS_SEMCTL: linux.SYS_SEMGET,
	linux.SYS_MSGSND: linux.SYS_MSGGET, linux.SYS_MSGRCV: linux.SYS_MSGGET, linux.SYS_MSGCTL: linux.SYS_MSGGET,
}

// Commands of shmctl, semctl and msgctl that are about no object and only read: IPC_INFO, SHM_INFO, SEM_INFO and
// MSG_INFO.
var ipcReads = map[uint64][]int32{
	linux.SYS_SHMCTL: {ipcInfo, 14},
	linux.SYS_SEMCTL: {ipcInfo, 19},
	linux.SYS_MSGCTL: {ipcInfo, 12},
}

const ipcInfo = 3 // IPC_INFO

// ipcRules stop the calls on System V objects. shmat is stopped in any case. There are no POSIX message
// queues, whose names nothing else tells apart.
func ipcRules() []seccomp.Rule {
	rules := []seccomp.Rule{
		{Nr: linux.SYS_MQ_OPEN, Act: seccomp.Errno, Errno: uint16(linux.ENOSYS)},
		{Nr: linux.SYS_MQ_UNLINK, Act: seccomp.Errno, Errno: uint16(linux.ENOSYS)},
		{Nr: linux.SYS_SHMGET, Act: seccomp.Trace},
		{Nr: linux.SYS_SEMGET, Act: seccomp.Notify},
		{Nr: linux.SYS_MSGGET, Act: seccomp.Notify},
	}
	for nr := range ipcUses {
		if nr != linux.SYS_SHMAT {
			rules = append(rules, seccomp.Rule{Nr: nr, Act: seccomp.Notify})
		}
	}
	return rules
}

// ipcCall decides the calls that ipcRules stops.
func (s *supervisor) ipcCall(t *kernel.Task, call *ptrace.Syscall) (a ptrace.Action, prove int, ok bool) {
	switch call.Nr {
	case linux.SYS_SHMGET:
		a, prove = s.makeSegment(t, call)
		return a, prove, true
	case linux.SYS_SEMGET, linux.SYS_MSGGET:
		v, outside := s.makeObject(t, call)
		if outside {
			return s.forbid(t, call, limits.IPC, linux.EACCES), 0, true
		}
		s.record(t, new(callOf(call)), &kernel.Verdict{Kind: kernel.Run, Result: kernel.ValueResult(v)})
		return answer(v), 0, true
	}
	get, ok := ipcUses[call.Nr]
	if !ok {
		return a, 0, false
	}
	o := ipcObject{get, int32(call.Args[0])}
	cmd, controls := o.command(call)
	switch {
	case s.machine.sameIPC(t) != nil:
		return s.forbid(t, call, limits.IPC, linux.EACCES), 0, true
	case controls && cmd == unix.IPC_RMID && s.ours(o):
		return answer(s.remove(t.TID, o)), 0, true
	case s.ours(o), controls && reads(call.Nr, cmd):
		return ptrace.Action{Kind: ptrace.Continue}, 0, call.Nr != linux.SYS_SHMAT // which the model decides
	case !o.exists():
		return answer(-int64(linux.EINVAL)), 0, true
	}
	return s.forbid(t, call, limits.IPC, linux.EACCES), 0, true
}

// command returns the command of shmctl, semctl or msgctl.
func (o ipcObject) command(call *ptrace.Syscall) (cmd int32, ok bool) {
	switch call.Nr {
	case linux.SYS_SHMCTL, linux.SYS_MSGCTL:
		return int32(call.Args[1]), true
	case linux.SYS_SEMCTL:
		return int32(call.Args[2]), true
	}
	return 0, false
}

func reads(nr uint64, cmd int32) bool {
	for _, c := range ipcReads[nr] {
		if c == cmd {
			return true
		}
	}
	return false
}

// makeSegment is shmget. The model hears of it as of any call that is observed.
func (s *supervisor) makeSegment(t *kernel.Task, call *ptrace.Syscall) (ptrace.Action, int) {
	c := callOf(call)
	c.Observable = true
	v, err := s.k.Decide(t, c)
	s.noteHidden(t.TID)
	switch {
	case err != nil:
		s.fail("shmget", t.TID, err)
		return ptrace.Action{Kind: ptrace.Kill}, 0
	case v.Kind == kernel.Wait:
		return ptrace.Action{Kind: ptrace.Park}, v.WaitFor
	case v.Kind == kernel.Refuse:
		s.record(t, &c, &v)
		return answer(v.Result.Value()), 0
	}
	ret, outside := s.makeObject(t, call)
	if !outside {
		return answer(s.complete(t, call, ret)), 0
	}
	if _, _, err := s.k.Complete(t, ret); err != nil {
		s.fail("shmget", t.TID, err)
	}
	return s.forbid(t, call, limits.IPC, linux.EACCES), 0
}

// makeObject is shmget, semget or msgget, made by us with t's identity. outside says that the object is not
// the sandbox's, which is answered with EACCES.
func (s *supervisor) makeObject(t *kernel.Task, call *ptrace.Syscall) (v int64, outside bool) {
	refused := -int64(linux.EACCES)
	if s.machine.sameIPC(t) != nil {
		return refused, true
	}
	flags := uint(2) // which argument they are
	if call.Nr == linux.SYS_MSGGET {
		flags = 1
	}
	args := call.Args
	wanted := args[flags]
	get := func(with uint64) (int32, unix.Errno) {
		args[flags] = with
		r, _, errno := unix.Syscall(uintptr(call.Nr), uintptr(args[0]), uintptr(args[1]), uintptr(args[2]))
		return int32(r), errno
	}
	var id int32
	var errno unix.Errno
	made := false
	err := withIdentity(t.TID, ^uint64(0), func() {
		for {
			if int32(args[0]) == unix.IPC_PRIVATE || wanted&unix.IPC_CREAT != 0 {
				if id, errno = get(wanted | unix.IPC_CREAT | unix.IPC_EXCL); errno == 0 {
					made = true
				}
				if errno != unix.EEXIST || wanted&unix.IPC_EXCL != 0 {
					return
				}
			}
			id, errno = get(wanted &^ (unix.IPC_CREAT | unix.IPC_EXCL))
			if errno != unix.ENOENT || wanted&unix.IPC_CREAT == 0 {
				return
			}
			// It has gone meanwhile.
		}
	})
	o := ipcObject{call.Nr, id}
	switch {
	case err != nil:
		return refused, true
	case errno != 0:
		return -int64(errno), false
	case made:
		s.reach.objects[o] = true
	case !s.ours(o):
		return refused, true
	}
	return int64(id), false
}

// ours reports whether the sandbox has made an object that is still there.
func (s *supervisor) ours(o ipcObject) bool {
	stays, known := s.reach.objects[o]
	if known && !stays {
		s.forgetSegments()
		_, known = s.reach.objects[o]
	}
	return known
}

// forgetSegments forgets the removed segments that nobody has attached any more: their identifiers will be those
// of others.
func (s *supervisor) forgetSegments() {
	segments, err := s.machine.Segments(nil)
	for o, stays := range s.reach.objects {
		if !stays && (err != nil || segments[o.id].Creator != os.Getpid()) {
			delete(s.reach.objects, o)
		}
	}
}

// control is shmctl, semctl or msgctl with a command that takes at most memory to write to.
func (o ipcObject) control(cmd uintptr, to unsafe.Pointer) (err error) {
	var errno unix.Errno
	switch id := uintptr(o.id); o.get {
	case linux.SYS_SHMGET:
		_, _, errno = unix.Syscall(unix.SYS_SHMCTL, id, cmd, uintptr(to))
	case linux.SYS_MSGGET:
		_, _, errno = unix.Syscall(unix.SYS_MSGCTL, id, cmd, uintptr(to))
	case linux.SYS_SEMGET:
		_, _, errno = unix.Syscall6(unix.SYS_SEMCTL, id, 0, cmd, uintptr(to), 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// exists reports whether there is such an object in our namespace.
func (o ipcObject) exists() bool {
	var room [256]byte // no struct ..._ds is larger
	err := o.control(unix.IPC_STAT, unsafe.Pointer(&room))
	return !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM)
}

// remove removes an object with the identity of a task. A segment that is attached somewhere remains the
// sandbox's until it is not, which nobody tells us.
func (s *supervisor) remove(tid int, o ipcObject) int64 {
	var gone error
	if err := withIdentity(tid, ^uint64(0), func() { gone = o.control(unix.IPC_RMID, nil) }); err != nil {
		return -int64(linux.EPERM)
	}
	switch {
	case gone != nil:
	case o.get == linux.SYS_SHMGET:
		s.reach.objects[o] = false
		s.forgetSegments()
	default:
		delete(s.reach.objects, o)
	}
	return result(gone)
}

// close removes what the sandbox has made and left.
func (r *reach) close(m *machine) {
	if r == nil {
		return
	}
	// A segment has gone with its last attachment if it was removed before, and its number may be another's.
	// The list shows also those whose mode lets nobody look at them.
	segments, _ := m.Segments(nil)
	for o := range r.objects {
		if o.get != linux.SYS_SHMGET || segments[o.id].Creator == os.Getpid() {
			o.control(unix.IPC_RMID, nil)
		}
	}
}
