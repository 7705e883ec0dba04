package limits

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Kind says who refused: a limit, or one of the features that answer calls with an errno as limits do.
type Kind uint8

// The kinds of refusals.
const (
	ByLimit     Kind = iota // a limit, of the sandbox or of Linux
	ByPolicy                // a rule, such as W^X
	ByInjection             // a failure on demand
)

// String returns the kind as reports name the cause of an end.
func (k Kind) String() string {
	switch k {
	case ByPolicy:
		return "policy"
	case ByInjection:
		return "injected"
	}
	return "limit"
}

// mostDecimals is how many decimals a size may have, before it is written in bytes.
const mostDecimals = 3

// FormatSize returns a number of bytes for people to read, such as 61.2M: with powers of 1024, and no
// more than one decimal.
func FormatSize(n uint64) string {
	s, _ := size(n, 1)
	return s
}

// size is FormatSize with more decimals, and what the text says in bytes.
func size(n uint64, decimals int) (string, float64) {
	switch {
	case n == 0:
		return "0", 0
	case n == 1:
		return "1 byte", 1
	case n < 1024 || decimals > mostDecimals:
		return strconv.FormatUint(n, 10) + " bytes", float64(n)
	}
	const letters = "KMGTPE"
	step := (bits.Len64(n) - 1) / 10 // of 1024
	for {
		digits := strconv.FormatFloat(float64(n)/float64(uint64(1)<<(10*step)), 'f', decimals, 64)
		if strings.Contains(digits, ".") {
			digits = strings.TrimRight(strings.TrimRight(digits, "0"), ".")
		}
		shown, _ := strconv.ParseFloat(digits, 64)
		if shown < 1024 || step == len(letters) {
			return digits + letters[step-1:step], shown * float64(uint64(1)<<(10*step))
		}
		step++ // 1023.99K is 1M
	}
}

// count writes numbers that are not bytes.
func count(n uint64, _ int) (string, float64) { return strconv.FormatUint(n, 10), float64(n) }

// unit returns how a resource's numbers are written, and what they count where that is not bytes.
func (r Resource) unit() (write func(uint64, int) (string, float64), name string) {
	switch r {
	case MapCount:
		return count, " VMAs"
	case Procs:
		return count, " tasks"
	}
	return size, ""
}

// Error returns one line that explains the refusal, such as "commit 61.2M used + 512M > limit 64M".
func (r *Refusal) Error() string {
	switch {
	case r.Detail != "":
		return string(r.Resource) + ": " + r.Detail
	case r.Kind != ByLimit:
		return strings.TrimSpace(r.Kind.String() + " " + string(r.Resource))
	case r.Resource == Uncounted:
		return "it could not be counted against the limit"
	case r.Resource == Space:
		return "no free range of addresses is long enough"
	case r.Limit == 0 && r.Used == 0:
		return fmt.Sprintf("%s limit 0", r.Resource)
	}
	write, unit := r.Resource.unit()
	if r.Wanted == 0 && r.Used <= r.Limit { // not known
		limit, _ := write(r.Limit, 1)
		return fmt.Sprintf("%s limit %s%s", r.Resource, limit, unit)
	}
	sum, over := bits.Add64(r.Used, r.Wanted, 0)
	var sign string
	switch {
	case over != 0 || sum > r.Limit:
		sign = ">"
	case sum == r.Limit && r.Wanted != 0:
		sign = ">=" // the commit limit of mode 2 is one that is not to be reached
	default:
		used, _ := write(r.Used, 1)
		wanted, _ := write(r.Wanted, 1)
		limit, _ := write(r.Limit, 1)
		return fmt.Sprintf("%s %s used, %s wanted, limit %s%s", r.Resource, used, wanted, limit, unit)
	}
	// As many decimals as it takes for what is written to be true, too: 61.2M + 2.8M is not more than 64M.
	for decimals := 1; ; decimals++ {
		used, u := write(r.Used, decimals)
		wanted, w := write(r.Wanted, decimals)
		limit, l := write(r.Limit, decimals)
		if decimals > mostDecimals || u+w > l || sign == ">=" && u+w == l {
			return fmt.Sprintf("%s %s used + %s %s limit %s%s", r.Resource, used, wanted, sign, limit, unit)
		}
	}
}
