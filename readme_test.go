package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the parts of the README that follow from the code")

// TestReadmeFollowsTheCode keeps the SDK example and the table of settings in
// the README what the code says; -update rewrites both.
func TestReadmeFollowsTheCode(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := replaceBetween(t, string(src), "<!-- example -->\n```go\n", "```\n<!-- end example -->", exampleCode(t))
	want = replaceBetween(t, want, "<!-- settings -->\n", "<!-- end settings -->", settingsTable())
	if *update {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil { //nolint:gosec // a text of the repository
			t.Fatal(err)
		}
		return
	}
	if want != string(src) {
		t.Error("README.md differs from the code: go test -run Readme . -update")
	}
}

// exampleCode is the body of the SDK's compiled example, without its indent.
func exampleCode(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile("producer/client/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, ok := strings.Cut(string(src), "func Example() {\n")
	if !ok {
		t.Fatal("producer/client/example_test.go has no Example")
	}
	body, _, _ = strings.Cut(body, "\n}\n")
	var out strings.Builder
	for line := range strings.Lines(body + "\n") {
		out.WriteString(strings.TrimPrefix(line, "\t"))
	}
	return out.String()
}

func settingsTable() string {
	var out strings.Builder
	out.WriteString("| variable | default | what it is |\n| --- | --- | --- |\n")
	ty := reflect.TypeFor[Settings]()
	for i := range ty.NumField() {
		tag := ty.Field(i).Tag
		value := tag.Get("default")
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", tag.Get("env"), value, tag.Get("help"))
	}
	return out.String()
}

func replaceBetween(t *testing.T, s, begin, end, with string) string {
	t.Helper()
	head, rest, ok := strings.Cut(s, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README.md has no part between %q and %q", begin, end)
	}
	return head + begin + with + end + tail
}
