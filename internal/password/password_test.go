package password_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pxactions/px/internal/password"
	"github.com/pxactions/px/model"
)

// cheap parameters keep the tests fast.
func cheap() password.Params { return password.Params{Memory: 64, Passes: 1, Lanes: 1} }

func TestTheRightPasswordAloneIsRight(t *testing.T) {
	t.Parallel()
	h := password.New(cheap(), 2)
	hash, err := h.Hash(t.Context(), "four words of mine")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("hash = %q, %v", hash, err)
	}
	if again, _ := h.Hash(t.Context(), "four words of mine"); again == hash {
		t.Error("two hashes have one salt")
	}
	for _, tt := range []struct {
		name, hash, password string
		want                 bool
	}{
		{"the password", hash, "four words of mine", true},
		{"another", hash, "four words of thine", false},
		{"none", hash, "", false},
		{"nobody's", "", "four words of mine", false},
		{"nobody's, none", "", "", false},
	} {
		before := h.Runs()
		right, stale, err := h.Verify(t.Context(), tt.hash, tt.password)
		if err != nil || right != tt.want || stale {
			t.Errorf("%s: right %t, stale %t, %v", tt.name, right, stale, err)
		}
		if n := h.Runs() - before; n != 1 {
			t.Errorf("%s: %d runs, want 1 whoever asks", tt.name, n)
		}
	}
}

func TestLettersCountHoweverTheyAreComposed(t *testing.T) {
	t.Parallel()
	h := password.New(cheap(), 1)
	hash, err := h.Hash(t.Context(), "caf\u00e9 caf\u00e9 caf\u00e9")
	if err != nil {
		t.Fatal(err)
	}
	if right, _, err := h.Verify(t.Context(), hash, "cafe\u0301 cafe\u0301 cafe\u0301"); err != nil || !right {
		t.Errorf("right %t, %v", right, err)
	}
}

func TestAHashOfOldParametersIsStale(t *testing.T) {
	t.Parallel()
	hash, err := password.New(cheap(), 1).Hash(t.Context(), "four words of mine")
	if err != nil {
		t.Fatal(err)
	}
	dearer := cheap()
	dearer.Passes++
	right, stale, err := password.New(dearer, 1).Verify(t.Context(), hash, "four words of mine")
	if err != nil || !right || !stale {
		t.Errorf("right %t, stale %t, %v", right, stale, err)
	}
}

func TestWhatIsNoHashIsAnError(t *testing.T) {
	t.Parallel()
	h := password.New(cheap(), 1)
	good, err := h.Hash(t.Context(), "four words of mine")
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{
		"x", "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AA", strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "m=64", "m=4294967295", 1),
		strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1), good + "$", good[:len(good)-8],
	} {
		if right, _, err := h.Verify(t.Context(), hash, "four words of mine"); err == nil || right || strings.Contains(err.Error(), hash) {
			t.Errorf("%q: right %t, %v", hash, right, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	u := &model.User{Code: "ruh-amal", Name: "Amal Al-Qahtani", Email: "amal.alqahtani@ruh.example"}
	for _, tt := range []struct{ name, password, code string }{
		{"several words", "river table seven moons", ""},
		{"no rule about kinds of characters", "lanternbicycle", ""},
		{"twelve characters", "kqzvtwnbxmrd", ""},
		{"another script", "قطار بحر نافذة جبل", ""},
		{"as long as may be", strings.Repeat("kqzvt wn!", 28), ""},
		{"eleven characters", "kqzvtwnbxmr", "length"},
		{"twelve bytes of six characters", "éàüöñç", "length"},
		{"too long", strings.Repeat("kqzvt wnb", 29), "length"},
		{"not UTF-8", "kqzvtwnbxmrd\xff", "format"},
		{"empty", "", "length"},
		{"the code", "ruh-amal-ruh-amal", "value"},
		{"the code with a year", "Ruh-Amal-2026", "value"},
		{"the address", "Amal.AlQahtani@RUH.example", "value"},
		{"its first part", "amalalqahtani1", "value"},
		{"the name", "Amal Al-Qahtani!", "value"},
		{"the code among other words", "ruh-amal counts the moons", ""},
		{"common", "qwertyuiopas", "common"},
		{"common with digits", "Password1234", "common"},
		{"common with signs", "!!Welcome2026!!", "common"},
		{"a sequence", "345678901234", "common"},
		{"a sequence of letters downwards", "zyxwvutsrqpo", "common"},
		{"one character", "ظظظظظظظظظظظظظظ", "common"},
		{"a repetition", "x7!qx7!qx7!qx7", "common"},
	} {
		err := password.Check(tt.password, u)
		var faults model.FieldErrors
		errors.As(err, &faults)
		switch {
		case tt.code == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.code != "" && (len(faults) != 1 || faults[0].Code != tt.code || tt.password != "" && strings.Contains(err.Error(), tt.password)):
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
	}
}
