// Command runsbx runs a program with its address space serviced by runsbx's own memory manager.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// version is the version of the next release.
const version = "0.1.0-dev"

func main() {
	res := func() (res result) {
		defer func() {
			if r := recover(); r != nil {
				res = failed(fmt.Errorf("internal error: %v", r))
			}
		}()
		return execute(os.Args[1:])
	}()
	res.exit()
}

// execute runs the command line args.
func execute(args []string) result {
	var res result
	root := newRoot(&res)
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		// Names that were given on the command line may have line breaks in them.
		return failed(errors.New(strings.ReplaceAll(err.Error(), "\n", " ")))
	}
	return res
}

// newRoot returns the command tree. The commands leave in res how the process is to end.
func newRoot(res *result) *cobra.Command {
	root := &cobra.Command{
		Use:   "runsbx",
		Short: "run a program with its address space serviced by runsbx's own memory manager",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q (see: runsbx help)", args[0])
			}
			return errors.New("no command (see: runsbx help)")
		},
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true,
	}
	root.Flags().SetInterspersed(false)
	root.AddCommand(newRun(res), newDoctor(res), newVersion())
	return root
}

func newRun(res *result) *cobra.Command {
	c := &cobra.Command{
		Use:   "run [flags] [--] PROGRAM [ARG...]",
		Short: "run a program; exit with its status",
		Long: `Run a program; exit with its status.

The exit status is the program's own. When a signal ended it, runsbx ends by the
same signal (128+n where that cannot be); 124 when its time was up; 125 when runsbx itself failed or was
used wrongly, 126 when the program cannot be executed, 127 when it is not found.

Sizes are 4096, 64K, 512M, 2G, with powers of 1024.`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("run: no program (see: runsbx help run)")
			}
			return nil
		},
	}
	values := make(map[string]*flagValues)
	c.Flags().SortFlags = false
	c.Flags().SetInterspersed(false)
	for _, f := range runFlags {
		v := &flagValues{kind: f.value}
		if f.toggle {
			v.kind = "bool" // which the help text does not show
		}
		values[f.name] = v
		c.Flags().Var(v, f.name, f.usage)
		if f.toggle {
			c.Flags().Lookup(f.name).NoOptDefVal = "true"
		}
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		given := make(map[string][]string)
		for name, v := range values {
			given[name] = v.given
		}
		o, err := parseOptions(given)
		if err != nil {
			return err
		}
		*res = run(o, args)
		return nil
	}
	return c
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "runsbx %s (%s, libseccomp %s, %s/%s)\n",
				version, runtime.Version(), seccomp.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// flagValues collects what a flag was given.
type flagValues struct {
	given []string
	kind  string
}

// Set implements pflag.Value.
func (v *flagValues) Set(s string) error {
	v.given = append(v.given, s)
	return nil
}

// String implements pflag.Value: no flag has a default that the help text would show.
func (v *flagValues) String() string { return "" }

// Type implements pflag.Value. The help text shows it.
func (v *flagValues) Type() string { return v.kind }
