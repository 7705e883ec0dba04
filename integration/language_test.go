package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestPython(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"threads", "multiproc", "subproc", "mmaps", "ctypes_calls"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			verify := "every"
			if script == "multiproc" {
				verify = "exit" // dozens of interpreters: long
			}
			program{
				argv:   []string{"python3", "main.py"},
				files:  map[string]string{"main.py": testdata(t, "python", script+".py")},
				verify: verify,
			}.check(t)
		})
	}
	t.Run("standard library", func(t *testing.T) {
		t.Parallel()
		// Modules in C are shared libraries, mapped on import.
		program{
			argv: []string{"python3", "-c", `
import json, sqlite3, zlib, bz2, lzma, hashlib, decimal, ssl, select, socket, array, random
c = sqlite3.connect("x.db")
c.execute("create table t(a integer, b text)")
c.executemany("insert into t values(?, ?)", [(i, "x" * (i % 100)) for i in range(3000)])
c.commit()
print(c.execute("select sum(a), sum(length(b)) from t").fetchone())
data = json.dumps(list(range(30000))).encode()
print([len(f(data)) for f in (zlib.compress, bz2.compress, lzma.compress)])
print(decimal.Decimal(2) ** 500)
a, b = socket.socketpair()
a.sendall(b"hello"); print(b.recv(5))
raise SystemExit(5)`},
			status: "exit 5",
		}.check(t)
	})
	t.Run("traceback", func(t *testing.T) {
		t.Parallel()
		program{argv: []string{"python3", "-c", "def f(): f()\nf()"}, status: "exit 1", want: "RecursionError"}.check(t)
	})
}

func TestPerl(t *testing.T) {
	t.Parallel()
	for script, status := range map[string]string{"fork": "exit 6", "threads": "exit 0", "mmap": "exit 0"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			program{
				argv:   []string{"perl", "main.pl"},
				files:  map[string]string{"main.pl": testdata(t, "perl", script+".pl")},
				status: status,
			}.check(t)
		})
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	for script, status := range map[string]string{"workers": "exit 3", "children": "exit 0"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			program{
				argv:   []string{"node", "main.js"},
				files:  map[string]string{"main.js": testdata(t, "node", script+".js")},
				verify: "exit",
				status: status,
			}.check(t)
		})
	}
	t.Run("verify every", func(t *testing.T) {
		t.Parallel()
		program{argv: []string{"node", "-e", `console.log("hello", 6 * 7); process.exit(2)`}, status: "exit 2", want: "hello 42"}.check(t)
	})
}

// TestJava compiles a class with javac and runs it, both in the sandbox.
func TestJava(t *testing.T) {
	t.Parallel()
	need(t, "javac", "java")
	files := map[string]string{"Main.java": testdata(t, "java", "Main.java")}
	t.Run("javac", func(t *testing.T) {
		t.Parallel()
		heavy(t)
		program{
			argv:   []string{"sh", "-c", "javac -J-Xmx128m -J-XX:TieredStopAtLevel=1 Main.java && ls && cksum Main.class"},
			files:  files,
			verify: "exit",
			want:   "Main.class",
		}.check(t)
	})
	for name, options := range map[string]string{
		"serial": "-XX:+UseSerialGC", "parallel": "-XX:+UseParallelGC", "G1": "-XX:+UseG1GC", "ZGC": "-XX:+UseZGC",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name != "serial" {
				heavy(t)
			}
			program{
				argv: []string{"java", "-Xmx128m", "-XX:-UsePerfData", options, "-cp", ".", "Main"},
				setup: func(t *testing.T, dir string) {
					out, err := exec.Command(lookTool("javac"), "-d", dir, "testdata/java/Main.java").CombinedOutput()
					if err != nil {
						t.Fatalf("javac: %v\n%s", err, out)
					}
				},
				verify: "exit",
				status: "exit 7",
			}.check(t)
		})
	}
}

// TestGo builds a program with the go command in the sandbox, and runs it. The build cache is
// warm, as it is on a developer's machine: what is compiled and linked is the program itself.
func TestGo(t *testing.T) {
	t.Parallel()
	cache := base(t)
	env := []string{"GOCACHE=" + filepath.Join(cache, "cache"), "GOPATH=" + filepath.Join(cache, "path"),
		"GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false", "GOPROXY=off", "GOTELEMETRY=off", "CGO_ENABLED=0"}
	files := map[string]string{
		"go.mod":  "module example\n\ngo 1.26\n",
		"main.go": testdata(t, "go", "main.go"),
	}
	build := program{
		argv:   []string{"sh", "-c", "go vet . && go build -o prog . && ./prog"},
		files:  files,
		env:    env,
		verify: "exit",
		guard:  2 * hangGuard, // the standard library is compiled first
		status: "exit 8",
		want:   "from a child",
	}
	t.Run("build and run", func(t *testing.T) {
		t.Parallel()
		heavy(t)
		// Without this the sandboxed build would find the native one in the cache.
		build.files["salt.go"] = ""
		build.setup = func(t *testing.T, dir string) {
			salt := "package main\n\nconst salt = \"" + newTag() + "\"\n"
			if err := os.WriteFile(filepath.Join(dir, "salt.go"), []byte(salt), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		build.check(t)
	})
	t.Run("built program", func(t *testing.T) {
		t.Parallel()
		program{
			argv: []string{"./prog"},
			setup: func(t *testing.T, dir string) {
				cmd := exec.Command(goTool, "build", "-o", filepath.Join(dir, "prog"), "testdata/go/main.go")
				cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("go build: %v\n%s", err, out)
				}
			},
			status: "exit 8",
		}.check(t)
	})
}
