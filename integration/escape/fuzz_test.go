package escape

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

var (
	fuzzFor  = flag.Duration("fuzz-for", 5*time.Second, "how long each run of random calls is")
	fuzzSeed = flag.Int("fuzz-seed", 1, "the seed of the first of these runs")
)

// TestRandomCalls makes random calls in the default profile, until the timeout ends all of it: nothing
// outside notices, the supervisor does not fail, and nothing is left.
//
//	go test ./integration/escape -run TestRandomCalls -fuzz-for 15m -timeout 0
func TestRandomCalls(t *testing.T) {
	t.Parallel()
	for i, verify := range []string{"every", "off"} {
		for _, u := range users() {
			t.Run(fmt.Sprintf("verify %s, as %s", verify, u.name), func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, u, attack{name: "fuzzcalls"})
				tag := newTag()
				ctx, cancel := context.WithTimeout(context.Background(), *fuzzFor+2*hangGuard)
				defer cancel()
				defer killTagged(tag)
				dir := mkdirTemp(t, root, "r")
				p.give(t, dir, 0o700)
				file := filepath.Join(dir, "report.json")
				// Half of the time is the program's; what it has started goes on until the timeout.
				argv := slices.Concat(u.prefix, []string{runsbx, "run", "--wx", "deny", "--verify", verify, "--report", file,
					"--timeout", fuzzFor.String(), "--", p.program, strconv.Itoa(*fuzzSeed + i), strconv.Itoa(int(fuzzFor.Seconds())/2 + 1)})
				out, err := command(ctx, p.work, tag, p.env, argv).CombinedOutput()
				left := tagged(tag)
				for end := time.Now().Add(2 * time.Second); len(left) != 0 && time.Now().Before(end); left = tagged(tag) {
					time.Sleep(50 * time.Millisecond)
				}
				if len(left) != 0 {
					t.Errorf("%v are left", left)
				}
				if hits := p.canary.hits(t); hits != untouched {
					t.Errorf("the process outside: %s", hits)
				}
				p.checkFiles(t)
				text, rerr := os.ReadFile(file)
				var report struct {
					Cause, Failure string
					Processes      uint64
					DriftCount     uint64 `json:"drift_count"`
				}
				if rerr == nil {
					rerr = json.Unmarshal(text, &report)
				}
				if rerr != nil || report.Failure != "" || report.DriftCount != 0 || report.Processes < 4 {
					t.Errorf("report: %+v, %v; ended with %v\n%s", report, rerr, err, tail(string(out)))
				}
			})
		}
	}
}
