package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sandbox/confine"
	"github.com/runsbx/runsbx/sandbox/policy"
)

// errNoLandlock is why a program cannot be confined.
var errNoLandlock = errors.New("this kernel has no Landlock, or it is off; --unconfined runs without confinement")

// Confinement is what a report says was enforced besides the memory manager. Its JSON form is "none" for a
// program that was not confined, or all that it was under, "seccomp profile FILE".
type Confinement struct {
	Enforced    bool     `json:"-"`
	Profile     string   `json:"seccomp_profile,omitempty"` // the file
	LandlockABI int      `json:"landlock_abi"`
	Scopes      []string `json:"scopes"` // of Landlock: what does not reach out of the sandbox
	// ReadWrite and ReadOnly are the paths that the program got besides the system's.
	ReadWrite []string `json:"read_write"`
	ReadOnly  []string `json:"read_only"`
	// Withheld says why the program did not get its working directory; "" when it did.
	Withheld     string            `json:"withheld,omitempty"`
	TempDir      string            `json:"temporary_directory"`
	Network      bool              `json:"network"` // allowed
	Filters      []string          `json:"filters"` // of system calls, besides the memory manager's
	Capabilities []string          `json:"capabilities_dropped"`
	Limits       map[string]uint64 `json:"limits"` // bytes, tasks, descriptors or VMAs
	Timeout      string            `json:"timeout,omitempty"`
	NotEnforced  []string          `json:"not_enforced"` // what this host could not
}

const profileAlone = "seccomp profile "

// MarshalJSON implements json.Marshaler.
func (c Confinement) MarshalJSON() ([]byte, error) {
	switch {
	case c.Enforced:
	case c.Profile != "":
		return json.Marshal(profileAlone + c.Profile)
	default:
		return []byte(`"none"`), nil
	}
	type plain Confinement
	return json.Marshal(plain(c))
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Confinement) UnmarshalJSON(b []byte) error {
	*c = Confinement{}
	var alone string
	if json.Unmarshal(b, &alone) == nil {
		c.Profile = strings.TrimPrefix(alone, profileAlone)
		if c.Profile == "none" {
			c.Profile = ""
		}
		return nil
	}
	c.Enforced = true
	type plain Confinement
	return json.Unmarshal(b, (*plain)(c))
}

// confinement is what a program takes on at its start.
type confinement struct {
	ruleset *confine.Ruleset
	temp    *confine.Temp
	filters [][]byte
	grants  []confine.Grant // with paths as they are in /proc/PID/fd, nearly all
	own     []confine.Grant // of these, what the program may do with as it likes
	named   []confine.Grant // and what the caller has named
	report  Confinement
}

// confine makes what the program is going to be confined by; nil for one that is not.
func (c *Cmd) confine(files []*os.File) (_ *confinement, err error) {
	p := &c.Policy
	if p.Unconfined {
		return nil, nil
	}
	abi := confine.ABI()
	if abi == 0 {
		return nil, errNoLandlock
	}
	x := &confinement{report: Confinement{
		Enforced: true, LandlockABI: abi, Scopes: []string{}, Network: p.Net, Filters: []string{"default"}, Capabilities: []string{},
		ReadWrite: []string{}, ReadOnly: []string{}, Limits: limitsInForce(p), Profile: p.Seccomp, NotEnforced: notEnforcedBy(abi),
	}}
	defer func() {
		if err != nil {
			if eerr := x.end(); eerr != nil {
				err = fmt.Errorf("%w; %w", err, eerr)
			}
		}
	}()
	if p.Timeout > 0 {
		x.report.Timeout = p.Timeout.String()
	}
	if abi >= 6 {
		x.report.Scopes = append(x.report.Scopes, "signal")
		if !p.Net {
			x.report.Scopes = append(x.report.Scopes, "abstract_unix_socket")
		}
	}
	for _, f := range confine.Calls(p.Net) {
		b, err := f.Export()
		if err != nil {
			return nil, err
		}
		x.filters = append(x.filters, b)
	}
	if x.temp, err = confine.NewTemp(); err != nil {
		return nil, fmt.Errorf("temporary directory: %w", err)
	}
	x.report.TempDir = x.temp.Path
	if x.ruleset, err = confine.NewRuleset(abi, p.Net); err != nil {
		return nil, err
	}
	if err := x.grant(c, files); err != nil {
		return nil, err
	}
	return x, nil
}

// grant adds what the program gets of the file hierarchy.
func (x *confinement) grant(c *Cmd, files []*os.File) error {
	const readOnly, readWrite = confine.Read | confine.Execute, confine.Read | confine.Execute | confine.Write | confine.Device
	system := confine.This()
	grants := append(system.Grants(c.Policy.Net), streams(files)...)
	x.own = append(x.own, confine.Grant{Path: x.temp.Path, Access: readWrite})
	wd, err := filepath.Abs(c.Dir)
	if err == nil {
		wd, err = filepath.EvalSymlinks(wd)
	}
	if err != nil {
		x.report.Withheld = "it cannot be reached"
	} else if why := system.Working(wd); why != "" {
		x.report.Withheld = fmt.Sprintf("%q is %s", wd, why)
	} else {
		x.own = append(x.own, confine.Grant{Path: wd, Access: readWrite})
		x.report.ReadWrite = append(x.report.ReadWrite, wd)
	}
	grants = append(append(grants, x.own...), confine.Program(c.Path, wd)...)
	if err := x.ruleset.AddAll(grants); err != nil {
		return err
	}
	x.grants = grants
	for _, asked := range []struct {
		paths  []string
		access confine.Access
		list   *[]string
	}{{c.Policy.ReadOnly, readOnly, &x.report.ReadOnly}, {c.Policy.ReadWrite, readWrite, &x.report.ReadWrite}} {
		for _, path := range asked.paths {
			path, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			if err := x.ruleset.Add(confine.Grant{Path: path, Access: asked.access}); err != nil {
				return err
			}
			*asked.list = append(*asked.list, path)
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				return err
			}
			given := confine.Grant{Path: real, Access: asked.access}
			x.grants, x.named = append(x.grants, given), append(x.named, given)
			if given.Access&confine.Write != 0 {
				x.own = append(x.own, given)
			}
			if given.Covers(wd) {
				x.report.Withheld = ""
			}
		}
	}
	return nil
}

// streams are grants by which a program may open once more what it has been handed open, by /dev/stdin or a
// terminal's name: what it may do with it already, and not with others of its directory.
func streams(files []*os.File) (list []confine.Grant) {
	for _, f := range files {
		if f == nil {
			continue
		}
		var st unix.Stat_t
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
		if err != nil || unix.Fstat(int(f.Fd()), &st) != nil {
			continue
		}
		g := confine.Grant{Path: procSelfFd(int(f.Fd()))}
		mode := flags & unix.O_ACCMODE
		if mode != unix.O_WRONLY {
			g.Access |= confine.Read
		}
		if mode != unix.O_RDONLY && flags&unix.O_APPEND == 0 {
			g.Access |= confine.Write
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
		case unix.S_IFCHR:
			g.Access |= confine.Device
		default:
			continue
		}
		list = append(list, g)
	}
	return list
}

// prepare returns the calls by which the program gives up what it is not to have.
func (x *confinement) prepare(pid, lent int) ([]ptrace.Call, error) {
	var calls []ptrace.Call
	header, data, dropped, err := confine.Capset(pid)
	if err != nil {
		return nil, &Error{Op: "confinement", Err: err}
	}
	for _, c := range dropped {
		x.report.Capabilities = append(x.report.Capabilities, capabilityName(c))
	}
	if data != nil {
		calls = append(calls, ptrace.Call{Op: "capset", Nr: unix.SYS_CAPSET, Data: [6][]byte{header, data}})
	}
	return append(calls, ptrace.Call{
		Op: "landlock_restrict_self", Nr: unix.SYS_LANDLOCK_RESTRICT_SELF, Args: [6]uint64{uint64(lent)},
	}), nil
}

// configure has the program started confined.
func (x *confinement) configure(cfg *ptrace.Config) {
	if x == nil {
		return
	}
	cfg.Prepare, cfg.Lent, cfg.CloseOthers = x.prepare, []*os.File{x.ruleset.File}, true
	cfg.Filters = append(cfg.Filters, x.filters...)
	cfg.Env = x.temp.Environ(cfg.Env, x.keeps)
}

// keeps reports whether the home directory is kept from the program, all of it: what the caller has named in it,
// or the working directory that it is, would not be found any more.
func (x *confinement) keeps(home string) bool {
	real, err := filepath.EvalSymlinks(home)
	if err != nil {
		return false // there is none
	}
	covered := func(g confine.Grant) bool { return g.Covers(real) }
	within := func(g confine.Grant) bool { return confine.Grant{Path: real}.Covers(g.Path) }
	return !slices.ContainsFunc(x.grants, covered) && !slices.ContainsFunc(x.named, within)
}

// mayWrite reports whether what has this path, without symbolic links, lies where the program may write.
func (x *confinement) mayWrite(path string) bool {
	return slices.ContainsFunc(x.own, func(g confine.Grant) bool { return g.Covers(path) })
}

// started gives up what was needed for the start alone.
func (x *confinement) started() {
	if x != nil && x.ruleset != nil {
		x.ruleset.Close()
	}
}

// end removes the temporary directory, when nothing of the tree lives any more.
func (x *confinement) end() error {
	if x == nil {
		return nil
	}
	x.started()
	if x.temp == nil {
		return nil
	}
	return x.temp.Remove()
}

// limitsInForce returns the limits of a policy by their names, defaults included.
func limitsInForce(p *policy.Policy) map[string]uint64 {
	l := maps.Clone(p.Limits)
	if l == nil {
		l = make(map[string]uint64)
	}
	for name := range policy.DefaultLimits() {
		if v, _, limited := p.Limit(name); limited {
			l[name] = v
		}
	}
	return l
}

// notEnforcedBy says what of confinement an older Landlock does not have.
func notEnforcedBy(abi int) []string {
	list := []string{}
	for _, x := range []struct {
		since int
		what  string
	}{
		{2, "renaming and linking between directories is refused, though it would be allowed (Landlock ABI 2)"},
		{3, "truncate(2) of files that may not be written (Landlock ABI 3)"},
		{5, "ioctl(2) on devices that are opened (Landlock ABI 5)"},
		{6, "signals to processes outside, and abstract unix sockets (Landlock ABI 6)"},
	} {
		if abi < x.since {
			list = append(list, x.what)
		}
	}
	return list
}

// capabilityName returns the name of a capability without CAP_, its number where that is not known.
func capabilityName(c int) string {
	if c < len(allCapabilities) {
		return allCapabilities[c]
	}
	return strconv.Itoa(c)
}

// allCapabilities are the names of capabilities(7) by their numbers.
var allCapabilities = [...]string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
	"net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot",
	"sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease",
	"audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
	"perfmon", "bpf", "checkpoint_restore",
}

// cloneOf returns a copy that shares nothing.
func (c Confinement) cloneOf() Confinement {
	for _, l := range []*[]string{&c.Scopes, &c.ReadWrite, &c.ReadOnly, &c.Filters, &c.Capabilities, &c.NotEnforced} {
		*l = slices.Clone(*l)
	}
	c.Limits = maps.Clone(c.Limits)
	return c
}
