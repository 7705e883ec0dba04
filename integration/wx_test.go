package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWX: what is written is not executed with --wx deny, is executed and told of with --wx audit, and what is
// excepted is executed. integration/escape has the ways around.
func TestWX(t *testing.T) {
	t.Parallel()
	need(t, "gcc")
	wxuser := guest(t, "wxuser", "-ldl")
	rootAndUser(t, func(t *testing.T, p program) {
		dir := base(t)
		compile := func(name, source string, flags ...string) string {
			path := filepath.Join(dir, name)
			cmd := exec.Command("gcc", append(flags, "-x", "c", "-o", path, "-")...)
			cmd.Stdin = strings.NewReader(source)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if p.asUser && os.Getuid() == 0 {
				if err := os.Chown(path, 65534, 65534); err != nil {
					t.Fatal(err)
				}
			}
			return path
		}
		lib := compile("lib.so", "int answer(void) { return 43; }", "-shared", "-fPIC")
		old := compile("old", `#include <stdio.h>
int main(void) { puts("44"); }`)
		own := filepath.Join(dir, "own")
		make := []string{"sh", "-c", "cp old own && ./own || echo refused"}
		for _, x := range []struct {
			name, flags string
			argv        []string
			want        string
			why         string // of what is found; "" for nothing
			file        string
		}{
			{"code", "--wx deny", []string{wxuser, "jit"}, "mprotect: EACCES", "memory of no file", ""},
			{"code", "--wx audit", []string{wxuser, "jit"}, "42", "memory of no file", ""},
			{"code", "--wx allow", []string{wxuser, "jit"}, "42", "", ""},
			{"code", "--wx deny --wx-except program=" + wxuser, []string{wxuser, "jit"}, "42", "", ""},
			{"library", "--wx deny", []string{wxuser, "lib", lib}, "not loaded", "a file that the program can change", lib},
			{"library", "--wx audit", []string{wxuser, "lib", lib}, "43", "a file that the program can change", lib},
			{"library", "--wx deny --wx-except file=" + lib, []string{wxuser, "lib", lib}, "43", "", ""},
			{"program that was there", "--wx deny", []string{wxuser, "run", old}, "44", "", ""},
			{"program that it made", "--wx deny", make, "refused", "a file that the program can change", own},
			{"program that it made", "--wx audit", make, "44", "a file that the program can change", own},
		} {
			t.Run(x.name+", "+strings.ReplaceAll(x.flags, dir, "DIR"), func(t *testing.T) {
				os.Remove(own)
				p.flags = strings.Fields(x.flags)
				r, rep := p.underDefaults(t, dir, x.argv...)
				if got := strings.TrimSpace(r.stdout); got != x.want || rep.Failure != "" || rep.DriftCount != 0 {
					t.Errorf("%q, want %q; failure %q, drift %d\n%s", got, x.want, rep.Failure, rep.DriftCount, r.stderr)
				}
				text, err := os.ReadFile(filepath.Join(dir, "report.json"))
				if err != nil {
					t.Fatal(err)
				}
				var found struct {
					Count uint64 `json:"wx_count"`
					WX    []struct {
						Call, IP, File, Why string
						Size                uint64
						Denied              bool
					} `json:"wx"`
				}
				if err := json.Unmarshal(text, &found); err != nil {
					t.Fatal(err)
				}
				if x.why == "" {
					if found.Count != 0 {
						t.Errorf("found %+v", found)
					}
					return
				}
				if found.Count == 0 || found.WX[0].Why != x.why || found.WX[0].File != x.file || found.WX[0].Denied != strings.Contains(x.flags, "deny") {
					t.Errorf("found %+v, want %q in %q", found, x.why, x.file)
				}
				if x.name == "code" && (found.WX[0].Call != "mprotect" || found.WX[0].Size != 4096 || found.WX[0].IP == "") {
					t.Errorf("found %+v", found.WX[0])
				}
			})
		}
	})
}

// TestWXExecMeanwhile executes a program while other threads are in the middle of mapping libraries.
func TestWXExecMeanwhile(t *testing.T) {
	t.Parallel()
	need(t, "gcc")
	p := program{argv: []string{guest(t, "execlibs", "-pthread")}, flags: []string{"--wx", "deny"}, want: "done"}
	p.check(t)
}
