package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	var b bench
	flag.IntVar(&b.rounds, "rounds", 5, "how often each workload is run under each contestant, after a round that does not count")
	flag.BoolVar(&b.busy, "busy", false, "keep each cpu half busy with something else")
	runsbx := flag.String("runsbx", "bin/runsbx", "the program")
	only := flag.String("only", "", "run workloads only that match this regular expression")
	under := flag.String("under", "", "and contestants, besides native")
	flag.Parse()
	if err := b.start(*runsbx, *only, *under, flag.NArg()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	failed := b.run(ctx)
	stop()
	os.RemoveAll(b.dir)
	fmt.Println(b.conditions())
	fmt.Println()
	b.results.print(os.Stdout, b.works, b.all)
	if failed {
		os.Exit(1)
	}
}

// bench is one interleaved run.
type bench struct {
	rounds  int
	busy    bool
	dir     string // of what is compiled and written
	works   []workload
	all     []contestant
	results results
}

// start makes ready for the run.
func (b *bench) start(runsbx, only, under string, args int) error {
	work, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	who, err := regexp.Compile(under)
	if err != nil {
		return fmt.Errorf("-under: %w", err)
	}
	if b.rounds < 1 || args != 0 {
		return fmt.Errorf("-rounds is at least 1, and there are no arguments")
	}
	if runsbx, err = filepath.Abs(runsbx); err != nil {
		return err
	}
	if _, err := os.Stat(runsbx); err != nil {
		return fmt.Errorf("%w (make build makes it)", err)
	}
	if b.dir, err = os.MkdirTemp("", "runsbx-bench-"); err != nil {
		return err
	}
	if err := prepare(b.dir); err != nil {
		os.RemoveAll(b.dir)
		return err
	}
	b.results = make(results)
	b.works = slices.DeleteFunc(workloads(b.dir), func(w workload) bool { return !work.MatchString(w.name) })
	b.all = slices.DeleteFunc(contestants(b.dir, runsbx), func(c contestant) bool {
		return c.name != "native" && !who.MatchString(c.name)
	})
	return nil
}

// run runs everything, and says what cannot be. A contestant that fails at a workload is not asked again.
// Round 0 does not count: it fills caches, natively.
func (b *bench) run(ctx context.Context) (failed bool) {
	if b.busy {
		defer halfBusy()()
	}
	out := make(map[string]bool)
	for round := range b.rounds + 1 {
		for i := range b.works {
			w := &b.works[i]
			for k := range b.all {
				c := &b.all[(k+round)%len(b.all)]
				if ctx.Err() != nil {
					return true
				}
				if w.real && c.floor || out[w.name+c.name] || round == 0 && c.prefix != nil {
					continue
				}
				cost, err := w.run(c, b.dir)
				if err != nil {
					fmt.Fprintf(os.Stderr, "bench: %s: %s: %v\n", c.name, w.name, err)
					out[w.name+c.name], failed = true, true
					continue
				}
				if round > 0 {
					b.results.add(w, c, cost)
				}
			}
			fmt.Fprintf(os.Stderr, "\rround %d of %d, workload %d of %d ", round, b.rounds, i+1, len(b.works))
		}
	}
	fmt.Fprintln(os.Stderr)
	return failed
}

// conditions says what the figures hold for.
func (b *bench) conditions() string {
	var u unix.Utsname
	unix.Uname(&u)
	busy := ""
	if b.busy {
		busy = ", each half busy with something else"
	}
	return fmt.Sprintf("Medians of %d interleaved rounds, in brackets as multiples of native's. Linux %s, %d cpus%s, as user %d.",
		b.rounds, unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), busy, os.Getuid())
}

// halfBusy keeps each cpu busy half of the time, a millisecond in two, until stop is called.
func halfBusy() (stop func()) {
	done := make(chan bool)
	for range runtime.NumCPU() {
		go func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				for start := time.Now(); time.Since(start) < time.Millisecond; {
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	return func() { close(done) }
}
