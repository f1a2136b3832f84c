package sla

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
)

// says reports which of some keywords, each an entry of its own, a text has.
func says(text string, keywords ...string) []bool {
	lists := make([][]string, len(keywords))
	for i, k := range keywords {
		lists[i] = []string{k}
	}
	found := make([]bool, len(keywords))
	newKeywords(lists).mark(text, found)
	return found
}

func TestKeywords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, keyword, text string
		want                bool
	}{
		{"a word", "fell", "He fell at night", true},
		{"the first and the last word", "fell", "fell", true},
		{"no word", "fell", "", false},
		{"not inside a word", "fell", "a fellow", false},
		{"not at a word's end", "fell", "befell", false},
		{"not before a digit", "fell", "fell2", false},
		{"between punctuation", "fell", "(fell!)", true},
		{"a stroke is no letter", "fell", "he_fell_down", true},
		{"any case", "FeLL", "hE fElL", true},
		{"the second place counts, too", "fell", "a fellow fell", true},
		{"a phrase", "wrong medication", "the wrong medication was given", true},
		{"a phrase over a line break", "wrong medication", "the wrong \r\n\t medication", true},
		{"a phrase over a hard blank", "wrong medication", "wrong\u00a0medication", true},
		{"a phrase written with blanks around and between", "  wrong   medication ", "wrong medication", true},
		{"not over punctuation", "wrong medication", "wrong, medication", false},
		{"not half of a phrase", "wrong medication", "the wrong one", false},
		{"a phrase ends as a word", "wrong medic", "wrong medication", false},
		{"a word's beginning", "abus*", "She was abused", true},
		{"a beginning that is all", "abus*", "abus", true},
		{"no beginning inside", "abus*", "disabuse", false},
		{"a phrase's last word's beginning", "wrong med*", "Wrong\nmeds", true},
		{"a keyword with punctuation", "c-section", "After the C-section,", true},
		{"an apostrophe as a telephone writes it", "didn't", "he didn’t", true},
		{"accents do not count", "infirmière", "l'infirmiere", true},
		{"accents do not count in the text", "infirmiere", "l'infirmie\u0300re", true},
		{"a sharp s", "strasse", "STRAẞE", true},
		{"a final sigma", "λάθος", "ΛΑΘΟΣ", true},
		{"a dotted capital", "istanbul", "İSTANBUL", true},
		{"full width", "fell", "ｆｅｌｌ", true},
		{"a soft hyphen", "medication", "medi\u00adcation", true},
		{"an Indic vowel sign is a letter", "कल", "कुल", false},
		{"a voicing mark is a letter", "か", "が", false},
		{"Arabic", "خطأ", "حدث خطأ كبير", true},
		{"Arabic with vowel signs in the text", "سقط", "سَقَطَ المريض", true},
		{"Arabic with vowel signs in the keyword", "سَقَطَ", "سقط المريض", true},
		{"Arabic stretched", "سقط", "ســـقط", true},
		{"Arabic without its hamza", "خطأ", "حدث خطا", true},
		{"Arabic, a phrase with marks of direction", "دواء خطأ", "أعطوه \u200fدواء\u200f خطأ.", true},
		{"Arabic in the forms of old programs", "لا", "ﻻ", true},
		{"Arabic, not inside a word", "سقط", "تساقط وسقطت", false},
		{"Arabic, a word's beginning", "سقط*", "ثم سقطت", true},
		{"Arabic punctuation", "خطأ", "خطأ؟", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, says(tt.text, tt.keyword)[0])
		})
	}
}

// TestKeywordsThatBeginAlike: one does not hide another.
func TestKeywordsThatBeginAlike(t *testing.T) {
	t.Parallel()
	all := []string{"ward", "ward nurse", "ward nurse shouted", "ward*", "war*", "warden", "nurse s*", "z"}
	for text, want := range map[string]string{
		"ward nurse shouting": "ward,ward nurse,ward*,war*,nurse s*",
		"ward nurse shouted":  "ward,ward nurse,ward nurse shouted,ward*,war*,nurse s*",
		"wardens":             "ward*,war*",
		"warden":              "ward*,war*,warden",
		"war":                 "war*",
		"wa":                  "",
	} {
		var got []string
		for i, yes := range says(text, all...) {
			if yes {
				got = append(got, all[i])
			}
		}
		assert.Equal(t, want, strings.Join(got, ","), text)
	}
	found := []bool{false, false, false}
	newKeywords([][]string{{"fell"}, {"FELL", "x"}, {"x"}}).mark("He fell", found)
	assert.Equal(t, []bool{true, true, false}, found, "one word of two entries")
}

// naive looks for one keyword with a regular expression.
func naive(text, keyword string) bool {
	word, prefix := foldKeyword(keyword)
	if word == "" {
		return false
	}
	const other = `[^\p{L}\p{M}\p{Nd}]`
	end := "(" + other + "|$)"
	if prefix {
		end = ""
	}
	return regexp.MustCompile("(?s)(^|" + other + ")" + regexp.QuoteMeta(word) + end).MatchString(fold(text))
}

func FuzzKeywords(f *testing.F) {
	f.Add("He fell; wrong\nmedication, abused", "fell", "wrong medication", "abus*")
	f.Add("سَقَطَ المريض", "سقط", "مريض", "المر*")
	f.Add("ward nurse", "ward", "ward n*", "ward nurse")
	f.Add("ẞ İ ŉ ﷺ ｆ \u00ad\u200f ’", "ss", "i*", "n")
	f.Fuzz(func(t *testing.T, text, a, b, c string) {
		keywords := []string{a, b, c}
		got := says(text, keywords...)
		for i, k := range keywords {
			if want := naive(text, k); got[i] != want {
				t.Errorf("%q in %q: %t, want %t", k, text, got[i], want)
			}
			if word, _ := foldKeyword(k); word != "" && !says("x "+strings.TrimSuffix(strings.TrimSpace(k), "*")+" x", k)[0] {
				t.Errorf("%q does not find itself", k)
			}
		}
	})
}

// TestFoldKnowsEveryCase of every letter that Unicode has.
func TestFoldKnowsEveryCase(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		folded := fold(string(r))
		const iotaBelow = '\u0345' // the capital of it is a letter, and so is that of the letter
		if other := fold(string(unicode.SimpleFold(r))); other != folded && r != iotaBelow && unicode.SimpleFold(r) != iotaBelow {
			t.Errorf("%q folds to %q, its other case to %q", r, folded, other)
		}
		if again := fold(folded); again != folded {
			t.Errorf("%q folds to %q, and that to %q", r, folded, again)
		}
	}
}
