package confine

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxInterpreters is how many scripts may interpret each other (BINPRM_BUF and bprm_execve's own bound).
const maxInterpreters = 5

// Program returns grants for what the kernel opens to execute the file at path, which is relative to dir:
// the file itself, and its interpreter, which for a script is a program in turn.
func Program(path, dir string) []Grant {
	var list []Grant
	for range maxInterpreters {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		list = append(list, Grant{path, Read | Execute})
		if path = interpreter(path); path == "" {
			break
		}
	}
	return list
}

// interpreter returns what the kernel executes a file by: of a script, what its first line says, of an ELF
// file, its program header PT_INTERP; "" when there is none, or the file cannot be read.
func interpreter(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // a FIFO would have us wait
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	line := make([]byte, 256) // BINPRM_BUF_SIZE
	n, _ := io.ReadFull(f, line)
	if script, ok := bytes.CutPrefix(line[:n], []byte("#!")); ok {
		return scriptInterpreter(script)
	}
	file, err := elf.NewFile(f)
	if err != nil {
		return ""
	}
	for _, p := range file.Progs {
		const longest = 4096 // PATH_MAX
		if p.Type == elf.PT_INTERP && p.Filesz <= longest {
			b := make([]byte, p.Filesz)
			if _, err := p.ReadAt(b, 0); err != nil {
				return ""
			}
			name, _, _ := strings.Cut(string(b), "\x00")
			return name
		}
	}
	return ""
}

// scriptInterpreter returns the path in a script's first line behind "#!" (fs/binfmt_script.c).
func scriptInterpreter(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimLeft(line, " \t")
	if i := bytes.IndexAny(line, " \t\x00"); i >= 0 {
		line = line[:i]
	}
	return string(line)
}
