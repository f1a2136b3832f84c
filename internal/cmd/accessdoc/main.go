// Command accessdoc writes the tables in docs/access.md, between their markers,
// from the access table and the tables of endpoints. Run it in the repository's
// root.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/pxactions/px/internal/docpart"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/web"
)

const file = "docs/access.md"

func main() {
	if err := run(file); err != nil {
		fmt.Fprintln(os.Stderr, "accessdoc:", err)
		os.Exit(1)
	}
}

func run(name string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	out, err := page(string(old))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, []byte(out), 0o644) //nolint:gosec // a text of the repository
}

// page is the text with the tables between its markers written anew.
func page(old string) (string, error) {
	out, err := docpart.Replace(old, "rights", rights())
	if err != nil {
		return "", err
	}
	return docpart.Replace(out, "endpoints", endpoints(append(producer.Endpoints(), web.Endpoints()...)))
}

// rights is the access table: a row for each right, a column for each role.
func rights() string {
	var out strings.Builder
	roles := model.Roles()
	out.WriteString("| right |")
	for _, r := range roles {
		out.WriteString(" " + string(r) + " |")
	}
	out.WriteString("\n| --- |" + strings.Repeat(" --- |", len(roles)) + "\n")
	for _, right := range model.Rights() {
		fmt.Fprintf(&out, "| `%s` |", right)
		for _, role := range roles {
			fmt.Fprintf(&out, " %s |", model.ReachOf(role, right))
		}
		out.WriteString("\n")
	}
	return out.String()
}

func endpoints(es []openapi.Endpoint) string {
	var out strings.Builder
	out.WriteString("| endpoint | served by | scope | right |\n| --- | --- | --- | --- |\n")
	for _, e := range es {
		right := "–"
		if e.Right != "" {
			right = "`" + string(e.Right) + "`"
		}
		fmt.Fprintf(&out, "| `%s` | px %s | `%s` | %s |\n", e.Pattern(), e.Process, e.Scope, right)
	}
	return out.String()
}
