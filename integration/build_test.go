package integration

import (
	"fmt"
	"strings"
	"testing"
)

// cProject is a project of 30 C files that call one another, with a Makefile.
func cProject() map[string]string {
	const n = 30
	files := map[string]string{}
	var header, calls, objects strings.Builder
	for i := range n {
		fmt.Fprintf(&header, "int part%d(int x);\n", i)
		fmt.Fprintf(&calls, "\tsum = sum * 31 + part%d(sum & 1023);\n", i)
		fmt.Fprintf(&objects, " part%d.o", i)
		files[fmt.Sprintf("part%d.c", i)] = fmt.Sprintf(`#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "parts.h"
static const char *names[] = {"a%[1]d", "b%[1]d", "c%[1]d"};
int part%[1]d(int x)
{
	char *p = malloc(100 + x);
	memset(p, 'x', 99 + x);
	p[99 + x] = 0;
	int r = (int)strlen(p) + names[x %% 3][0] + %[1]d * x;
	free(p);
	return r;
}
`, i)
	}
	files["parts.h"] = header.String()
	files["main.c"] = "#include <stdio.h>\n#include \"parts.h\"\nint main(void)\n{\n\tunsigned sum = 1;\n" +
		calls.String() + "\tprintf(\"sum %u\\n\", sum);\n\treturn sum % 7 + 20;\n}\n"
	files["Makefile"] = `CFLAGS = -O2 -Wall
prog: main.o` + objects.String() + `
	@$(CC) -o $@ $^
%.o: %.c parts.h
	@$(CC) $(CFLAGS) -c -o $@ $<
lib: prog
	@ar rcs libparts.a part*.o && ar t libparts.a | wc -l
`
	return files
}

func TestCompileC(t *testing.T) {
	t.Parallel()
	t.Run("gcc", func(t *testing.T) {
		t.Parallel()
		need(t, "gcc")
		program{
			argv: []string{"sh", "-c", "gcc -O2 -g -o prog main.c -lm && ./prog; gcc -c bad.c; echo $?"},
			files: map[string]string{
				"main.c": "#include <math.h>\n#include <stdio.h>\nint main(void) { printf(\"%.9f\\n\", exp(sqrt(2))); return 0; }\n",
				"bad.c":  "int main(void) { return x; }\n",
			},
			want: "4.113250379",
		}.check(t)
	})
	t.Run("make -j4", func(t *testing.T) {
		t.Parallel()
		need(t, "gcc", "make", "ar")
		heavy(t)
		program{
			argv:   []string{"sh", "-c", "make -s -j4 prog && make -s lib && make -q prog && ./prog"},
			files:  cProject(),
			verify: "exit", // some 130 processes
			status: "exit 23",
		}.check(t)
	})
	t.Run("make fails", func(t *testing.T) {
		t.Parallel()
		need(t, "make")
		program{
			argv:   []string{"make", "-j2", "a", "b"},
			files:  map[string]string{"Makefile": "a:\n\t@echo a\nb: a\n\t@exit 3\n"},
			status: "exit 2",
		}.check(t)
	})
}

// TestGit keeps a history with branches, merges it with and without conflict, and packs it.
func TestGit(t *testing.T) {
	t.Parallel()
	need(t, "git")
	program{
		argv: []string{"sh", "-eu", "-c", `
git init -q -b main repo && cd repo
for i in 1 2 3 4 5; do
	seq $((i * 200)) > file$i; git add file$i; git commit -q -m "commit $i"
done
git checkout -q -b side HEAD~2
seq 50 > side; git add side; git commit -q -m side
git checkout -q main
git merge -q --no-edit side
git checkout -q -b left; echo left > file1; git commit -q -a -m left
git checkout -q main; echo right > file1; git commit -q -a -m right
git merge left || echo "conflict $?"
git checkout -q --theirs file1; git add file1; git commit -q -m merged
git -c gc.autoDetach=false gc -q --prune=now
git log --format='%H %s' --graph
git fsck --strict 2>/dev/null
git count-objects -v | grep -v size
git diff --stat HEAD~3
git grep -n -e left | head -3
git clone -q . ../clone && git -C ../clone status -s -b
git bundle create -q ../b main && git bundle verify -q ../b
git archive HEAD | tar t | wc -l
git stash list; git blame -s file1
git cat-file -e 0000000000000000000000000000000000000000 || echo "none $?"
`},
		env: []string{
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_AUTHOR_DATE=@1700000000 +0000",
			"GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.org", "GIT_COMMITTER_DATE=@1700000000 +0000",
			"GIT_CONFIG_NOSYSTEM=1",
		},
		verify: "exit",
		want:   "conflict 1",
	}.check(t)
}
