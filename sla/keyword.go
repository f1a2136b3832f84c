package sla

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// keyword is a word or phrase to look for.
type keyword struct {
	text    string // folded
	prefix  bool   // a word may go on behind it
	shorter int    // the longest keyword before it that it begins with; -1: none
	entries []int  // who asks for it
}

// keywords finds many words and phrases in one pass over a text. They are
// sorted: whatever a place in the text begins with comes right before that place
// in the order, or before it in the chain of shorter ones.
type keywords []keyword

// newKeywords compiles lists of words and phrases, each of an entry.
func newKeywords(entries [][]string) keywords {
	type key struct {
		text   string
		prefix bool
	}
	at := map[key]int{}
	var ks keywords
	for entry, words := range entries {
		for _, w := range words {
			text, prefix := foldKeyword(w)
			i, known := at[key{text, prefix}]
			switch {
			case text == "": // a fault that check finds
			case known:
				ks[i].entries = append(ks[i].entries, entry)
			default:
				at[key{text, prefix}] = len(ks)
				ks = append(ks, keyword{text: text, prefix: prefix, entries: []int{entry}})
			}
		}
	}
	slices.SortFunc(ks, func(a, b keyword) int { return cmp.Compare(a.text, b.text) })
	for i := range ks {
		j := i - 1
		for j >= 0 && !strings.HasPrefix(ks[i].text, ks[j].text) {
			j = ks[j].shorter
		}
		ks[i].shorter = j
	}
	return ks
}

// foldKeyword folds a keyword of the policy; true: it is the beginning of a
// word.
func foldKeyword(s string) (string, bool) {
	s = strings.TrimSpace(s)
	word, prefix := strings.CutSuffix(s, "*")
	return fold(word), prefix
}

// mark notes which entries have a keyword in a text.
func (ks keywords) mark(text string, found []bool) {
	text = fold(text)
	begins := true
	for at, r := range text {
		if begins {
			ks.markAt(text[at:], found)
		}
		begins = !inWord(r)
	}
}

// markAt notes the entries of the keywords that a text begins with.
func (ks keywords) markAt(text string, found []bool) {
	i := sort.Search(len(ks), func(i int) bool { return ks[i].text > text }) - 1
	for ; i >= 0; i = ks[i].shorter {
		rest, ok := strings.CutPrefix(text, ks[i].text)
		if !ok || !ks[i].prefix && !wordEnds(rest) {
			continue
		}
		for _, e := range ks[i].entries {
			found[e] = true
		}
	}
}

// cover reports whether one of the keywords stands wherever another one does, at
// the same place.
func (ks keywords) cover(other string) bool {
	text, prefix := foldKeyword(other)
	return slices.ContainsFunc(ks, func(k keyword) bool {
		if k.prefix {
			return strings.HasPrefix(text, k.text)
		}
		return k.text == text && !prefix
	})
}

// wordEnds reports whether a word that stands before a text is whole.
func wordEnds(rest string) bool {
	r, size := utf8.DecodeRuneInString(rest)
	return size == 0 || !inWord(r)
}

// inWord reports whether a character is part of a word.
func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd)
}

// fold writes a text so that what people hold to be the same words is the same:
// without case, accents, vowel signs, the Arabic stretching stroke and what
// cannot be seen, with one blank for any white space within and none around it.
func fold(s string) string {
	out := make([]byte, 0, len(s))
	known := folds()
	blank := false
	for at, r := range s {
		if unicode.IsSpace(r) {
			blank = len(out) > 0
			continue
		}
		var to string
		if int(r) < len(known) {
			to = known[r]
		} else {
			to = string(foldRune(nil, s[at:], r))
		}
		if blank && to != "" {
			out, blank = append(out, ' '), false
		}
		out = append(out, to...)
	}
	return string(out)
}

// folds has what the letters of Latin, Greek, Cyrillic, Hebrew and Arabic fold
// to, among others: to work it out takes longer than all the rest.
var folds = sync.OnceValue(func() []string {
	known := make([]string, 0x800)
	for r := range known {
		known[r] = string(foldRune(nil, string(rune(r)), rune(r)))
	}
	return known
})

// foldRune adds the first character of a text, folded. The marks of classes
// below 10 are letters as much as those that they stand by, in Hindi or Japanese.
func foldRune(out []byte, s string, r rune) []byte {
	const tatweel = 'ـ'
	p := norm.NFKD.PropertiesString(s)
	switch parts := p.Decomposition(); {
	case len(parts) > 0 && parts[0] != ' ': // an accent by itself is none on a blank
		for at, r := range string(parts) {
			out = foldRune(out, string(parts[at:]), r)
		}
		return out
	case r == tatweel, p.CCC() >= 10, unicode.Is(unicode.Cf, r):
		return out
	case r == '’': // as telephones write it
		return append(out, '\'')
	case r == 'ß', r == 'ẞ':
		return append(out, "ss"...)
	default:
		return utf8.AppendRune(out, unicode.ToLower(unicode.ToUpper(r)))
	}
}
