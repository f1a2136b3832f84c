package house

import (
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestWhatIsAwayIsShown: each row of the table of what is away names the tests
// that show it, and they exist.
func TestWhatIsAwayIsShown(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), "## When something is away\n")
	part, _, _ = strings.Cut(part, "\n## ")
	tests := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test {
				tests[f.Name.Name] = true
			}
		}
	}
	rows := 0
	for line := range strings.Lines(part) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| away") || strings.HasPrefix(line, "| ---") {
			continue
		}
		rows++
		named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(line, -1)
		if len(named) == 0 {
			t.Errorf("docs/operations.md: no test shows %.40s", line)
		}
		for _, n := range named {
			if !tests[n[1]] {
				t.Errorf("docs/operations.md: there is no %s", n[1])
			}
		}
	}
	if rows < 10 {
		t.Errorf("%d rows, want the table", rows)
	}
}
