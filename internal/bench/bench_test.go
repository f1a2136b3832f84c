package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/tasks"
)

func TestMain(m *testing.M) {
	tasks.LogRedis(zerolog.Nop())
	goleak.VerifyTestMain(m, testenv.IgnoreServers())
}

// The benchmark itself refuses a result when the two programs have not written
// the same number of rows of each kind.
func TestBothProgramsDoTheSameWork(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	args := []string{"-feedback", "40", "-rounds", "1", "-batch", "10", "-timeout", "3m", "-statements"}
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| queued | px |", "| queued | plain |", "| whole | px |", "| storm | plain |", "fsync on", "storm: each wrote 40 actions, all armed", "INSERT INTO"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, &out)
		}
	}
}

func TestFlagsAreChecked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"none is enough", nil, ""},
		{"a program that is not", []string{"-programs", "px,fast"}, `-programs: nothing is named "fast"`},
		{"a phase that is not", []string{"-phases", "rain"}, `-phases: nothing is named "rain"`},
		{"no feedback", []string{"-feedback", "0"}, "-feedback: want 1 to"},
		{"a batch too large for the intake", []string{"-batch", "501"}, "-batch: want 1 to 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(tt.args, io.Discard)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parse = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		of   series
		want float64
	}{
		{"of none", nil, 0},
		{"of one", series{3}, 3},
		{"of an odd number", series{9, 1, 5}, 5},
		{"of an even number", series{8, 2, 4, 100}, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := slices.Clone(tt.of)
			if got := tt.of.median(); got != tt.want {
				t.Errorf("median = %g, want %g", got, tt.want)
			}
			if !slices.Equal(before, tt.of) {
				t.Error("the rounds changed their order")
			}
		})
	}
}

func TestShapeHidesValues(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, query, want string }{
		{"an insert is known by its columns", `INSERT INTO "a" ("id") VALUES ('x')`, `INSERT INTO "a" ("id")`},
		{"an update by what it sets", `WITH "_data" ("id") AS (VALUES ('secret')) UPDATE "a" SET b = 1`, `UPDATE "a" SET b = 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := shape(tt.query); got != tt.want {
				t.Errorf("shape = %q, want %q", got, tt.want)
			}
		})
	}
}
