package sandbox

import (
	"slices"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/blame"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

func TestEndString(t *testing.T) {
	commit := &limits.Refusal{Resource: limits.Commit, Used: 64173056, Wanted: 512 << 20, Limit: 64 << 20, Errno: linux.ENOMEM}
	for _, x := range []struct {
		r    blame.Refusal
		want string
	}{
		{blame.Refusal{Call: "mmap", Asked: 512 << 20, Why: commit}, "python3[4711] mmap of 512M refused: commit 61.2M used + 512M > limit 64M"},
		{blame.Refusal{Call: "fork", Why: commit}, "python3[4711] fork refused: commit 61.2M used + 512M > limit 64M"},
		{blame.Refusal{Call: blame.Growth, Asked: 4096, Why: &limits.Refusal{Resource: limits.Stack, Used: 8 << 20, Wanted: 4096, Limit: 8 << 20}},
			"python3[4711] growth of its stack refused: stack 8M used + 4K > limit 8M"},
	} {
		x.r.PID, x.r.Program = 4711, "python3"
		if got := (End{Refusal: recordOf(&x.r)}).String(); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "python3": "python3", "kworker/0:1": "kworker/0:1", "naïve": "naïve", "a b": "a b",
		"a\nrunsbx: b": `a\nrunsbx: b`, "\x1b[2J": `\x1b[2J`, "\xff\xfe": `\xff\xfe`, "\u009b": `\u009b`, `\n`: `\\n`,
		"\u202e": `\u202e`, "it's": "it's", "\x7f": `\x7f`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %s, want %s", in, got, want)
		}
	}
}

// TestExplain: all ends by refusals are told, in order, before Wait returns; those of others are not.
func TestExplain(t *testing.T) {
	const script = `
import os, sys
def child(f):
    if os.fork() == 0:
        f()
        os._exit(3)
    os.wait()
def refused():
    try: bytearray(512 << 20)
    except MemoryError: pass
def survivor():
    refused()
    bytearray(8 << 20)
def killed():
    refused()
    os.kill(os.getpid(), 9)
def aborted():
    refused()
    os.abort()
for f in (refused, survivor, killed, aborted, lambda: None): child(f)
`
	c := Command("/usr/bin/python3", "-S", "-c", script)
	c.Policy.Limits = map[string]uint64{"commit": 64 << 20}
	var told []string
	c.Explain = func(e End) { told = append(told, string(e.Cause)+" "+e.String()) }
	if err := c.Run(); err != nil {
		t.Skip(err) // no python
	}
	r := c.Report()
	if len(told) != 2 || r.Ended != 2 || len(r.Ends) != 2 || r.EndedBy != nil || r.Cause != CauseExited {
		t.Fatalf("%q; report: cause %s, %d ended", told, r.Cause, r.Ended)
	}
	if !slices.IsSortedFunc(r.Ends, func(a, b RefusalRecord) int { return a.PID - b.PID }) {
		t.Errorf("not in order: %+v", r.Ends)
	}
	for _, line := range told {
		if !strings.HasPrefix(line, "limit python3") || !strings.Contains(line, "] mmap of 512M refused: commit ") {
			t.Errorf("%q", line)
		}
	}
}

// TestEndedByIsKept: the refusal that ended the program is reported even when the list is full.
func TestEndedByIsKept(t *testing.T) {
	c := Command("/usr/bin/python3", "-S", "-c", `
for i in range(120):
    try: x = bytearray(512 << 20)
    except MemoryError: pass
    y = bytearray(4 << 20)
x = bytearray(100 << 20)`)
	c.Policy.Limits = map[string]uint64{"commit": 64 << 20}
	err := c.Run()
	r := c.Report()
	if r == nil {
		t.Skip(err) // no python
	}
	if r.Cause != CauseLimit || r.Refused <= maxListed || len(r.Refusals) != maxListed || r.EndedBy == nil || r.EndedBy.Asked>>20 != 100 {
		t.Errorf("%v: cause %s, %d refused, %d listed, ended by %+v", err, r.Cause, r.Refused, len(r.Refusals), r.EndedBy)
	}
}
