package sla

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/pxactions/px/model"
)

// TestAListSaysWhatItsJSONSays: no word of a list means something else because the
// document is read as YAML.
func TestAListSaysWhatItsJSONSays(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"true", "null", "~", "1e3", "0x1f", "2026-03-02", "- a", "a: b", "a #b", "{x}", "[x]", "*a", "&a b", "!!int 3", "%TAG", "@x", "`x`", `"q"`, "'q'",
		`back\slash`, "tab\there", "line\nbreak\n", "cr\rlf\r\n", "ن ب", "🦓", "\u2028\u2029\u0085\u00a0x", "\x01\x1f\x7f", "<b>&amp;</b>", "\ufeffbom", "a\\/b", "|", ">-", "?", "a,b", "---", "...",
	} {
		list, err := json.Marshal([]UserSpec{{Code: "u", Name: name, Aliases: model.Aliases{"his": {"x" + strings.TrimSpace(name)}}}})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := ParseDirectoryList(KindUsers, list)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got := doc.Users[0]; got.Name != name || got.Aliases["his"][0] != "x"+strings.TrimSpace(name) {
			t.Errorf("%q is read as %q, %q", name, got.Name, got.Aliases["his"])
		}
	}
}

func TestAListOfTheWrongForm(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 3000) + strings.Repeat("]", 3000)
	for list, field := range map[string]string{
		`{}`:                             "(body)",
		`[[]]`:                           "[0]",
		`[{"code":"u","name":"\u0000"}]`: "[0]",
		`[{"code":"u","name":"n"},{"code":"v","name":"n","zone":"Mars/Base"}]`: "[1].zone",
		`[{"code":"u","name":"n","manager":"x"}]`:                              "[0].manager",
		"[" + deep + "]": "[0]",
	} {
		_, err := ParseDirectoryList(KindUsers, []byte(list))
		var faults model.FieldErrors
		if !errors.As(err, &faults) || faults[0].Field != field || faults[0].At != "" {
			t.Errorf("%.60s: %v, want a fault of %s", list, err, field)
		}
	}
}
