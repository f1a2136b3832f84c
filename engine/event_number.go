package engine

import (
	"encoding/json"
	"strconv"
	"strings"
)

// oneForm copies what JSON was read into, with each number in its one form.
func oneForm(v any) any {
	switch v := v.(type) {
	case json.Number:
		return plainNumber(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = oneForm(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = oneForm(v[k])
		}
		return out
	default:
		return v
	}
}

// plainNumber writes a number of JSON in one form, to the last digit: 1, 1.0 and
// 10e-1 are 1. A float would make one of two long numbers that differ.
func plainNumber(n json.Number) json.Number {
	text, negative := strings.CutPrefix(string(n), "-")
	power := 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		p, err := strconv.ParseInt(text[i+1:], 10, 32)
		if err != nil {
			return n // beyond all use, and different from all others
		}
		text, power = text[:i], int(p)
	}
	whole, part, _ := strings.Cut(text, ".")
	digits := strings.TrimLeft(whole+part, "0")
	power -= len(part)
	if digits == "" {
		return "0"
	}
	short := strings.TrimRight(digits, "0")
	power += len(digits) - len(short)
	const most = 30 // zeros written out, as people do
	switch point := len(short) + power; {
	case power > most || point < -most:
		short += "e" + strconv.Itoa(power)
	case power >= 0:
		short += strings.Repeat("0", power)
	case point > 0:
		short = short[:point] + "." + short[point:]
	default:
		short = "0." + strings.Repeat("0", -point) + short
	}
	if negative {
		short = "-" + short
	}
	return json.Number(short)
}
