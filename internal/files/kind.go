package files

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"
)

// headSize is how many first bytes a type is judged by: the directory of an old
// Office file may stand far behind.
const headSize = 256 << 10

// kind is a type that is kept, with the endings that its names may have; the
// first is given to a name that has none of them.
type kind struct {
	typ     string
	endings []string
}

// kinds is the list of what is kept. What a browser or a machine would run
// (HTML, SVG, scripts, programs) and archives, whose inside nobody sees, are
// not on it.
func kinds() []kind {
	const ooxml, odf = "application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument."
	text := []string{".txt", ".csv", ".log", ".md"}
	return []kind{
		{"application/pdf", []string{".pdf"}},
		{"image/png", []string{".png"}},
		{"image/jpeg", []string{".jpg", ".jpeg"}},
		{"image/gif", []string{".gif"}},
		{"image/webp", []string{".webp"}},
		{"image/heic", []string{".heic", ".heif"}},
		{"image/heif", []string{".heif", ".heic"}},
		{ooxml + "wordprocessingml.document", []string{".docx"}},
		{ooxml + "spreadsheetml.sheet", []string{".xlsx"}},
		{ooxml + "presentationml.presentation", []string{".pptx"}},
		{"application/msword", []string{".doc"}},
		{"application/vnd.ms-excel", []string{".xls"}},
		{odf + "text", []string{".odt"}},
		{odf + "spreadsheet", []string{".ods"}},
		{"text/plain", text},
		{"text/csv", []string{".csv", ".txt", ".log", ".md"}},
		{"message/rfc822", []string{".eml"}},
		{"audio/mpeg", []string{".mp3"}},
		{"audio/x-m4a", []string{".m4a"}},
		{"audio/mp4", []string{".m4a", ".mp4"}},
		{"audio/wav", []string{".wav"}},
		{"video/mp4", []string{".mp4", ".m4v"}},
	}
}

// Types lists the types that are kept.
func Types() []string {
	var all []string
	for _, k := range kinds() {
		all = append(all, k.typ)
	}
	return all
}

// kindNames are the kinds as people call them.
func kindNames() string {
	var names []string
	for _, k := range kinds() {
		if name := strings.TrimPrefix(k.endings[0], "."); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func kindOf(typ string) (kind, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.typ == typ })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

// sniff judges a type by a file's first bytes; false when it is none that is kept.
func sniff(head []byte) (string, bool) {
	typ, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	if typ == "application/x-ole-storage" && wordAtStart(head) {
		typ = "application/msword"
	}
	_, ok := kindOf(typ)
	return typ, ok
}

// wordAtStart tells whether an old Office file whose directory stands behind the
// head begins with a Word document, as Word writes it.
func wordAtStart(head []byte) bool {
	const sector = 512
	return len(head) > sector && bytes.HasPrefix(head[sector:], []byte{0xEC, 0xA5})
}

// maxName is how long a name may be, in bytes.
const maxName = 200

// Name makes of what a sender calls a file a name that is safe to show and to
// save: no path, nothing that controls a terminal, a page or the direction of
// writing, no leading dot, at most 200 bytes, and an ending that fits the type,
// so that a text does not come back as a program. It is never empty.
func Name(sent, typ string) string {
	name := strings.ToValidUTF8(sent, "")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control), r == '\uFEFF':
			return -1
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, name)
	name = strings.Trim(name, ". ")
	ending := ""
	if k, ok := kindOf(typ); ok {
		if ending = path.Ext(name); slices.Contains(k.endings, strings.ToLower(ending)) {
			name = strings.TrimSuffix(name, ending)
		} else {
			ending = k.endings[0]
		}
	}
	if name == "" {
		name = "file"
	}
	return clip(name, maxName-len(ending)) + ending
}

// clip cuts a name after at most n bytes, between two letters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRight(s[:n], ". ")
}
