// Package seccompfile reads seccomp profiles in Docker's format and in the OCI runtime specification's
// (linux.seccomp, alone or within a whole config.json), and makes filters of them. What a profile means
// is what Docker and runc make of it.
package seccompfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Bounds of what is taken. Docker's default profile has 20 KB and 500 rules; no more than 4096
// instructions can be loaded (BPF_MAXINSNS), and a rule takes at least one.
const (
	maxSize  = 4 << 20 // bytes
	maxRules = 4096
)

// Error says what is wrong with a profile, and where.
type Error struct {
	File  string // "" where it does not come from a file
	Where string // "line 3, column 7", or a path such as "syscalls[2].action"; "" for the whole
	Err   error
}

// Error returns one line.
func (e *Error) Error() string {
	s := ""
	if e.File != "" {
		s = strconv.Quote(e.File) + ": "
	}
	if e.Where != "" {
		s += e.Where + ": "
	}
	// The text of a bad value may be part of the message of a decoder.
	return s + strings.Join(strings.Fields(e.Err.Error()), " ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Profile is a profile as it holds for x86-64, this kernel and a program's capabilities.
type Profile struct {
	File   string // "" where it does not come from a file
	Filter seccomp.Filter
	// Unknown are names of calls that nobody here knows, most of which are of other architectures.
	// Their rules are left out, as Docker does.
	Unknown []string
}

// Load reads the profile in a file. caps are the capabilities that the program will have, such as
// "CAP_SYS_ADMIN", of which a profile can make rules depend. The error is an *Error.
func Load(path string, caps []string) (*Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{File: path, Err: errors.Unwrap(err)}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if pe := (*os.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	if err != nil {
		return nil, &Error{File: path, Err: err}
	}
	p, err := Parse(text, caps)
	if e := (*Error)(nil); errors.As(err, &e) {
		e.File = path
	}
	if p != nil {
		p.File = path
	}
	return p, err
}

// Export returns the profile as a BPF program, an array of struct sock_filter. The error is an *Error.
func (p *Profile) Export() ([]byte, error) {
	prog, err := p.Filter.Export()
	if n := len(prog) / 8; err == nil && n > unix.BPF_MAXINSNS {
		err = fmt.Errorf("%d instructions, and the kernel takes %d", n, unix.BPF_MAXINSNS)
	}
	if err != nil {
		return nil, &Error{File: p.File, Err: err}
	}
	return prog, nil
}

// Parse is Load of a file with this text.
func Parse(text []byte, caps []string) (*Profile, error) {
	switch {
	case len(text) > maxSize:
		return nil, &Error{Err: fmt.Errorf("larger than %d MB", maxSize>>20)}
	case len(strings.TrimSpace(string(text))) == 0:
		return nil, &Error{Err: errors.New("empty")}
	}
	body, prefix, err := find(text)
	if err != nil {
		return nil, err
	}
	config, err := check(body, prefix)
	if err != nil {
		return nil, err
	}
	// What was looked at is what is used: decoding a text twice into other types need not give the same.
	checked, err := json.Marshal(config)
	if err != nil {
		return nil, &Error{Where: strings.TrimSuffix(prefix, "."), Err: err}
	}
	spec := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}}
	// It leaves out what is not for this architecture, kernel, and these capabilities.
	p, err := moby.LoadProfile(string(checked), spec)
	if err != nil {
		return nil, &Error{Where: strings.TrimSuffix(prefix, "."), Err: err}
	}
	return compile(p, prefix)
}

// find returns the profile in a text, and the path to it: that of linux.seccomp in a config.json.
func find(text []byte) (body []byte, prefix string, err error) {
	var config struct {
		DefaultAction json.RawMessage `json:"defaultAction"`
		Linux         *struct {
			Seccomp json.RawMessage `json:"seccomp"`
		} `json:"linux"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, "", located(text, "", err)
	}
	if config.Linux == nil || config.DefaultAction != nil {
		return text, "", nil
	}
	if s := string(config.Linux.Seccomp); s == "" || s == "null" {
		return nil, "", &Error{Where: "linux.seccomp", Err: errors.New("missing")}
	}
	return config.Linux.Seccomp, "linux.seccomp.", nil
}

// located says where a decoder's error is: by line and column where it is no JSON, and else by path.
func located(text []byte, prefix string, err error) error {
	if se := (*json.SyntaxError)(nil); errors.As(err, &se) {
		before := string(text[:min(max(se.Offset-1, 0), int64(len(text)))])
		line := strings.Count(before, "\n") + 1
		column := len(before) - strings.LastIndexByte(before, '\n')
		return &Error{Where: fmt.Sprintf("line %d, column %d", line, column), Err: se}
	}
	if te := (*json.UnmarshalTypeError)(nil); errors.As(err, &te) {
		var names []string
		for name := range strings.SplitSeq(te.Field, ".") {
			switch name { // structures that ours embed, which no file shows
			case "", "LinuxSeccomp", "LinuxSyscall":
			default:
				names = append(names, name)
			}
		}
		where := strings.TrimSuffix(prefix+strings.Join(names, "."), ".")
		return &Error{Where: where, Err: fmt.Errorf("%s where there should be %s", te.Value, kindName(te.Type.Kind().String()))}
	}
	return &Error{Where: strings.TrimSuffix(prefix, "."), Err: err}
}

// kindName returns JSON's name for what a Go kind is decoded from.
func kindName(kind string) string {
	switch {
	case kind == "slice":
		return "an array"
	case kind == "struct":
		return "an object"
	case strings.HasPrefix(kind, "uint"):
		return "a number that is not negative"
	}
	return "a " + kind
}

// check decodes a profile and looks at every rule, also at those that do not hold here: what is wrong
// with it is wrong elsewhere. Docker's own reader would not say where, and trips over null.
func check(body []byte, prefix string) (*moby.Seccomp, error) {
	var p struct {
		specs.LinuxSeccomp
		ArchMap  []moby.Architecture `json:"archMap"`
		Syscalls []json.RawMessage   `json:"syscalls"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, located(body, prefix, err)
	}
	at := func(where, format string, args ...any) (*moby.Seccomp, error) {
		return nil, &Error{Where: prefix + where, Err: fmt.Errorf(format, args...)}
	}
	if p.DefaultAction == "" {
		return at("defaultAction", "missing")
	}
	if _, _, err := action(p.DefaultAction, p.DefaultErrnoRet); err != nil {
		return at("defaultAction", "%w", err)
	}
	if p.ListenerPath != "" {
		return at("listenerPath", "the one listener that a program can have is runsbx's own")
	}
	for i, flag := range p.Flags {
		switch flag {
		case specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv,
			"SECCOMP_FILTER_FLAG_TSYNC":
			// None of them changes what is refused.
		default:
			return at(fmt.Sprintf("flags[%d]", i), "unknown flag %q", flag)
		}
	}
	config := &moby.Seccomp{LinuxSeccomp: p.LinuxSeccomp, ArchMap: p.ArchMap}
	for i, raw := range p.Syscalls {
		where := fmt.Sprintf("syscalls[%d]", i)
		var c *moby.Syscall
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, located(body, prefix+where+".", err)
		}
		if c == nil {
			return at(where, "null")
		}
		if part, err := checkCall(c); err != nil {
			return at(where+part, "%w", err)
		}
		config.Syscalls = append(config.Syscalls, c)
	}
	return config, nil
}

// checkCall returns what is wrong with a rule, and with which part of it.
func checkCall(c *moby.Syscall) (part string, err error) {
	if len(c.Names) == 0 && c.Name == "" {
		return "", errors.New("no names")
	}
	if i := slices.Index(c.Names, ""); i >= 0 {
		return fmt.Sprintf(".names[%d]", i), errors.New("empty")
	}
	if c.Action == "" {
		return ".action", errors.New("missing")
	}
	if _, _, err := action(c.Action, c.ErrnoRet); err != nil {
		return ".action", err
	}
	for i, a := range c.Args {
		if _, err := condition(a); err != nil {
			return fmt.Sprintf(".args[%d]", i), err
		}
	}
	return "", nil
}

// action returns what an action is to the filter.
func action(a specs.LinuxSeccompAction, errnoRet *uint) (act seccomp.Act, errno uint16, err error) {
	switch a {
	case specs.ActAllow:
		act = seccomp.Allow
	case specs.ActLog:
		act = seccomp.Log
	case specs.ActTrap:
		act = seccomp.Trap
	case specs.ActKill, specs.ActKillThread:
		act = seccomp.KillThread
	case specs.ActKillProcess:
		act = seccomp.Kill
	case specs.ActErrno:
		errno := uint(linux.EPERM)
		if errnoRet != nil {
			errno = *errnoRet
		}
		if errno > seccomp.MaxErrno {
			return 0, 0, fmt.Errorf("errno %d is above %d", errno, seccomp.MaxErrno)
		}
		return seccomp.Errno, uint16(errno), nil
	case specs.ActNotify, specs.ActTrace:
		return 0, 0, fmt.Errorf("%s: the one listener and tracer that a program can have is runsbx itself", a)
	default:
		return 0, 0, fmt.Errorf("unknown action %q", a)
	}
	if errnoRet != nil {
		return 0, 0, fmt.Errorf("%s has no errno", a)
	}
	return act, 0, nil
}

func condition(a specs.LinuxSeccompArg) (c seccomp.Cond, err error) {
	const args = 6
	if a.Index >= args {
		return c, fmt.Errorf("index %d: a call has %d arguments", a.Index, args)
	}
	c = seccomp.Cond{Arg: a.Index, Value: a.Value}
	switch a.Op {
	case specs.OpEqualTo:
		c.Op = seccomp.Equal
	case specs.OpNotEqual:
		c.Op = seccomp.NotEqual
	case specs.OpGreaterThan:
		c.Op = seccomp.Greater
	case specs.OpGreaterEqual:
		c.Op = seccomp.GreaterEqual
	case specs.OpLessThan:
		c.Op = seccomp.Less
	case specs.OpLessEqual:
		c.Op = seccomp.LessEqual
	case specs.OpMaskedEqual:
		c.Op, c.Mask, c.Value = seccomp.MaskedEqual, a.Value, a.ValueTwo
	case "":
		return c, errors.New("no op")
	default:
		return c, fmt.Errorf("unknown operator %q", a.Op)
	}
	return c, nil
}
