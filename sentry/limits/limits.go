// Package limits holds what bounds a guest's memory: resource limits per process, the overcommit
// modes, and the refusal that explains itself.
package limits

import "github.com/runsbx/runsbx/sentry/linux"

// Resource names what a limit bounds.
type Resource string

// The resources that can refuse a memory call.
const (
	AS       Resource = "as"        // RLIMIT_AS, bytes of address space of one process
	Data     Resource = "data"      // RLIMIT_DATA, bytes of private writable memory of one process
	Stack    Resource = "stack"     // RLIMIT_STACK, bytes of one growing stack
	MemLock  Resource = "memlock"   // RLIMIT_MEMLOCK, locked bytes of one process
	MapCount Resource = "map-count" // vm.max_map_count, VMAs of one process
	Commit   Resource = "commit"    // committed bytes of the whole tree
	Procs    Resource = "procs"     // tasks of the whole tree
	Space    Resource = "space"     // no free range of addresses is left

	// WX is no limit but the rule that what was or is writable is never executable.
	WX Resource = "wx"

	// Uncounted is memory that cannot be counted, while there is a limit on all memory.
	Uncounted Resource = "uncounted"

	// What is outside of the sandbox, and refused by policy.
	Sockets   Resource = "unix-socket" // a unix socket of others
	Processes Resource = "process"     // a process of others
	IPC       Resource = "ipc"         // a System V object of others
)

// Outside reports whether the resource is something that is not the sandbox's.
func (r Resource) Outside() bool { return r == Sockets || r == Processes || r == IPC }

// Refusal says which limit refused a call and by how much. Used, Wanted and Limit are bytes,
// except for MapCount, where they are VMAs, and Procs, where they are tasks.
type Refusal struct {
	Kind                Kind
	Resource            Resource
	Used, Wanted, Limit uint64
	Errno               linux.Errno
	Detail              string // what a rule has to say, in words
}

// Rlimits are the soft limits of one process that memory calls obey, in bytes, and the hard ones up to
// which it may raise these; linux.RLIM_INFINITY where there is none. Only one of the hard ones decides
// calls: DataMax, when Data is 0.
type Rlimits struct {
	AS, Data, Stack, MemLock             uint64
	ASMax, DataMax, StackMax, MemLockMax uint64
}

// Of returns the soft and the hard limit of a resource: AS, Data, Stack or MemLock.
func (l *Rlimits) Of(r Resource) (soft, hard uint64) {
	s, h := l.of(r)
	return *s, *h
}

// Set sets both limits of a resource: AS, Data, Stack or MemLock.
func (l *Rlimits) Set(r Resource, soft, hard uint64) {
	s, h := l.of(r)
	*s, *h = soft, hard
}

func (l *Rlimits) of(r Resource) (soft, hard *uint64) {
	switch r {
	case AS:
		return &l.AS, &l.ASMax
	case Data:
		return &l.Data, &l.DataMax
	case Stack:
		return &l.Stack, &l.StackMax
	case MemLock:
		return &l.MemLock, &l.MemLockMax
	}
	panic("limits: no resource limit bounds " + string(r))
}

// PerProcess are the resources that Rlimits has limits for.
func PerProcess() [4]Resource { return [...]Resource{AS, Data, Stack, MemLock} }

// Unlimited returns Rlimits without a bound.
func Unlimited() Rlimits {
	const none = linux.RLIM_INFINITY
	return Rlimits{
		AS: none, Data: none, Stack: none, MemLock: none,
		ASMax: none, DataMax: none, StackMax: none, MemLockMax: none,
	}
}
