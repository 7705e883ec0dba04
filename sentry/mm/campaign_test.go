package mm

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	campaignOps  = flag.Uint64("ops", 60_000, "calls that TestCampaign makes, at least")
	campaignSeed = flag.Uint64("first", 1, "TestCampaign's first seed; each address space has its own")
)

// callsPerSeed is how many calls an address space of the campaign sees.
const callsPerSeed = 250

// worldFor returns the world of the n'th address space. That of huge pages is as slow as it is large.
func worldFor(n uint64) *world {
	if n%1024 == 1023 {
		return &worlds[3]
	}
	return &worlds[n%3]
}

// TestCampaign makes random calls on the manager and on the page model, and compares all that can be
// compared after each. A seed that fails fails again alone:
//
//	go test ./sentry/mm -run TestCampaign -first SEED -ops 1
//
// A long one needs `-timeout 0`.
func TestCampaign(t *testing.T) {
	start, spaces := time.Now(), (*campaignOps+callsPerSeed-1)/callsPerSeed
	var next atomic.Uint64
	var failed atomic.Bool
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for n := next.Add(1) - 1; n < spaces && !failed.Load(); n = next.Add(1) - 1 {
				seed, calls := *campaignSeed+n, 0
				rng := rand.New(rand.NewPCG(seed, 0))
				more := func() bool { calls++; return calls <= callsPerSeed }
				if err := randomCalls(rng.IntN, worldFor(seed), more); err != nil {
					failed.Store(true)
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
	workers.Wait()
	spent, made := time.Since(start), spaces*callsPerSeed
	t.Logf("%d calls in %d address spaces, seeds %d to %d, in %v: %.0f a second", made, spaces,
		*campaignSeed, *campaignSeed+spaces-1, spent.Round(time.Millisecond), float64(made)/spent.Seconds())
}

// randomCalls makes random calls in a new address space for as long as there are more, and reports what
// the first failure comes down to.
func randomCalls(d dice, w *world, more func() bool) error {
	g := &generator{d: d, w: w}
	variant := g.settings()
	g.w, g.p = &variant, newPair(&variant)
	var calls []call
	for more() {
		c := g.call()
		calls = append(calls, c)
		if err := g.p.do(c); err != nil {
			return fmt.Errorf("%v: %w; in short: %s", c, err, report(g.w, calls))
		}
	}
	return nil
}

// report says what calls, the last of which failed, come down to.
func report(w *world, calls []call) string {
	calls = shrink(w, calls)
	_, err := runCallList(w, calls)
	var b strings.Builder
	fmt.Fprintf(&b, "world %q, overcommit %d, memory %d, shmem huge %v: %v\n", w.name, w.cfg.Overcommit, w.cfg.Memory, w.cfg.ShmemHuge, err)
	for _, c := range calls {
		fmt.Fprintf(&b, "\t%v,\n", c)
	}
	return b.String()
}

// TestPages is the campaign with rapid's dice, which know how to make failures small.
func TestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }
		calls := d(60)
		if err := randomCalls(d, &worlds[d(len(worlds)-1)], func() bool { calls--; return calls >= 0 }); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzPages is the campaign with the fuzzer's bytes as dice: it looks for calls that reach new code.
func FuzzPages(f *testing.F) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := func(n int) int {
			v := 0
			for m := n - 1; m > 0 && len(data) > 0; m >>= 8 {
				v, data = v<<8|int(data[0]), data[1:]
			}
			return v % n
		}
		calls := 0
		if err := randomCalls(d, &worlds[d(len(worlds)-1)], func() bool { calls++; return calls <= 200 && len(data) > 0 }); err != nil {
			t.Fatal(err)
		}
	})
}
