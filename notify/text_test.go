package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/model"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldens is every reason plainly, and what a text can have besides.
func goldens() map[string]Letter {
	all := map[string]Letter{}
	for _, r := range reasons() {
		all[string(r)] = sample(r)
	}
	for _, r := range []model.Reason{model.ReasonAssigned, model.ReasonEscalation} {
		l := sample(r)
		l.Facts.Copy = true
		all[string(r)+"_copy"] = l
	}
	standIn := sample(model.ReasonReminder)
	standIn.Facts.Copy, standIn.Facts.StandsInFor = true, "Huda Al-Shammari"
	all["reminder_stand_in"] = standIn
	full := sample(model.ReasonEscalation)
	full.Also = []model.Reason{model.ReasonOverdue, model.ReasonPlanChange}
	full.Facts.Stage, full.Facts.LateS, full.Facts.Priority = 2, 7530, model.SeverityCritical
	all["escalation_full"] = full
	bare := sample(model.ReasonClosed)
	bare.Link, bare.Recipient.Name, bare.Recipient.Zone = "", "", "Moon/Base"
	bare.Facts.Department, bare.Facts.NextAt, bare.Facts.NextKind, bare.Facts.Status = "", nil, "", model.StatusClosed
	all["closed_bare"] = bare
	return all
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for name, l := range goldens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := Render(l)
			if err != nil {
				t.Fatal(err)
			}
			got := "Subject: " + text.Subject + "\n\n" + text.Body
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs (go test ./notify -update rewrites it):\n%s", file, got)
			}
			if strings.Contains(got, "<no value>") || strings.ContainsAny(text.Subject, "\r\n") {
				t.Errorf("not a whole text:\n%s", got)
			}
		})
	}
}

// TestEveryReasonHasText reads the reasons from the source, so that a new one cannot be forgotten.
func TestEveryReasonHasText(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "model", "enum.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if !slices.Contains(reasons(), model.Reason(value)) {
			t.Errorf("reason %s has no text: add templates/%s.tmpl and its golden file", value, value)
		}
		return true
	})
	if found != len(reasons()) {
		t.Errorf("%d reasons in model, %d here", found, len(reasons()))
	}
}

func TestTimesStandInTheRecipientsZone(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]string{
		"Asia/Riyadh":      "Due:      Tue 3 Mar 2026 00:30 (Asia/Riyadh)",
		"America/New_York": "Due:      Mon 2 Mar 2026 16:30 (America/New_York)",
		"":                 "Due:      Mon 2 Mar 2026 21:30 (UTC)",
		"Local":            "Due:      Mon 2 Mar 2026 21:30 (UTC)",
	} {
		l := sample(model.ReasonOverdue)
		l.Recipient.Zone = zone
		text, err := Render(l)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.Body, want) {
			t.Errorf("zone %q: want %q in\n%s", zone, want, text.Body)
		}
	}
}

func TestLateness(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]string{
		-5: "", 0: "", 59: "", 60: "1 min", 3599: "59 min", 3600: "1 h 0 min", 7530: "2 h 5 min", 90000: "1 d 1 h",
	} {
		if got := late(seconds); got != want {
			t.Errorf("late(%d) = %q, want %q", seconds, got, want)
		}
	}
}

func TestNamesCannotBreakALine(t *testing.T) {
	t.Parallel()
	l := sample(model.ReasonOverdue)
	l.Facts.Department = "Emergency\r\nBcc: everyone@example.org\x00" + strings.Repeat("x", 500)
	text, err := Render(l)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(text.Subject, "\r\n\x00") || strings.Contains(text.Body, "\nBcc:") || len([]rune(text.Subject)) > maxSubject {
		t.Errorf("subject %q", text.Subject)
	}
}

func TestUnknownReasonIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := Render(sample("birthday")); err == nil {
		t.Error("want an error")
	}
}

// TestLetterHasNoRoomForWords: a patient's words cannot be sent, because nothing that is sent has a field for them.
func TestLetterHasNoRoomForWords(t *testing.T) {
	t.Parallel()
	words := regexp.MustCompile(`(?i)title|text|body|words|descr|note|comment|outcome|subject|patient|phone|involved|raw|metadata`)
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() == reflect.Map || typ.Kind() == reflect.Interface {
			t.Errorf("%s could hold anything", path)
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if words.MatchString(f.Name) {
				t.Errorf("%s.%s: a letter may not carry this", path, f.Name)
			}
			walk(path+"."+f.Name, f.Type)
		}
	}
	walk("Letter", reflect.TypeFor[Letter]())
	walk("webhookPayload", reflect.TypeFor[webhookPayload]())
}

func TestLogLineHasIdsOnly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := sample(model.ReasonOverdue)
	l.Also = []model.Reason{model.ReasonReminder}
	l.Recipient.WebhookURL, l.Recipient.WebhookSecret = "https://hooks.example.org/t0ken", "whsec_hidden"
	if _, err := NewLog(zerolog.New(&out)).Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"level": "info", "message": "message", "key": l.Key, "action": l.ActionID.String(), "recipient": l.Recipient.ID.String(),
		"ref": "RUH-26-0004172", "reason": "overdue", "also": []any{"reminder"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("log line = %v, want %v", got, want)
	}
}
