package difftest

import (
	"fmt"
	"strings"

	"github.com/runsbx/runsbx/sentry/linux"
)

// What a run does besides system calls. The guest knows those that it takes part in by the same
// numbers (testdata/guest.c).
const (
	opPoke   = 1 << 20         // not in runs: writes the word in the second argument to the first
	opTouch  = 1<<20 + 1       // addr, write: accesses a byte
	opFork   = 1<<20 + 2       // child: forks, and goes on in the child or in the parent
	opSwitch = 1<<20 + 3       // process: goes on in another process of the run
	opLook   = 1<<20 + 4       // process: compares the list of another process of the run
	opLimit  = 1<<20 + 5       // resource, soft, hard: what prlimit64 does, from outside
	noFile   = ^uint64(0)      // the descriptor of an mmap without a file
	highFile = uint64(1) << 31 // from here on, descriptors are passed on as they are
)

// op is one step of a run.
//
// The descriptor of an mmap is an index into the run's files. prlimit64 and setrlimit have the
// limits themselves for arguments; shmat has an index into the run's segments.
type op struct {
	nr   uint64
	args [6]uint64
}

// opNames are the operations that runs are made of.
var opNames = map[uint64]string{opTouch: "touch", opFork: "fork", opSwitch: "switch", opLook: "look", opLimit: "limit"}

var opNumbers = map[string]uint64{}

func init() {
	for _, nr := range []uint64{
		linux.SYS_MMAP, linux.SYS_MUNMAP, linux.SYS_MPROTECT, linux.SYS_BRK, linux.SYS_MREMAP, linux.SYS_MADVISE,
		linux.SYS_MLOCK, linux.SYS_MLOCK2, linux.SYS_MUNLOCK, linux.SYS_MLOCKALL, linux.SYS_MUNLOCKALL, linux.SYS_MSYNC,
		linux.SYS_REMAP_FILE_PAGES, linux.SYS_SHMAT, linux.SYS_SHMDT, linux.SYS_MSEAL, linux.SYS_MAP_SHADOW_STACK,
		linux.SYS_MBIND, linux.SYS_SET_MEMPOLICY_HOME_NODE, linux.SYS_IO_SETUP, linux.SYS_IO_DESTROY, linux.SYS_PRCTL,
		linux.SYS_PKEY_ALLOC, linux.SYS_PKEY_FREE, linux.SYS_PKEY_MPROTECT, linux.SYS_PERSONALITY,
		linux.SYS_PRLIMIT64, linux.SYS_SETRLIMIT,
	} {
		opNames[nr] = linux.SyscallName(nr)
	}
	for nr, name := range opNames {
		opNumbers[name] = nr
	}
}

// String prints the operation with its arguments up to the last that is not 0.
func (o op) String() string {
	var b strings.Builder
	b.WriteString(opNames[o.nr])
	n := len(o.args)
	for n > 0 && o.args[n-1] == 0 {
		n--
	}
	for _, a := range o.args[:n] {
		fmt.Fprintf(&b, " %#x", a)
	}
	return b.String()
}

// outcome prints what an operation answered.
func outcome(o *op, ret int64) string {
	switch {
	case o.nr == opTouch && ret != 0:
		return fmt.Sprintf("signal %d code %d", ret>>8, ret&0xff)
	case ret < 0 && ret > -4096:
		return linux.Errno(-ret).Name()
	}
	return fmt.Sprintf("%#x", uint64(ret))
}
