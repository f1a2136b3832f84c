package files_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/model"
)

// zipped is an archive of empty-looking files of these names; the first holds
// content without compression.
func zipped(t *testing.T, content string, names ...string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range names {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		require.NoError(t, err)
		_, err = f.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.String()
}

// raw is a ZIP's first entry as OpenDocument wants it: its type, plain, at once.
func odf(typ string) string {
	return "PK\x03\x04" + strings.Repeat("\x00", 22) + "\x08\x00\x00\x00mimetype" + "application/vnd.oasis.opendocument." + typ
}

// ole is an old Office file that begins with a stream and whose directory is
// out of sight.
func ole(stream string) string {
	return "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" + strings.Repeat("\x00", 504) + stream + strings.Repeat("\x00", 600)
}

func samples(t *testing.T) map[string]string {
	const ooxml = "application/vnd.openxmlformats-officedocument."
	return map[string]string{
		"%PDF-1.4\n%":                                                     "application/pdf",
		"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR":                             "image/png",
		"\xff\xd8\xff\xe0\x00\x10JFIF\x00":                                "image/jpeg",
		"GIF89a\x01\x00\x01\x00":                                          "image/gif",
		"RIFF\x24\x00\x00\x00WEBPVP8 ":                                    "image/webp",
		"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic":                "image/heic",
		"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic":                "image/heif",
		zipped(t, "x", "[Content_Types].xml", "word/document.xml"):        ooxml + "wordprocessingml.document",
		zipped(t, "x", "[Content_Types].xml", "xl/workbook.xml"):          ooxml + "spreadsheetml.sheet",
		zipped(t, "x", "[Content_Types].xml", "ppt/presentation.xml"):     ooxml + "presentationml.presentation",
		zipped(t, strings.Repeat("x", 9000), "_rels/.rels", "word/a.xml"): ooxml + "wordprocessingml.document",
		odf("text"):                             "application/vnd.oasis.opendocument.text",
		odf("spreadsheet"):                      "application/vnd.oasis.opendocument.spreadsheet",
		ole("\xEC\xA5\xC1\x00"):                 "application/msword",
		ole("\x09\x08\x10\x00\x00\x06\x05\x00"): "application/vnd.ms-excel",
		"Called the family.\n":                  "text/plain",
		"اتصلنا بالعائلة، وهم راضون.\n": "text/plain",
		"\xff\xfeC\x00a\x00l\x00l\x00":  "text/plain",
		"day,calls\n1,2\n2,3\n":         "text/csv",
		"Received: from a\r\nFrom: a@x\r\nTo: b@x\r\nSubject: s\r\nDate: d\r\n\r\nHello\r\n": "message/rfc822",
		"ID3\x04\x00\x00\x00\x00\x00\x0aTIT2":                                                "audio/mpeg",
		"\x00\x00\x00\x18ftypM4A \x00\x00\x02\x00isom":                                       "audio/x-m4a",
		"RIFF\x24\x00\x00\x00WAVEfmt ":                                                       "audio/wav",
		"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41":                                   "video/mp4",
	}
}

func TestTypesAreSniffed(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	seen := map[string]bool{}
	for body, want := range samples(t) {
		stored, err := b.Put(t.Context(), key, strings.NewReader(body), limit)
		if assert.NoError(t, err, want) {
			assert.Equal(t, want, stored.Type)
		}
		seen[want] = true
	}
	for _, typ := range files.Types() {
		assert.True(t, seen[typ] || typ == "audio/mp4", "no sample of %s", typ)
	}
}

func TestWhatIsNeverKept(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	for name, body := range map[string]string{
		"html":                     "  \n<html><body>",
		"html of a comment":        "<!-- x --><html>",
		"xhtml":                    `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">`,
		"svg":                      `<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`,
		"svg as xml":               `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`,
		"shell":                    "#!/bin/sh\nrm -rf /\n",
		"python":                   "#!/usr/bin/env python\n",
		"php":                      "<?php system('x');",
		"windows program":          "MZ\x90\x00\x03\x00\x00\x00",
		"linux program":            "\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00", 60),
		"zip":                      zipped(t, "x", "a.txt"),
		"word without a beginning": zipped(t, "x", "evil.exe", "word/document.xml"),
		"jar":                      zipped(t, "x", "META-INF/MANIFEST.MF", "A.class"),
		"gzip":                     "\x1f\x8b\x08\x00\x00\x00\x00\x00",
		"7z":                       "7z\xbc\xaf\x27\x1c\x00\x04",
		"rar":                      "Rar!\x1a\x07\x01\x00",
		"unknown ole":              ole("\x01\x02"),
		"json":                     `{"a": 1}`,
		"bytes":                    "\x00\x01\x02\x03",
	} {
		_, err := b.Put(t.Context(), key, strings.NewReader(body), limit)
		var faults model.FieldErrors
		if !errors.As(err, &faults) || faults[0].Code != "type" {
			t.Errorf("%s: error %v, want its type refused", name, err)
		}
	}
	assert.Empty(t, kept(t, dir))
}

func TestNames(t *testing.T) {
	t.Parallel()
	const text, pdf = "text/plain", "application/pdf"
	tests := []struct{ name, sent, typ, want string }{
		{"a plain one stays", "Report 1.pdf", pdf, "Report 1.pdf"},
		{"capitals stay", "REPORT.PDF", pdf, "REPORT.PDF"},
		{"letters of Arabic stay", "تقرير المريض.pdf", pdf, "تقرير المريض.pdf"},
		{"a path goes", "../../etc/passwd.txt", text, "passwd.txt"},
		{"a path of Windows goes", `C:\Users\x\note.txt`, text, "note.txt"},
		{"leading dots go", "...htaccess.txt", text, "htaccess.txt"},
		{"trailing dots go", "note.txt. .", text, "note.txt"},
		{"control characters go", "no\x00te\r\n\x1b[2J.txt", text, "note[2J.txt"},
		{"the direction of writing stays", "note\u202Efdp.txt", text, "notefdp.txt"},
		{"isolates and marks go", "\u2066a\u2069\u200F\u061Cb\uFEFF.txt", text, "ab.txt"},
		{"line separators go", "a\u2028b\u2029.txt", text, "ab.txt"},
		{"what Windows reads otherwise is replaced", `a:b*c?"<d>|.txt`, text, "a_b_c___d__.txt"},
		{"bad bytes go", "a\xff\xfe.txt", text, "a.txt"},
		{"a program is no text", "run.ps1", text, "run.ps1.txt"},
		{"a page is no picture", "page.html", "image/png", "page.html.png"},
		{"a macro document is none", "letter.docm", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "letter.docm.docx"},
		{"none gets one", "", pdf, "file.pdf"},
		{"dots alone are none", "..", pdf, "file.pdf"},
		{"a folder is none", "a/b/", pdf, "file.pdf"},
		{"an ending alone is none", ".pdf", pdf, "pdf.pdf"},
		{"a type that is not kept", "a.bin", "x/y", "a.bin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, files.Name(tt.sent, tt.typ))
		})
	}
	for _, letter := range []string{"x", "ض", "病", "🏥"} {
		for n := 40; n < 260; n++ {
			got := files.Name(strings.Repeat(letter, n)+".pdf", pdf)
			if len(got) > 200 || !utf8.ValidString(got) || !strings.HasSuffix(got, letter+".pdf") {
				t.Fatalf("%d of %s: %q", n, letter, got)
			}
		}
	}
	for _, sent := range []string{strings.Repeat("a", 300), "a." + strings.Repeat("b", 300), strings.Repeat(".", 300)} {
		if got := files.Name(sent, "x/y"); len(got) > 200 || got == "" {
			t.Errorf("%q", got)
		}
	}
}
