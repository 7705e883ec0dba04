// Command demo shows the main job of runsbx on real programs. `make demo` runs it with the path of
// the runsbx binary.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/runsbx/runsbx/sandbox"
)

const hello = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	size_t n = 64 << 20;
	char *p = malloc(n);
	if (!p)
		return 1;
	memset(p, 1, n);
	printf("hello from a program that was compiled in the sandbox; its 64 MiB are at %p\n", (void *)p);
	free(p);
	return 0;
}
`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo RUNSBX")
		os.Exit(2)
	}
	if err := demo(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func demo(runsbx string) error {
	runsbx, err := filepath.Abs(runsbx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "runsbx-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "hello.c"), []byte(hello), 0o666); err != nil {
		return err
	}
	d := demonstration{runsbx: runsbx, dir: dir}

	fmt.Println("1. A C program is compiled by gcc and run, in the sandbox. Every call that changes an address")
	fmt.Println("   space is decided by runsbx, and compared with the kernel's own list of mappings.")
	const build = "gcc -O1 -o hello hello.c && ./hello && seq 100000 | sort -rn | head -n 1"
	out, took, err := d.run("--verify", "every", "--report", "report.json", "--trace", "trace.jsonl", "--", "sh", "-c", build)
	if err != nil {
		return err
	}
	fmt.Print(out)

	fmt.Println("\n2. Addresses follow from a seed: twice seed 7, then seed 8.")
	var maps []string
	for _, seed := range []string{"7", "7", "8"} {
		out, _, err := d.run("--aslr", "seed="+seed, "--", "./hello")
		if err != nil {
			return err
		}
		fmt.Printf("   seed %s: %s\n", seed, out[strings.LastIndex(out, " ")+1:len(out)-1])
		maps = append(maps, out)
	}
	if maps[0] != maps[1] || maps[0] == maps[2] {
		return errors.New("the addresses do not follow from the seed")
	}
	return d.summary(took)
}

type demonstration struct {
	runsbx string
	dir    string
}

// run shows and runs one command line of runsbx and returns the program's output.
func (d *demonstration) run(args ...string) (string, time.Duration, error) {
	shown := slices.Clone(args)
	for i, a := range shown {
		if strings.Contains(a, " ") {
			shown[i] = "'" + a + "'"
		}
	}
	fmt.Printf("\n   $ runsbx run %s\n", strings.Join(shown, " "))
	cmd := exec.Command(d.runsbx, append([]string{"run"}, args...)...)
	cmd.Dir = d.dir
	cmd.Stderr = os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return "", 0, fmt.Errorf("runsbx run: %w", err)
	}
	return string(out), time.Since(start), nil
}

// summary prints what the report of the first run says.
func (d *demonstration) summary(took time.Duration) error {
	b, err := os.ReadFile(filepath.Join(d.dir, "report.json"))
	if err != nil {
		return err
	}
	var r sandbox.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	trace, err := os.ReadFile(filepath.Join(d.dir, "trace.jsonl"))
	if err != nil {
		return err
	}
	var decided uint64
	names := make([]string, 0, len(r.Calls))
	for name, n := range r.Calls {
		decided += n.Decided
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(r.Calls[b].Decided) - int(r.Calls[a].Decided) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, r.Calls[name].Decided)
	}
	const mib = 1 << 20
	fmt.Printf(`
Summary of the first run, from its report
   processes   %d, which executed %d programs in %.1f s
   decided     %d calls: %s
   verified    %d times against the kernel's own list of mappings
   drift       %d
   refused     %d
   peak        %d mappings, %.1f MiB mapped, %.1f MiB of data, in one address space
   trace       %d lines
`, r.Processes, r.Execs, took.Seconds(), decided, strings.Join(names, ", "), r.Verified, r.DriftCount, r.Refused,
		r.Peak.MapCount, float64(r.Peak.TotalVM)/mib, float64(r.Peak.DataVM)/mib, strings.Count(string(trace), "\n"))
	if r.DriftCount != 0 || r.Verified == 0 || decided == 0 {
		return errors.New("the report does not look right")
	}
	return nil
}
