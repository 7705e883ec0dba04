package seccompfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	moby "github.com/moby/profiles/seccomp"
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp/bpftest"
)

// What a filter answers.
const (
	allow  = unix.SECCOMP_RET_ALLOW
	eperm  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	enosys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// program parses a profile and exports its filter.
func program(t *testing.T, text string, caps ...string) func(nr uint64, args ...uint64) uint32 {
	t.Helper()
	p, err := Parse([]byte(text), caps)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := p.Export()
	if err != nil {
		t.Fatal(err)
	}
	return func(nr uint64, args ...uint64) uint32 {
		t.Helper()
		ret, _, err := bpftest.Run(prog, bpftest.Call(nr, args...))
		if err != nil {
			t.Fatal(err)
		}
		return ret
	}
}

// dockerDefault is Docker's default profile, as the file has it that Docker's sources are made with.
func dockerDefault(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDockerDefault(t *testing.T) {
	ordinary := program(t, dockerDefault(t), "CAP_CHOWN")
	admin := program(t, dockerDefault(t), "CAP_SYS_ADMIN", "CAP_SYS_CHROOT")
	for _, x := range []struct {
		name            string
		nr              uint64
		args            []uint64
		ordinary, admin uint32
	}{
		{"read", unix.SYS_READ, nil, allow, allow},
		{"mount", unix.SYS_MOUNT, nil, eperm, allow},
		{"chroot", unix.SYS_CHROOT, nil, eperm, allow},
		{"clone", unix.SYS_CLONE, nil, allow, allow},
		{"clone, a user namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER}, eperm, allow},
		{"clone3", unix.SYS_CLONE3, nil, enosys, allow},
		{"personality 0", unix.SYS_PERSONALITY, []uint64{0}, allow, allow},
		{"personality, as is", unix.SYS_PERSONALITY, []uint64{0xffffffff}, allow, allow},
		{"personality, another", unix.SYS_PERSONALITY, []uint64{0x40000}, eperm, eperm},
		{"socket AF_UNIX", unix.SYS_SOCKET, []uint64{unix.AF_UNIX}, allow, allow},
		{"socket AF_VSOCK", unix.SYS_SOCKET, []uint64{unix.AF_VSOCK}, eperm, eperm},
		{"kexec_load", unix.SYS_KEXEC_LOAD, nil, eperm, eperm},
		{"mseal", 462, nil, allow, allow},
		{"a call of the future", 480, nil, enosys, enosys},
	} {
		if got := ordinary(x.nr, x.args...); got != x.ordinary {
			t.Errorf("%s: %#x, want %#x", x.name, got, x.ordinary)
		}
		if got := admin(x.nr, x.args...); got != x.admin {
			t.Errorf("%s, with CAP_SYS_ADMIN: %#x, want %#x", x.name, got, x.admin)
		}
	}
}

// TestUnknownNames: they are left out, those that only this package knows are not.
func TestUnknownNames(t *testing.T) {
	p, err := Parse([]byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
		{"names":["frobnicate","socketcall","listns","mkdir"],"action":"SCMP_ACT_ERRNO"}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Unknown, " "); got != "frobnicate socketcall" {
		t.Errorf("unknown: %q", got)
	}
	if len(p.Filter.Rules) != 2 {
		t.Errorf("rules: %+v", p.Filter.Rules)
	}
}

// forms are the ways in which the same profile can be written.
var forms = map[string]string{
	"docker": `{"defaultAction":"SCMP_ACT_ALLOW","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
		"syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":13,"comment":"x","includes":{},"excludes":{}}]}`,
	"docker, of old": `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mkdir","action":"SCMP_ACT_ERRNO","errnoRet":13,"args":null}]}`,
	"oci": `{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_NEW"],"flags":["SECCOMP_FILTER_FLAG_LOG"],
		"syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}`,
	"config.json": `{"ociVersion":"1.2.0","process":{"args":["sh"]},"linux":{"namespaces":[],"seccomp":
		{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}}}`,
	"with an unfit rule": `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":13},
		{"names":["read"],"action":"SCMP_ACT_KILL","includes":{"arches":["arm64"]}},
		{"names":["read"],"action":"SCMP_ACT_KILL","includes":{"minKernel":"200.1"}},
		{"names":["read"],"action":"SCMP_ACT_KILL","excludes":{"minKernel":"3.1"}},
		{"names":["read"],"action":"SCMP_ACT_KILL","includes":{"caps":["CAP_MAC_ADMIN"]}}]}`,
}

func TestForms(t *testing.T) {
	for name, text := range forms {
		run := program(t, text)
		if got := run(unix.SYS_MKDIR); got != unix.SECCOMP_RET_ERRNO|uint32(unix.EACCES) {
			t.Errorf("%s: mkdir: %#x", name, got)
		}
		if got := run(unix.SYS_READ); got != allow {
			t.Errorf("%s: read: %#x", name, got)
		}
	}
}

func TestActions(t *testing.T) {
	for act, want := range map[string]uint32{
		"SCMP_ACT_KILL": unix.SECCOMP_RET_KILL_THREAD, "SCMP_ACT_KILL_THREAD": unix.SECCOMP_RET_KILL_THREAD,
		"SCMP_ACT_KILL_PROCESS": unix.SECCOMP_RET_KILL_PROCESS, "SCMP_ACT_TRAP": unix.SECCOMP_RET_TRAP,
		"SCMP_ACT_LOG": unix.SECCOMP_RET_LOG, "SCMP_ACT_ERRNO": eperm,
	} {
		run := program(t, `{"defaultAction":"`+act+`","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"},
			{"names":["write"],"action":"SCMP_ACT_ERRNO","errnoRet":0}]}`)
		if got := run(unix.SYS_READ); got != allow {
			t.Errorf("%s: read: %#x", act, got)
		}
		if got := run(unix.SYS_WRITE); got != unix.SECCOMP_RET_ERRNO {
			t.Errorf("%s: write: %#x", act, got)
		}
		newer := want
		if act != "SCMP_ACT_LOG" {
			newer = enosys
		}
		if got := run(unix.SYS_OPEN); got != newer && got != want {
			t.Errorf("%s: open: %#x", act, got)
		}
		if got := run(300); got != newer {
			t.Errorf("%s: a newer call: %#x", act, got)
		}
		if got := run(0x3000); got != want {
			t.Errorf("%s: another call: %#x", act, got)
		}
	}
}

// TestConditions: all must hold, except where two are about one argument.
func TestConditions(t *testing.T) {
	run := program(t, `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
		{"names":["socket"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":2,"op":"SCMP_CMP_EQ"},{"index":1,"value":15,"valueTwo":3,"op":"SCMP_CMP_MASKED_EQ"}]},
		{"names":["kill"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":9,"op":"SCMP_CMP_EQ"},{"index":1,"value":60,"op":"SCMP_CMP_GE"}]},
		{"names":["dup2"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_LT"}]}]}`)
	for _, x := range []struct {
		nr   uint64
		args []uint64
		want uint32
	}{
		{unix.SYS_SOCKET, []uint64{2, 0x13}, eperm}, {unix.SYS_SOCKET, []uint64{2, 1}, allow}, {unix.SYS_SOCKET, []uint64{1, 3}, allow},
		{unix.SYS_KILL, []uint64{1, 9}, eperm}, {unix.SYS_KILL, []uint64{1, 61}, eperm}, {unix.SYS_KILL, []uint64{1, 10}, allow},
		{unix.SYS_DUP2, []uint64{1 << 40}, eperm}, {unix.SYS_DUP2, []uint64{1<<64 - 1}, allow},
	} {
		if got := run(x.nr, x.args...); got != x.want {
			t.Errorf("call %d%v: %#x, want %#x", x.nr, x.args, got, x.want)
		}
	}
}

// bad are profiles that are refused, and what is said of them.
var bad = map[string]string{
	``:                "empty",
	" \n":             "empty",
	"{":               "line 1, column 1: unexpected end of JSON input",
	"{\n \"a\": }":    "line 2, column 7: invalid character '}' looking for beginning of value",
	"{}\n}":           "line 2, column 1: invalid character '}' after top-level value",
	`{}`:              "defaultAction: missing",
	`null`:            "defaultAction: missing",
	`[]`:              "array where there should be an object",
	`{"linux":{}}`:    "linux.seccomp: missing",
	`{"linux":[]}`:    "linux: array where there should be an object",
	`{"syscalls":[]}`: "defaultAction: missing",
	`{"linux":{"seccomp":{"defaultAction":"X"}}}`:                                               `linux.seccomp.defaultAction: unknown action "X"`,
	`{"defaultAction":4}`:                                                                       "defaultAction: number where there should be a string",
	`{"defaultAction":"SCMP_ACT_FROB"}`:                                                         `defaultAction: unknown action "SCMP_ACT_FROB"`,
	`{"defaultAction":"SCMP_ACT_KILL","flags":["A\nB"]}`:                                        `flags[0]: unknown flag "A\nB"`,
	`{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"x"}`:                                     "listenerPath: the one listener that a program can have is runsbx's own",
	`{"defaultAction":"SCMP_ACT_NOTIFY"}`:                                                       "defaultAction: SCMP_ACT_NOTIFY: the one listener and tracer that a program can have is runsbx itself",
	`{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}`:                                    "defaultAction: SCMP_ACT_ALLOW has no errno",
	`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4095}`:                                 "defaultAction: errno 4095 is above 4094",
	`{"defaultAction":"SCMP_ACT_ALLOW","architectures":["a"],"archMap":[{"architecture":"b"}]}`: "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
	rule(`null`):        "syscalls[1]: null",
	rule(`3`):           "syscalls[1]: number where there should be an object",
	rule(`{}`):          "syscalls[1]: no names",
	rule(`{"names":3}`): "syscalls[1].names: number where there should be an array",
	rule(`{"names":["a",""],"action":"SCMP_ACT_ERRNO"}`):                                                                                "syscalls[1].names[1]: empty",
	rule(`{"name":"a","names":["b"],"action":"SCMP_ACT_LOG"}`):                                                                          "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
	rule(`{"names":["a"]}`):                                                                                                             "syscalls[1].action: missing",
	rule(`{"names":["a"],"action":"x"}`):                                                                                                `syscalls[1].action: unknown action "x"`,
	rule(`{"names":["a"],"action":"SCMP_ACT_TRACE"}`):                                                                                   "syscalls[1].action: SCMP_ACT_TRACE: the one listener and tracer that a program can have is runsbx itself",
	rule(`{"names":["a"],"action":"SCMP_ACT_LOG","errnoRet":1}`):                                                                        "syscalls[1].action: SCMP_ACT_LOG has no errno",
	rule(`{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":6,"op":"SCMP_CMP_EQ"}]}`):                                             "syscalls[1].args[0]: index 6: a call has 6 arguments",
	rule(`{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":-1,"op":"SCMP_CMP_EQ"}]}`):                                            "syscalls[1].args.index: number -1 where there should be a number that is not negative",
	rule(`{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":0}]}`):                                                                "syscalls[1].args[0]: no op",
	rule(`{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":0,"op":"SCMP_CMP_XX"}]}`):                                             `syscalls[1].args[0]: unknown operator "SCMP_CMP_XX"`,
	rule(`{"names":["a"],"action":"SCMP_ACT_LOG","includes":{"minKernel":"4"}}`):                                                        `syscalls[1]: invalid kernel version: "4", expected "<kernel>.<major>"`,
	rule("{\"names\":[\"a\"],\"includes\":{\"minKernel\":{\n}}}"):                                                                       `syscalls[1]: object where there should be a string`,
	`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[` + strings.Repeat(`"read",`, 4096) + `"read"],"action":"SCMP_ACT_LOG"}]}`: "syscalls: more than 4096 rules",
}

// rule is a profile whose second rule is r.
func rule(r string) string {
	return `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG"},` + r + `]}`
}

func TestBad(t *testing.T) {
	dir := t.TempDir()
	for text, want := range bad {
		file := filepath.Join(dir, "p.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := Load(file, nil)
		if want = `"` + file + `": ` + want; err == nil || p != nil || err.Error() != want {
			t.Errorf("%.80q:\n got %v\nwant %s", text, err, want)
		}
	}
	for file, want := range map[string]string{"": "is a directory", "nothing": "no such file or directory"} {
		file = filepath.Join(dir, file)
		var e *Error
		if _, err := Load(file, nil); !errors.As(err, &e) || err.Error() != `"`+file+`": `+want {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := Load("/dev/zero", nil); err == nil || err.Error() != `"/dev/zero": larger than 4 MB` {
		t.Errorf("/dev/zero: %v", err)
	}
}

// TestCannotBeLoaded: what libseccomp or the kernel does not take is said, in a bounded time.
func TestCannotBeLoaded(t *testing.T) {
	var many strings.Builder
	for i := range maxRules {
		fmt.Fprintf(&many, `{"names":["socket"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":%d,"op":"SCMP_CMP_EQ"}]},`, i*i)
	}
	for rules, want := range map[string]string{
		strings.TrimSuffix(many.String(), ","): " instructions, and the kernel takes 4096",
		`{"names":["socket"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]},
		 {"names":["socket"],"action":"SCMP_ACT_KILL","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}`: "contradict each other",
	} {
		p, err := Parse([]byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[`+rules+`]}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Export(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// FuzzParse: a text is a profile, whose rules are valid ones, or one line says what is wrong with it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(dockerDefault(f)))
	for _, text := range forms {
		f.Add([]byte(text))
	}
	for text := range bad {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text, []string{"CAP_SYS_ADMIN"})
		if err != nil {
			if s := err.Error(); p != nil || s == "" || strings.ContainsAny(s, "\n\r") || !errors.As(err, new(*Error)) {
				t.Fatalf("%v, %q", p, s)
			}
			return
		}
		if n := len(p.Filter.Rules); n > maxRules+lastNumber {
			t.Fatalf("%d rules", n)
		}
		if len(p.Filter.Rules) <= 64+lastNumber { // libseccomp takes its time for more
			if prog, err := p.Export(); err == nil {
				for nr := range uint64(500) {
					if _, _, err := bpftest.Run(prog, bpftest.Call(nr, nr, nr)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}
