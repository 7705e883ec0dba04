package mm

import "flag"

// The random tests are repeatable, unless -rapid.seed says otherwise (0 is a new seed each time): a commit
// that has passed once passes again, so that a failure is the fault of the commit that has it and not of
// the dice. `make fuzz` throws the dice.
func init() {
	if err := flag.Set("rapid.seed", "1"); err != nil {
		panic(err)
	}
}
