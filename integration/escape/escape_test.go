package escape

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// attack is one program of testdata.
type attack struct {
	name  string
	flags []string // for gcc

	own      bool // the program lies in the current directory, where it may be written
	terminal bool // it runs on a terminal of its own
	alone    bool // not while others run: it uses up what belongs to the user
	// hit says that its effect shows only on the canary.
	hit bool
	// mayNotStart says that refusing to run the program is right, too.
	mayNotStart bool
	// failClosed says that the attack is one on the supervisor, or on what it sees, and that it may
	// then give up (status 125).
	failClosed bool
	// known is not prevented, and documented as such: what happens is only told.
	known bool
}

// run runs the attacks of a group natively and in the sandbox.
func runAttacks(t *testing.T, attacks []attack) {
	t.Parallel()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			if !a.alone {
				t.Parallel()
			}
			for _, u := range users() {
				t.Run("natively as "+u.name, func(t *testing.T) { a.natively(t, u) })
				t.Run("confined as "+u.name, func(t *testing.T) { a.confined(t, u) })
			}
		})
	}
}

// natively shows that the attack works without a sandbox.
func (a attack) natively(t *testing.T, u user) {
	p := newPlace(t, u, a)
	r := p.run(t, a, nil, "NATIVE=1")
	hits := p.canary.hits(t)
	a.tell(t, u, "native", r, hits)
	switch {
	case a.known, r.status == "exit 0" && strings.Contains(r.stdout, "escaped"), a.hit && hits != untouched:
	case r.status == "exit 77":
		t.Skip(strings.TrimSpace(r.stdout))
	default:
		t.Errorf("the attack does not work natively: %v\nvictim: %s", r, hits)
	}
}

// confined shows that it does not in the sandbox.
func (a attack) confined(t *testing.T, u user) {
	p := newPlace(t, u, a)
	r := p.run(t, a, confinedBy())
	hits := p.canary.hits(t)
	a.tell(t, u, "confined", r, hits)
	if a.known {
		if r.status == "exit 125" {
			t.Errorf("runsbx failed: %v", r)
		}
		return
	}
	if hits != untouched {
		t.Errorf("the process outside: %s", hits)
	}
	p.checkFiles(t)
	if strings.Contains(r.stdout, "escaped") {
		t.Fatalf("escaped: %v", r)
	}
	answered := (r.status == "exit 1" || r.status == "exit 0") && strings.Contains(r.stdout, "contained:") ||
		r.status == "exit 77" && strings.Contains(r.stdout, "not here:")
	killed := strings.HasPrefix(r.status, "signal: ")
	refused := a.failClosed && r.status == "exit 125" || a.mayNotStart && slices.Contains([]string{"exit 125", "exit 126"}, r.status)
	if !answered && !killed && !refused {
		t.Errorf("neither contained nor ended: %v", r)
	}
}

// tell logs an outcome, and writes it to -outcomes.
func (a attack) tell(t *testing.T, u user, how string, r result, hits string) {
	t.Helper()
	said := strings.Join(strings.Fields(r.stdout), " ")
	t.Logf("%s: %s; victim %s", r.status, said, hits)
	if *outcomes == "" {
		return
	}
	f, err := os.OpenFile(*outcomes, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s\t%s\t%s\t%s\t%s\t%s\n", a.name, how, u.name, r.status, said, hits)
}

// place is where one run happens, with all that it may find there.
type place struct {
	user    user
	work    string // the current directory
	outside string // writable for the user, but no business of the program
	home    string
	env     []string
	program string
	canary  *canary
	secret  *os.File
	homeDir *os.File
}

const (
	secretText = "RUNSBX-SECRET in a file\n"
	victimText = "untouched\n"
)

func newPlace(t *testing.T, u user, a attack) *place {
	t.Helper()
	dir := mkdirTemp(t, root, "t")
	p := &place{user: u, work: filepath.Join(dir, "w"), outside: filepath.Join(dir, "outside"), home: filepath.Join(dir, "home")}
	if u.id == 0 {
		p.home = mkdirTemp(t, "/root", ".runsbx-escape-")
	}
	for _, d := range []string{p.work, p.outside, filepath.Join(dir, "tmp"), p.home} {
		mode := os.FileMode(0o777)
		if d == p.home {
			mode = 0o700
		}
		if err := os.MkdirAll(d, mode); err != nil {
			t.Fatal(err)
		}
		p.give(t, d, mode)
	}
	secret, victim := filepath.Join(p.home, "secret"), filepath.Join(p.outside, "victim")
	for file, text := range map[string]string{secret: secretText, victim: victimText} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.give(t, file, 0o600)
	}
	p.program = compile(t, a.name, a.flags...)
	if a.own {
		copyFile(t, p.program, filepath.Join(p.work, a.name))
		p.give(t, filepath.Join(p.work, a.name), 0o755)
		p.program = "./" + a.name
	}
	copyFile(t, compile(t, "payload"), filepath.Join(p.work, "payload"))
	copyFile(t, compile(t, "payload", "-shared", "-fPIC"), filepath.Join(p.work, "payload.so"))
	copyFile(t, compile(t, "payload", "-static"), filepath.Join(p.work, "payload.static"))
	var err error
	if p.secret, err = os.Open(secret); err != nil {
		t.Fatal(err)
	}
	if p.homeDir, err = os.Open(p.home); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.secret.Close(); p.homeDir.Close() })
	p.canary = startCanary(t, u, p.outside, secret)
	p.env = append([]string{
		"PATH=" + searchPath, "HOME=" + p.home, "TMPDIR=" + filepath.Join(dir, "tmp"), "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
		"SECRET=" + secret, "SECRET_DIR=" + p.home, "VICTIM_FILE=" + victim, "OUTSIDE=" + p.outside,
		fmt.Sprintf("ROUNDS=%d", *rounds),
	}, p.canary.env...)
	return p
}

func (p *place) give(t *testing.T, file string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, p.user.id, p.user.id); err != nil && os.Getuid() == 0 {
		t.Fatal(err)
	}
}

// run runs the program to its end. It inherits, besides the standard streams, the secret as
// descriptor 8 and the directory of the secret as descriptor 9.
func (p *place) run(t *testing.T, a attack, prefix []string, env ...string) result {
	t.Helper()
	tag := newTag()
	guard := hangGuard + time.Duration(*rounds)*10*time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	cmd := command(ctx, p.work, tag, append(env, p.env...), slices.Concat(p.user.prefix, prefix, []string{p.program}))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.ExtraFiles = []*os.File{nil, nil, nil, nil, nil, p.secret, p.homeDir}
	if a.terminal {
		onTerminal(t, cmd)
	}
	defer killTagged(tag)
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("hung: killed after %v\nstdout:\n%s\nstderr:\n%s", guard, tail(stdout.String()), tail(stderr.String()))
	}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), statusOf(cmd.ProcessState)}
}

// checkFiles checks that nothing outside was written.
func (p *place) checkFiles(t *testing.T) {
	t.Helper()
	if content, err := os.ReadFile(filepath.Join(p.outside, "victim")); err != nil || string(content) != victimText {
		t.Errorf("the file outside: %q, %v", content, err)
	}
	var names []string
	entries, _ := os.ReadDir(p.outside)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"dgram", "seq", "stream", "victim"}; !slices.Equal(names, want) {
		t.Errorf("outside are %v, want %v", names, want)
	}
	if content, err := os.ReadFile(filepath.Join(p.home, "secret")); err != nil || string(content) != secretText {
		t.Errorf("the secret: %q, %v", content, err)
	}
}

func mkdirTemp(t *testing.T, dir, pattern string) string {
	t.Helper()
	name, err := os.MkdirTemp(dir, pattern)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if os.RemoveAll(name) != nil {
			exec.Command("chmod", "-R", "u+rwx", name).Run()
			os.RemoveAll(name)
		}
	})
	return name
}

// TestEveryProgramIsRun finds programs that are in no table.
func TestEveryProgramIsRun(t *testing.T) {
	helpers := []string{"canary", "payload", "survive", "ordinary", "fuzzcalls"}
	files, err := filepath.Glob("testdata/*.c")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".c")
		if !slices.Contains(helpers, name) && !slices.ContainsFunc(slices.Concat(wxAttacks, confineAttacks), func(a attack) bool { return a.name == name }) {
			t.Errorf("%s is not run", f)
		}
	}
}
