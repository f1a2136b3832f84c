package model_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	id := model.NewID[model.Action]()
	for _, form := range []string{id.String(), id.Hex(), strings.ToUpper(id.String())} {
		if got, err := model.ParseID[model.Action](form); err != nil || got != id {
			t.Errorf("ParseID(%q) = %s, %v", form, got, err)
		}
	}
	if len(id.Hex()) != 32 || strings.Contains(id.Hex(), "-") {
		t.Errorf("hex = %q, want 32 digits and no dash", id.Hex())
	}
	for _, bad := range []string{"", "x", id.String()[:35], id.String() + "0"} {
		if got, err := model.ParseID[model.Action](bad); err == nil {
			t.Errorf("ParseID(%q) = %s, want an error", bad, got)
		}
	}
	var none model.ActionID
	if !none.IsZero() || none.Ptr() != nil || model.Deref[model.Action](nil) != none {
		t.Error("the zero id names something")
	}
	if p := id.Ptr(); p == nil || *p != id || model.Deref(p) != id || id.IsZero() {
		t.Error("an id is lost on its way to a column and back")
	}
	p := id.Ptr()
	p.UUID[0]++
	if *p == id {
		t.Error("Ptr gives the id itself away")
	}
}

func TestIDsSortByTheirMaking(t *testing.T) {
	t.Parallel()
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = model.NewID[model.Feedback]().String()
	}
	if !slices.IsSorted(ids) {
		t.Error("ids made one after the other are not in order")
	}
	if len(slices.Compact(ids)) != 1000 {
		t.Error("an id was made twice")
	}
}

func TestIDsInJSON(t *testing.T) {
	t.Parallel()
	type payload struct {
		Action model.ActionID  `json:"action"`
		User   *model.UserID   `json:"user"`
		All    []model.UserID  `json:"all"`
		By     map[string]bool `json:"by"`
	}
	want := payload{Action: model.NewID[model.Action](), User: model.NewID[model.User]().Ptr(), All: []model.UserID{model.NewID[model.User]()}}
	b, err := json.Marshal(want)
	if err != nil || !strings.Contains(string(b), `"action":"`+want.Action.String()+`"`) {
		t.Fatalf("JSON = %s, %v", b, err)
	}
	var got payload
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back = %+v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"action":"nobody"}`), &got); err == nil {
		t.Error("what is no id is read as one")
	}
}

func TestJSONColumnsHoldWhatTheyAreGiven(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{"b":"\\u0000 ok"}`, `{}`, `[]`, `null`, `"it's \"quoted\""`, `{"a":[1,2.5,"ü"],"n":null}`, `{"long":12345678901234567890}`} {
		in := model.Of(json.RawMessage(doc))
		v, err := in.Value()
		text, ok := v.(string)
		if err != nil || !ok || text != doc {
			t.Errorf("value of %s = %v, %v; want the text itself", doc, v, err)
			continue
		}
		for _, src := range []any{text, []byte(text)} {
			var out model.JSON[json.RawMessage]
			if err := out.Scan(src); err != nil || string(out.V) != doc {
				t.Errorf("scan of %T %s = %s, %v", src, doc, out.V, err)
			}
		}
		b, err := json.Marshal(in)
		if err != nil || string(b) != doc {
			t.Errorf("JSON of %s = %s, %v; want no wrapper", doc, b, err)
		}
	}
}

func TestJSONColumnsReadNullAndRefuseNonsense(t *testing.T) {
	t.Parallel()
	have := model.Of([]string{"left over"})
	if err := have.Scan(nil); err != nil || have.V != nil {
		t.Errorf("scan of NULL = %v, %v; want nothing", have.V, err)
	}
	for _, src := range []any{42, "{", []byte(`{"a":1}`)} {
		if err := have.Scan(src); err == nil {
			t.Errorf("scan of %v = %v, want an error", src, have.V)
		}
	}
	if err := json.Unmarshal([]byte(`["a","b"]`), &have); err != nil || len(have.V) != 2 {
		t.Errorf("unmarshal = %v, %v", have.V, err)
	}
}

func TestTheClockMapsThereAndBack(t *testing.T) {
	t.Parallel()
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	virtual := time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, speed := range []float64{1, 2, 60, 0.5} {
		c := model.Clock{RealEpoch: epoch, VirtualEpoch: virtual, Speed: speed}
		for _, d := range []time.Duration{0, time.Second, -time.Hour, 40 * 24 * time.Hour, 3 * 365 * 24 * time.Hour} {
			machine := epoch.Add(d)
			if got, want := c.Virtual(machine), virtual.Add(time.Duration(float64(d)*speed)); got.Sub(want).Abs() > time.Microsecond {
				t.Errorf("speed %v: virtual(%s) = %s, want %s", speed, d, got, want)
			}
			if back := c.Real(c.Virtual(machine)); back.Sub(machine).Abs() > time.Microsecond {
				t.Errorf("speed %v: %s there and back is off by %s", speed, d, back.Sub(machine))
			}
		}
	}
	demo := model.Clock{RealEpoch: epoch, VirtualEpoch: virtual, Speed: 600}
	if got := demo.Virtual(epoch.Add(90 * time.Second)); !got.Equal(virtual.Add(15 * time.Hour)) {
		t.Errorf("a minute and a half at speed 600 = %s, want fifteen hours", got.Sub(virtual))
	}
}

// TestTheClockIsExactInProduction: years of nanoseconds are more than a float
// holds, and a nanosecond short of a whole second is the second before.
func TestTheClockIsExactInProduction(t *testing.T) {
	t.Parallel()
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := model.Clock{RealEpoch: epoch, VirtualEpoch: epoch, Speed: 1}
	for at := epoch; at.Year() < 2060; at = at.Add(97*time.Hour + 13*time.Second) {
		if got := c.Real(at); !got.Equal(at) {
			t.Fatalf("real(%s) = %s, want the same", at, got.Format(time.RFC3339Nano))
		}
		if odd := at.Add(123456789); !c.Virtual(odd).Equal(odd) {
			t.Fatalf("virtual(%s) = %s, want the same", odd.Format(time.RFC3339Nano), c.Virtual(odd).Format(time.RFC3339Nano))
		}
	}
	if now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); !(model.Clock{}).Virtual(now).Equal(now) || !(model.Clock{}).Real(now).Equal(now) {
		t.Error("the zero clock is not the machine's own")
	}
}
