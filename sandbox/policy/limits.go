package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// The names of Policy.Limits that this version has. The limits of a process are those of
// setrlimit(2), which every process of the tree has for itself.
const (
	LimitCommit   = "commit"    // committed bytes of the whole tree
	LimitProcs    = "procs"     // processes and threads of the whole tree
	LimitAS       = "as"        // RLIMIT_AS: bytes of address space of one process
	LimitData     = "data"      // RLIMIT_DATA: bytes of private writable memory of one process
	LimitStack    = "stack"     // RLIMIT_STACK: bytes of one growing stack
	LimitMemLock  = "memlock"   // RLIMIT_MEMLOCK: locked bytes of one process
	LimitMapCount = "map-count" // vm.max_map_count: mappings of one process

	LimitFileSize  = "file-size"  // RLIMIT_FSIZE: bytes of a file that a process makes longer
	LimitCore      = "core"       // RLIMIT_CORE: bytes of a core dump
	LimitOpenFiles = "open-files" // RLIMIT_NOFILE: one more than the highest descriptor of one process
)

// LimitError says why a limit that a Policy asks for cannot be had.
type LimitError struct {
	Name  string
	Value uint64
	Why   string
}

// Error returns one line.
func (e *LimitError) Error() string {
	return fmt.Sprintf("--limit %s=%s: %s", e.Name, FormatLimit(e.Name, e.Value), e.Why)
}

// LimitNames returns the names of all limits, in the order in which people are told of them.
func LimitNames() []string {
	return []string{
		LimitCommit, LimitAS, LimitData, LimitStack, LimitMemLock, LimitMapCount, LimitProcs,
		LimitFileSize, LimitCore, LimitOpenFiles,
	}
}

// IsSize reports whether the limit is in bytes.
func IsSize(name string) bool {
	return name != LimitMapCount && name != LimitProcs && name != LimitOpenFiles
}

// DefaultLimits are what a confined program may have at most where nothing else is asked for: enough for
// any build, and not for a fork bomb or for filling a disk by mistake. They only lower what the caller has.
func DefaultLimits() map[string]uint64 {
	return map[string]uint64{LimitProcs: 4096, LimitFileSize: 16 << 30, LimitCore: 0, LimitOpenFiles: 64 << 10}
}

// Limit returns what the program may have of something: what is asked for, or else the default of a confined
// program, which only lowers what it would have.
func (p *Policy) Limit(name string) (v uint64, byDefault, limited bool) {
	if v, limited = p.Limits[name]; limited || p.Unconfined {
		return v, false, limited
	}
	v, limited = DefaultLimits()[name]
	return v, true, limited
}

// FormatLimit returns a limit's value as it would be asked for: sizes with the largest unit of which
// they are a multiple.
func FormatLimit(name string, v uint64) string {
	if !IsSize(name) {
		return strconv.FormatUint(v, 10)
	}
	const units = "KMGT"
	n := 0
	for ; n < len(units) && v != 0 && v%1024 == 0; n++ {
		v /= 1024
	}
	if n == 0 {
		return strconv.FormatUint(v, 10)
	}
	return strconv.FormatUint(v, 10) + units[n-1:n]
}

// page is the unit in which Linux counts address space, data and stacks: less is nothing.
const page = 4096

// least are the smallest values that are not surely a mistake, and what is wrong with less. Whether
// a program can start with more, only the kernel can say.
//
// Limits are not compared with each other: each is an upper bound of its own, and one above another
// (a data limit above the one of all address space) is never met, and harmless.
var least = map[string]struct {
	value uint64
	why   string
}{
	LimitCommit:   {page, "less than a page: no program can start"},
	LimitProcs:    {1, "no program can start without a process"},
	LimitAS:       {page, "less than a page: no program can start"},
	LimitData:     {page, "less than a page: no program can start"},
	LimitStack:    {page, "less than a page: no program can start"},
	LimitMapCount: {1, "no program can start without a mapping"},
	// 0, 1, 2, and one by which its libraries are opened.
	LimitOpenFiles: {4, "no program can start with fewer than 4"},
}

// checkLimits returns a *LimitError for the first limit, by name, that cannot work.
func (p *Policy) checkLimits() error {
	for _, name := range slices.Sorted(maps.Keys(p.Limits)) {
		if l, v := least[name], p.Limits[name]; v < l.value {
			return &LimitError{Name: name, Value: v, Why: l.why}
		}
	}
	if v, limited := p.Limits[LimitCommit]; limited && p.Overcommit == "always" {
		return &LimitError{Name: LimitCommit, Value: v, Why: "with --overcommit always nothing is counted"}
	}
	return nil
}
