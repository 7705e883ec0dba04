package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// nanoseconds is what something costs. A turn of a loop costs less than one.
type nanoseconds float64

// workload is something whose cost is measured.
type workload struct {
	name string
	unit string   // in which its cost is printed: "µs", "ms"
	args []string // the command
	real bool     // real work, which no floor runs
	user bool     // refuses root
	// cost finds the cost in what the command prints; nil: it is how long the command takes.
	cost func(out string) (nanoseconds, error)
	// before prepares the directory for one more run; nil: nothing to do.
	before func(dir string) error
}

// workloads returns those that can be run here, with programs and files that are in dir.
func workloads(dir string) []workload {
	return append(calls(dir), realWork(dir)...)
}

func calls(dir string) []workload {
	all := []workload{{name: "start and end of /bin/true", unit: "ms", args: []string{"/bin/true"}}}
	for _, c := range []struct {
		name, title string
		count       int
	}{
		{"mmap", "mmap", 32000},
		{"munmap", "munmap", 32000},
		{"touch", "mmap and munmap, 4 pages touched", 16000},
		{"file", "mmap of a file", 16000},
		{"mprotect", "mprotect", 32000},
		{"brk", "brk", 32000},
		{"mlock", "mlock, munlock", 32000},
		{"madvise", "madvise(MADV_DONTNEED)", 100000},
		{"churn", "mmap, munmap among 20,000 VMAs", 32000},
		{"mmap2", "mmap of a process of two threads", 32000},
		{"threads", "mmap, munmap in 4 threads", 64000},
		{"procs", "mmap, munmap in 4 processes", 64000},
		{"fork", "fork, exit, wait", 500},
		{"exec", "fork, exec, wait", 200},
		{"getppid", "getppid, which is not intercepted", 1000000},
		{"cpu", "a turn of a loop without calls", 200000000},
	} {
		all = append(all, workload{name: c.title, unit: "µs", cost: printed,
			args: []string{filepath.Join(dir, "work"), c.name, strconv.Itoa(c.count)}})
	}
	return all
}

// realWork returns what people do all day, where its programs are installed.
func realWork(dir string) []workload {
	var all []workload
	for _, w := range []struct {
		needs string
		workload
	}{
		{"cc", workload{name: "make -j2 of a C project", unit: "ms",
			args: []string{"make", "-s", "-j2", "-C", filepath.Join(dir, "c")}, before: cleanC}},
		{"go", workload{name: "go build", unit: "ms",
			args: []string{"sh", filepath.Join(dir, "gobuild.sh")}, before: touchGo}},
		{systemPython, workload{name: "a python test run", unit: "ms",
			args: []string{systemPython, filepath.Join(dir, "py", "test_all.py")}}},
		{"redis-benchmark", workload{name: "redis-benchmark, a request", unit: "µs",
			args: []string{"sh", filepath.Join(dir, "redis.sh")}, cost: rate(`([0-9.]+) requests per second`)}},
		{"pgbench", workload{name: "pgbench, a transaction", unit: "µs", user: true,
			args: []string{"sh", filepath.Join(dir, "pgbench.sh")}, cost: rate(`tps = ([0-9.]+)`)}},
	} {
		if _, err := exec.LookPath(w.needs); err == nil {
			w.real = true
			all = append(all, w.workload)
		}
	}
	return all
}

// systemPython is one that confined programs may read: others are in home directories.
const systemPython = "/usr/bin/python3"

// printed is the cost of what prints it.
func printed(out string) (nanoseconds, error) {
	ns, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
	return nanoseconds(ns), err
}

// rate returns the cost of one, of what prints how many it does in a second.
func rate(pattern string) func(string) (nanoseconds, error) {
	re := regexp.MustCompile(pattern)
	return func(out string) (nanoseconds, error) {
		m := re.FindStringSubmatch(out)
		if m == nil {
			return 0, fmt.Errorf("no rate in %q", out)
		}
		perSecond, err := strconv.ParseFloat(m[1], 64)
		if err == nil && perSecond <= 0 {
			err = fmt.Errorf("a rate of %v", perSecond)
		}
		return nanoseconds(1e9 / perSecond), err
	}
}

// run runs the workload once under c, and returns its cost.
func (w *workload) run(c *contestant, dir string) (nanoseconds, error) {
	if w.before != nil {
		if err := w.before(dir); err != nil {
			return 0, err
		}
	}
	args := append(append([]string{}, c.prefix...), w.args...)
	if w.user && os.Getuid() == 0 {
		args = append([]string{"setpriv", "--reuid=" + nobody, "--regid=" + nobody, "--clear-groups", "--"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir, "LC_ALL=C")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	if w.cost == nil {
		return nanoseconds(took.Nanoseconds()), nil
	}
	return w.cost(out.String())
}

const nobody = "65534"
