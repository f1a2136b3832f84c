package engine

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestANumberHasOneForm(t *testing.T) {
	t.Parallel()
	tests := map[json.Number][]json.Number{
		"0":                     {"0", "-0", "0.0", "0e9", "-0.00E-3"},
		"1":                     {"1", "1.0", "10e-1", "0.1e1", "1E0", "1e+0"},
		"-120":                  {"-120", "-1.2e2", "-120.00", "-12E+1"},
		"0.05":                  {"0.05", "5e-2", "0.0500"},
		"12.5":                  {"12.5", "125e-1", "0.125e2"},
		"12345678901234567890":  {"12345678901234567890", "1234567890123456789e1"},
		"1e31":                  {"1e31", "10e30", "10000000000000000000000000000000"},
		"15e-40":                {"15e-40", "1.5E-39"},
		"1e99999999999999999":   {"1e99999999999999999"},
		"0.1234567890123456789": {"0.1234567890123456789", "1234567890123456789e-19"},
	}
	for want, forms := range tests {
		for _, n := range forms {
			assert.Equal(t, want, plainNumber(n), "%s", n)
		}
	}
}
