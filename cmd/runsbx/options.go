package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/cmd/runsbx/internal/signals"
	"github.com/runsbx/runsbx/sandbox/policy"
)

// options is what the flags of run ask for.
type options struct {
	policy   policy.Policy
	fds      []int // descriptors that the program keeps
	trace    string
	report   string
	logLevel hclog.Level
}

// flag is one flag of run. Its values are collected as they are given and looked at afterwards,
// so that every error is worded here.
type flag struct {
	name   string
	value  string // what the value is, for the help text
	usage  string
	toggle bool // needs no value
	repeat bool // may be given more than once
	// set validates a value and applies it.
	set func(o *options, v string) error
	// built reports whether this version can do what the valid value v asks for; nil means
	// that it can.
	built func(v string) bool
}

func never(string) bool { return false }

// runFlags are the flags of run, in the order of the help text.
var runFlags = []flag{
	{name: "policy", value: "FILE", usage: "a YAML policy; flags override it", set: setPolicy, built: never},
	{name: "limit", value: "NAME=VALUE", usage: "limit " + orList(policy.LimitNames()) + "; commit and procs are the whole tree's; repeatable",
		repeat: true, set: setLimit},
	{name: "overcommit", value: "MODE", usage: "heuristic, always or never", set: setOvercommit},
	{name: "aslr", value: "MODE", usage: "addresses: on, off or seed=N", set: setASLR},
	{name: "layout", value: "NAME", usage: "address search: topdown, bottomup or legacy", set: setLayout},
	{name: "wx", value: "MODE", usage: "writable and executable memory: allow, audit or deny", set: setWX},
	{name: "wx-except", value: "program=PATH|file=PATH", usage: "a program that may execute what it writes, or a file that may be executed though it can be changed; repeatable",
		repeat: true, set: setWXExcept},
	{name: "rw", value: "PATH", usage: "what the program may read, execute and write besides its working directory; repeatable", repeat: true,
		set: func(o *options, v string) error { return setPath(&o.policy.ReadWrite, v) }},
	{name: "ro", value: "PATH", usage: "what the program may read and execute besides the system's directories; repeatable", repeat: true,
		set: func(o *options, v string) error { return setPath(&o.policy.ReadOnly, v) }},
	{name: "net", usage: "allow the network", toggle: true,
		set: func(o *options, v string) error { return setBool(&o.policy.Net, v) }},
	{name: "fd", value: "N", usage: "let the program have descriptor N besides 0, 1 and 2; repeatable", repeat: true, set: setFd},
	{name: "timeout", value: "DURATION", usage: "kill the program and all it has started after 10s, 5m or 1h30m, and exit with 124", set: setTimeout},
	{name: "seccomp", value: "FILE", usage: "add a seccomp profile in Docker's or the OCI's format",
		set: func(o *options, v string) error { o.policy.Seccomp = v; return nil }},
	{name: "unconfined", usage: "service memory only; no file, network or syscall confinement", toggle: true,
		set: func(o *options, v string) error { return setBool(&o.policy.Unconfined, v) }},
	{name: "inject", value: "CALL:error=ERRNO[:when=EXPR]", usage: "make calls fail, in strace's syntax; repeatable",
		repeat: true, set: setInject, built: never},
	{name: "trace", value: "FILE", usage: "write every decision, as JSON lines",
		set: func(o *options, v string) error { return setFile(&o.trace, v) }},
	{name: "report", value: "FILE", usage: "write a JSON summary",
		set: func(o *options, v string) error { return setFile(&o.report, v) }},
	{name: "verify", value: "MODE", usage: "compare the model with the kernel's maps: off, exit or every", set: setVerify},
	{name: "log-level", value: "LEVEL", usage: "log to stderr: off, error, warn, info, debug or trace", set: setLogLevel},
}

// parseOptions turns the values given for each flag into options. All values are looked at before
// the first one that is valid but not built yet is refused.
func parseOptions(given map[string][]string) (*options, error) {
	o := &options{logLevel: hclog.Off}
	for _, f := range runFlags {
		values := given[f.name]
		if len(values) > 1 && !f.repeat {
			return nil, fmt.Errorf("--%s: given more than once", f.name)
		}
		for _, v := range values {
			if v == "" {
				return nil, fmt.Errorf("--%s: empty value", f.name)
			}
			if err := f.set(o, v); err != nil {
				return nil, fmt.Errorf("--%s: %w", f.name, err)
			}
		}
	}
	for _, f := range runFlags {
		for _, v := range given[f.name] {
			if f.built != nil && !f.built(v) {
				return nil, fmt.Errorf("--%s: %w", f.name, policy.ErrNotBuilt)
			}
		}
	}
	if err := o.policy.Check(); err != nil {
		return nil, err
	}
	return o, nil
}

// oneOf returns v's place in names.
func oneOf(v string, names ...string) (int, error) {
	i := slices.Index(names, v)
	if i < 0 {
		return 0, fmt.Errorf("%q is not %s", v, orList(names))
	}
	return i, nil
}

// orList returns "a, b or c".
func orList(names []string) string {
	n := len(names) - 1
	return strings.Join(names[:n], ", ") + " or " + names[n]
}

func setPolicy(_ *options, v string) error {
	f, err := os.Open(v)
	if err != nil {
		return pathError(v, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("%q is a directory", v)
	}
	return nil
}

func setLimit(o *options, v string) error {
	name, value, ok := strings.Cut(v, "=")
	switch {
	case !slices.Contains(policy.LimitNames(), name):
		return fmt.Errorf("unknown limit %q: not %s", name, orList(policy.LimitNames()))
	case !ok || value == "":
		return fmt.Errorf("%s has no value: want %s=VALUE", name, name)
	}
	if _, twice := o.policy.Limits[name]; twice {
		return fmt.Errorf("%s: given more than once", name)
	}
	parse := parseCount
	if policy.IsSize(name) {
		parse = parseSize
	}
	n, err := parse(value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if o.policy.Limits == nil {
		o.policy.Limits = make(map[string]uint64)
	}
	o.policy.Limits[name] = n
	return nil
}

func setOvercommit(o *options, v string) error {
	o.policy.Overcommit = v
	_, err := oneOf(v, "heuristic", "always", "never")
	return err
}

func setASLR(o *options, v string) error {
	if seed, ok := strings.CutPrefix(v, "seed="); ok {
		n, err := parseCount(seed)
		if err != nil {
			return fmt.Errorf("seed: %w", err)
		}
		o.policy.ASLR, o.policy.Seed = policy.ASLRSeed, n
		return nil
	}
	i, err := oneOf(v, "on", "off", "seed=N")
	if err == nil && i == 1 {
		o.policy.ASLR = policy.ASLROff
	}
	return err
}

func setLayout(o *options, v string) error {
	i, err := oneOf(v, "topdown", "bottomup", "legacy")
	if err == nil {
		o.policy.Layout = [...]policy.Layout{policy.LayoutTopDown, policy.LayoutBottomUp, policy.LayoutLegacy}[i]
	}
	return err
}

func setWX(o *options, v string) error {
	i, err := oneOf(v, "allow", "audit", "deny")
	if err == nil {
		o.policy.WX = [...]policy.WXMode{policy.WXAllow, policy.WXAudit, policy.WXDeny}[i]
	}
	return err
}

func setWXExcept(o *options, v string) error {
	what, path, _ := strings.Cut(v, "=")
	to := map[string]*[]string{"program": &o.policy.WXExcept.Programs, "file": &o.policy.WXExcept.Files}[what]
	if to == nil || path == "" {
		return fmt.Errorf("%q is not program=PATH or file=PATH", v)
	}
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return pathError(path, err)
	}
	*to = append(*to, abs)
	return nil
}

func setVerify(o *options, v string) error {
	i, err := oneOf(v, "off", "exit", "every")
	if err == nil {
		o.policy.Verify = [...]policy.VerifyMode{policy.VerifyOff, policy.VerifyExit, policy.VerifyEvery}[i]
	}
	return err
}

func setLogLevel(o *options, v string) error {
	i, err := oneOf(v, "off", "error", "warn", "info", "debug", "trace")
	if err == nil {
		o.logLevel = [...]hclog.Level{hclog.Off, hclog.Error, hclog.Warn, hclog.Info, hclog.Debug, hclog.Trace}[i]
	}
	return err
}

func setPath(to *[]string, v string) error {
	if _, err := os.Stat(v); err != nil {
		return pathError(v, err)
	}
	*to = append(*to, v)
	return nil
}

// setFd takes a descriptor that was inherited.
func setFd(o *options, v string) error {
	n, err := parseCount(v)
	if err != nil {
		return err
	}
	if n > math.MaxInt32 || !isOpen(int(n)) {
		return fmt.Errorf("%s is no open descriptor", v)
	}
	if slices.Contains(o.fds, int(n)) {
		return fmt.Errorf("%s: given more than once", v)
	}
	o.fds = append(o.fds, int(n))
	return nil
}

// isOpen reports whether this process got descriptor fd from its caller. Every one of its own is
// close-on-exec.
func isOpen(fd int) bool {
	if fd <= 2 {
		return !signals.ClosedAtEntry(fd)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

func setTimeout(o *options, v string) error {
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a duration such as 10s, 5m or 1h30m", v)
	case d <= 0:
		return fmt.Errorf("%q is not more than nothing", v)
	}
	o.policy.Timeout = d
	return nil
}

func setBool(to *bool, v string) error {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return fmt.Errorf("%q is not true or false", v)
	}
	*to = b
	return nil
}

func setFile(to *string, v string) error {
	if v == "-" {
		return errors.New("\"-\" would mix with the program's own output; name a file, such as /dev/stderr or ./-")
	}
	*to = v
	return nil
}

// pathError words an error about a path without naming the system call.
func pathError(path string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%q: %w", path, err)
}
