package password

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/pxactions/px/model"
)

const (
	// Least is how many characters a password has at least.
	Least = 12
	// Most is how many bytes it has at most.
	Most = 256
)

// common are passwords that are tried first by whoever tries, one a line, in
// small letters.
//
//go:embed common.txt
var common string

// Check says whether a password may be set for a person, by the rules of NIST SP
// 800-63B: long, not known to everybody, not their own names; no rule about the
// kinds of characters. What is wrong is model.FieldErrors, without the password.
func Check(password string, u *model.User) error {
	var faults model.FieldErrors
	add := func(code, want string) { faults.Add("password", code, want) }
	text := norm.NFKC.String(password)
	switch {
	case !utf8.ValidString(password):
		add("format", "text in UTF-8")
	case len(password) > Most || len(text) > Most:
		add("length", "256 bytes at most")
	case utf8.RuneCountInString(text) < Least:
		add("length", "12 characters at least; several words make a good one")
	case names(text, u):
		add("value", "not the user's own code, name or e-mail address")
	case known(text):
		add("common", "not one of the passwords that are tried first, nor a row or a repetition of characters")
	}
	return faults.Err()
}

// names reports whether a password is little more than the person's own names.
func names(password string, u *model.User) bool {
	const enough = 6 // other characters, to be more than that
	local, _, _ := strings.Cut(u.Email, "@")
	folded := letters(password)
	for _, name := range []string{u.Code, u.Email, local, u.Name} {
		name = letters(name)
		if utf8.RuneCountInString(name) < 3 {
			continue
		}
		if rest := strings.ReplaceAll(folded, name, ""); rest != folded && utf8.RuneCountInString(rest) < enough {
			return true
		}
	}
	return false
}

// known reports whether a password is on the list, with or without digits and
// signs around it, or hardly more than one run of characters.
func known(password string) bool {
	folded := strings.ToLower(password)
	core := strings.TrimFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	for line := range strings.Lines(common) {
		if w := strings.TrimSpace(line); w != "" && (w == folded || w == core) {
			return true
		}
	}
	return row([]rune(folded))
}

// row reports whether characters only repeat (up to four of them over and over)
// or follow each other as in 123456789012.
func row(rs []rune) bool {
	const longest = 4
	for period := 1; period <= longest; period++ {
		same := true
		for i := period; i < len(rs); i++ {
			same = same && rs[i] == rs[i-period]
		}
		if same {
			return true
		}
	}
	up, down := 0, 0
	for i := 1; i < len(rs); i++ {
		switch rs[i] - rs[i-1] {
		case 1, -9: // 0 follows 9
			up++
		case -1, 9:
			down++
		}
	}
	return max(up, down) == len(rs)-1
}

// letters is a text in small letters without anything between them.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFKC.String(s))
}
