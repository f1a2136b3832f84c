package main

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		in    []string
		want  string
		shows []string
		hides []string
	}{
		{
			name: "a test that passes counts and its output stays hidden",
			in: []string{
				`{"Action":"start","Package":"p"}`,
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p","Elapsed":1.5}`,
			},
			want:  "1 passed, 0 failed",
			shows: []string{"ok   p 1.5s"},
			hides: []string{"noise"},
		},
		{
			name: "a table counts as its cases",
			in: []string{
				`{"Action":"pass","Package":"p","Test":"TestA/x"}`,
				`{"Action":"skip","Package":"p","Test":"TestA/y"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			want: "1 passed, 0 failed, 1 skipped",
		},
		{
			name: "a failing case counts once and is shown",
			in: []string{
				`{"Action":"output","Package":"p","Test":"TestA/x","Output":"got 1, want 2\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA/x"}`,
				`{"Action":"pass","Package":"p","Test":"TestA/y"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want:  "1 passed, 1 failed",
			shows: []string{"FAIL p TestA/x", "got 1, want 2"},
		},
		{
			name: "a parent that fails by itself counts",
			in: []string{
				`{"Action":"pass","Package":"p","Test":"TestA/x"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: "1 passed, 1 failed",
		},
		{
			name: "a package that does not build is one failure with the compiler's words",
			in: []string{
				`{"ImportPath":"p [p.test]","Action":"build-output","Output":"x.go:1: undefined: y\n"}`,
				`{"ImportPath":"p [p.test]","Action":"build-fail"}`,
				`{"Action":"start","Package":"p"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			},
			want:  "0 passed, 1 failed",
			shows: []string{"undefined: y", "does not build"},
		},
		{
			name: "a package that dies fails the test that was running",
			in: []string{
				`{"Action":"start","Package":"p"}`,
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want:  "0 passed, 1 failed",
			shows: []string{"TestA (did not finish)", "panic: boom"},
		},
		{
			name:  "a run cut short is a failure",
			in:    []string{`{"Action":"start","Package":"p"}`},
			want:  "0 passed, 1 failed",
			shows: []string{"FAIL p (did not finish)"},
		},
		{
			name:  "other lines are passed on",
			in:    []string{"starting servers", `{"level":"info"}`},
			want:  "0 passed, 0 failed",
			shows: []string{"starting servers", `{"level":"info"}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			got, err := read(strings.NewReader(strings.Join(tt.in, "\n")), &out)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != tt.want {
				t.Errorf("totals = %q, want %q", got, tt.want)
			}
			for _, s := range tt.shows {
				if !strings.Contains(out.String(), s) {
					t.Errorf("output lacks %q:\n%s", s, out.String())
				}
			}
			for _, s := range tt.hides {
				if strings.Contains(out.String(), s) {
					t.Errorf("output shows %q:\n%s", s, out.String())
				}
			}
		})
	}
}
