package integration

import (
	"regexp"
	"strings"
	"testing"
)

// stressors are the memory stressors of stress-ng, each with a number of operations that it
// reaches in well under a second, and options that keep it small.
var stressors = []struct {
	name string
	ops  string
	opts []string
}{
	// mmapfork maps all of the memory, and msyncmany makes 65530 mappings for each operation: these
	// two take long natively already, and testdata/manymaps.c and forkmapper.c do the same smaller.
	// vm-segv is missing: it traces its own child (PTRACE_TRACEME), and hangs where it cannot, under
	// strace too. userfaultfd is refused: see TestStressUserfaultfd.
	{"mmap", "5", []string{"--mmap-bytes", "1M"}},
	{"mmapmany", "50", nil},
	{"mmapfixed", "2", nil},
	{"mmapaddr", "100", nil},
	{"mmaphuge", "2", nil},
	{"mremap", "10", []string{"--mremap-bytes", "1M"}},
	{"brk", "500", nil},
	{"bigheap", "50", []string{"--bigheap-growth", "64K"}},
	{"stack", "2", nil},
	{"stackmmap", "5", nil},
	{"mlock", "20", nil},
	{"madvise", "2", nil},
	{"mprotect", "100", nil},
	{"munmap", "2", nil},
	{"vm", "500", []string{"--vm-bytes", "2M"}},
	{"vm-addr", "2", []string{"--timeout", "20"}},
	{"vm-splice", "500", nil},
	{"vm-rw", "10", []string{"--vm-rw-bytes", "1M"}},
	{"shm", "5", []string{"--shm-bytes", "1M", "--shm-objs", "4"}},
	{"shm-sysv", "5", []string{"--shm-sysv-bytes", "1M", "--shm-sysv-segs", "4"}},
	{"memfd", "3", []string{"--memfd-bytes", "2M", "--memfd-fds", "16"}},
	{"mincore", "100", nil},
	{"msync", "50", []string{"--msync-bytes", "1M"}},
	{"malloc", "500", []string{"--malloc-bytes", "2M", "--malloc-max", "64"}},
	{"fork", "30", nil},
	{"vfork", "30", nil},
	{"clone", "5", []string{"--clone-max", "8"}},
	{"exec", "10", []string{"--timeout", "4"}},
	{"pthread", "100", []string{"--pthread-max", "32"}},
	{"remap", "1", nil},
	{"numa", "1", nil},
	{"physpage", "10", nil},
	{"pkey", "50", nil},
	{"set", "20", nil},
	{"bad-altstack", "10", nil},
	{"sigsegv", "20", nil},
	{"full", "10", nil},
	{"zombie", "20", nil},
	{"daemon", "5", nil},
	{"resources", "1", []string{"--timeout", "20"}},
	{"pagemove", "5", []string{"--pagemove-bytes", "256K"}},
	{"pageswap", "5", nil},
	{"rmap", "5", nil},
	{"dynlib", "10", nil},
	{"context", "50", nil},
	{"sigchld", "20", nil},
	{"sigabrt", "10", nil},
	{"tlb-shootdown", "20", nil},
	{"mcontend", "1", []string{"--timeout", "2"}},
	{"secretmem", "1", []string{"--timeout", "2"}},
	{"vforkmany", "50", []string{"--timeout", "3"}},
	{"sigq", "50", nil},
	{"timer", "100", nil},
	{"pidfd", "10", nil},
	{"zero", "100", nil},
	{"env", "1", []string{"--timeout", "3"}},
	{"spawn", "10", []string{"--timeout", "4"}},
	{"switch", "100", nil},
	{"fault", "200", nil},
	{"judy", "1", []string{"--judy-size", "1024"}},
	{"tree", "1", []string{"--tree-size", "1000"}},
}

// The lines of stress-ng that say something of the outcome, without process ids and times.
var (
	stressOutcome = regexp.MustCompile(`(?i)fail|error|unsuccessful|skipp|passed|unexpected|corrupt|mismatch|terminated|not `)
	stressNumbers = regexp.MustCompile(`\[\d+\]|\d+\.\d+|\b\d+\b|0x[0-9a-f]+`)
)

func stressLines(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		if stressOutcome.MatchString(line) && !strings.Contains(line, "metrc") {
			out = append(out, stressNumbers.ReplaceAllString(line, "N"))
		}
	}
	return strings.Join(out, "\n")
}

// TestStress runs each stressor with --verify, natively and sandboxed: the exit status and the
// lines that tell of failed checks must be the same.
func TestStress(t *testing.T) {
	t.Parallel()
	need(t, "stress-ng")
	heavy(t)
	for _, s := range stressors {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			argv := []string{
				"stress-ng", "--" + s.name, "1", "--" + s.name + "-ops", s.ops, "--verify",
				"--temp-path", ".", "--timeout", "60", "--oomable",
			}
			program{
				argv:   append(argv, s.opts...),
				asUser: s.name == "exec" || s.name == "spawn", // these refuse to run as root
				verify: "exit",
				normal: stressLines,
				want:   "completed",
			}.check(t)
		})
	}
}

// TestStressUserfaultfd: userfaultfd changes mappings by ioctl, behind the supervisor's back, so it
// does not exist in the sandbox, as on a kernel built without it. stress-ng skips it.
func TestStressUserfaultfd(t *testing.T) {
	t.Parallel()
	need(t, "stress-ng")
	dir := base(t)
	argv := []string{runsbx, "run", "--unconfined", "--", "stress-ng", "--userfaultfd", "1", "--userfaultfd-ops", "1"}
	r := runBounded(t, argv, dir, program{}.environment(dir), "", 0)
	if !strings.Contains(r.stderr, "userfaultfd() not supported") {
		t.Errorf("%+v", r)
	}
}
