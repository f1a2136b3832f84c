package house

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// top is the floor of main and of our own tools: they may import everything.
const top = 5

// floors is the house: a package imports only what stands on a lower floor, never a neighbour. A folder's
// sub-packages stand on its floor and may use each other.
func floors() map[string]int {
	return map[string]int{
		"model": 0, "samples": 0,
		"sla": 1, "tasks": 1, "migrations": 1,
		"store": 2, "notify": 2,
		"engine": 3,
		"worker": 4, "scheduler": 4, "producer": 4, "web": 4,
		".": top,
	}
}

// tools are the internal packages that no process is made of: commands for developers, private servers,
// test harnesses. They may import everything; only main and other tools may import them.
func tools() []string {
	return []string{
		"internal/apifuzz",
		"internal/bench",
		"internal/cmd",
		"internal/demo",
		"internal/e2e",
		"internal/house",
		"internal/listbench",
		"internal/localenv",
		"internal/overload",
		"internal/pxbin",
		"internal/receiver",
		"internal/sampledata",
		"internal/scenario",
		"internal/sizebench",
		"internal/testenv",
		"internal/tool",
		"internal/torture",
		"internal/verifybench",
	}
}

// sharedFloor: every other internal package (metrics, health, …) serves the processes. It may know the
// ground and other shared packages, nothing above, and is open to the floors from here up: what lies
// lower is pure or only describes.
const sharedFloor = 2

// mandated are the packages that other programs and operators count on by name.
func mandated() []string {
	return []string{
		".", "model", "sla", "tasks", "migrations", "store", "notify", "engine",
		"worker", "scheduler", "producer", "producer/client", "web",
	}
}

// kind is what the rules make of a package.
type kind int

const (
	unknown kind = iota
	floor        // one of floors()
	shared       // an internal package used by several processes
	tool         // one of tools()
)

// place says what the package in dir (from the root) is, which folder's rules it follows and on which
// floor that is.
func place(dir string) (k kind, folder string, level int) {
	for _, t := range tools() {
		if under(dir, t) {
			return tool, t, top
		}
	}
	if under(dir, "internal") {
		return shared, dir, sharedFloor
	}
	folder, _, _ = strings.Cut(dir, "/")
	level, ok := floors()[folder]
	if !ok || (folder == "." && dir != ".") {
		return unknown, dir, 0
	}
	return floor, folder, level
}

// allowed returns "" where the package in from may import the one in to, else the rule it breaks.
func allowed(from, to string) string {
	fromKind, fromFolder, fromLevel := place(from)
	toKind, toFolder, toLevel := place(to)
	switch {
	case fromKind == unknown:
		return from + " has no floor: give it one in floors()"
	case toKind == unknown:
		return to + " has no floor: give it one in floors()"
	case under(from, "producer/client"):
		return "producer/client is for other people's programs: standard library only"
	case fromKind == tool:
		return ""
	case toKind == tool && fromLevel == top:
		return ""
	case toKind == tool:
		return to + " is a tool for main, developers and tests"
	case toKind == shared && fromKind == floor && fromLevel < sharedFloor:
		return "floors below " + strconv.Itoa(sharedFloor) + " use no internal package"
	case toKind == shared:
		return ""
	case fromKind == shared && toLevel > 0:
		return "an internal package knows only model and other internal ones"
	case fromKind == shared, fromFolder == toFolder, toLevel < fromLevel:
		return ""
	default:
		return "floor " + strconv.Itoa(fromLevel) + " may not import floor " + strconv.Itoa(toLevel) + ": imports point down, never to a neighbour"
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from, to string
		want           bool
	}{
		{"down is fine", "engine", "store", true},
		{"two floors down is fine", "worker", "model", true},
		{"main imports everything", ".", "worker", true},
		{"main may start private servers", ".", "internal/localenv", true},
		{"up is refused", "store", "engine", false},
		{"a neighbour is refused", "worker", "web", false},
		{"a neighbour on a low floor is refused", "sla", "tasks", false},
		{"a sub-package may use its own folder", "web/pages", "web", true},
		{"a sub-package stands on its folder's floor", "web/pages", "worker/pool", false},
		{"a process may use shared internals", "worker", "internal/metrics", true},
		{"pure code may not use shared internals", "sla", "internal/metrics", false},
		{"shared internals know the ground", "internal/metrics", "model", true},
		{"shared internals know no more", "internal/metrics", "store", false},
		{"shared internals know each other", "internal/health", "internal/metrics", true},
		{"a tool imports everything", "internal/cmd/testenv", "internal/localenv", true},
		{"a process may not use a tool", "worker", "internal/testenv", false},
		{"the client imports nothing of ours", "producer/client", "model", false},
		{"nothing imports a folder without a floor", "web", "elsewhere", false},
		{"a folder without a floor imports nothing", "elsewhere", "model", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if broken := allowed(tt.from, tt.to); (broken == "") != tt.want {
				t.Errorf("allowed(%q, %q) = %q, want allowed: %t", tt.from, tt.to, broken, tt.want)
			}
		})
	}
}

// TestFloors leaves tests out: a test may import what it needs, and Go forbids cycles.
func TestFloors(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if k, _, _ := place(s.dir); k == unknown {
			t.Errorf("%s: %s has no floor: give it one in floors()", s.name, s.dir)
			continue
		}
		for _, imported := range imports(t, s) {
			to, ours := strings.CutPrefix(imported, module)
			if !ours || (to != "" && to[0] != '/') {
				continue
			}
			to = path.Clean("./" + to)
			if broken := allowed(s.dir, to); broken != "" {
				t.Errorf("%s imports %s: %s", s.name, to, broken)
			}
		}
	}
}

// reserved names libraries that only some packages may import outside tests, with the reason.
type reserved struct {
	why       string
	libraries []string
	only      []string
}

func reservations() []reserved {
	return []reserved{
		{
			why:       "test libraries never reach the binary",
			libraries: []string{"testing", "github.com/stretchr/testify", "go.uber.org/goleak", "github.com/santhosh-tekuri/jsonschema/v6"},
			only:      []string{"internal/testenv", "internal/scenario", "internal/bench"},
		},
		{
			why:       "one package keeps files",
			libraries: []string{"gocloud.dev", "github.com/gabriel-vasile/mimetype"},
			only:      []string{"internal/files"},
		},
		{
			why:       "a Redis in the process is for the demo",
			libraries: []string{"github.com/alicebob/miniredis/v2"},
			only:      []string{"internal/localenv", "internal/testenv"},
		},
		{
			why:       "the store has the only SQL; model describes rows, main opens the database",
			libraries: []string{"database/sql", "github.com/uptrace/bun", "github.com/jackc/pgx/v5"},
			only:      []string{".", "model", "migrations", "store", "internal"},
		},
	}
}

// impure is what package sla may not import: it decides, and neither asks nor tells anyone.
func impure() []string {
	return []string{
		"database/sql", "io/fs", "log", "math/rand", "net", "os", "syscall",
		"github.com/hibiken/asynq", "github.com/redis/go-redis/v9", "github.com/rs/zerolog",
	}
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imported := range imports(t, s) {
			for _, r := range reservations() {
				if slices.ContainsFunc(r.libraries, func(l string) bool { return covers(l, imported) }) &&
					!slices.ContainsFunc(r.only, func(dir string) bool { return under(s.dir, dir) }) {
					t.Errorf("%s imports %s: %s", s.name, imported, r.why)
				}
			}
			if under(s.dir, "sla") && slices.ContainsFunc(impure(), func(l string) bool { return covers(l, imported) }) {
				t.Errorf("%s imports %s: sla is pure", s.name, imported)
			}
		}
	}
}

// covers tells whether imported is library or a package of it. database/sql/driver only names types, and net/mail,
// net/netip and net/url only read texts.
func covers(library, imported string) bool {
	return under(imported, library) && !slices.Contains([]string{"database/sql/driver", "net/mail", "net/netip", "net/url"}, imported)
}

// TestMandatedPackagesExist finds each by a Go file that is no test.
func TestMandatedPackagesExist(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test {
			have[s.dir] = true
		}
	}
	for _, dir := range mandated() {
		if !have[dir] {
			t.Errorf("package %s is missing", path.Join(module, dir))
		}
	}
}

// TestClientStandsAlone asks the go command for everything that producer/client draws in, however far down.
func TestClientStandsAlone(t *testing.T) {
	t.Parallel()
	const client = "producer/client"
	if _, err := os.Stat(filepath.Join(root(), client)); err != nil {
		t.Fatalf("package %s is missing", client)
	}
	list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./"+client)
	list.Dir = root()
	// The test run's own flags (-json, say) are not meant for this command.
	list.Env = append(os.Environ(), "GOFLAGS=")
	var stderr strings.Builder
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	want := []string{path.Join(module, client)}
	if got := strings.Fields(string(out)); !slices.Equal(got, want) {
		t.Errorf("besides the standard library, %s draws in %q, want only itself %q", client, got, want)
	}
}

// imports lists the import paths of one file.
func imports(t *testing.T, s source) []string {
	t.Helper()
	paths := make([]string, 0, len(s.file.Imports))
	for _, i := range s.file.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatalf("%s: import %s: %v", s.name, i.Path.Value, err)
		}
		paths = append(paths, p)
	}
	return paths
}
