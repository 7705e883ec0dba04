// Package policy says what a sandbox does: where addresses come from, what is limited, what is
// verified. Its zero value is the default policy.
package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/runsbx/runsbx/sentry/wx"
)

// ASLRMode says who chooses addresses at random.
type ASLRMode uint8

const (
	// ASLROn leaves randomization as the host has it.
	ASLROn ASLRMode = iota
	// ASLROff gives the addresses that the kernel gives with randomization off.
	ASLROff
	// ASLRSeed gives addresses that follow from Policy.Seed alone.
	ASLRSeed
)

// Layout says how free addresses are searched.
type Layout uint8

const (
	// LayoutDefault is the host's own: top-down, or bottom-up where the host does so.
	LayoutDefault Layout = iota
	// LayoutTopDown searches downwards from below the stack.
	LayoutTopDown
	// LayoutBottomUp searches upwards from a third of the address space.
	LayoutBottomUp
	// LayoutLegacy searches as Linux 2.6 did, with free_area_cache.
	LayoutLegacy
)

// VerifyMode says when the model is compared with the kernel's own list of mappings.
type VerifyMode uint8

const (
	// VerifyOff never compares.
	VerifyOff VerifyMode = iota
	// VerifyExit compares when a process ends or executes another program.
	VerifyExit
	// VerifyEvery compares after every decided call as well.
	VerifyEvery
)

// WXMode says what becomes of memory that is or was writable and is to be executable.
type WXMode = wx.Mode

// The modes of W^X.
const (
	WXAllow = wx.Allow // it may be executed
	WXAudit = wx.Audit // it is executed, and reported
	WXDeny  = wx.Deny  // it is not
)

// WXExceptions is what W^X does not hold for. Paths are absolute and clean, without symbolic links.
type WXExceptions struct {
	Programs []string // may execute what they have written: compilers at run time, such as node or java
	Files    []string // may be executed although programs can change them
}

// Policy is everything a sandbox can be asked for. The zero value confines the program, and otherwise asks
// for nothing: the host's addresses, no more limits than DefaultLimits, no verification.
type Policy struct {
	ASLR       ASLRMode
	Seed       uint64 // with ASLRSeed
	Layout     Layout
	Verify     VerifyMode
	WX         WXMode
	WXExcept   WXExceptions
	Overcommit string            // "", "heuristic", "always" or "never"
	Limits     map[string]uint64 // by name; bytes where IsSize
	Timeout    time.Duration     // after which the tree is killed; 0 is never
	Unconfined bool              // no file, network or system call confinement
	ReadWrite  []string          // paths the program may read, execute and write besides the defaults
	ReadOnly   []string          // paths the program may read and execute besides the defaults
	Net        bool              // the program may use the network
	Seccomp    string            // file of a seccomp profile (Docker's or the OCI's format), "" for none
	Inject     []string          // failures on demand, in strace's syntax
}

// ErrNotBuilt marks a feature that this version does not have yet. What is asked for and cannot
// be enforced is never dropped silently.
var ErrNotBuilt = errors.New("not built yet")

// Check returns an error that wraps ErrNotBuilt for the first feature that p asks for and this
// version does not have, and a *LimitError for a limit that can never work.
func (p *Policy) Check() error {
	missing := func(what string) error { return fmt.Errorf("%s: %w", what, ErrNotBuilt) }
	switch {
	case p.unbuiltLimit() != "":
		return missing("--limit " + p.unbuiltLimit())
	case len(p.Inject) > 0:
		return missing("injection")
	}
	if p.Timeout < 0 {
		return fmt.Errorf("a timeout of %v", p.Timeout)
	}
	return p.checkLimits()
}

// unbuiltLimit returns the first limit, by name, that this version does not have, or "".
func (p *Policy) unbuiltLimit() string {
	for _, name := range slices.Sorted(maps.Keys(p.Limits)) {
		if !slices.Contains(LimitNames(), name) {
			return name
		}
	}
	return ""
}
