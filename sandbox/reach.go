package sandbox

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// A confined program reaches nothing outside of its sandbox, and everything within. Where the kernel cannot
// tell the two apart, as with the names of unix sockets, the numbers of processes, and System V objects, the
// supervisor does. The files reach_*.go have one of these each.

// reach is what a confined program can reach, nil where it is not confined. The supervisor's lock covers it.
type reach struct {
	net        bool
	signals    bool                // they are decided here: Landlock's ABI has no scope for them
	connects   map[int]*connecting // by thread
	connecting int                 // how many are being made
	owners     map[uint32]place    // of sockets, when they were last looked for
	objects    map[ipcObject]bool  // System V objects that the sandbox has made: false once removed (see ours)

	looking sync.Mutex // held while the kernel lists all sockets: many lists at a time would be slow
	flags   sync.Mutex // held while a socket of the program has a status flag of ours
}

// scopesABI is the first version of Landlock that keeps signals within the sandbox.
const scopesABI = 6

func newReach(c *Cmd) *reach {
	x := c.confined
	if x == nil {
		return nil
	}
	return &reach{
		net: c.Policy.Net, signals: x.report.LandlockABI < scopesABI || c.noScopes,
		connects: make(map[int]*connecting), owners: make(map[uint32]place), objects: make(map[ipcObject]bool),
	}
}

// rules stop or refuse the calls by which the program could reach out. files are what it is given.
func (r *reach) rules(files []*os.File) []seccomp.Rule {
	if r == nil {
		return nil
	}
	rules := append(processRules(r.signals), ipcRules()...)
	if !r.net {
		rules = append(rules, socketRules(files)...)
	}
	return rules
}

// notified returns the calls of rules that are notified, none of which a signal is to interrupt before it
// is decided.
func (r *reach) notified() (nrs []uint64) {
	for _, rule := range r.rules(nil) {
		if rule.Act == seccomp.Notify {
			nrs = append(nrs, rule.Nr)
		}
	}
	return nrs
}

// reachCall decides the calls that rules stops. ok is false for others, and for those that the model of the
// kernel is to decide as well.
func (s *supervisor) reachCall(t *kernel.Task, call *ptrace.Syscall) (a ptrace.Action, prove int, ok bool) {
	if s.reach == nil {
		return a, 0, false
	}
	if call.Nr == linux.SYS_CONNECT {
		return s.connect(t, call), 0, true
	}
	if a, prove, ok = s.ipcCall(t, call); ok {
		return a, prove, true
	}
	a, ok = s.processCall(t, call)
	return a, 0, ok
}

// forbid answers a call that is about what is not the sandbox's.
func (s *supervisor) forbid(t *kernel.Task, call *ptrace.Syscall, what limits.Resource, errno linux.Errno) ptrace.Action {
	why := &limits.Refusal{Kind: limits.ByPolicy, Resource: what, Errno: errno}
	return s.refuseCall(t, call, kernel.Verdict{Kind: kernel.Refuse, Result: mm.Result{Errno: errno, Refusal: why}})
}

// socketRules are those about unix sockets, the only ones that there are without the network.
//
// A connection is made by us (reach_connect.go). A datagram is sent to an address without one, which
// sendmsg and sendmmsg have in memory: so there are no datagram sockets, of which the two ends of a pair
// can send anywhere as well. What the program is given by its caller may be one; then there is no sendmsg.
func socketRules(files []*os.File) []seccomp.Rule {
	const typeMask = 0xf // SOCK_TYPE_MASK
	eacces := uint16(linux.EACCES)
	rules := []seccomp.Rule{{Nr: linux.SYS_CONNECT, Act: seccomp.Notify}}
	refuse := func(nr uint64, conds ...seccomp.Cond) {
		rules = append(rules, seccomp.Rule{Nr: nr, Act: seccomp.Errno, Errno: eacces, Conds: conds})
	}
	for _, nr := range []uint64{linux.SYS_SOCKET, linux.SYS_SOCKETPAIR} {
		for _, kind := range []uint64{unix.SOCK_DGRAM, unix.SOCK_RAW} { // which is a datagram socket, too
			refuse(nr, masked(0, 0xffffffff, unix.AF_UNIX), masked(1, typeMask, kind))
		}
	}
	// An address of sendto, and connecting on the way, which TCP does.
	refuse(linux.SYS_SENDTO, seccomp.Cond{Arg: 4, Op: seccomp.NotEqual}, seccomp.Cond{Arg: 5, Op: seccomp.NotEqual})
	if haveDatagrams(files) {
		refuse(linux.SYS_SENDMSG)
		refuse(linux.SYS_SENDMMSG)
	} else {
		refuse(linux.SYS_SENDMSG, masked(2, unix.MSG_FASTOPEN, unix.MSG_FASTOPEN))
		refuse(linux.SYS_SENDMMSG, masked(3, unix.MSG_FASTOPEN, unix.MSG_FASTOPEN))
	}
	return rules
}

// haveDatagrams reports whether one of the files is a socket that can send to any address.
func haveDatagrams(files []*os.File) bool {
	for _, f := range files {
		if f == nil {
			continue
		}
		kind, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_TYPE)
		if err == nil && kind != unix.SOCK_STREAM && kind != unix.SOCK_SEQPACKET {
			return true
		}
	}
	return false
}
