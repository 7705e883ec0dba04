package main

import (
	"fmt"
	"math"
	"testing"
)

func TestParseSize(t *testing.T) {
	for _, x := range []struct {
		in   string
		want uint64
	}{
		{"0", 0}, {"1", 1}, {"4096", 4096}, {"007", 7},
		{"64K", 64 << 10}, {"512M", 512 << 20}, {"2G", 2 << 30}, {"3T", 3 << 40}, {"0T", 0},
		{"18446744073709551615", math.MaxUint64},
		{"18014398509481983K", math.MaxUint64 &^ 1023},
		{"17592186044415M", math.MaxUint64 &^ (1<<20 - 1)},
		{"17179869183G", math.MaxUint64 &^ (1<<30 - 1)},
		{"16777215T", math.MaxUint64 &^ (1<<40 - 1)},
	} {
		got, err := parseSize(x.in)
		if err != nil || got != x.want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", x.in, got, err, x.want)
		}
	}
}

func TestParseSizeErrors(t *testing.T) {
	const notSize = "%q is not a size such as 4096, 64K, 512M or 2G"
	const tooBig = "size %q does not fit into 64 bits"
	for in, format := range map[string]string{
		"": notSize, "K": notSize, "-1": notSize, "+1": notSize, " 1": notSize, "1 ": notSize, "1k": notSize,
		"1KB": notSize, "1KiB": notSize, "1.5G": notSize, "0x10": notSize, "1_000": notSize, "1e3": notSize,
		"1KK": notSize, "unlimited": notSize, "٣": notSize, "1\x00": notSize, "-0": notSize,
		"18446744073709551616": tooBig, "18014398509481984K": tooBig, "17592186044416M": tooBig,
		"17179869184G": tooBig, "16777216T": tooBig, "99999999999999999999999T": tooBig,
	} {
		want := fmt.Sprintf(format, in)
		if got, err := parseSize(in); err == nil || err.Error() != want || got != 0 {
			t.Errorf("parseSize(%q) = %d, %v; want %s", in, got, err, want)
		}
	}
}

func TestParseCount(t *testing.T) {
	if got, err := parseCount("65530"); got != 65530 || err != nil {
		t.Errorf("parseCount = %d, %v", got, err)
	}
	for _, in := range []string{"", "-1", "1K", "18446744073709551616"} {
		if got, err := parseCount(in); err == nil {
			t.Errorf("parseCount(%q) = %d, want an error", in, got)
		}
	}
}

// FuzzParseSize checks that what is accepted is what the text says.
func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"4096", "64K", "512M", "2G", "16777216T", "-1", ""} {
		f.Add(s)
	}
	units := map[byte]float64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseSize(s)
		if err != nil {
			return
		}
		want, digits := 0.0, s
		unit, ok := units[s[len(s)-1]]
		if ok {
			digits = s[:len(s)-1]
		} else {
			unit = 1
		}
		for _, c := range []byte(digits) {
			want = want*10 + float64(c-'0')
		}
		want *= unit
		if diff := math.Abs(float64(v) - want); diff > want*1e-9 {
			t.Errorf("parseSize(%q) = %d, want about %g", s, v, want)
		}
	})
}
