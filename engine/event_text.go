package engine

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// wantText is what a text must be that cannot be kept as it was sent.
const wantText = "valid UTF-8, without half of a surrogate pair"

// faithful reports whether JSON is read as it was meant: it is UTF-8, and no
// escape names half of a surrogate pair. encoding/json puts U+FFFD in place of
// either, which destroys what somebody said and makes two ids one.
func faithful(raw []byte) bool {
	if !utf8.Valid(raw) {
		return false
	}
	for i := bytes.IndexByte(raw, '\\'); i >= 0; i = bytes.IndexByte(raw, '\\') {
		unit, n := escaped(raw[i:])
		raw = raw[i+n:]
		if !utf16.IsSurrogate(unit) {
			continue
		}
		low, n := escaped(raw)
		if utf16.DecodeRune(unit, low) == utf8.RuneError {
			return false
		}
		raw = raw[n:]
	}
	return true
}

// escaped reads the escape that text begins with and its length: the UTF-16
// unit of \uXXXX, else 0.
func escaped(text []byte) (unit rune, n int) {
	if len(text) < 2 || text[0] != '\\' {
		return 0, 0
	}
	if text[1] != 'u' || len(text) < 6 {
		return 0, 2
	}
	u, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0, 2
	}
	return rune(u), 6
}

// replaced reports whether encoding/json wrote U+FFFD for bytes that are not
// UTF-8: those it writes as an escape, a U+FFFD of the sender's as itself.
func replaced(written []byte) bool {
	return bytes.Contains(bytes.ReplaceAll(written, []byte(`\\`), nil), []byte(`\ufffd`))
}

// base64Mark begins a kept event that a text column cannot hold as it is.
const base64Mark = "base64:"

// keepRaw is the form in which a quarantined event is kept: its bytes, or in
// base64 behind a mark where they are not UTF-8, hold a NUL or begin with the
// mark themselves. keptRaw is the way back.
func keepRaw(raw []byte) string {
	if s := string(raw); utf8.Valid(raw) && !strings.ContainsRune(s, 0) && !strings.HasPrefix(s, base64Mark) {
		return s
	}
	return base64Mark + base64.StdEncoding.EncodeToString(raw)
}

func keptRaw(kept string) []byte {
	if text, ok := strings.CutPrefix(kept, base64Mark); ok {
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			return raw
		}
	}
	return []byte(kept)
}
