package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oneLine requires exactly one line of a message, which says who says it.
func oneLine(t *testing.T, stderr string) {
	t.Helper()
	if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
		t.Errorf("stderr is not one line: %q", stderr)
	}
	if !strings.HasPrefix(stderr, "runsbx: ") {
		t.Errorf("stderr does not begin with runsbx: %q", stderr)
	}
}

// newGuard kills what a test started when it takes too long; call the result when it is over.
func newGuard(t *testing.T, tag string) func() {
	timer := time.AfterFunc(hangGuard, func() {
		t.Errorf("hung: killed after %v", hangGuard)
		killTagged(tag)
	})
	return func() { timer.Stop() }
}

// TestBadInput: each gets one clear line on stderr, nothing on stdout, and status 125; the program
// is not run.
func TestBadInput(t *testing.T) {
	t.Parallel()
	dir := base(t)
	write := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("malformed.yaml", "limits: [1, 2\n  x: :\n", 0o644)
	write("unknown.yaml", "no-such-key: 1\n", 0o644)
	write("binary.yaml", "\x00\xff\xfe", 0o644)
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	for name, c := range map[string]struct {
		args []string // after "runsbx"
		says string   // a word that the line must have
	}{
		"unknown command":           {[]string{"walk"}, "walk"},
		"unknown flag":              {[]string{"run", "--no-such-flag", "true"}, "no-such-flag"},
		"unknown short flag":        {[]string{"run", "-Q", "true"}, "Q"},
		"no program":                {[]string{"run"}, "program"},
		"no program after --":       {[]string{"run", "--unconfined", "--"}, "program"},
		"flag without value":        {[]string{"run", "--limit"}, "limit"},
		"limit without value":       {[]string{"run", "--limit", "as", "true"}, "as"},
		"limit without name":        {[]string{"run", "--limit", "=1M", "true"}, "limit"},
		"unknown limit":             {[]string{"run", "--limit", "cheese=1M", "true"}, "cheese"},
		"limit is empty":            {[]string{"run", "--limit", "as=", "true"}, "as"},
		"limit is a word":           {[]string{"run", "--limit", "as=much", "true"}, "much"},
		"limit is negative":         {[]string{"run", "--limit", "as=-1", "true"}, "-1"},
		"limit is a fraction":       {[]string{"run", "--limit", "as=1.5G", "true"}, "1.5G"},
		"limit has a bad unit":      {[]string{"run", "--limit", "as=10Q", "true"}, "10Q"},
		"limit is hexadecimal":      {[]string{"run", "--limit", "as=0x10", "true"}, "0x10"},
		"limit overflows":           {[]string{"run", "--limit", "as=18446744073709551616", "true"}, "18446744073709551616"},
		"limit overflows by unit":   {[]string{"run", "--limit", "as=99999999999999G", "true"}, "99999999999999G"},
		"count with a unit":         {[]string{"run", "--limit", "procs=x", "true"}, "procs"},
		"limit twice":               {[]string{"run", "--limit", "as=1G,data=oops", "true"}, "as"},
		"bad overcommit":            {[]string{"run", "--overcommit", "perhaps", "true"}, "perhaps"},
		"bad aslr":                  {[]string{"run", "--aslr", "some", "true"}, "some"},
		"seed is a word":            {[]string{"run", "--aslr", "seed=x", "true"}, "seed"},
		"seed is missing":           {[]string{"run", "--aslr", "seed", "true"}, "seed"},
		"seed is empty":             {[]string{"run", "--aslr", "seed=", "true"}, "seed"},
		"seed is negative":          {[]string{"run", "--aslr", "seed=-3", "true"}, "-3"},
		"seed overflows":            {[]string{"run", "--aslr", "seed=18446744073709551616", "true"}, "seed"},
		"bad layout":                {[]string{"run", "--layout", "sideways", "true"}, "sideways"},
		"bad wx":                    {[]string{"run", "--wx", "maybe", "true"}, "maybe"},
		"bad verify":                {[]string{"run", "--verify", "twice", "true"}, "twice"},
		"bad inject":                {[]string{"run", "--inject", "nonsense", "true"}, "nonsense"},
		"inject of an unknown call": {[]string{"run", "--inject", "frobnicate:error=EIO", "true"}, "frobnicate"},
		"inject an unknown errno":   {[]string{"run", "--inject", "mmap:error=EWHAT", "true"}, "EWHAT"},
		"policy is missing":         {[]string{"run", "--policy", "none.yaml", "true"}, "none.yaml"},
		"policy is a directory":     {[]string{"run", "--policy", "sub", "true"}, "sub"},
		"policy is malformed":       {[]string{"run", "--policy", "malformed.yaml", "true"}, "malformed.yaml"},
		"policy has unknown keys":   {[]string{"run", "--policy", "unknown.yaml", "true"}, "unknown.yaml"},
		"policy is binary":          {[]string{"run", "--policy", "binary.yaml", "true"}, "binary.yaml"},
		"trace in no directory":     {[]string{"run", "--unconfined", "--trace", "none/t", "touch", "ran"}, "none/t"},
		"trace is a directory":      {[]string{"run", "--unconfined", "--trace", "sub", "touch", "ran"}, "sub"},
		"report in no directory":    {[]string{"run", "--unconfined", "--report", "none/r", "touch", "ran"}, "none/r"},
		"report is a directory":     {[]string{"run", "--unconfined", "--report", "sub", "touch", "ran"}, "sub"},
		"missing rw path":           {[]string{"run", "--rw", "/no/such/path", "true"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runBounded(t, append([]string{runsbx}, c.args...), dir, program{}.environment(dir), "", 0)
			if r.status != "exit 125" {
				t.Errorf("%s, want exit 125", r.status)
			}
			if r.stdout != "" {
				t.Errorf("stdout %q", r.stdout)
			}
			oneLine(t, r.stderr)
			if !strings.Contains(r.stderr, c.says) && !strings.Contains(r.stderr, "not built yet") {
				t.Errorf("%q is not in the message %q", c.says, r.stderr)
			}
			if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
				t.Error("the program was run")
			}
		})
	}
}

// TestGoodInput: spellings that must work.
func TestGoodInput(t *testing.T) {
	t.Parallel()
	dir := base(t)
	for name, c := range map[string]struct {
		args   []string
		status string
		stdout string
	}{
		"no dashes":                 {[]string{"run", "--unconfined", "echo", "x"}, "exit 0", "x\n"},
		"flags of the program":      {[]string{"run", "--unconfined", "echo", "-n", "--verify"}, "exit 0", "--verify"},
		"dashes of the program":     {[]string{"run", "--unconfined", "--", "echo", "--", "-x"}, "exit 0", "-- -x\n"},
		"equals sign":               {[]string{"run", "--unconfined", "--verify=every", "true"}, "exit 0", ""},
		"trace to /dev/null":        {[]string{"run", "--unconfined", "--trace", "/dev/null", "true"}, "exit 0", ""},
		"report to /dev/null":       {[]string{"run", "--unconfined", "--report", "/dev/null", "false"}, "exit 1", ""},
		"largest seed":              {[]string{"run", "--unconfined", "--aslr", "seed=18446744073709551615", "true"}, "exit 0", ""},
		"program named like a flag": {[]string{"run", "--unconfined", "--", "--help"}, "exit 127", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runBounded(t, append([]string{runsbx}, c.args...), dir, program{}.environment(dir), "", 0)
			if r.status != c.status || r.stdout != c.stdout {
				t.Errorf("%s, stdout %q, stderr %q; want %s, stdout %q", r.status, r.stdout, r.stderr, c.status, c.stdout)
			}
		})
	}
	for _, args := range [][]string{{"--help"}, {"help"}, {"run", "--help"}, {"doctor"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			r := runBounded(t, append([]string{runsbx}, args...), dir, program{}.environment(dir), "", 0)
			if r.status != "exit 0" || len(r.stdout) < 100 || r.stderr != "" {
				t.Errorf("%s, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
			}
		})
	}
}
