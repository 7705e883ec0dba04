// Package sentry holds a test of what all packages below it promise: they are pure.
package sentry

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPure: no package below here can make a system call, take a lock, read a clock or log, since it
// imports nothing that could. What may be imported is listed; atomic is for segment's generation
// numbers, which all trees share.
func TestPure(t *testing.T) {
	allowed := []string{"encoding/binary", "errors", "fmt", "iter", "maps", "math/bits", "slices", "strconv", "strings", "sync/atomic"}
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !slices.Contains(allowed, name) && !strings.HasPrefix(name, "github.com/runsbx/runsbx/sentry/") {
				t.Errorf("%s imports %s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 30 {
		t.Errorf("only %d files looked at", files)
	}
}
