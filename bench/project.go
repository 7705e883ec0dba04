package main

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed testdata
var testdata embed.FS

// prepare fills dir with what the workloads need: it compiles work.c and floor.c, and writes the projects.
func prepare(dir string) error {
	for _, name := range []string{"work", "floor"} {
		source, err := testdata.ReadFile("testdata/" + name + ".c")
		if err != nil {
			return err
		}
		cmd := exec.Command("cc", "-O2", "-o", filepath.Join(dir, name), "-xc", "-", "-lpthread")
		cmd.Stdin = strings.NewReader(string(source))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s.c: %w: %s", name, err, out)
		}
	}
	for _, name := range []string{"gobuild.sh", "redis.sh", "pgbench.sh"} {
		if err := copyOut(dir, name); err != nil {
			return err
		}
	}
	for _, write := range []func(string) error{writeC, writeGo, writePython} {
		if err := write(dir); err != nil {
			return err
		}
	}
	// Whoever runs a workload writes here.
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o777)
		}
		return err
	})
}

func copyOut(dir, name string) error {
	b, err := testdata.ReadFile("testdata/" + name)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), b, 0o644)
}

// files writes files of a new directory dir/name.
func files(dir, name string, content map[string]string) error {
	sub := filepath.Join(dir, name)
	if err := os.Mkdir(sub, 0o777); err != nil {
		return err
	}
	for file, text := range content {
		if err := os.WriteFile(filepath.Join(sub, file), []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// writeC writes a C project of 40 files, each of which takes a compiler a moment.
func writeC(dir string) error {
	content := map[string]string{}
	var objects, calls strings.Builder
	for i := range 40 {
		var b strings.Builder
		b.WriteString("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n")
		for k := range 30 {
			fmt.Fprintf(&b, "double f%d_%d(const double *a, int n) { double s = %d; for (int i = 0; i < n; i++) s += sqrt(a[i] * %d) / (i + 1); return s; }\n", i, k, k, k+1)
		}
		content[fmt.Sprintf("part%d.c", i)] = b.String()
		fmt.Fprintf(&objects, " part%d.o", i)
		fmt.Fprintf(&calls, "double f%d_0(const double *, int);\n", i)
	}
	content["main.c"] = calls.String() + "int main(void) { double a[2] = {1, 2}; return f0_0(a, 2) < 0; }\n"
	content["Makefile"] = "CFLAGS = -O1\nprogram: main.o" + objects.String() + "\n\t$(CC) -o $@ $^ -lm\nclean:\n\trm -f program *.o\n"
	return files(dir, "c", content)
}

func cleanC(dir string) error {
	return exec.Command("make", "-s", "-C", filepath.Join(dir, "c"), "clean").Run()
}

// writeGo writes a Go program of some packages of the standard library. What is compiled again each time is
// the program; the cache has the rest.
func writeGo(dir string) error {
	return files(dir, "go", map[string]string{
		"go.mod": "module example.org/bench\n\ngo 1.24\n",
		"main.go": `package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"text/template"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, stamp, r.URL) })
	json.NewEncoder(os.Stdout).Encode(map[string]any{"stamp": stamp, "re": regexp.MustCompile("a+").String()})
	template.Must(template.New("").Parse("{{.}}\n")).Execute(os.Stdout, stamp)
}
`,
	})
}

// touchGo changes the program, so that there is something to build.
func touchGo(dir string) error {
	return os.WriteFile(filepath.Join(dir, "go", "stamp.go"), fmt.Appendf(nil, "package main\n\nconst stamp = %d\n", time.Now().UnixNano()), 0o666)
}

// writePython writes a test module that makes and drops many objects.
func writePython(dir string) error {
	return files(dir, "py", map[string]string{"test_all.py": `import json, re, unittest

class Objects(unittest.TestCase):
    pass

def case(n):
    def test(self):
        items = [{"id": i, "name": "n%d" % i, "tags": [str(k) for k in range(n % 7)]} for i in range(2000)]
        again = json.loads(json.dumps(items))
        self.assertEqual(items, again)
        self.assertEqual(len(re.findall(r"n\d+", " ".join(x["name"] for x in again))), 2000)
    return test

for n in range(60):
    setattr(Objects, "test_%d" % n, case(n))

if __name__ == "__main__":
    unittest.main(argv=["test_all", "-q"])
`})
}
