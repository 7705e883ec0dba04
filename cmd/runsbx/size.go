package main

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// parseSize parses a size in bytes: decimal digits, and K, M, G or T for powers of 1024.
func parseSize(s string) (uint64, error) {
	digits, shift := s, 0
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'K':
			shift = 10
		case 'M':
			shift = 20
		case 'G':
			shift = 30
		case 'T':
			shift = 40
		}
		if shift > 0 {
			digits = s[:n-1]
		}
	}
	v, err := parseNumber(digits)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && bits.Len64(v)+shift > 64:
		return 0, fmt.Errorf("size %q does not fit into 64 bits", s)
	case err != nil:
		return 0, fmt.Errorf("%q is not a size such as 4096, 64K, 512M or 2G", s)
	}
	return v << shift, nil
}

// parseCount parses a number without a suffix.
func parseCount(s string) (uint64, error) {
	v, err := parseNumber(s)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("number %q does not fit into 64 bits", s)
	case err != nil:
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return v, nil
}

// parseNumber parses decimal digits and nothing else.
func parseNumber(s string) (uint64, error) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, strconv.ErrSyntax
		}
	}
	return strconv.ParseUint(s, 10, 64)
}
