package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is one line of `go test -json`, see `go doc test2json`; build-output and build-fail events carry
// ImportPath in place of Package.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// totals counts the leaves: a table test counts as its cases, not as one more.
type totals struct{ passed, failed, skipped int }

// String is the closing line: "N passed, N failed", with ", N skipped" when there are any.
func (t totals) String() string {
	s := fmt.Sprintf("%d passed, %d failed", t.passed, t.failed)
	if t.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", t.skipped)
	}
	return s
}

// id names a test within a run; an empty test is the package itself.
type id struct{ pkg, test string }

type counter struct {
	out    io.Writer
	totals totals
	// output keeps what each running test printed until it is known whether anyone needs to read it.
	output map[id]*strings.Builder
	// parents are tests with a finished child, failing those with a failed child.
	parents, failing map[id]bool
	// tests marks packages in which a test failed; the package's own failure is then no further one.
	tests map[string]bool
}

// read counts the events of in and writes the readable part to out. Lines that are no events (what the
// command around `go test` prints) are passed on as they are.
func read(in io.Reader, out io.Writer) (totals, error) {
	c := counter{
		out: out, output: map[id]*strings.Builder{}, parents: map[id]bool{}, failing: map[id]bool{},
		tests: map[string]bool{},
	}
	// A test may print a line of any length, so no bufio.Scanner.
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			c.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return c.totals, err
		}
	}
	c.unfinished()
	return c.totals, nil
}

func (c *counter) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Fprint(c.out, line)
		return
	}
	if e.ImportPath != "" && e.Package == "" {
		// The compiler's own words; the package's fail event follows.
		fmt.Fprint(c.out, e.Output)
		return
	}
	key := id{e.Package, e.Test}
	switch e.Action {
	case "run", "start":
		c.buffer(key)
	case "output":
		c.buffer(key).WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			c.packageDone(key, e)
		} else {
			c.testDone(key, e.Action)
		}
		delete(c.output, key)
	}
}

func (c *counter) buffer(key id) *strings.Builder {
	b := c.output[key]
	if b == nil {
		b = &strings.Builder{}
		c.output[key] = b
	}
	return b
}

func (c *counter) testDone(key id, action string) {
	if i := strings.LastIndexByte(key.test, '/'); i >= 0 {
		parent := id{key.pkg, key.test[:i]}
		c.parents[parent] = true
		if action == "fail" {
			c.failing[parent] = true
		}
	}
	if action == "fail" {
		c.tests[key.pkg] = true
		fmt.Fprintf(c.out, "FAIL %s %s\n%s", key.pkg, key.test, c.buffer(key))
		// A parent that fails because a case did is the same failure told twice.
		if !c.failing[key] {
			c.totals.failed++
		}
		return
	}
	switch {
	case c.parents[key]:
	case action == "skip":
		c.totals.skipped++
	default:
		c.totals.passed++
	}
}

func (c *counter) packageDone(key id, e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(c.out, "ok   %s %.1fs\n", key.pkg, e.Elapsed)
	case "skip":
		fmt.Fprintf(c.out, "-    %s no test files\n", key.pkg)
	default:
		// What was running when the package died (a panic, a time-out, an exit) never got an end.
		died := c.flush(key.pkg)
		fmt.Fprintf(c.out, "FAIL %s %.1fs\n%s", key.pkg, e.Elapsed, c.buffer(key))
		if e.FailedBuild != "" {
			fmt.Fprintf(c.out, "     %s does not build\n", e.FailedBuild)
		}
		if !c.tests[key.pkg] && died == 0 {
			c.totals.failed++
		}
	}
}

// flush counts as failed, and shows, the tests of pkg that began and did not end.
func (c *counter) flush(pkg string) int {
	died := 0
	for key, b := range c.output {
		if key.pkg != pkg || key.test == "" {
			continue
		}
		died++
		c.totals.failed++
		fmt.Fprintf(c.out, "FAIL %s %s (did not finish)\n%s", key.pkg, key.test, b)
		delete(c.output, key)
	}
	return died
}

// unfinished counts packages whose end was never told: the command around `go test` was killed.
func (c *counter) unfinished() {
	for key := range c.output {
		if key.test != "" {
			continue
		}
		died := c.flush(key.pkg)
		fmt.Fprintf(c.out, "FAIL %s (did not finish)\n", key.pkg)
		if died == 0 {
			c.totals.failed++
		}
	}
}
