package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// An ending is a program whose end has a known cause.
type ending struct {
	name  string
	argv  []string // or steps of testdata/ends.c
	steps string
	flags string // for runsbx run, --limit commit=64M and the like
	cause string
	// blamed is what ended the first process, as the line on standard error says it after the process's
	// name; empty when nothing did.
	blamed string
	lines  int    // of all processes that refusals ended; 0 is 1 when something is blamed
	status string // unless any will do
	files  map[string]string
	wrap   []string
	build  string // "cxx", "go" or "java": a directory with that program
	asRoot bool   // not as an ordinary user
	bulky  bool   // a runtime that takes long to start
}

// explained is the part of the report that says why.
type explained struct {
	Cause    string    `json:"cause"`
	Refused  uint64    `json:"refused"`
	Refusals []refusal `json:"refusals"`
	EndedBy  *refusal  `json:"ended_by"`
	Ended    int       `json:"ended"`
	Ends     []refusal `json:"ends"`
}

type refusal struct {
	PID      int    `json:"pid"`
	TID      int    `json:"tid"`
	Program  string `json:"program"`
	Call     string `json:"call"`
	IP       string `json:"ip"`
	Asked    uint64 `json:"asked"`
	Kind     string `json:"kind"`
	Resource string `json:"resource"`
	Used     uint64 `json:"used"`
	Wanted   uint64 `json:"wanted"`
	Limit    uint64 `json:"limit"`
	Errno    string `json:"errno"`
}

// TestCauses: no cause of an end is misreported, and each end by a refusal is explained in one line.
func TestCauses(t *testing.T) {
	t.Parallel()
	all := append(append(append(plainEnds(), limitEnds()...), survivors()...), otherEnds()...)
	if len(all) < 200 {
		t.Errorf("only %d ends", len(all))
	}
	guest(t, "ends")
	names := map[string]bool{}
	for i, e := range all {
		if names[e.name] {
			t.Errorf("two ends are called %q", e.name)
		}
		names[e.name] = true
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			// Every other one as an ordinary user, and every third with its address spaces compared.
			e.check(t, i%2 == 0 && !e.asRoot, i%3 == 0)
		})
	}
}

var explanation = regexp.MustCompile(`^runsbx: ([^\[]+)\[(\d+)\] (.*)$`)

func (e ending) check(t *testing.T, asUser, verify bool) {
	t.Helper()
	if e.bulky {
		heavy(t)
	}
	argv := e.argv
	if e.steps != "" {
		argv = append([]string{guest(t, "ends")}, strings.Fields(e.steps)...)
	}
	need(t, argv[0])
	dir := base(t)
	file := filepath.Join(dir, "report.json")
	prefix := []string{runsbx, "run", "--unconfined", "--report", file}
	if verify {
		prefix = append(prefix, "--verify", "exit")
	}
	prefix = append(append(prefix, strings.Fields(e.flags)...), "--")
	p := program{argv: argv, files: e.files, wrap: e.wrap, asUser: asUser}
	if e.build != "" {
		p.setup = func(t *testing.T, work string) {
			if err := os.Symlink(builds[e.build](t), filepath.Join(work, e.build)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := p.run(t, dir, prefix)
	var rep explained
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &rep)
	}
	if err != nil {
		t.Fatalf("%v: report: %v; %s", argv, err, tail(r.stderr))
	}
	defer func() {
		if t.Failed() {
			t.Logf("%s, cause %s\nstderr:\n%s\nlast refusals: %+v", r.status, rep.Cause, tail(r.stderr), rep.Refusals[max(len(rep.Refusals)-5, 0):])
		}
	}()
	if rep.Cause != e.cause {
		t.Errorf("the cause is %q, want %q", rep.Cause, e.cause)
	}
	if e.status != "" && r.status != e.status {
		t.Errorf("%s, want %s", r.status, e.status)
	}
	var lines [][]string
	for line := range strings.Lines(r.stderr) {
		if m := explanation.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			lines = append(lines, m)
		}
	}
	want := e.lines
	if want == 0 && e.blamed != "" {
		want = 1
	}
	if len(lines) != want || rep.Ended != want || len(rep.Ends) != want {
		t.Errorf("%d lines, and the report has %d ends, want %d", len(lines), rep.Ended, want)
	}
	if (rep.EndedBy != nil) != (e.blamed != "") {
		t.Errorf("ended by %+v", rep.EndedBy)
	}
	if rep.EndedBy == nil || e.blamed == "" {
		return
	}
	by := rep.EndedBy
	if by.Kind != e.cause || by.PID == 0 || by.TID == 0 || by.Errno == "" || (by.IP == "") != (by.Call == "growth") {
		t.Errorf("ended by %+v", by)
	}
	for _, l := range lines {
		if l[2] == fmt.Sprint(by.PID) {
			if ok, _ := regexp.MatchString("^("+e.blamed+")$", l[3]); !ok {
				t.Errorf("%q, want %s", l[3], e.blamed)
			}
			return
		}
	}
	t.Errorf("no line is about process %d", by.PID)
}

// withoutExplanations takes out the lines that runsbx adds to standard error.
func withoutExplanations(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if !explanation.MatchString(strings.TrimSuffix(line, "\n")) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// plainEnds have nothing to do with memory.
func plainEnds() (all []ending) {
	for _, n := range []int{0, 1, 2, 3, 7, 42, 77, 99, 111, 124, 125, 126, 127, 128, 130, 134, 137, 139, 143, 200, 254, 255} {
		all = append(all, ending{name: fmt.Sprintf("exit %d", n), steps: fmt.Sprintf("exit:%d", n),
			cause: "exited", status: fmt.Sprintf("exit %d", n)})
	}
	// Outside is another process on the machine; it finds the program's id in a file.
	outside := func(n int) []string {
		return shellWrap(fmt.Sprintf(`"$@" & while [ ! -s pid ]; do sleep 0.02; done; kill -%d $(cat pid); wait $!`, n))
	}
	for n := syscall.Signal(1); n < 32; n++ {
		switch n {
		case syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGURG, syscall.SIGWINCH,
			syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
			continue
		}
		e := ending{cause: "signal", status: "signal: " + n.String()}
		for _, how := range []string{"raise", "murder"} {
			e.name, e.steps = fmt.Sprintf("%s %d", how, int(n)), fmt.Sprintf("%s:%d", how, int(n))
			all = append(all, e)
		}
		if n%4 == 1 || n == syscall.SIGSEGV || n == syscall.SIGABRT {
			e.name, e.steps, e.wrap = fmt.Sprintf("outside %d", int(n)), "pause", outside(int(n))
			e.status, e.asRoot = fmt.Sprintf("exit %d", 128+int(n)), true
			all = append(all, e)
			// The refusal before it was not what ended it.
			e.name, e.steps = fmt.Sprintf("outside %d after a refusal", int(n)), "as:100M mmap:500M pause"
			all = append(all, e)
		}
	}
	for step, status := range map[string]string{
		"null": "segmentation fault", "wild": "segmentation fault", "const": "segmentation fault", "bus": "bus error",
		"fpe": "floating point exception", "ill": "illegal instruction", "trap": "trace/breakpoint trap", "abort": "aborted",
	} {
		status = "signal: " + status
		all = append(all, ending{name: step, steps: step, cause: "signal", status: status},
			ending{name: step + " in a thread", steps: "thread " + step + " end", cause: "signal", status: status},
			ending{name: step + " after a refusal that was got over", steps: "as:100M mmap:500M mmap:1M " + step, cause: "signal", status: status},
		)
	}
	return append(all,
		ending{name: "true", argv: []string{"true"}, cause: "exited"},
		ending{name: "shell", argv: []string{"sh", "-c", "kill -9 $$"}, cause: "signal"},
		ending{name: "child's signal", steps: "child null end exit:3", cause: "exited", status: "exit 3"},
		ending{name: "stack runs into a mapping", steps: "wall recurse", cause: "signal"},
		ending{name: "stack of a thread", steps: "thread recurse end", cause: "signal"},
		ending{name: "own handler", steps: "catch null", cause: "exited", status: "exit 9"},
	)
}

// limitEnds are ends by a limit.
func limitEnds() (all []ending) {
	add := func(name, steps, blamed, status string) {
		all = append(all, ending{name: name, steps: steps, cause: "limit", blamed: blamed, status: status})
	}
	const (
		as500          = `mmap of 500M refused: as [0-9.]+M used \+ 500M > limit 100M`
		aborts, faults = "signal: aborted", "signal: segmentation fault"
	)
	for _, how := range []struct{ steps, status string }{
		{"perror exit:1", "exit 1"}, {"exit:1", "exit 1"}, {"quit:12", "exit 12"}, {"exit:255", "exit 255"}, {"say exit:3", "exit 3"},
		{"abort", aborts}, {"perror abort", aborts}, {"raise:6", aborts}, {"kill:6", aborts}, {"raise:11", faults},
		{"null", faults}, {"ill", "signal: illegal instruction"}, {"trap", "signal: trace/breakpoint trap"},
		{"catch null", "exit 9"}, {"perror deep:1M exit:1", "exit 1"},
	} {
		add("mmap, "+how.steps, "as:100M mmap:500M "+how.steps, as500, how.status)
		add("malloc, "+how.steps, "as:100M malloc:500M "+how.steps, as500, how.status)
	}
	for n, at := range []string{"0", "64", "4095", "499M"} {
		add("malloc unchecked, "+at, "as:100M malloc:500M write:"+at, as500, faults)
		add("mmap unchecked, "+at, "as:100M mmap:500M write:"+at, as500, faults)
		add(fmt.Sprintf("in a thread %d", n), "as:100M thread malloc:500M write:"+at+" end", as500, faults)
	}
	add("mmap in a thread", "as:100M thread mmap:500M exit:1 end", as500, "exit 1")
	add("thread that ended", "as:100M thread mmap:500M perror end exit:1", as500, "exit 1")
	add("sbrk", "as:100M sbrk:500M exit:1", `brk of 500M refused: as .*`, "exit 1")
	add("mremap", "as:100M mremap:500M exit:1", `mremap of 500M refused: as [0-9.]+M used \+ 500M > limit 100M`, "exit 1")
	add("reservation", "as:100M none:500M exit:1", as500, "exit 1")
	add("thread's stack", "as:8M newthread exit:1", `mmap of 8M refused: as .*`, "exit 1")
	add("data, mmap", "data:10M mmap:50M exit:1", `mmap of 50M refused: data [0-9.]+K used \+ 50M > limit 10M`, "exit 1")
	add("data, mprotect", "data:10M mprotect:50M exit:1", `mprotect of 50M refused: data .*`, "exit 1")
	add("data, brk", "data:10M sbrk:50M exit:1", `brk of 50M refused: data .*`, "exit 1")
	add("data, malloc", "data:10M malloc:50M abort", `mmap of 50M refused: data .*`, aborts)
	overflow := func(limit string) string {
		return `growth of its stack refused: stack [0-9.]+[KM] used \+ [48]K > limit ` + limit
	}
	add("stack", "recurse", overflow("8M"), faults)
	add("small stack", "stack:256K recurse", overflow("256K"), faults)
	add("stack after a refusal", "as:100M mmap:500M mmap:1M recurse", overflow("8M"), faults)
	add("stack, own handler", "catch recurse", overflow("8M"), "exit 9")
	add("stack against address space", "as:5M recurse", `growth of its stack refused: as .* > limit 5M`, faults)
	for _, e := range []ending{
		{name: "memlock", steps: "memlock:8K mlock:64K perror exit:1", blamed: `mlock of 64K refused: memlock 0 used \+ 64K > limit 8K`},
		{name: "no memlock", steps: "memlock:0 mlock:64K perror exit:1", blamed: `mlock of 64K refused: memlock limit 0`},
	} {
		e.cause = "limit"
		e.wrap = []string{"setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all", "--"}
		e.asRoot = true
		if os.Getuid() != 0 {
			e.wrap = nil
		}
		all = append(all, e)
	}
	const flag = "--limit map-count=60"
	mapCount := `mmap of 4K refused: map-count [0-9]+ used \+ 1 > limit 60 VMAs`
	for _, steps := range []string{"exit:1", "perror exit:1", "abort", "write:0", "malloc:1K exit:1"} {
		all = append(all, ending{name: "map-count, " + steps, steps: "maps:100 " + steps, flags: flag, cause: "limit", blamed: mapCount})
	}
	const tree = "--limit commit=64M"
	for _, steps := range []string{"exit:1", "perror exit:1", "abort", "write:0"} {
		all = append(all,
			ending{name: "commit, mmap, " + steps, steps: "mmap:500M " + steps, flags: tree, cause: "limit",
				blamed: `mmap of 500M refused: commit [0-9.]+K used \+ 500M > limit 64M`},
			ending{name: "commit, malloc, " + steps, steps: "malloc:500M " + steps, flags: tree, cause: "limit",
				blamed: `mmap of 500M refused: commit [0-9.]+K used \+ 500M > limit 64M`})
	}
	all = append(all,
		ending{name: "commit, exec", steps: "mmap:62M vfork exec true end mmap:1400K fork exec sh -c true", flags: tree, cause: "exited", status: "exit 0"},
		ending{name: "procs", steps: "newthread newthread exit:1", flags: "--limit procs=2", cause: "limit",
			blamed: `clone3? refused: procs 2 used \+ 1 > limit 2 tasks`},
	)
	return append(all, languageEnds()...)
}

// builds make the programs that are compiled, each once, and return the directories where they are.
var builds = map[string]func(*testing.T) string{
	"cxx":  builder("main.cc", cxxProgram, "g++", "-o", "prog", "main.cc"),
	"go":   builder("main.go", goProgram, "go", "build", "-o", "prog", "main.go"),
	"java": builder("Main.java", javaProgram, "javac", "Main.java"),
}

func builder(file, source string, argv ...string) func(*testing.T) string {
	var once sync.Once
	var dir string
	var failed error
	return func(t *testing.T) string {
		t.Helper()
		need(t, argv[0])
		once.Do(func() {
			dir = filepath.Join(root, "build-"+file)
			os.Mkdir(dir, 0o755)
			if failed = os.WriteFile(filepath.Join(dir, file), []byte(source), 0o644); failed != nil {
				return
			}
			cmd := exec.Command(lookTool(argv[0]), argv[1:]...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				failed = fmt.Errorf("%v: %w\n%s", argv, err, out)
			}
		})
		if failed != nil {
			t.Fatal(failed)
		}
		return dir
	}
}

// prlimit runs a program with limits of its own.
func prlimit(limit string, argv ...string) []string {
	return append([]string{"prlimit", limit}, argv...)
}

const (
	cxxProgram = `
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>
int main(int, char **v) {
	std::string how = v[1];
	if (how == "uncaught") { std::vector<char> x(500u << 20); return x[5]; }
	if (how == "exit") try { std::vector<char> x(500u << 20); return x[5]; } catch (std::bad_alloc &e) { puts(e.what()); exit(3); }
	try { std::vector<char> x(500u << 20); return x[5]; } catch (std::bad_alloc &) { }
	std::vector<char> y(5 << 20, 1);
	return 6 + y[3];
}`
	goProgram = `package main
import "os"
var keep [][]byte
func main() {
	if len(os.Args) > 1 { keep = append(keep, make([]byte, 3000<<20)); return }
	for { b := make([]byte, 4<<20); for i := 0; i < len(b); i += 4096 { b[i] = 1 }; keep = append(keep, b) }
}`
	javaProgram = `public class Main {
	static void threads() {
		while (true) { Thread t = new Thread(() -> { try { Thread.sleep(100000); } catch (Exception e) { } }); t.setDaemon(true); t.start(); }
	}
	public static void main(String[] a) { if (a.length == 0) threads(); System.exit(3); }
}`
)

// languageEnds are the ways in which runtimes give up.
func languageEnds() (all []ending) {
	python := func(name, script, blamed string) {
		all = append(all, ending{name: "python, " + name, argv: prlimit("--as=150000000", "python3", "-c", script), cause: "limit", blamed: blamed})
	}
	python("bytearray", `x = bytearray(500 << 20)`, `mmap of 500M refused: as .*`)
	python("a list of large ones", "x = []\nwhile 1: x.append(bytearray(1 << 20))", `.* refused: as .*`)
	python("a list of small ones", "x = []\nwhile 1: x.append(object())", `.* refused: as .*`)
	python("a dict", "d = {}; i = 0\nwhile 1: d[i] = str(i); i += 1", `.* refused: as .*`)
	python("mmap", "import mmap\nx = []\nwhile 1: x.append(mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))", `mmap of 1M refused: as .*`)
	python("exits", "try: x = bytearray(500 << 20)\nexcept MemoryError: raise SystemExit(3)", `mmap of 500M refused: as .*`)
	python("logs", "import logging\ntry: x = bytearray(500 << 20)\nexcept MemoryError:\n  logging.exception('no'); raise SystemExit(1)", `mmap of 500M refused: as .*`)
	python("deep", "def f(n):\n  if n: return f(n - 1)\n  return bytearray(500 << 20)\nf(200)", `mmap of 500M refused: as .*`)
	python("another exception", "try: x = bytearray(500 << 20)\nexcept MemoryError as e: raise ValueError('no') from e", `mmap of 500M refused: as .*`)
	all = append(all, ending{name: "python, script", argv: prlimit("--as=150000000", "python3", "main.py"), cause: "limit", blamed: `mmap of 500M refused: as .*`,
		files: map[string]string{"main.py": strings.Repeat("# a long file\n", 3000) + "import json, socket\ndef f(n):\n    return f(n - 1) if n else bytearray(500 << 20)\nf(30)\n"}},
		ending{name: "python, commit", argv: []string{"python3", "-c", "x = bytearray(512 << 20)"}, flags: "--limit commit=64M", cause: "limit",
			blamed: `mmap of 512M refused: commit [0-9.]+M used \+ 512M > limit 64M`, status: "exit 1"})
	perl := func(name, script string) {
		all = append(all, ending{name: "perl, " + name, argv: prlimit("--as=100000000", "perl", "-e", script), cause: "limit", blamed: `.* refused: as .*`})
	}
	perl("string", `my $n = 500 << 20; my $x = "x" x $n;`)
	perl("strings", `my @l; while (1) { push @l, "x" x 100000 }`)
	perl("list", `my @l; while (1) { push @l, 1 }`)
	sh := func(name string, argv ...string) {
		all = append(all, ending{name: name, argv: argv, cause: "limit", blamed: `.* refused: as .*`})
	}
	sh("awk", prlimit("--as=60000000", "mawk", `BEGIN { while (1) a[i++] = i }`)...)
	sh("bash", prlimit("--as=30000000", "bash", "-c", `x=$(head -c 80000000 /dev/zero | tr "\0" x)`)...)
	cxx := func(how string, e ending) {
		e.name, e.argv, e.build = "c++, "+how, prlimit("--as=100000000", "cxx/prog", how), "cxx"
		all = append(all, e)
	}
	cxx("uncaught", ending{cause: "limit", blamed: `mmap of 500M refused: as .*`, status: "signal: aborted"})
	cxx("exit", ending{cause: "limit", blamed: `mmap of 500M refused: as .*`, status: "exit 3"})
	cxx("goes on", ending{cause: "exited", status: "exit 7"})
	for name, x := range map[string]struct {
		cause, blamed string
		argv          []string
	}{
		"node, buffers":    {"limit", ".* refused: data .*", prlimit("--data=500000000", "node", "-e", `let l = []; while (1) l.push(Buffer.alloc(10 << 20, 1))`)},
		"node, exits":      {"limit", ".* refused: data .*", prlimit("--data=500000000", "node", "-e", `try { Buffer.alloc(1000 << 20, 1) } catch (e) { process.exit(3) }`)},
		"node, goes on":    {"exited", "", prlimit("--data=500000000", "node", "-e", `try { Buffer.alloc(1000 << 20, 1) } catch (e) { }; let b = Buffer.alloc(30 << 20, 1); process.exit(3)`)},
		"node, heap":       {"limit", ".* refused: data .*", prlimit("--data=400000000", "node", "-e", `let l = []; while (1) l.push(new Array(1000000).fill(1.5))`)},
		"go, all there is": {"limit", ".* refused: data .*", prlimit("--data=150000000", "go/prog")},
		"go, too much":     {"limit", ".* refused: data .*", prlimit("--data=150000000", "go/prog", "big")},
		"java, heap":       {"limit", ".* refused: as .*", prlimit("--as=1300000000", "java", "-Xint", "-XX:+UseSerialGC", "-Xmx1200m", "-cp", "java", "Main")},
		"java, commit":     {"limit", ".* refused: commit .*", []string{"java", "-Xms256m", "-Xmx256m", "-version"}},
		"java, threads":    {"limit", ".* refused: as .*", prlimit("--as=1900000000", "java", "-Xint", "-XX:+UseSerialGC", "-Xmx64m", "-cp", "java", "Main")},
	} {
		e := ending{name: name, argv: x.argv, cause: x.cause, blamed: x.blamed, bulky: true}
		if lang, _, _ := strings.Cut(name, ","); lang != "node" {
			e.build = lang
		}
		if strings.HasSuffix(name, "commit") {
			e.flags = "--limit commit=64M"
		}
		all = append(all, e)
	}
	return all
}

// survivors were refused memory, and ended of something else.
func survivors() (all []ending) {
	add := func(name, steps, cause, status string) {
		all = append(all, ending{name: "survivor, " + name, steps: steps, cause: cause, status: status})
	}
	for _, end := range []struct{ step, cause, status string }{
		{"exit:0", "exited", "exit 0"}, {"exit:1", "exited", "exit 1"}, {"exit:7", "exited", "exit 7"}, {"say exit:3", "exited", "exit 3"},
		{"kill:9", "signal", "signal: killed"}, {"raise:15", "signal", "signal: terminated"}, {"murder:15", "signal", "signal: terminated"},
		{"abort", "signal", "signal: aborted"}, {"null", "signal", "signal: segmentation fault"}, {"murder:6", "signal", "signal: aborted"},
	} {
		add("smaller mmap, "+end.step, "as:100M mmap:500M mmap:1M "+end.step, end.cause, end.status)
		add("smaller malloc, "+end.step, "as:100M malloc:500M malloc:400K "+end.step, end.cause, end.status)
		add("goes on, "+end.step, "as:100M malloc:500M deep:1M deep:1M "+end.step, end.cause, end.status)
		add("commit, "+end.step, "mmap:500M malloc:500M mmap:16M "+end.step, end.cause, end.status)
		all[len(all)-1].flags = "--limit commit=64M"
	}
	for step, x := range map[string]struct{ cause, status string }{
		"exit:0": {"exited", "exit 0"}, "kill:9": {"signal", "signal: killed"}, "raise:15": {"signal", "signal: terminated"},
		"murder:6": {"signal", "signal: aborted"}, "murder:11": {"signal", "signal: segmentation fault"},
		"wild": {"signal", "signal: segmentation fault"}, "fpe": {"signal", "signal: floating point exception"}, "const": {"signal", "signal: segmentation fault"},
	} {
		add("nothing more is asked for, "+step, "as:100M malloc:500M "+step, x.cause, x.status)
	}
	add("an arena of malloc's, which is not needed", "as:100M thread malloc:1K end exit:7", "exited", "exit 7")
	add("the heap cannot grow, malloc maps", "data:1M mmap:500K malloc:1M none:1M exit:7", "exited", "exit 7")
	all = all[:len(all)-1]
	add("as much in another way", "as:100M sbrk:90M sbrk:20M exit:0", "exited", "exit 0")
	add("makes a child", "as:100M malloc:500M child exit:1 end exit:3", "exited", "exit 3")
	add("another stack", "catch as:100M mmap:500M mmap:1M exit:4", "exited", "exit 4")
	add("exec", "as:100M malloc:500M exec false", "exited", "exit 1")
	add("exec of one that is killed", "as:100M malloc:500M exec sh -c kill${IFS}-6${IFS}$$", "signal", "signal: aborted")
	python := func(name, end, cause, status string) {
		script := "import os, sys\ntry: x = bytearray(500 << 20)\nexcept MemoryError: pass\n" + end
		all = append(all, ending{name: "python, survivor, " + name, argv: prlimit("--as=150000000", "python3", "-c", script), cause: cause, status: status})
	}
	python("exits with 0", "", "exited", "exit 0")
	python("goes on and exits with 3", "y = [bytearray(100000) for i in range(20)]\nsys.exit(3)", "exited", "exit 3")
	python("goes on and fails", "y = [bytearray(100000) for i in range(20)]\nraise ValueError", "exited", "exit 1")
	python("smaller", "y = bytearray(5 << 20)\nsys.exit(3)", "exited", "exit 3")
	python("small ones", "y = [object() for i in range(300000)]\nsys.exit(3)", "exited", "exit 3")
	python("is killed", "os.kill(os.getpid(), 9)", "signal", "signal: killed")
	python("terminates", "os.kill(os.getpid(), 15)", "signal", "signal: terminated")
	python("goes on and aborts", "y = [bytearray(100000) for i in range(20)]\nos.abort()", "signal", "signal: aborted")
	python("runs a program", "import subprocess\nsys.exit(subprocess.call(['sh', '-c', 'exit 3']))", "exited", "exit 3")
	return all
}

// otherEnds are those of descendants, and of runsbx itself.
func otherEnds() (all []ending) {
	add := func(name, steps string, lines int, cause, status string) {
		all = append(all, ending{name: name, steps: steps, lines: lines, cause: cause, status: status})
	}
	add("a child", "as:50M child malloc:500M exit:1 end exit:0", 1, "exited", "exit 0")
	add("a child, and a status of its own", "as:50M child malloc:500M exit:1 end exit:5", 1, "exited", "exit 5")
	add("a child that aborts", "as:50M child malloc:500M abort end exit:5", 1, "exited", "exit 5")
	add("a child that survives", "as:50M child malloc:500M malloc:1M exit:1 end exit:5", 0, "exited", "exit 5")
	add("a child of vfork", "as:50M vfork mmap:500M quit:1 end exit:5", 1, "exited", "exit 5")
	add("a child of vfork that executes", "as:50M vfork mmap:500M exec false end exit:5", 0, "exited", "exit 5")
	add("a daemon", "as:50M daemon mmap:500M quit:1 end exit:5", 1, "exited", "exit 5")
	add("a grandchild", "as:50M child child mmap:500M quit:1 end exit:2 end exit:5", 1, "exited", "exit 5")
	add("two children", "as:50M child mmap:500M quit:1 end child malloc:500M abort end", 2, "exited", "exit 0")
	add("a child's stack", "child recurse end exit:5", 1, "exited", "exit 5")
	add("the parent's refusal is not its child's", "as:50M mmap:500M child quit:3 end mmap:1M exit:5", 0, "exited", "exit 5")
	shell := func(name, script string, lines int, status string) {
		all = append(all, ending{name: "shell, " + name, argv: []string{"bash", "-c", script}, lines: lines, cause: "exited", status: status})
	}
	const fails = `(ulimit -v 100000; python3 -c "x = bytearray(500 << 20)")`
	shell("a job", fails+`; exit 4`, 1, "exit 4")
	shell("its status", fails, 1, "exit 1")
	shell("jobs", fails+" & "+fails+" & wait", 2, "exit 0")
	shell("a pipeline", fails+" | cat", 1, "exit 0")
	shell("status 0", `(ulimit -v 100000; python3 -c "
try: x = bytearray(500 << 20)
except MemoryError: pass"); exit 6`, 0, "exit 6")
	for name, e := range map[string]ending{
		"a trace that cannot be written":                {flags: "--trace /dev/full", steps: "exit:0", cause: "runsbx", status: "exit 125"},
		"a trace that cannot be written, and a refusal": {flags: "--trace /dev/full", steps: "as:50M mmap:500M exit:1", cause: "runsbx", status: "exit 125", lines: 1},
		"there is no program":                           {argv: []string{"env", "-i"}, cause: "exited"},
	} {
		e.name = name
		all = append(all, e)
	}
	return all
}
