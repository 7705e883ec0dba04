package segment

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// prefill puts n ranges into p in a given order, since trees of several levels are where the bugs
// are and random operations alone take too long to get there.
func prefill(p *pair, n int, order string, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	perm := rng.Perm(n)
	for i := range n {
		at := i
		switch order {
		case "down":
			at = n - 1 - i
		case "random":
			at = perm[i]
		}
		start := uint64(at) * 16
		if err := p.insert(start+rng.Uint64N(4), start+8+rng.Uint64N(9), i); err != nil {
			return err
		}
	}
	return nil
}

// boundary draws an address: any in the space the ranges are in, or a bound of one, or an extreme.
func boundary(t *rapid.T, p *pair, name string) uint64 {
	kind := rapid.IntRange(0, 9).Draw(t, name+" kind")
	segs := p.model.segs
	switch {
	case kind == 0:
		return rapid.SampledFrom([]uint64{0, 1, top - 1, top}).Draw(t, name)
	case kind < 7 && len(segs) > 0:
		g := segs[rapid.IntRange(0, len(segs)-1).Draw(t, name+" index")]
		return rapid.SampledFrom([]uint64{g.Start, g.End}).Draw(t, name) + uint64(rapid.IntRange(-1, 1).Draw(t, name+" delta"))
	default:
		return rapid.Uint64Range(0, 16*uint64(len(segs)+10)).Draw(t, name)
	}
}

func present(t *rapid.T, p *pair) Segment[int] {
	if len(p.model.segs) == 0 {
		t.Skip("empty")
	}
	return p.model.segs[rapid.IntRange(0, len(p.model.segs)-1).Draw(t, "index")]
}

// TestModel runs random operations on a family of clones, each of which has its own model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		family := []*pair{newPair()}
		must(prefill(family[0], rapid.SampledFrom([]int{0, 3, fanout, 3 * fanout, 1000}).Draw(t, "n"),
			rapid.SampledFrom([]string{"up", "down", "random"}).Draw(t, "order"), rapid.Uint64().Draw(t, "seed")))
		one := func(t *rapid.T) *pair {
			return family[rapid.IntRange(0, len(family)-1).Draw(t, "set")]
		}
		next := 1 << 20
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				p := one(t)
				next++
				must(p.insert(boundary(t, p, "start"), boundary(t, p, "end"), next))
			},
			"insertInGap": func(t *rapid.T) {
				p := one(t)
				at := boundary(t, p, "at")
				if start, end, ok := p.set.GapUp(at, top, 1); ok {
					next++
					must(p.insert(start, start+min(end-start, rapid.Uint64Range(1, 8).Draw(t, "length")), next))
				}
			},
			"remove": func(t *rapid.T) {
				p := one(t)
				must(p.remove(boundary(t, p, "start")))
			},
			// The way to merged nodes.
			"removeRun": func(t *rapid.T) {
				p := one(t)
				at := present(t, p).Start
				for range rapid.IntRange(1, 4*fanout).Draw(t, "count") {
					g, ok := p.set.Find(at)
					if !ok {
						break
					}
					must(p.remove(g.Start))
				}
			},
			"update": func(t *rapid.T) {
				p := one(t)
				g := present(t, p)
				next++
				start, end := g.Start, g.End
				if rapid.Bool().Draw(t, "move start") {
					start = boundary(t, p, "start")
				}
				if rapid.Bool().Draw(t, "move end") {
					end = boundary(t, p, "end")
				}
				must(p.update(g.Start, start, end, next))
			},
			"updateInRoom": func(t *rapid.T) {
				p := one(t)
				g := present(t, p)
				next++
				below, _ := p.set.Prev(g.Start)
				above, ok := p.set.Find(g.End)
				if !ok {
					above.Start = top
				}
				start := rapid.Uint64Range(below.End, above.Start-1).Draw(t, "start")
				must(p.update(g.Start, start, rapid.Uint64Range(start+1, above.Start).Draw(t, "end"), next))
			},
			"clone": func(t *rapid.T) {
				p := one(t)
				if len(family) == 4 {
					family = family[1:]
				}
				family = append(family, p.clone())
			},
			"": func(t *rapid.T) {
				for _, p := range family {
					must(p.check())
				}
				p := one(t)
				low, high := boundary(t, p, "low"), boundary(t, p, "high")
				size := rapid.OneOf(rapid.Uint64Range(0, 20), rapid.Uint64()).Draw(t, "size")
				must(p.checkLookups(low, high, size))
			},
		})
	})
}

// FuzzSet reads operations of 8 bytes each: what, which set, and three numbers.
func FuzzSet(f *testing.F) {
	f.Add(uint16(0), []byte("\x00\x00\x01\x00\x04\x00\x02\x00\x01\x00\x01\x00\x00\x00\x00\x00"))
	f.Add(uint16(200), []byte("\x04\x00\x01\x00\x04\x00\x02\x00\x01\x01\x10\x00\x00\x00\x00\x00\x02\x01\x30\x00\x30\x00\x38\x00"))
	f.Add(uint16(2000), []byte{})
	f.Fuzz(func(t *testing.T, n uint16, ops []byte) {
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		family := []*pair{newPair()}
		must(prefill(family[0], int(n)%2048, []string{"up", "down", "random"}[n%3], uint64(n)))
		for ; len(ops) >= 8; ops = ops[8:] {
			p := family[int(ops[1])%len(family)]
			// Near a range if the top bit says so, else anywhere.
			number := func(i int) uint64 {
				v := uint64(binary.LittleEndian.Uint16(ops[i:]))
				if segs := p.model.segs; v>>15 != 0 && len(segs) > 0 {
					return segs[int(v>>1&0x3fff)%len(segs)].Start + (v & 1)
				}
				return v
			}
			a, b, c := number(2), number(4), number(6)
			switch ops[0] % 6 {
			case 0:
				must(p.insert(a, b, int(c)))
			case 1:
				must(p.remove(a))
			case 2:
				must(p.update(a, b, c, int(a)))
			case 3:
				if len(family) < 4 {
					family = append(family, p.clone())
				}
			case 4:
				for range c % (4 * fanout) {
					if g, ok := p.set.Find(a); ok {
						must(p.remove(g.Start))
					}
				}
			case 5:
				must(p.insert(a, a+1+c%32, int(b)))
			}
			must(p.checkLookups(a, b, c%64))
			must(p.set.CheckInvariants())
		}
		for _, p := range family {
			must(p.check())
		}
	})
}
