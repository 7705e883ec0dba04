package integration

import (
	"path/filepath"
	"regexp"
	"testing"
)

// shmInode is the inode of shared memory, which counts up from mapping to mapping.
var shmInode = regexp.MustCompile(`( 00:[0-9a-f]{2} )\d+`)

// mapsPrograms print their own mappings.
func mapsPrograms(t *testing.T) map[string]program {
	normal := func(s string) string { return shmInode.ReplaceAllString(s, "${1}INODE") }
	python := []string{"python3", "-c", `
import mmap, threading, ctypes
keep = [mmap.mmap(-1, 4096 * (i * 7 % 50 + 1)) for i in range(100)]
for i in range(0, 100, 3): keep[i].close()
t = threading.Thread(target=lambda: keep.append(mmap.mmap(-1, 65536))); t.start(); t.join()
print(open("/proc/self/maps").read())`}
	varied := guest(t, "varied")
	ps := map[string]program{
		"cat":    {argv: []string{"cat", "/proc/self/maps"}},
		"sh":     {argv: []string{"sh", "-c", "cat /proc/self/maps; cat /proc/$$/maps"}},
		"python": {argv: python, env: []string{"PYTHONHASHSEED=0"}},
		"varied": {argv: []string{varied, varied}},
		"static": {argv: []string{guest(t, "varied", "-static-pie"), varied}},
	}
	for name, p := range ps {
		p.normal = normal
		p.want = "[stack]"
		ps[name] = p
	}
	return ps
}

// maps runs the program in the sandbox and returns what it printed.
func (p program) maps(t *testing.T, flags ...string) string {
	t.Helper()
	p.flags = flags
	dir := base(t)
	file := filepath.Join(dir, "report.json")
	r := p.run(t, dir, p.runsbxArgs(file))
	p.expect(t, "sandboxed", r)
	p.checkReport(t, file)
	return p.normal(r.stdout)
}

// TestSeed: one seed gives one list of mappings, another seed another list.
func TestSeed(t *testing.T) {
	t.Parallel()
	for name, p := range mapsPrograms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := p.maps(t, "--aslr", "seed=7")
			if second := p.maps(t, "--aslr", "seed=7"); second != first {
				t.Errorf("two runs with one seed differ:\n%s", difference(first, second))
			}
			if other := p.maps(t, "--aslr=seed=8"); other == first {
				t.Error("seed 7 and seed 8 give the same mappings")
			}
		})
	}
}

// TestASLROn: without a seed two runs differ, as natively.
func TestASLROn(t *testing.T) {
	t.Parallel()
	p := mapsPrograms(t)["cat"]
	if p.maps(t, "--aslr", "on") == p.maps(t, "--aslr", "on") {
		t.Error("two runs have the same mappings")
	}
}

// TestASLROff: the mappings are those that the kernel gives with randomization off.
func TestASLROff(t *testing.T) {
	t.Parallel()
	need(t, "setarch")
	for name, p := range mapsPrograms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := base(t)
			native := p.run(t, dir, []string{"setarch", "-R"})
			p.expect(t, "natively", native)
			if d := difference(p.normal(native.stdout), p.maps(t, "--aslr", "off")); d != "" {
				t.Errorf("stdout differs:\n%s", d)
			}
		})
	}
}
