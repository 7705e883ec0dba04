package mm

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
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
func TestCampaign(t *testing.T) {
	start, made, seed := time.Now(), uint64(0), *campaignSeed
	for ; made < *campaignOps; seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		g := &generator{d: rng.IntN, w: worldFor(seed)}
		w := g.settings()
		g.w = &w
		calls := make([]call, callsPerSeed)
		for i := range calls {
			calls[i] = g.call()
		}
		n, err := runCallList(&w, calls)
		made += uint64(n)
		if err != nil {
			t.Fatalf("seed %d: %s", seed, report(&w, calls[:n+1]))
		}
	}
	spent := time.Since(start)
	t.Logf("%d calls in %d address spaces, seeds %d to %d, in %v: %.0f a second", made, seed-*campaignSeed,
		*campaignSeed, seed-1, spent.Round(time.Millisecond), float64(made)/spent.Seconds())
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
		g := &generator{d: d, w: &worlds[d(len(worlds)-1)]}
		w := g.settings()
		g.w = &w
		p := newPair(&w)
		for range d(60) {
			c := g.call()
			if err := p.do(c); err != nil {
				t.Fatalf("%v: %v", c, err)
			}
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
		g := &generator{d: d, w: &worlds[d(len(worlds)-1)]}
		w := g.settings()
		g.w = &w
		var calls []call
		for len(data) > 0 && len(calls) < 200 {
			calls = append(calls, g.call())
		}
		if n, err := runCallList(&w, calls); err != nil {
			t.Fatal(report(&w, calls[:n+1]))
		}
	})
}
