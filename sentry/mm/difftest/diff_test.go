//go:build linux && amd64

package difftest

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seeds  = flag.Int("seeds", 32, "how many random guests")
	calls  = flag.Int("calls", 250, "calls in each guest")
	first  = flag.Int("first", 1, "the first seed")
	jobs   = flag.Int("jobs", runtime.GOMAXPROCS(0), "guests at a time")
	smaps  = flag.Int("smaps", 8, "look at the flags of all VMAs and at the counters after every so many calls")
	shrink = flag.Bool("shrink", true, "shorten a failing run")
	keep   = flag.String("keep", "", "write the transcripts of all runs into this directory")
	record = flag.Bool("record", false, "make the transcripts in testdata anew from the running kernel")
)

// bySeed are the conditions of a random guest: all combinations, evenly.
func bySeed(seed int) conditions {
	return conditions{privileged: seed%2 == 0, bottomUp: seed/2%3 == 0}
}

// total sums up runs.
type total struct {
	calls, unsure map[string]int
	steps, texts  int
}

func (t *total) add(x *model, text string) {
	for name, n := range x.calls {
		t.calls[name] += n
		t.steps += n
	}
	for name, n := range x.unsure {
		t.unsure[name] += n
	}
	t.texts += len(text)
}

// TestKernel makes random runs on the kernel and on the model, and then again, from the transcript,
// on the model alone.
func TestKernel(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to start privileged and unprivileged guests")
	}
	w := newWorld(t)
	sum := total{calls: map[string]int{}, unsure: map[string]int{}}
	begin, next := time.Now(), *first
	var lock sync.Mutex // next, sum, and who may report
	var group sync.WaitGroup
	for range max(*jobs, 1) {
		group.Go(func() {
			for {
				lock.Lock()
				seed := next
				next++
				lock.Unlock()
				if seed >= *first+*seeds || t.Failed() {
					return
				}
				r, d := w.random(bySeed(seed), uint64(seed))
				for range 10 {
					if d == "" || r.x == nil || *config() == r.config {
						break
					}
					// The model was told of another machine: the run shows nothing, whatever came out.
					t.Logf("seed %d is run again: somebody changed the machine's settings", seed)
					time.Sleep(time.Second)
					r, d = w.random(bySeed(seed), uint64(seed))
				}
				text := ""
				if d == "" {
					text = r.rec.b.String()
					if _, err := replay(text); err != nil {
						d = fmt.Sprintf("the transcript: %v", err)
					}
				}
				if err := keepTranscript(text, seed); err != nil {
					d = err.Error()
				}
				lock.Lock()
				if d != "" {
					w.report(t, seed, r, d)
				} else {
					sum.add(r.x, text)
				}
				lock.Unlock()
			}
		})
	}
	group.Wait()
	t.Logf("%d steps in %d guests and, from transcripts of %d kB, on the model alone, %v; no difference: %v",
		sum.steps, *seeds, sum.texts>>10, time.Since(begin).Round(time.Millisecond), !t.Failed())
	t.Logf("steps: %v", sum.calls)
	t.Logf("adopted, since the model is unsure: %v", sum.unsure)
}

func keepTranscript(text string, seed int) error {
	if *keep == "" || text == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(*keep, fmt.Sprintf("seed-%d.transcript", seed)), []byte(text), 0o644)
}

// report shortens a failing run and shows it.
func (w *world) report(t *testing.T, seed int, r *run, d string) {
	t.Errorf("seed %d, step %d: %s", seed, len(r.ops), d)
	if r.x == nil {
		return
	}
	if *shrink {
		ops := w.shrink(bySeed(seed), r.ops, kind(d))
		short, again := w.replay(bySeed(seed), ops, 1)
		if again != "" {
			r, d = short, again
			t.Errorf("shortened to %d steps: %s", len(r.ops), d)
		}
	}
	text := r.rec.b.String()
	_, steps, _ := strings.Cut(text, "\nbegin\n")
	if n := len(steps); n > 4000 {
		steps = "...\n" + steps[n-4000:]
	}
	t.Log(steps)
	t.Log(dump(r.x.now().m, &r.st))
	if *keep != "" {
		os.WriteFile(filepath.Join(*keep, "failed.transcript"), []byte(text), 0o644)
	}
}

// random makes random calls until the sides differ.
func (w *world) random(c conditions, seed uint64) (*run, string) {
	every := *smaps
	if seed%16 == 0 {
		every = 1
	}
	r, err := w.start(c, every, []string{fmt.Sprintf("random run %d", seed)})
	if err != nil {
		return &run{}, err.Error()
	}
	defer r.g.stop()
	if d := compare(r.x.now().m, &r.st); d != "" {
		return r, "at the start: " + d
	}
	g := &gen{rand: rand.New(rand.NewPCG(seed, 1)), x: r.x, protected: r.protected}
	for range *calls {
		if d := r.step(g.next()); d != "" {
			return r, d
		}
	}
	for i := range r.x.procs { // also of those that have rested
		if d := r.step(op{opLook, [6]uint64{uint64(i)}}); d != "" {
			return r, d
		}
	}
	return r, ""
}

// replay makes the calls again.
func (w *world) replay(c conditions, ops []op, smaps int, story ...string) (*run, string) {
	r, err := w.start(c, smaps, story)
	if err != nil {
		return &run{}, err.Error()
	}
	defer r.g.stop()
	for _, o := range ops {
		if n := o.args[0]; (o.nr == opSwitch || o.nr == opLook) && (n >= uint64(len(r.x.procs)) || o.nr == opSwitch && n == uint64(r.x.cur)) {
			continue // the fork was left out
		}
		if d := r.step(o); d != "" {
			return r, d
		}
	}
	return r, ""
}

// shrink leaves out calls as long as the run still fails.
func (w *world) shrink(c conditions, ops []op, like string) []op {
	end, every := time.Now().Add(30*time.Second), 1
	if !strings.Contains(like, "flags") && !strings.Contains(like, "pages (") {
		every = math.MaxInt // faster
	}
	for round := true; round && time.Now().Before(end); {
		round = false
		for size := max(len(ops)/2, 1); size > 0; size /= 2 {
			for at := len(ops) - size; at >= 0; at -= size {
				if at+size > len(ops) || time.Now().After(end) {
					continue
				}
				fewer := slices.Delete(slices.Clone(ops), at, at+size)
				if r, d := w.replay(c, fewer, every); d != "" && kind(d) == like {
					ops, round = r.ops, true
				}
			}
		}
	}
	return ops
}

// kind is what two failures of one cause have in common: the message without numbers.
func kind(fail string) string {
	if name, rest, ok := strings.Cut(fail, ": "); ok && strings.Contains(rest, "in the kernel") {
		name, _, _ = strings.Cut(name, " ")
		fail = name + ": " + rest // without the arguments
	}
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' {
			return -1
		}
		return c
	}, fail)
}
