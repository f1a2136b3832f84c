package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// clockReaders are the functions of package time that read the machine's clock.
func clockReaders() []string { return []string{"Now", "Since", "Until"} }

// machineTime lists who, besides tests, may read the machine's clock, each with its reason. Domain time
// (SLA, reports, created_at) comes from the database, once per transaction, and pure code takes `now`.
// A name that ends in a slash is a folder. An entry nobody needs any more fails the test.
func machineTime() map[string]string {
	return map[string]string{
		"config.go":          "fills in a clock where the channels' settings are only checked",
		"policycmd.go":       "people and places of a file, and the year to come, without a database",
		"procs.go":           "hands the machine's clock to the ops endpoints",
		"store/clock.go":     "carries PostgreSQL's clock on, and compares this machine's with it",
		"engine/keys.go":     "how long a key is remembered",
		"internal/demo/":     "measures how long the demo has run",
		"producer/client/":   "retries and backoff of a sender",
		"web/apifiles.go":    "how long an upload or a download may take",
		"scheduler/sweep.go": "how long a sweep took",
		"web/stream.go":      "how long a reader of changes may take to read one",
	}
}

// always are the places free of the rule: the program's entry and what is never part of a process.
func always() []string {
	return []string{"main.go", "internal/bench/", "internal/cmd/", "internal/listbench/", "internal/localenv/", "internal/overload/", "internal/scenario/", "internal/sizebench/", "internal/testenv/", "internal/torture/", "internal/verifybench/"}
}

func TestOnlyMachineTimeReadsTheClock(t *testing.T) {
	t.Parallel()
	needed := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		reads := clockReads(s)
		if len(reads) == 0 || matches(s.name, always()) != "" {
			continue
		}
		if entry := matches(s.name, keys(machineTime())); entry != "" {
			needed[entry] = true
			continue
		}
		for _, r := range reads {
			t.Errorf("%s: reads the machine's clock: take `now` from the caller, or, for machine time (leases, retries, limits, sessions), name the file in machineTime() with the reason", r)
		}
	}
	for entry, why := range machineTime() {
		if why == "" {
			t.Errorf("machineTime(): %s has no reason", entry)
		}
		if !needed[entry] {
			t.Errorf("machineTime(): %s reads no clock (any more): remove the entry", entry)
		}
	}
}

// matches returns the entry that covers name, "" for none.
func matches(name string, entries []string) string {
	i := slices.IndexFunc(entries, func(e string) bool {
		return name == e || (strings.HasSuffix(e, "/") && strings.HasPrefix(name, e))
	})
	if i < 0 {
		return ""
	}
	return entries[i]
}

func keys(m map[string]string) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	return all
}

// clockReads finds every mention of a clock reader, called or passed on as a value, under whatever name
// the file imports package time.
func clockReads(s source) []string {
	name := ""
	for _, i := range s.file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err != nil || p != "time" {
			continue
		}
		name = "time"
		if i.Name != nil {
			name = i.Name.Name
		}
	}
	if name == "" || name == "_" {
		return nil
	}
	var found []string
	report := func(pos token.Pos, what string) {
		at := s.fset.Position(pos)
		found = append(found, s.name+":"+strconv.Itoa(at.Line)+": "+what)
	}
	if name == "." {
		report(s.file.Pos(), "import . \"time\"")
		return found
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == name && slices.Contains(clockReaders(), sel.Sel.Name) {
			report(sel.Pos(), "time."+sel.Sel.Name)
		}
		return true
	})
	return found
}

func TestClockReads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, src string
		want      int
	}{
		{"a call is seen", `import "time"; var a = time.Now()`, 1},
		{"a value is seen", `import "time"; var a = time.Now`, 1},
		{"an alias is seen", `import t "time"; func f() { t.Since(t.Now()) }`, 2},
		{"a dot import is refused as such", `import . "time"; var a = Now()`, 1},
		{"until is seen", `import "time"; func f(u time.Time) { time.Until(u) }`, 1},
		{"another package's Now is not", `import "example.com/clock"; var a = clock.Now()`, 0},
		{"the rest of package time is not", `import "time"; var a = time.Second`, 0},
		{"a comment is not", "import \"time\"; var a time.Time // time.Now()\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := source{name: "x.go", fset: token.NewFileSet()}
			var err error
			if s.file, err = parser.ParseFile(s.fset, s.name, "package x; "+tt.src, parser.SkipObjectResolution); err != nil {
				t.Fatal(err)
			}
			if got := clockReads(s); len(got) != tt.want {
				t.Errorf("clockReads = %q, want %d", got, tt.want)
			}
		})
	}
}
