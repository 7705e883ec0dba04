package sandbox

import (
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/runsbx/runsbx/sandbox/confine"
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sandbox/seccompfile"
)

// loadProfile returns the seccomp profile that the policy names, as a filter; nil without one. It is
// loaded last, so that the program alone is under it: what runsbx needs for its start is over then. What
// it refuses is refused, whatever the filter of the memory manager says (seccomp(2): an errno takes
// precedence over a notification and a stop).
func loadProfile(p *policy.Policy, log hclog.Logger) ([]byte, error) {
	if p.Seccomp == "" {
		return nil, nil
	}
	caps, err := programCapabilities(p)
	if err != nil {
		return nil, &Error{Op: "capabilities", Err: err}
	}
	profile, err := seccompfile.Load(p.Seccomp, capabilitySet(caps))
	if err != nil {
		return nil, &Error{Op: "--seccomp", Err: err}
	}
	if log != nil && len(profile.Unknown) > 0 {
		log.Debug("calls of the seccomp profile that x86-64 does not have", "names", profile.Unknown)
	}
	prog, err := profile.Export()
	if err != nil {
		return nil, &Error{Op: "--seccomp", Err: err}
	}
	return prog, nil
}

// programCapabilities returns the capabilities that the program can have: exec gives root all of the
// bounding set, and others the ambient ones (capabilities(7)).
func programCapabilities(p *policy.Policy) (uint64, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, err
	}
	set := "CapAmb"
	if os.Geteuid() == 0 {
		set = "CapBnd"
	}
	caps, err := strconv.ParseUint(statusField(string(status), set), 16, 64)
	if err != nil {
		return 0, err
	}
	if !p.Unconfined {
		caps &= confine.KeptCapabilities()
	}
	return caps, nil
}

// capabilitySet returns the names of capabilities, as profiles have them.
func capabilitySet(mask uint64) (names []string) {
	for c, name := range allCapabilities {
		if mask>>c&1 != 0 {
			names = append(names, "CAP_"+strings.ToUpper(name))
		}
	}
	return names
}
