package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPolicyValidate(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "policy.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	validate := func(policy string, more ...string) int {
		return run(t.Context(), append([]string{"policy", "validate", "-f", policy}, more...))
	}
	directory := []string{"--directory", "samples/directory.yaml"}
	for name, tt := range map[string]struct {
		policy string
		args   []string
		want   int
	}{
		"the sample is sound":       {"samples/policy.yaml", directory, exitOK},
		"warnings are no failure":   {file("routing: [{name: a}, {name: b}]"), directory, exitOK},
		"a fault of the document":   {file("routing: [{priority: 1}]"), directory, exitFail},
		"a code that is not there":  {file("routing: [{name: a, hospital: NIX}]"), directory, exitFail},
		"an empty file":             {file(""), directory, exitFail},
		"a file that is not there":  {"samples/none.yaml", directory, exitUsage},
		"without people and places": {"samples/policy.yaml", nil, exitOK},
		"a faulty directory":        {"samples/policy.yaml", []string{"--directory", file("hospitals: [{code: x}]")}, exitFail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, validate(tt.policy, tt.args...))
		})
	}
}

func TestPolicyTest(t *testing.T) {
	t.Parallel()
	policy := func(text string) string {
		path := filepath.Join(t.TempDir(), "policy.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const sample = "samples/policy-tests.yaml"
	for name, tt := range map[string]struct {
		args []string
		want int
	}{
		"the sample's files stand beside it": {[]string{sample}, exitOK},
		"another policy does otherwise":      {[]string{sample, "--policy", policy("{}")}, exitFail},
		"a faulty policy":                    {[]string{sample, "--policy", policy("routing: [{name: a, hospital: NIX}]")}, exitFail},
		"a file that is not there":           {[]string{sample, "--directory", "samples/none.yaml"}, exitUsage},
		"cases that are none":                {[]string{"samples/policy.yaml"}, exitFail},
		"no policy named":                    {[]string{policy("cases: [{name: a, feedback: {source_type: manual, hospital: RUH, received_at: 2026-04-02T22:00:00Z}, expect: {owner: x}}]")}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, run(t.Context(), append([]string{"policy", "test"}, tt.args...)))
		})
	}
}
